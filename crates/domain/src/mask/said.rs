//! Secrets in what somebody else said, however they are written there.
//!
//! The text is read in a few ways, each of which is one pass, and each secret is looked for in each
//! of them, in time that grows with the text alone: what is said is as long and as odd as whoever
//! says it likes, who may want us to take long.

use std::cell::OnceCell;
use std::cmp::Reverse;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::spelling::{Finish, Reading, Step};
use crate::secret::Secrets;

/// Shorter ones are not searched for in what somebody else said.
const SHORTEST: usize = 4;
/// Shorter ones stand there as they are, not in other letters or with gaps within: they would be
/// found in words that are none of theirs.
const SHORTEST_LOOSE: usize = 8;
/// Fewer letters and digits may follow each other in any text, whatever stands between them.
const SHORTEST_BARE: usize = 16;
/// The least of a secret's beginning that is masked where it was cut short, in bytes of the text.
const SHORTEST_BEGINNING: usize = 8;
/// The same, in bytes of the secret.
const FEWEST_BEGIN: usize = 6;
/// Shorter parts of an address that is a secret are words, such as `services`.
const LONG_PART: usize = 16;
/// The least of a secret's base64 that is searched for: what surrounds it shifts its first and
/// last characters.
const SHORTEST_BASE64: usize = 8;
/// How much of a text is looked at, in bytes; what follows is left out.
const MOST: usize = 1024 * 1024;
/// How many times as long as a secret what stands for it usually is at most: `\u0041`.
const LONGEST_SPELLING: usize = 6;

const FINISHES: [Finish; 3] = [Finish::Strict, Finish::Loose, Finish::Bare];

/// Stands where a text was cut.
const CUT: &[u8] = "…".as_bytes();

/// A way to read a text.
struct Way {
    steps: &'static [Step],
    /// Whether a secret is read so as well, since not all of it is left.
    both: bool,
    /// Whether it is looked at for letters and digits alone, too.
    bare: bool,
}

use Step::{Backslash, BackslashDeep, Entity, EntityDeep, NoBackslash, Percent, PercentDeep};

const WAYS: &[Way] = &[
    Way { steps: &[], both: false, bare: true },
    Way { steps: &[Percent], both: false, bare: false },
    Way { steps: &[Backslash], both: false, bare: false },
    Way { steps: &[Backslash, Backslash], both: false, bare: false },
    Way { steps: &[Entity], both: false, bare: false },
    Way {
        steps: &[PercentDeep, BackslashDeep, EntityDeep, PercentDeep, BackslashDeep, EntityDeep],
        both: true,
        bare: true,
    },
    // A backslash before a letter that has nothing to do with it.
    Way { steps: &[NoBackslash, PercentDeep, EntityDeep], both: true, bare: false },
];

/// What somebody else said, without the secrets that they may have said again: as they are, in
/// large or small letters, with line breaks, percent-encoded, with the backslashes of a text within
/// a text, with entities, as hexadecimal digits, within base64, or cut short with `…`.
///
/// Of what is longer than a mebibyte the beginning is left, with `…`.
pub fn said(text: &str, secrets: &Secrets) -> String {
    Known::of(secrets).said(text)
}

/// Secrets that may be said again, in the forms that are looked for.
pub struct Known<'a> {
    forms: Vec<(Zeroizing<String>, &'a str)>,
    /// What of them is looked for, for each of [`WAYS`], as soon as a text is read so.
    wanted: [OnceCell<Vec<Wanted<'a>>>; WAYS.len()],
}

/// What of a secret is looked for in a text that is read and compared in one way.
struct Wanted<'a> {
    finish: Finish,
    bytes: Zeroizing<Vec<u8>>,
    name: &'a str,
}

/// Where a secret stands, and its name.
#[derive(Clone, Copy)]
struct Found<'a> {
    start: usize,
    end: usize,
    name: &'a str,
}

impl<'a> Known<'a> {
    /// All of `secrets` that are long enough to be looked for.
    pub fn of(secrets: &'a Secrets) -> Self {
        let mut known = Self { forms: Vec::new(), wanted: Default::default() };
        for (name, all) in secrets.iter() {
            for value in all.iter().map(|value| value.expose()) {
                if value.len() >= SHORTEST {
                    known.add(Zeroizing::new(value.to_owned()), name);
                    for part in parts_of_address(value) {
                        known.add(Zeroizing::new(part.to_owned()), name);
                    }
                    encoded(value).into_iter().for_each(|form| known.add(form, name));
                }
            }
        }
        known
    }

