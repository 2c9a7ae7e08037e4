//! The shop itself: what it has sold, what it has in stock, and what happened.
//!
//! Every change carries a stamp in microseconds that no other change of the shop carries, later
//! than all before it, even if the clock stands still or goes back. So "changed since" together
//! with "after this stamp" reads each collection to its end without leaving anything out, however
//! many orders are made meanwhile: what changes moves behind the reader, never before.
//!
//! The whole shop follows from its seed, the time it was opened and the times of its steps.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use crate::catalogue::{self, CUSTOMERS, Customer, PRODUCTS, Product};
use crate::random::{Random, mix};

/// How many events the list goes back, as providers forget theirs too.
const EVENTS_KEPT: usize = 20_000;
/// How far back the history goes when the shop opens.
const HISTORY: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The first whole number that JavaScript's numbers, and doubles, cannot tell from its neighbour.
const BEYOND_DOUBLES: u64 = (1 << 53) + 1;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Open,
    Paid,
    Fulfilled,
    Cancelled,
    Refunded,
}

#[derive(Debug)]
struct Line {
    product: usize,
    quantity: u32,
    /// In cents, as it was when the order was made.
    price: u32,
}

#[derive(Debug)]
struct Order {
    id: u64,
    number: usize,
    customer: usize,
    lines: Vec<Line>,
    status: Status,
    created: i64,
    updated: i64,
}

/// How much there is of one product.
#[derive(Debug)]
struct Stock {
    available: i64,
    updated: i64,
}

/// One thing that happened, for which webhooks are sent.
#[derive(Debug)]
pub(crate) struct Event {
    /// Counts from 0.
    pub(crate) number: u64,
    /// What webhooks carry as `webhook-id`.
    pub(crate) id: String,
    /// Such as `order.created`.
    pub(crate) kind: &'static str,
    /// When it happened, in microseconds.
    pub(crate) at: i64,
    /// The body of its webhooks.
    pub(crate) body: String,
}

/// The types of events there are.
pub(crate) const EVENT_TYPES: [&str; 3] = ["order.created", "order.updated", "stock.changed"];

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collection {
    Orders,
    Customers,
    Stock,
    Products,
}

/// A part of a collection, each item as JSON.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) items: Vec<Vec<u8>>,
    /// The stamp of the last item, if there are more after it.
    pub(crate) more_after: Option<i64>,
}

/// How the shop is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) opened: Timestamp,
    pub(crate) history_orders: usize,
}

/// The shop.
#[derive(Debug)]
pub(crate) struct Shop {
    random: Random,
    salt: u64,
    last: i64,
    products: Vec<Product>,
    customers: Vec<Customer>,
    stock: Vec<Stock>,
    orders: Vec<Order>,
    /// By stamp, for each collection: which item it is.
    changed: [BTreeMap<i64, usize>; 4],
    events: VecDeque<Arc<Event>>,
    event_count: u64,
}

impl Shop {
    pub(crate) fn open(plan: Plan) -> Self {
        let opened = plan.opened.as_microsecond();
        let mut shop = Self {
            random: Random::new(plan.seed),
            salt: mix(plan.seed) ^ opened.cast_unsigned(),
            last: 0,
            products: Vec::with_capacity(PRODUCTS),
            customers: Vec::with_capacity(CUSTOMERS),
            stock: Vec::with_capacity(PRODUCTS),
            orders: Vec::with_capacity(plan.history_orders),
            changed: Default::default(),
            events: VecDeque::new(),
            event_count: 0,
        };
        shop.fill(opened, plan.history_orders);
        shop
    }

    fn fill(&mut self, opened: i64, orders: usize) {
        let began = opened - micros(HISTORY);
        for number in 0..PRODUCTS {
            let mut product = catalogue::product(number, &mut self.random);
            let stamp = self.stamp(began);
            (product.created, product.updated) = (stamp, stamp);
            self.products.push(product);
            self.changed[Collection::Products as usize].insert(stamp, number);
            let stamp = self.stamp(began);
            let available = 20 + self.random.below(180) as i64;
            self.stock.push(Stock { available, updated: stamp });
            self.changed[Collection::Stock as usize].insert(stamp, number);
        }
        for number in 0..CUSTOMERS {
            let mut customer = catalogue::customer(number, &mut self.random);
            let stamp = self.stamp(began);
            (customer.created, customer.updated) = (stamp, stamp);
            self.customers.push(customer);
            self.changed[Collection::Customers as usize].insert(stamp, number);
        }
        let step = (micros(HISTORY) / i64::try_from(orders.max(1)).unwrap_or(1)).max(4);
        for number in 0..orders {
            // The last second before the opening stays free for the stamps of the last orders.
            let at = (began + step * number as i64).min(opened - 1_000_000);
            let made = self.make_order(at);
            let order = &mut self.orders[made];
            order.status = *self.random.pick(&[
                Status::Paid,
                Status::Fulfilled,
                Status::Fulfilled,
                Status::Fulfilled,
                Status::Refunded,
                Status::Cancelled,
            ]);
        }
    }

