//! A text as others may read it: percent signs, backslashes and entities taken for what they stand
//! for, and where in the text each of them stands.
//!
//! A secret is looked for in what a text means, as there is no end of ways to write it. Each way to
//! read is one pass that looks at each byte a few times, whoever wrote the text: nothing is tried
//! twice, and runs of signs are taken at once. How a text within a text is read is a matter of how
//! deep one looks; what is read to the ground loses the difference between a sign and what stands
//! for it, so a secret is read in the same way before it is looked for there.

use zeroize::Zeroizing;

/// One way to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// `%2F` once.
    Percent,
    /// `%2F`, `%252F` and so on.
    PercentDeep,
    /// `\"`, `\n`, `\u00e9` once, as in JSON.
    Backslash,
    /// The same after any number of backslashes, which say nothing otherwise.
    BackslashDeep,
    /// Backslashes say nothing at all.
    NoBackslash,
    /// `&amp;`, `&#38;`, `&#x26;` once.
    Entity,
    /// The same, however often its `&` was written so itself.
    EntityDeep,
}

/// How what was read is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// As it is; a plus sign may stand for a space.
    Strict,
    /// Whether letters are large or small, and white space, do not matter.
    Loose,
    /// Letters and digits alone matter: what stands between them may have come in by breaking lines.
    Bare,
}

/// A text that was read.
#[derive(Clone)]
pub(super) struct Reading {
    /// What it says.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Where what stands for each of these bytes begins and ends.
    spans: Vec<(u32, u32)>,
    /// How many bytes were looked at.
    pub(super) steps: usize,
}

/// What stands for something else.
struct Sign {
    length: usize,
    means: Means,
}

enum Means {
    Nothing,
    Byte(u8),
    Letter(char),
}

impl Reading {
    /// A text as it is. It is shorter than 4 GB.
    pub(super) fn of(text: &str) -> Self {
        let spans = (0..).zip(1..).take(text.len()).collect();
        Self { bytes: Zeroizing::new(text.as_bytes().to_vec()), spans, steps: 0 }
    }

    /// Where the bytes from `start` to before `end` come from.
    pub(super) fn span(&self, start: usize, end: usize) -> (usize, usize) {
        (self.spans[start].0 as usize, self.spans[end - 1].1 as usize)
    }

    /// Whether reading it in one of these ways changes anything.
    pub(super) fn has(&self, steps: &[Step]) -> bool {
        steps.iter().any(|step| memchr::memchr(step.mark(), &self.bytes).is_some())
    }

    /// This, read once more.
    pub(super) fn read(self, step: Step) -> Self {
        let mark = step.mark();
        if memchr::memchr(mark, &self.bytes).is_none() {
            return self;
        }
        let mut read = Self::empty(self.bytes.len(), self.steps);
        let mut at = 0;
        while let Some(&byte) = self.bytes.get(at) {
            read.steps += 1;
            let sign = (byte == mark).then(|| step.sign(&self.bytes[at..], &mut read.steps));
            let Some(sign) = sign.flatten() else {
                read.push(byte, self.spans[at]);
                at += 1;
                continue;
            };
            let end = at + sign.length;
            let span = (self.spans[at].0, self.spans[end - 1].1);
            match sign.means {
                Means::Nothing => {}
                Means::Byte(byte) => read.push(byte, span),
                Means::Letter(letter) => read.push_letter(letter, span),
            }
            at = end;
        }
        read
    }

    /// This, as it is compared.
    pub(super) fn finish(&self, finish: Finish) -> Self {
        let mut read = Self::empty(self.bytes.len(), self.steps + self.bytes.len());
        let mut at = 0;
        for chunk in self.bytes.utf8_chunks() {
            for letter in chunk.valid().chars() {
                let end = at + letter.len_utf8();
                read.finish_letter(letter, (self.spans[at].0, self.spans[end - 1].1), finish);
                at = end;
            }
            for &byte in chunk.invalid() {
                if finish != Finish::Bare {
                    read.push(byte, self.spans[at]);
                }
                at += 1;
            }
        }
        read
    }