    fn add(&mut self, form: Zeroizing<String>, name: &'a str) {
        if self.forms.iter().all(|(known, _)| *known != form) {
            self.forms.push((form, name));
        }
    }

    /// What somebody else said, as [`said`] has it.
    pub fn said(&self, text: &str) -> String {
        if text.len() > MOST {
            return self.beginning(&text[..text.floor_char_boundary(MOST)]);
        }
        self.find(text).map_or_else(|| text.to_owned(), |found| masked(text, &found.0))
    }

    /// The beginning of what somebody said, which goes on: ends with `…`, and lacks the end of
    /// `text`, which may be the beginning of a secret that cannot be recognised.
    pub fn beginning(&self, text: &str) -> String {
        let text = &text[..text.floor_char_boundary(MOST)];
        let longest = self.forms.iter().map(|(form, _)| form.len()).max().unwrap_or_default();
        let left_out = (longest * LONGEST_SPELLING).min(text.len() / 2);
        let end = text.floor_char_boundary(text.len() - left_out);
        let text = format!("{}…", &text[..end]);
        self.find(&text).map(|found| masked(&text, &found.0)).unwrap_or(text)
    }

    /// Where secrets stand, from the first on, each apart from the others; and how many steps it
    /// took. None where nothing is known.
    fn find(&self, text: &str) -> Option<(Vec<Found<'a>>, usize)> {
        if self.forms.is_empty() {
            return None;
        }
        let (mut found, mut steps) = (Vec::new(), 0);
        let plain = Reading::of(text);
        for (way, wanted) in WAYS.iter().zip(&self.wanted) {
            if way.steps.is_empty() || plain.has(way.steps) {
                let read = way.steps.iter().fold(plain.clone(), |read, step| read.read(*step));
                let wanted = wanted.get_or_init(|| self.wanted(way));
                steps += read.steps + find_all(&read, wanted, &mut found);
            }
        }
        Some((apart(found), steps))
    }

    fn wanted(&self, way: &Way) -> Vec<Wanted<'a>> {
        let all = FINISHES.iter().flat_map(|&finish| {
            self.forms.iter().filter_map(move |(form, name)| {
                looked_for(form, way, finish).map(|bytes| Wanted { finish, bytes, name })
            })
        });
        all.collect()
    }
}

/// Adds where `wanted`, which stand by how they are compared, are in a text; says how many steps it
/// took.
fn find_all<'a>(read: &Reading, wanted: &[Wanted<'a>], found: &mut Vec<Found<'a>>) -> usize {
    let mut steps = 0;
    for wanted in wanted.chunk_by(|one, other| one.finish == other.finish) {
        let text = read.finish(wanted[0].finish);
        let is_cut = memchr::memmem::find(&text.bytes, CUT).is_some();
        steps += text.steps;
        for Wanted { bytes, name, .. } in wanted {
            steps += text.bytes.len() + bytes.len();
            for at in memchr::memmem::find_iter(&text.bytes, &bytes[..]) {
                let (start, end) = text.span(at, at + bytes.len());
                found.push(Found { start, end, name });
            }
            if is_cut {
                steps += 2 * (text.bytes.len() + bytes.len());
                cut_short(&text, bytes, |start, end| found.push(Found { start, end, name }));
            }
        }
    }
    steps
}

/// What of a secret is looked for in a text that is read and compared so; none where it is looked
/// for in another way, or too little is left of it.
fn looked_for(form: &str, way: &Way, finish: Finish) -> Option<Zeroizing<Vec<u8>>> {
    let steps = if way.both { way.steps } else { &[] };
    let read = steps.iter().fold(Reading::of(form), |read, step| read.read(*step));
    // A secret that consists of signs alone may be less than a word when it is read.
    let left = |finish, fewest: usize| {
        let bytes = read.finish(finish).bytes;
        (bytes.len() >= fewest && bytes.len() * 2 >= form.len()).then_some(bytes)
    };
    let loose = || left(Finish::Loose, FEWEST_BEGIN).filter(|_| form.len() >= SHORTEST_LOOSE);
    match finish {
        Finish::Loose => loose(),
        Finish::Strict if loose().is_some() => None,
        Finish::Strict => left(Finish::Strict, SHORTEST),
        Finish::Bare => way.bare.then(|| left(Finish::Bare, SHORTEST_BARE)).flatten(),
    }
}