    /// A stamp for a change at `at`, or as soon after it as one is free.
    fn stamp(&mut self, at: i64) -> i64 {
        self.last = at.max(self.last + 1);
        self.last
    }

    /// One new order, and now and then a change to an earlier one or to a price. Returns what
    /// happened, oldest first.
    pub(crate) fn step(&mut self, at: Timestamp) -> Vec<Arc<Event>> {
        let at = at.as_microsecond();
        let first = self.event_count;

        let order = self.make_order(at);
        self.note_order("order.created", order);
        self.take_from_stock(at, order);
        if self.random.chance(0.5) {
            self.move_an_order_on(at);
        }
        if self.random.chance(0.1) {
            self.change_a_price(at);
        }

        let new = usize::try_from(self.event_count - first).unwrap_or(0).min(self.events.len());
        self.events.range(self.events.len() - new..).cloned().collect()
    }

    fn make_order(&mut self, at: i64) -> usize {
        let place = self.orders.len();
        let customer = self.random.below(self.customers.len());
        let lines = (0..1 + self.random.below(3)).map(|_| self.line()).collect();
        let stamp = self.stamp(at);
        self.orders.push(Order {
            id: order_id(place),
            number: 1_001 + place,
            customer,
            lines,
            status: Status::Open,
            created: stamp,
            updated: stamp,
        });
        self.changed[Collection::Orders as usize].insert(stamp, place);
        self.customers[customer].orders += 1;
        let stamp = self.stamp(at);
        let before = std::mem::replace(&mut self.customers[customer].updated, stamp);
        self.move_to(Collection::Customers, before, stamp, customer);
        place
    }

    fn line(&mut self) -> Line {
        let product = self.random.below(self.products.len());
        let quantity = 1 + u32::try_from(self.random.below(3)).unwrap_or(0);
        Line { product, quantity, price: self.products[product].price }
    }

    fn take_from_stock(&mut self, at: i64, order: usize) {
        let taken: Vec<_> = self.orders[order]
            .lines
            .iter()
            .map(|line| (line.product, -i64::from(line.quantity)))
            .collect();
        for (product, delta) in taken {
            self.change_stock(at, product, delta);
            if self.stock[product].available < 5 {
                self.change_stock(at, product, 60);
            }
        }
    }

    fn change_stock(&mut self, at: i64, product: usize, delta: i64) {
        let stamp = self.stamp(at);
        let stock = &mut self.stock[product];
        stock.available += delta;
        let before = std::mem::replace(&mut stock.updated, stamp);
        self.move_to(Collection::Stock, before, stamp, product);
        let data = json(&StockChange { stock: self.stock_view(product), delta });
        self.note("stock.changed", stamp, &data);
    }

    /// Pays, ships, cancels or refunds one of the latest orders.
    fn move_an_order_on(&mut self, at: i64) {
        let latest = self.orders.len().min(50);
        let place = self.orders.len() - 1 - self.random.below(latest);
        let cancel = self.random.chance(0.15);
        let next = match (self.orders[place].status, cancel) {
            (Status::Open, false) => Status::Paid,
            (Status::Open, true) => Status::Cancelled,
            (Status::Paid, false) => Status::Fulfilled,
            (Status::Paid | Status::Fulfilled, true) => Status::Refunded,
            (Status::Fulfilled, false) | (Status::Cancelled | Status::Refunded, _) => return,
        };
        let stamp = self.stamp(at);
        let order = &mut self.orders[place];
        order.status = next;
        let before = std::mem::replace(&mut order.updated, stamp);
        self.move_to(Collection::Orders, before, stamp, place);
        self.note_order("order.updated", place);
    }

    fn change_a_price(&mut self, at: i64) {
        let place = self.random.below(self.products.len());
        let up = self.random.chance(0.6);
        let stamp = self.stamp(at);
        let product = &mut self.products[place];
        product.price = if up { product.price + 50 } else { product.price.max(550) - 50 };
        let before = std::mem::replace(&mut product.updated, stamp);
        self.move_to(Collection::Products, before, stamp, place);
    }