    fn finish_letter(&mut self, letter: char, span: (u32, u32), finish: Finish) {
        let gap = letter.is_whitespace() || letter == '+';
        match finish {
            Finish::Strict if gap => self.push(b' ', span),
            Finish::Strict => self.push_letter(letter, span),
            Finish::Loose if gap || letter.is_control() || crate::text::is_invisible(letter) => {}
            // Where a text was cut is asked later.
            Finish::Bare if !letter.is_alphanumeric() && letter != '…' => {}
            _ if letter.is_ascii() => self.push(letter.to_ascii_lowercase() as u8, span),
            _ => {
                let large = letter.to_uppercase();
                large.flat_map(char::to_lowercase).for_each(|it| self.push_letter(it, span));
            }
        }
    }

    fn empty(size: usize, steps: usize) -> Self {
        Self {
            bytes: Zeroizing::new(Vec::with_capacity(size)),
            spans: Vec::with_capacity(size),
            steps,
        }
    }

    fn push(&mut self, byte: u8, span: (u32, u32)) {
        self.bytes.push(byte);
        self.spans.push(span);
    }

    fn push_letter(&mut self, letter: char, span: (u32, u32)) {
        for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
            self.push(byte, span);
        }
    }
}

impl Step {
    /// What all its signs begin with.
    const fn mark(self) -> u8 {
        match self {
            Self::Percent | Self::PercentDeep => b'%',
            Self::Backslash | Self::BackslashDeep | Self::NoBackslash => b'\\',
            Self::Entity | Self::EntityDeep => b'&',
        }
    }

    /// The sign that `text`, which begins with the mark, begins with.
    fn sign(self, text: &[u8], steps: &mut usize) -> Option<Sign> {
        match self {
            Self::Percent => {
                Some(Sign { length: 3, means: Means::Byte(number(text.get(1..3)?)? as u8) })
            }
            Self::PercentDeep => Some(percent(text, steps)),
            Self::Backslash => backslash(text),
            Self::BackslashDeep => Some(backslashes(text, steps)),
            Self::NoBackslash => Some(Sign { length: 1, means: Means::Nothing }),
            Self::Entity => entity(text),
            Self::EntityDeep => {
                let length = 1 + run(&text[1..], b"amp;", steps);
                // The last `&` of them may begin another.
                let inner = entity_after(&text[length..]);
                Some(inner.map_or(Sign { length, means: Means::Byte(b'&') }, |(more, letter)| {
                    Sign { length: length + more, means: Means::Letter(letter) }
                }))
            }
        }
    }
}

/// How long the run of `what` is that `text` begins with.
fn run(text: &[u8], what: &[u8], steps: &mut usize) -> usize {
    let mut length = 0;
    while text[length..].starts_with(what) {
        length += what.len();
    }
    *steps += length;
    length
}

fn percent(text: &[u8], steps: &mut usize) -> Sign {
    let length = 1 + run(&text[1..], b"25", steps);
    match text.get(length..length + 2).and_then(number) {
        Some(byte) => Sign { length: length + 2, means: Means::Byte(byte as u8) },
        None => Sign { length, means: Means::Byte(b'%') },
    }
}

fn backslash(text: &[u8]) -> Option<Sign> {
    if let Some((length, letter)) = escape(&text[1..], |rest| usize::from(rest.starts_with(b"\\")))
    {
        return Some(Sign { length: 1 + length, means: Means::Letter(letter) });
    }
    let plain = text.get(1).filter(|it| matches!(it, b'\\' | b'"' | b'\'' | b'/'))?;
    Some(Sign { length: 2, means: Means::Byte(*plain) })
}