/// Says where the beginning of a secret stands before `…`, if so much of it does that it could
/// hardly be anything else.
fn cut_short(text: &Reading, form: &[u8], mut found: impl FnMut(usize, usize)) {
    // How much of the beginning of `form` each of its beginnings ends with, but for itself.
    let mut ends = Zeroizing::new(vec![0; form.len()]);
    let mut length = 0;
    for at in 1..form.len() {
        length = grown(form, &ends, length, form[at]);
        ends[at] = length;
    }
    let mut length = 0;
    for (at, byte) in text.bytes.iter().enumerate() {
        if length >= FEWEST_BEGIN && text.bytes[at..].starts_with(CUT) {
            let (start, _) = text.span(at - length, at);
            let (end, _) = text.span(at, at + 1);
            if end - start >= SHORTEST_BEGINNING {
                found(start, end);
            }
        }
        if length == form.len() {
            length = ends[length - 1];
        }
        length = grown(form, &ends, length, *byte);
    }
}

/// How much of the beginning of `form` stands at the end of a text that ended with `length` of it
/// and goes on with `byte`.
fn grown(form: &[u8], ends: &[usize], mut length: usize, byte: u8) -> usize {
    while length > 0 && form[length] != byte {
        length = ends[length - 1];
    }
    length + usize::from(form[length] == byte)
}