    fn move_to(&mut self, collection: Collection, before: i64, stamp: i64, place: usize) {
        let changed = &mut self.changed[collection as usize];
        changed.remove(&before);
        changed.insert(stamp, place);
    }

    fn note_order(&mut self, kind: &'static str, place: usize) {
        let data = self.item_json(Collection::Orders, place);
        self.note(kind, self.orders[place].updated, &data);
    }

    fn note(&mut self, kind: &'static str, at: i64, data: &[u8]) {
        let number = self.event_count;
        self.event_count += 1;
        let body = format!(
            r#"{{"type":"{kind}","timestamp":"{}","data":{}}}"#,
            time(at),
            String::from_utf8_lossy(data)
        );
        let id = format!(
            "msg_{:016x}{:08x}",
            mix(self.salt ^ number),
            mix(self.salt.rotate_left(7) ^ number) >> 32
        );
        self.events.push_back(Arc::new(Event { number, id, kind, at, body }));
        if self.events.len() > EVENTS_KEPT {
            self.events.pop_front();
        }
    }

    /// How many items `collection` has.
    pub(crate) fn count(&self, collection: Collection) -> usize {
        self.changed[collection as usize].len()
    }

    /// How many items of `collection` changed at `since` or later.
    pub(crate) fn count_since(&self, collection: Collection, since: Option<i64>) -> usize {
        match since {
            None => self.count(collection),
            Some(since) => self.changed[collection as usize].range(since..).count(),
        }
    }

    /// Up to `limit` items that changed at `from` or later, in the order of their changes.
    pub(crate) fn changed_from(&self, collection: Collection, from: i64, limit: usize) -> Part {
        let mut rest = self.changed[collection as usize].range(from..);
        let mut last = None;
        let items = rest
            .by_ref()
            .take(limit)
            .map(|(&stamp, &place)| {
                last = Some(stamp);
                self.item_json(collection, place)
            })
            .collect();
        Part { items, more_after: rest.next().and(last) }
    }

    /// The places `first..first + limit`, by id: of a collection that only grows at its end. With
    /// `since`, only of items that changed then or later.
    pub(crate) fn by_number(
        &self,
        collection: Collection,
        since: Option<i64>,
        first: usize,
        limit: usize,
    ) -> Part {
        let mut places: Vec<_> = match since {
            None => (0..self.count(collection)).collect(),
            Some(since) => {
                self.changed[collection as usize].range(since..).map(|(_, &place)| place).collect()
            }
        };
        places.sort_unstable();
        let items = places
            .into_iter()
            .skip(first)
            .take(limit)
            .map(|place| self.item_json(collection, place))
            .collect();
        Part { items, more_after: None }
    }

    /// One item, by its id or, for stock, also by its SKU.
    pub(crate) fn item(&self, collection: Collection, id: &str) -> Option<Vec<u8>> {
        let number = id.parse::<u64>().ok();
        let place = match collection {
            Collection::Orders => self.orders.iter().position(|order| Some(order.id) == number),
            Collection::Customers => {
                self.customers.iter().position(|customer| Some(customer.id) == number)
            }
            Collection::Products | Collection::Stock => self
                .products
                .iter()
                .position(|product| Some(product.id) == number || product.sku == id),
        };
        place.map(|place| self.item_json(collection, place))
    }

    /// Up to `limit` events from `from` on and before `until`, and how many there are from
    /// `since` on and before `until`.
    pub(crate) fn events(&self, from: i64, until: i64, limit: usize) -> Part {
        let first = self.events.partition_point(|event| event.at < from);
        let mut rest = self.events.range(first..).take_while(|event| event.at < until);
        let mut last = None;
        let items = rest
            .by_ref()
            .take(limit)
            .map(|event| {
                last = Some(event.at);
                listed(event)
            })
            .collect();
        Part { items, more_after: rest.next().and(last) }
    }

    /// The stamp of the last of up to `limit` events from `from` on; none where there are none.
    pub(crate) fn last_of(&self, from: i64, limit: usize) -> Option<i64> {
        let first = self.events.partition_point(|event| event.at < from);
        self.events.range(first..).take(limit).next_back().map(|event| event.at)
    }

    /// How many events there are from `since` on and before `until`.
    pub(crate) fn event_count(&self, since: i64, until: i64) -> usize {
        let first = self.events.partition_point(|event| event.at < since);
        let end = self.events.partition_point(|event| event.at < until);
        end.saturating_sub(first)
    }

    fn item_json(&self, collection: Collection, place: usize) -> Vec<u8> {
        match collection {
            Collection::Orders => json(&self.order_view(place)),
            Collection::Customers => json(&self.customer_view(place)),
            Collection::Stock => json(&self.stock_view(place)),
            Collection::Products => json(&self.product_view(place)),
        }
    }