fn backslashes(text: &[u8], steps: &mut usize) -> Sign {
    let length = run(text, b"\\", steps);
    let escaped = escape(&text[length..], |rest| run(rest, b"\\", steps));
    escaped.map_or(Sign { length, means: Means::Nothing }, |(more, letter)| Sign {
        length: length + more,
        means: Means::Letter(letter),
    })
}

/// The letter that stands after a backslash as another, and how long it is. `slashes` says how many
/// backslashes a text begins with.
fn escape(text: &[u8], mut slashes: impl FnMut(&[u8]) -> usize) -> Option<(usize, char)> {
    let short = match text.first()? {
        b'n' => Some('\n'),
        b'r' => Some('\r'),
        b't' => Some('\t'),
        b'b' => Some('\u{8}'),
        b'f' => Some('\u{c}'),
        _ => None,
    };
    if let Some(short) = short {
        return Some((1, short));
    }
    if let Some(digits) = text.strip_prefix(b"x") {
        return Some((3, char::from_u32(number(digits.get(..2)?)?)?));
    }
    let unit = |text: &[u8]| number(text.strip_prefix(b"u")?.get(..4)?);
    let first = unit(text)?;
    if let Some(letter) = char::from_u32(first) {
        return Some((5, letter));
    }
    // Half of a letter, whose other half follows.
    let slashes = slashes(&text[5..]);
    let second = unit(&text[5 + slashes..]).filter(|_| slashes > 0)?;
    let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
    Some((10 + slashes, char::decode_utf16(pair).next()?.ok()?))
}

fn entity(text: &[u8]) -> Option<Sign> {
    let (length, letter) = entity_after(&text[1..])?;
    Some(Sign { length: 1 + length, means: Means::Letter(letter) })
}

/// The letter that stands after an `&`, and how long it is with its semicolon.
fn entity_after(text: &[u8]) -> Option<(usize, char)> {
    let end = text.iter().take(LONGEST_ENTITY).position(|byte| *byte == b';')?;
    let name = str::from_utf8(&text[..end]).ok()?;
    let letter = match name.strip_prefix('#') {
        None => named(name)?,
        Some(code) => char::from_u32(match code.strip_prefix(['x', 'X']) {
            Some(code) => u32::from_str_radix(code, 16).ok()?,
            None => code.parse().ok()?,
        })?,
    };
    Some((end + 1, letter))
}

/// The longest name of an entity, or its number with a few zeros before it, and the semicolon.
const LONGEST_ENTITY: usize = 14;

/// The names of the letters from U+00A0 on.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg \
    macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 \
    iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave \
    Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc \
    Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc \
    euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave \
    uacute ucirc uuml yacute thorn yuml";

fn named(name: &str) -> Option<char> {
    Some(match name {
        "amp" | "AMP" => '&',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        "quot" | "QUOT" => '"',
        "apos" => '\'',
        "Tab" => '\t',
        "NewLine" => '\n',
        "excl" => '!',
        "num" => '#',
        "dollar" => '$',
        "percnt" => '%',
        "lpar" => '(',
        "rpar" => ')',
        "ast" | "midast" => '*',
        "plus" => '+',
        "comma" => ',',
        "period" => '.',
        "sol" => '/',
        "colon" => ':',
        "semi" => ';',
        "equals" => '=',
        "quest" => '?',
        "commat" => '@',
        "lbrack" | "lsqb" => '[',
        "bsol" => '\\',
        "rbrack" | "rsqb" => ']',
        "Hat" => '^',
        "lowbar" => '_',
        "grave" => '`',
        "lbrace" | "lcub" => '{',
        "verbar" | "vert" => '|',
        "rbrace" | "rcub" => '}',
        _ => {
            let place = LATIN.split_ascii_whitespace().position(|it| it == name)?;
            char::from_u32(0xa0 + u32::try_from(place).ok()?)?
        }
    })
}

/// The number that these hexadecimal digits write.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}