/// What overlaps, taken as one, by the name of the longest of it.
fn apart(mut found: Vec<Found<'_>>) -> Vec<Found<'_>> {
    found.sort_by_key(|it| (it.start, Reverse(it.end)));
    let mut apart: Vec<(Found<'_>, usize)> = Vec::new();
    for it in found {
        let length = it.end - it.start;
        match apart.last_mut().filter(|(last, _)| it.start < last.end) {
            None => apart.push((it, length)),
            Some((last, longest)) => {
                last.end = last.end.max(it.end);
                if length > *longest {
                    (last.name, *longest) = (it.name, length);
                }
            }
        }
    }
    apart.into_iter().map(|(found, _)| found).collect()
}

fn masked(text: &str, found: &[Found<'_>]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut kept = 0;
    for it in found {
        // What was read may end within a letter.
        let start = text.floor_char_boundary(it.start).max(kept);
        masked.push_str(&text[kept..start]);
        masked.push_str(&format!("[secret:{}]", it.name));
        kept = text.ceil_char_boundary(it.end);
    }
    masked + &text[kept..]
}

/// A value as others encode it whole: in hexadecimal digits, or within base64.
fn encoded(value: &str) -> Vec<Zeroizing<String>> {
    let mut forms = vec![Zeroizing::new(hex::encode(value))];
    for shift in 0..3 {
        let mut bytes = Zeroizing::new(vec![0; shift]);
        bytes.extend_from_slice(value.as_bytes());
        // Whole characters that depend on nothing but the value.
        let (from, to) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
        for alphabet in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
            let encoded = Zeroizing::new(alphabet.encode(&*bytes));
            let own = &encoded[from..to];
            if own.len() >= SHORTEST_BASE64 {
                forms.push(Zeroizing::new(own.to_owned()));
            }
        }
    }
    forms
}

/// What others say of an address that is a secret: all but its host, or a part of its path that is
/// long enough to be what makes it one.
fn parts_of_address(value: &str) -> Vec<&str> {
    let after = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    let Some((_, path)) = after.and_then(|after| after.split_once('/')) else { return Vec::new() };
    let parts = path.split(['/', '?', '&', '=']).filter(|part| part.len() >= LONG_PART);
    let whole = Some(path).filter(|path| path.len() >= super::SHORTEST);
    whole.into_iter().chain(parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
    use proptest::prelude::*;

    fn secrets(value: &str) -> Secrets {
        let mut secrets = Secrets::new();
        secrets.set("token", Secret::new(value.into()));
        secrets
    }

    fn json(text: &str) -> String {
        let quoted = serde_json::to_string(text).unwrap();
        quoted[1..quoted.len() - 1].into()
    }

    fn units(text: &str) -> String {
        text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
    }

    fn percent(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02x}")).collect()
    }

    fn percent_where_needed(text: &str) -> String {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    }

    fn form(text: &str) -> String {
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
    }

    fn html(text: &str) -> String {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        text.replace('"', "&quot;").replace('\'', "&#39;")
    }

    fn numbers(text: &str) -> String {
        text.chars().map(|letter| format!("&#x{:X};", letter as u32)).collect()
    }

    fn wrapped(text: &str) -> String {
        let letters: Vec<_> = text.chars().collect();
        letters.chunks(5).map(String::from_iter).collect::<Vec<_>>().join("\r\n ")
    }

    fn base64(text: &str) -> String {
        BASE64_STANDARD.encode(text)
    }

    fn base64_url(text: &str) -> String {
        BASE64_URL_SAFE.encode(text)
    }

    fn hexadecimal(text: &str) -> String {
        hex::encode_upper(text)
    }

    type Spelling = fn(&str) -> String;

    /// What a secret may be written in, and whether what surrounds it is written so with it.
    const SPELLINGS: &[(&str, Spelling, bool)] = &[
        ("as it is", str::to_owned, false),
        ("json", json, false),
        ("json in json", |text| json(&json(text)), false),
        ("json in json in json", |text| json(&json(&json(text))), false),
        ("units", units, false),
        ("slashes", |text| json(text).replace('/', "\\/"), false),
        ("percent", percent, false),
        ("percent where needed", percent_where_needed, false),
        ("form", form, false),
        ("percent twice", |text| percent(&percent(text)), false),
        ("html", html, false),
        ("html twice", |text| html(&html(text)), false),
        ("numbers", numbers, false),
        ("html in json", |text| json(&html(text)), false),
        ("json in html", |text| html(&json(text)), false),
        ("json in percent", |text| percent_where_needed(&json(text)), false),
        ("percent in json", |text| units(&form(text)), false),
        ("hexadecimal", hexadecimal, false),
        ("hexadecimal, percent", |text| percent(&hexadecimal(text)), false),
        ("wrapped hexadecimal", |text| wrapped(&hexadecimal(text)), false),
        ("base64", base64, true),
        ("base64 for addresses", base64_url, true),
        ("wrapped base64", |text| wrapped(&base64(text)), true),
        ("base64 in json", |text| json(&base64(text)).replace('/', "\\/"), true),
        ("base64, percent", |text| percent_where_needed(&base64(text)), true),
    ];

    /// A secret whose signs must be escaped somewhere, and that has enough else to be one.
    const SECRET: &str = r#"[A-Za-z0-9]{2}[ -~éß€😀]{4,24}[A-Za-z0-9]{6}"#;

    #[test]
    fn each_spelling_is_masked() {
        let value = "Zq9 \"w\\8'<é>&/+=%4\n1x€😀b";
        for (name, spell, _) in SPELLINGS {
            let text = format!("it said {} (again)", spell(value));
            let shown = said(&text, &secrets(value));
            if !name.contains("base64") {
                assert_eq!(shown, "it said [secret:token] (again)", "{name}");
            }
            assert!(shown.contains("[secret:token]"), "{name}: {shown}");
        }
    }

    #[test]
    fn secrets_of_signs_alone_are_masked() {
        for value in [r"\\\\\\abc", r"\\\\", "%%%%%%%%", "&&&&&&&&", "++++++++", r#"\"\"\"\""#] {
            for (name, spell) in [
                ("as it is", str::to_owned as Spelling),
                ("json", json),
                ("percent", percent),
                ("html", html),
                ("hexadecimal", hexadecimal),
            ] {
                let text = format!("({})", spell(value));
                assert_eq!(said(&text, &secrets(value)), "([secret:token])", "{value} {name}");
            }
        }
    }

    #[test]
    fn large_letters_and_line_breaks_hide_nothing() {
        let secrets = secrets("clientSECRET_0123456789/x");
        let check = |text: &str, expected: &str| assert_eq!(said(text, &secrets), expected);

        check("CLIENTSECRET_0123456789/X!", "[secret:token]!");
        check("clientSECRET_\r\n 0123456789/x", "[secret:token]");
        // A mail server that repeats its code in each line.
        check("535 clientSECRET- 0123-456789/x", "535 [secret:token]");
    }

    #[test]
    fn short_secrets_stand_as_they_are() {
        let secrets = secrets("then");
        let check = |text: &str, expected: &str| assert_eq!(said(text, &secrets), expected);

        check("the night, THEN", "the night, THEN");
        check("then th%65n", "[secret:token] [secret:token]");
    }

    #[test]
    fn what_goes_on_shows_no_half_of_a_secret() {
        let value = format!("tok_{}", "A1b2C3d4".repeat(128));
        for (name, spell, _) in SPELLINGS {
            let text = spell(&value).repeat(8);
            let cut = &text[..text.len() - spell(&value).len() / 2];
            let shown = Known::of(&secrets(&value)).beginning(cut);
            assert!(shown.ends_with('…'), "{name}");
            if !name.contains("base64") {
                let left = shown.replace("[secret:token]", "");
                assert!(left.len() < 16, "{name}: {left}");
            }
        }
    }

    #[test]
    fn of_what_is_very_long_the_beginning_is_left() {
        let shown = said(&"a ".repeat(MOST), &secrets("clientSECRET"));

        assert!(shown.len() < MOST + 4 && shown.ends_with(" …"));
    }

    /// Texts that are made to take long.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "\\",
            "%",
            "%25",
            "25",
            "&",
            "&amp;",
            "amp;",
            "u00",
            "ud83d",
            "\\ud83d\\",
            "%2",
            "…",
            "aaaaaaa",
            "aaaaaaab",
            "+",
            " ",
            "&#x",
            "&#00000000",
            "\u{ad}",
            "é",
        ]);
        let runs = prop::collection::vec((piece, 1usize..400), 1..12);
        runs.prop_map(|runs| runs.into_iter().map(|(piece, times)| piece.repeat(times)).collect())
    }

    proptest! {
        #[test]
        fn no_spelling_gives_a_secret_back(
            value in SECRET,
            before in "[ -~é]{0,12}",
            after in "[ -~é]{0,12}",
            spelling in prop::sample::select(SPELLINGS.to_vec()),
        ) {
            let (name, spell, with_context) = spelling;
            let text = match with_context {
                true => spell(&format!("{before}{value}{after}")),
                // A gap, as no sign of what surrounds it is part of it.
                false => format!("{before} {} {after}", spell(&value)),
            };
            let known = secrets(&value);

            let shown = said(&text, &known);

            prop_assert!(shown.contains("[secret:token]"), "{name}: {text} -> {shown}");
            for (_, spell, with_context) in SPELLINGS {
                prop_assert!(*with_context || !shown.contains(&spell(&value)), "{name}: {shown}");
            }
            if !with_context {
                prop_assert!(shown.starts_with(&before) && shown.ends_with(&after), "{name}: {shown}");
            }
        }

        #[test]
        fn secrets_are_found_between_any_signs(
            value in SECRET, before in "[%\\\\&+#;25ux0-9a]{0,9}", after in "[%\\\\&+#;25ux0-9a]{0,9}",
        ) {
            let shown = said(&format!("{before}{value}{after}"), &secrets(&value));

            prop_assert!(shown.contains("[secret:token]") && !shown.contains(&value), "{shown}");
        }

        #[test]
        fn what_holds_no_secret_is_unchanged(text in any::<String>(), signs in hostile()) {
            let secrets = secrets("Zq9Xw8Zq9Xw8-1");
            prop_assert_eq!(&said(&text, &secrets), &text);
            prop_assert_eq!(&said(&signs, &secrets), &signs);
        }

        #[test]
        fn it_takes_steps_by_the_length_of_the_text_alone(
            text in hostile(),
            value in prop::sample::select(vec![
                "tok_12345678", "\\\\\\\\\\\\abc", "aaaaaaaaaaaaaaaaaaab", "%25%25%25%25%25", "&amp;&amp;amp;",
            ]),
        ) {
            let secrets = secrets(value);
            let known = Known::of(&secrets);

            let (_, steps) = known.find(&text).unwrap();

            for way in WAYS {
                let plain = Reading::of(&text);
                let read = way.steps.iter().fold(plain, |read, step| read.read(*step));
                prop_assert!(read.steps <= 3 * way.steps.len() * text.len(), "{}", read.steps);
            }
            let once = 8 + 6 * known.forms.len();
            let most = WAYS.len() * once * (3 * text.len() + 64 * value.len());
            prop_assert!(steps <= most, "{steps} steps for {} bytes", text.len());
        }
    }
}