    fn order_view(&self, place: usize) -> OrderView<'_> {
        let order = &self.orders[place];
        let customer = &self.customers[order.customer];
        let lines: Vec<_> = order
            .lines
            .iter()
            .map(|line| LineView {
                sku: &self.products[line.product].sku,
                title: &self.products[line.product].title,
                quantity: line.quantity,
                price: Money(u64::from(line.price)),
            })
            .collect();
        let cents = order.lines.iter().map(|line| u64::from(line.price) * u64::from(line.quantity));
        OrderView {
            id: order.id,
            number: format!("#{}", order.number),
            created_at: time(order.created),
            updated_at: time(order.updated),
            status: order.status,
            currency: "EUR",
            total: Money(cents.sum()),
            customer: BuyerView { id: customer.id, name: &customer.name, email: &customer.email },
            lines,
            ship_to: AddressView::of(customer),
            note: None,
        }
    }

    fn customer_view(&self, place: usize) -> CustomerView<'_> {
        let customer = &self.customers[place];
        CustomerView {
            id: customer.id,
            name: &customer.name,
            email: &customer.email,
            created_at: time(customer.created),
            updated_at: time(customer.updated),
            orders: customer.orders,
            address: AddressView::of(customer),
        }
    }

    fn stock_view(&self, place: usize) -> StockView<'_> {
        let product = &self.products[place];
        StockView {
            id: product.id,
            sku: &product.sku,
            title: &product.title,
            location: "Main",
            available: self.stock[place].available,
            updated_at: time(self.stock[place].updated),
        }
    }

    fn product_view(&self, place: usize) -> ProductView<'_> {
        let product = &self.products[place];
        ProductView {
            id: product.id,
            sku: &product.sku,
            title: &product.title,
            price: Money(u64::from(product.price)),
            currency: "EUR",
            active: true,
            created_at: time(product.created),
            updated_at: time(product.updated),
        }
    }
}

/// Every seventh id is beyond what a double can hold, to catch whoever reads ids as doubles.
fn order_id(place: usize) -> u64 {
    let place = place as u64;
    if place % 7 == 3 { BEYOND_DOUBLES + 2 * place } else { 5_000_000_001 + place }
}

fn micros(span: SignedDuration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC, always with six digits, so that text order is time order.
pub(crate) fn time(stamp: i64) -> String {
    format!("{:.6}", Timestamp::from_microsecond(stamp).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn json(view: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(view).expect("plain data is JSON")
}

fn listed(event: &Event) -> Vec<u8> {
    let body = event.body.strip_prefix('{').unwrap_or(&event.body);
    format!(r#"{{"id":"{}",{body}"#, event.id).into_bytes()
}

struct Money(u64);

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

#[derive(Serialize)]
struct OrderView<'a> {
    id: u64,
    number: String,
    created_at: String,
    updated_at: String,
    status: Status,
    currency: &'static str,
    total: Money,
    customer: BuyerView<'a>,
    lines: Vec<LineView<'a>>,
    ship_to: AddressView<'a>,
    note: Option<&'a str>,
}

#[derive(Serialize)]
struct BuyerView<'a> {
    id: u64,
    name: &'a str,
    email: &'a str,
}

#[derive(Serialize)]
struct LineView<'a> {
    sku: &'a str,
    title: &'a str,
    quantity: u32,
    price: Money,
}

#[derive(Serialize)]
struct AddressView<'a> {
    street: &'a str,
    postcode: &'a str,
    city: &'a str,
    country: &'a str,
}

impl<'a> AddressView<'a> {
    fn of(customer: &'a Customer) -> Self {
        Self {
            street: &customer.street,
            postcode: customer.postcode,
            city: customer.town,
            country: customer.country,
        }
    }
}

#[derive(Serialize)]
struct CustomerView<'a> {
    id: u64,
    name: &'a str,
    email: &'a str,
    created_at: String,
    updated_at: String,
    orders: u32,
    address: AddressView<'a>,
}

#[derive(Serialize)]
struct StockView<'a> {
    id: u64,
    sku: &'a str,
    title: &'a str,
    location: &'static str,
    available: i64,
    updated_at: String,
}

#[derive(Serialize)]
struct StockChange<'a> {
    #[serde(flatten)]
    stock: StockView<'a>,
    delta: i64,
}

#[derive(Serialize)]
struct ProductView<'a> {
    id: u64,
    sku: &'a str,
    title: &'a str,
    price: Money,
    currency: &'static str,
    active: bool,
    created_at: String,
    updated_at: String,
}
