//! What the shop sells and to whom, made up from lists.

use crate::random::Random;

/// How many products there are: three pages of 50.
pub(crate) const PRODUCTS: usize = 120;
/// How many customers there are.
pub(crate) const CUSTOMERS: usize = 300;

const THINGS: [(&str, &str, u32); 20] = [
    ("MUG", "Enamel mug", 1_290),
    ("NTB", "Notebook A5, dotted", 990),
    ("PEN", "Brass pen", 2_450),
    ("BAG", "Canvas bag", 1_850),
    ("TEA", "Green tea, 100 g", 890),
    ("COF", "Filter coffee, 250 g", 1_190),
    ("CND", "Beeswax candle", 1_490),
    ("SOA", "Olive soap", 690),
    ("TWL", "Linen towel", 2_190),
    ("BWL", "Stoneware bowl", 1_990),
    ("KNF", "Paring knife", 2_900),
    ("BRD", "Oak board", 3_450),
    ("APR", "Cotton apron", 2_790),
    ("VAS", "Glass vase", 2_250),
    ("LMP", "Desk lamp", 5_900),
    ("CLK", "Wall clock", 4_450),
    ("PST", "Poster, 50 × 70 cm", 1_950),
    ("JAR", "Storage jar", 1_350),
    ("SCF", "Wool scarf", 3_890),
    ("BRS", "Dish brush", 790),
];
const COLOURS: [(&str, &str); 6] = [
    ("BLU", "blue"),
    ("GRN", "green"),
    ("SND", "sand"),
    ("RED", "brick red"),
    ("BLK", "black"),
    ("WHT", "white"),
];
const FIRST: [&str; 20] = [
    "Ann", "Ben", "Carla", "Dmitri", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kaja",
    "Liam", "Mei", "Noor", "Olivia", "Pavel", "Rosa", "Søren", "Tomás", "Zoë",
];
const LAST: [&str; 20] = [
    "Bell", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Haas", "Ivanova",
    "Jansen", "Kowalski", "Lee", "Moreau", "Novák", "O'Brien", "Petit", "Rossi", "Silva", "Tanaka",
    "Weiss",
];
const TOWNS: [(&str, &str, &str); 8] = [
    ("Bath", "BA1 1AA", "GB"),
    ("Gent", "9000", "BE"),
    ("Graz", "8010", "AT"),
    ("Kiel", "24103", "DE"),
    ("Lyon", "69001", "FR"),
    ("Porto", "4000-001", "PT"),
    ("Turku", "20100", "FI"),
    ("Utrecht", "3511", "NL"),
];
const STREETS: [&str; 8] = [
    "Mill Lane",
    "Station Road",
    "Church Street",
    "Harbour Quay",
    "Garden Row",
    "High Street",
    "Bridge Street",
    "Orchard Way",
];

/// Something that the shop sells.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) id: u64,
    pub(crate) sku: String,
    pub(crate) title: String,
    /// In cents.
    pub(crate) price: u32,
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

/// Somebody who buys.
#[derive(Debug)]
pub(crate) struct Customer {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) street: String,
    pub(crate) town: &'static str,
    pub(crate) postcode: &'static str,
    pub(crate) country: &'static str,
    pub(crate) orders: u32,
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

/// The product numbered `number`, with times to be filled in.
pub(crate) fn product(number: usize, random: &mut Random) -> Product {
    let (code, thing, price) = THINGS[number % THINGS.len()];
    let (suffix, colour) = COLOURS[number / THINGS.len() % COLOURS.len()];
    Product {
        id: 20_001 + number as u64,
        sku: format!("{code}-{suffix}"),
        title: format!("{thing}, {colour}"),
        price: price + 50 * u32::try_from(random.below(8)).unwrap_or(0),
        created: 0,
        updated: 0,
    }
}

/// The customer numbered `number`, with times to be filled in.
pub(crate) fn customer(number: usize, random: &mut Random) -> Customer {
    let (first, last) = (*random.pick(&FIRST), *random.pick(&LAST));
    let &(town, postcode, country) = random.pick(&TOWNS);
    Customer {
        id: 70_001 + number as u64,
        name: format!("{first} {last}"),
        email: format!("customer-{}@shop.example", number + 1),
        street: format!("{} {}", 1 + random.below(120), random.pick(&STREETS)),
        town,
        postcode,
        country,
        orders: 0,
        created: 0,
        updated: 0,
    }
}
