//! Values that cost something: what bounds the time and the memory of one run.
//!
//! jaq has no fuel, and an expression of one line can multiply work and memory without a loop that
//! anybody would see. But whatever it does, it does to values, through a trait. So ours are jaq's
//! own in a wrapper that charges for each use: a step for each value made or looked at, more where
//! the work grows with the size of a value, and the bytes of whatever is built. Where the budget
//! ends, the run ends: an operation of jq cannot always fail, so that this unwinds, as a panic
//! would, to [`within`], which began the run. It is no panic: nothing is printed.
//!
//! Values are also kept from nesting too deep, since comparing, printing and dropping one recurse.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use jaq_core::box_iter::BoxIter;
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Exn, ValR, ValX};
use jaq_json::{Map, Num, Rc, Val};
use jaq_std::ValT as _;
use regex_automata::nfa::thompson;

/// How many steps a run may take: less than a second's work.
const STEPS: u64 = 2_000_000;
/// How many bytes a run may build in all, whether it keeps them or not.
const BYTES: u64 = 64 << 20;
/// How deep what a run builds may be nested. Data may be nested less deep.
const DEPTH: usize = 500;
/// How many bytes of text are looked at for one step.
const STRIDE: usize = 64;
/// How many bytes a value takes beside its text.
const VALUE: usize = 32;
/// What a regular expression costs beside its text: it is compiled each time.
const REGEX: usize = 2_000;
/// How many bytes one state of a regular expression looks at for one step.
const REGEX_STRIDE: usize = 2;
/// How large a compiled regular expression may be, in bytes.
const REGEX_SIZE: usize = 256 << 10;

thread_local! {
    static STEPS_LEFT: Cell<u64> = const { Cell::new(0) };
    static BYTES_LEFT: Cell<u64> = const { Cell::new(0) };
}

/// What ends a run whose budget is spent.
struct Spent;

/// Runs `work` with a budget of its own. None where that was not enough.
pub(super) fn within<T>(work: impl FnOnce() -> T) -> Option<T> {
    STEPS_LEFT.set(STEPS);
    BYTES_LEFT.set(BYTES);
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => Some(outcome),
        Err(thrown) if thrown.is::<Spent>() => None,
        Err(panic) => resume_unwind(panic),
    }
}

/// Charges steps.
fn spend(steps: usize) {
    charge(&STEPS_LEFT, steps);
}

/// Charges bytes that are built, and the steps that it takes.
fn grow(bytes: usize) {
    charge(&BYTES_LEFT, bytes);
    spend(1 + bytes / STRIDE);
}

fn charge(budget: &'static std::thread::LocalKey<Cell<u64>>, amount: usize) {
    let left = budget.get().checked_sub(u64::try_from(amount).unwrap_or(u64::MAX));
    budget.set(left.unwrap_or(0));
    // Once is enough: on the way out values are dropped, which costs nothing here.
    if left.is_none() && !std::thread::panicking() {
        resume_unwind(Box::new(Spent));
    }
}

/// Charges for reading a text of so many bytes as JSON: each of them may become a value.
pub(super) fn charge_parsing(bytes: usize) {
    spend(bytes);
    grow(bytes.saturating_mul(4));
}

/// Charges for a regular expression that is run over `text`, and refuses one that grows. The library
/// that runs it looks at each of its states for each byte, in the worst case.
pub(super) fn regex(text: &Metered, pattern: &Metered) -> ValR<Metered> {
    spend(REGEX);
    let pattern = std::str::from_utf8(pattern.0.try_as_utf8_bytes().map_err(error)?)
        .map_err(jaq_core::Error::str)?;
    let limits = thompson::Config::new().nfa_size_limit(Some(REGEX_SIZE));
    let compiled = thompson::Compiler::new().configure(limits).build(pattern);
    let states = compiled.map_err(|error| match error.size_limit() {
        Some(limit) => {
            jaq_core::Error::str(format!("the expression takes more than {limit} bytes"))
        }
        None => jaq_core::Error::str(error),
    })?;
    let states = states.states().len();
    let bytes = text.0.try_as_utf8_bytes().map_or(0, <[u8]>::len);
    spend(states.saturating_mul(bytes) / REGEX_STRIDE);
    Ok(Metered(Val::Null))
}

/// A value that is charged for.
#[derive(Clone, Debug)]
pub(crate) struct Metered(pub(crate) Val);

/// What `value` takes to be looked at whole, in steps; charged as it is found out.
fn walk(value: &Val) -> usize {
    let weight = match value {
        Val::Null | Val::Bool(_) => 1,
        Val::Num(number) => 1 + digits(number) / STRIDE,
        Val::BStr(bytes) | Val::TStr(bytes) => 1 + bytes.len() / STRIDE,
        Val::Arr(items) => {
            spend(items.len());
            return items.iter().map(walk).sum::<usize>() + 1;
        }
        Val::Obj(members) => {
            spend(2 * members.len());
            return members.iter().map(|(key, value)| walk(key) + walk(value)).sum::<usize>() + 1;
        }
    };
    spend(weight);
    weight
}

/// How many bytes a number takes.
fn digits(number: &Num) -> usize {
    match number {
        Num::Int(_) | Num::Float(_) => 8,
        Num::BigInt(number) => usize::try_from(number.bits() / 8).unwrap_or(usize::MAX),
        Num::Dec(text) => text.len(),
    }
}

/// How many bytes of its own a value takes, without what is in it.
fn size(value: &Val) -> usize {
    match value {
        Val::Null | Val::Bool(_) => 0,
        Val::Num(number) => digits(number),
        Val::BStr(bytes) | Val::TStr(bytes) => bytes.len(),
        Val::Arr(items) => items.len() * VALUE,
        Val::Obj(members) => members.len() * 2 * VALUE,
    }
}

/// Charges for a container that was built of `value`, and for the look at how deep it is nested.
fn built(value: Val) -> Metered {
    grow(size(&value));
    if deeper(&value, DEPTH) {
        // As if it had grown without end, which is what it is about to do.
        charge(&STEPS_LEFT, usize::MAX);
    }
    Metered(value)
}

fn deeper(value: &Val, than: usize) -> bool {
    let Some(rest) = than.checked_sub(1) else { return true };
    match value {
        Val::Arr(items) => {
            spend(items.len() / 4 + 1);
            items.iter().any(|item| deeper(item, rest))
        }
        Val::Obj(members) => {
            spend(members.len() / 4 + 1);
            members.values().any(|value| deeper(value, rest))
        }
        Val::Null | Val::Bool(_) | Val::Num(_) | Val::BStr(_) | Val::TStr(_) => false,
    }
}

fn error(error: jaq_json::Error) -> jaq_core::Error<Metered> {
    jaq_core::Error::new(Metered(error.into_val()))
}

/// The outcome of an operation that names `value` where it fails: an error prints it.
fn naming(value: &Val, outcome: jaq_json::ValR) -> ValR<Metered> {
    outcome.map(Metered).map_err(|failed| {
        walk(value);
        error(failed)
    })
}

/// Before an operation on two values: where it cannot be done an error prints both.
fn meet(left: &Val, right: &Val) {
    spend(1);
    if std::mem::discriminant(left) != std::mem::discriminant(right) {
        walk(left);
        walk(right);
    }
}

impl jaq_core::ValT for Metered {
    fn from_num(text: &str) -> ValR<Self> {
        spend(1);
        Val::from_num(text).map(Self).map_err(error)
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(members: I) -> ValR<Self> {
        let members = members.into_iter().map(|(key, value)| {
            walk(&key.0);
            (key.0, value.0)
        });
        Val::from_map(members).map(built).map_err(error)
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        grow(size(&self.0));
        Box::new(self.0.key_values().map(|pair| {
            spend(1);
            pair.map(|(key, value)| (Self(key), Self(value))).map_err(error)
        }))
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        grow(size(&self.0));
        Box::new(self.0.values().map(|value| {
            spend(1);
            value.map(Self).map_err(error)
        }))
    }

    fn index(self, index: &Self) -> ValR<Self> {
        spend(1);
        if let (Val::Arr(items), Val::Arr(wanted)) = (&self.0, &index.0) {
            spend(items.len().saturating_mul(wanted.len()));
        }
        naming(&self.0.clone(), self.0.index(&index.0))
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        grow(size(&self.0));
        let range = range.start.map(|start| &start.0)..range.end.map(|end| &end.0);
        naming(&self.0.clone(), self.0.range(range))
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        grow(size(&self.0));
        match self.0 {
            Val::Arr(items) => {
                let items = Rc::unwrap_or_clone(items).into_iter();
                let mapped = items.flat_map(|item| f(Self(item)));
                let mapped: Result<Self, Exn<'a, Self>> = mapped.collect();
                mapped
            }
            Val::Obj(members) => {
                let members = Rc::unwrap_or_clone(members).into_iter();
                let mapped = members.filter_map(|(key, value)| {
                    f(Self(value)).next().map(|value| Ok((key, value?.0)))
                });
                Ok(built(Val::obj(mapped.collect::<Result<Map, Exn<'a, Self>>>()?)))
            }
            other => unfit(Self(other), opt, "iterable (array or object)"),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        grow(size(&self.0));
        match (self.0, &index.0) {
            (Val::Obj(members), key) => {
                walk(key);
                let mut members = Rc::unwrap_or_clone(members);
                let value = members.get(key).cloned().unwrap_or_default();
                match f(Self(value)).next().transpose()? {
                    Some(value) => drop(members.insert(key.clone(), value.0)),
                    None => drop(members.shift_remove(key)),
                }
                Ok(built(Val::obj(members)))
            }
            (Val::Null, Val::TStr(_)) => Self(Val::obj(Map::default())).map_index(index, opt, f),
            (Val::Arr(items), Val::Num(number)) => {
                let mut items = Rc::unwrap_or_clone(items);
                let Some(at) = number.as_isize().and_then(|at| place(at, items.len())) else {
                    return unfit(Self(items.into_iter().collect()), opt, "an array that long");
                };
                let value = std::mem::take(&mut items[at]);
                match f(Self(value)).next().transpose()? {
                    Some(value) => items[at] = value.0,
                    None => drop(items.remove(at)),
                }
                Ok(built(items.into_iter().collect()))
            }
            (other, _) => unfit(Self(other), opt, "what has this member"),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        grow(size(&self.0));
        let Val::Arr(items) = self.0 else {
            return unfit(self, opt, "an array, of which a slice can be changed");
        };
        let mut items = Rc::unwrap_or_clone(items);
        let Some((from, to)) = slice(range, items.len()) else {
            return unfit(Self(items.into_iter().collect()), opt, "an array with such a slice");
        };
        let part = Self(items[from..to].iter().cloned().collect());
        let changed = match f(part).next().transpose()? {
            None => Vec::new(),
            Some(part) => part.into_seq::<Vec<Self>>().map_err(|other| {
                walk(&other.0);
                jaq_core::Error::typ(other, "array")
            })?,
        };
        items.splice(from..to, changed.into_iter().map(|item| item.0));
        Ok(built(items.into_iter().collect()))
    }

    fn as_bool(&self) -> bool {
        spend(1);
        self.0.as_bool()
    }

    fn into_string(self) -> Self {
        let text = match self.0 {
            text @ (Val::TStr(_) | Val::BStr(_)) => text,
            other => {
                walk(&other);
                other
            }
        };
        let text = text.into_string();
        grow(size(&text));
        Self(text)
    }
}

/// Where an index is in an array of this length: from its end where it is negative.
fn place(at: isize, length: usize) -> Option<usize> {
    let from_start = match usize::try_from(at) {
        Ok(at) => Some(at),
        Err(_) => length.checked_sub(at.unsigned_abs()),
    };
    from_start.filter(|&at| at < length)
}

/// From where to where a slice of an array of this length goes; none where it is not of numbers.
fn slice(range: Range<&Metered>, length: usize) -> Option<(usize, usize)> {
    let place = |end: Option<&Metered>, open: usize| match end {
        None | Some(Metered(Val::Null)) => Some(open),
        Some(Metered(Val::Num(number))) => number.as_isize().map(|at| match usize::try_from(at) {
            Ok(at) => at.min(length),
            Err(_) => length.saturating_sub(at.unsigned_abs()),
        }),
        Some(_) => None,
    };
    let (from, to) = (place(range.start, 0)?, place(range.end, length)?);
    Some((from, to.max(from)))
}

fn unfit<'a>(value: Metered, opt: Opt, wanted: &'static str) -> ValX<'a, Metered> {
    match opt {
        Opt::Optional => Ok(value),
        Opt::Essential => {
            walk(&value.0);
            Err(jaq_core::Error::typ(value, wanted).into())
        }
    }
}

impl jaq_std::ValT for Metered {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        grow(size(&self.0));
        let items: Result<Vec<Val>, Val> = self.0.into_seq();
        items.map(|items| items.into_iter().map(Self).collect()).map_err(Self)
    }

    fn is_int(&self) -> bool {
        self.0.is_int()
    }

    fn as_isize(&self) -> Option<isize> {
        spend(1);
        self.0.as_isize()
    }

    fn as_f64(&self) -> Option<f64> {
        spend(1 + size(&self.0) / STRIDE);
        self.0.as_f64()
    }

    fn is_utf8_str(&self) -> bool {
        self.0.is_utf8_str()
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        let bytes = self.0.as_bytes();
        spend(4 + bytes.map_or(0, <[u8]>::len) / STRIDE);
        bytes
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        Self(self.0.as_sub_str(sub))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        grow(bytes.as_ref().len());
        Self(Val::from_utf8_bytes(bytes))
    }
}

impl From<bool> for Metered {
    fn from(value: bool) -> Self {
        spend(1);
        Self(value.into())
    }
}

impl From<isize> for Metered {
    fn from(value: isize) -> Self {
        spend(1);
        Self(value.into())
    }
}

impl From<usize> for Metered {
    fn from(value: usize) -> Self {
        spend(1);
        Self(value.into())
    }
}

impl From<f64> for Metered {
    fn from(value: f64) -> Self {
        spend(1);
        Self(value.into())
    }
}

impl From<String> for Metered {
    fn from(value: String) -> Self {
        grow(value.len());
        Self(value.into())
    }
}

impl From<Range<Self>> for Metered {
    fn from(range: Range<Self>) -> Self {
        spend(1);
        Self((range.start.map(|start| start.0)..range.end.map(|end| end.0)).into())
    }
}

impl FromIterator<Self> for Metered {
    fn from_iter<T: IntoIterator<Item = Self>>(items: T) -> Self {
        let counted = items.into_iter().map(|item| {
            grow(VALUE);
            item.0
        });
        built(counted.collect())
    }
}

impl Add for Metered {
    type Output = ValR<Self>;

    fn add(self, other: Self) -> ValR<Self> {
        meet(&self.0, &other.0);
        grow(size(&self.0).saturating_add(size(&other.0)));
        (self.0 + other.0).map(Self).map_err(error)
    }
}

impl Sub for Metered {
    type Output = ValR<Self>;

    fn sub(self, other: Self) -> ValR<Self> {
        meet(&self.0, &other.0);
        if let (Val::Arr(_), Val::Arr(_)) = (&self.0, &other.0) {
            spend(walk(&self.0).saturating_mul(walk(&other.0)));
        }
        grow(size(&self.0).saturating_add(size(&other.0)));
        (self.0 - other.0).map(Self).map_err(error)
    }
}

impl Mul for Metered {
    type Output = ValR<Self>;

    fn mul(self, other: Self) -> ValR<Self> {
        let (left, right) = (&self.0, &other.0);
        match (left, right) {
            (Val::TStr(text) | Val::BStr(text), number @ Val::Num(_))
            | (number @ Val::Num(_), Val::TStr(text) | Val::BStr(text)) => {
                grow(text.len().saturating_mul(times(number)));
            }
            (Val::Num(left), Val::Num(right)) => multiply(left, right),
            // Merged all the way down.
            (Val::Obj(_), Val::Obj(_)) => {
                grow(walk(left).saturating_add(walk(right)).saturating_mul(VALUE));
            }
            _ => meet(left, right),
        }
        (self.0 * other.0).map(Self).map_err(error)
    }
}

/// How often a text is repeated by this number, at most.
fn times(number: &Val) -> usize {
    let exact = number.as_isize().map(|times| usize::try_from(times).unwrap_or(0));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let about = || number.as_f64().map_or(usize::MAX, |times| times.max(0.0).ceil() as usize);
    exact.unwrap_or_else(about)
}

/// Whole numbers have any size, and the work grows with the product.
fn multiply(left: &Num, right: &Num) {
    let (left, right) = (digits(left), digits(right));
    grow(left.saturating_add(right));
    spend(left.saturating_mul(right) / STRIDE);
}

impl Div for Metered {
    type Output = ValR<Self>;

    fn div(self, other: Self) -> ValR<Self> {
        meet(&self.0, &other.0);
        match (&self.0, &other.0) {
            (Val::Num(left), Val::Num(right)) => multiply(left, right),
            // A text is split, into as many pieces as it has letters at most.
            (text, _) => grow(size(text).saturating_mul(VALUE)),
        }
        (self.0 / other.0).map(Self).map_err(error)
    }
}

impl Rem for Metered {
    type Output = ValR<Self>;

    fn rem(self, other: Self) -> ValR<Self> {
        meet(&self.0, &other.0);
        if let (Val::Num(left), Val::Num(right)) = (&self.0, &other.0) {
            multiply(left, right);
        }
        (self.0 % other.0).map(Self).map_err(error)
    }
}

impl Neg for Metered {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        grow(size(&self.0));
        naming(&self.0.clone(), -self.0)
    }
}

/// Charges for a comparison: what is in both is looked at, in turn, as long as it is the same.
fn compare(left: &Val, right: &Val) {
    match (left, right) {
        (Val::Arr(left), Val::Arr(right)) => {
            spend(left.len().min(right.len()));
            left.iter().zip(right.iter()).for_each(|(left, right)| compare(left, right));
        }
        // Sorted by their keys first.
        (Val::Obj(_), Val::Obj(_)) => spend(walk(left).saturating_add(walk(right))),
        _ => spend(1 + size(left).min(size(right)) / STRIDE),
    }
}

impl PartialEq for Metered {
    fn eq(&self, other: &Self) -> bool {
        compare(&self.0, &other.0);
        self.0 == other.0
    }
}

impl Eq for Metered {}

impl PartialOrd for Metered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Metered {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0);
        self.0.cmp(&other.0)
    }
}

impl fmt::Display for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        walk(&self.0);
        self.0.fmt(f)
    }
}

/// What jaq-json offers for its own values alone: name, number of arguments, what it does.
pub(super) mod natives {
    use jaq_core::native::{bome, unary};
    use jaq_core::{RunPtr, ValT as _};
    use jaq_json::{Num, Val};

    use super::super::Run;
    use super::{Metered, built, compare, error, grow, size, spend, walk};

    pub(in super::super) const ALL: [(&str, usize, RunPtr<Run>); 7] = [
        ("length", 0, |cv| bome(length(&cv.1))),
        ("contains", 1, |cv| unary(cv, |value, part| Ok(contains(&value.0, &part.0).into()))),
        ("has", 1, |cv| unary(cv, |value, key| has(&value, &key))),
        ("indices", 1, |cv| unary(cv, |value, part| indices(value, &part))),
        ("bsearch", 1, |cv| unary(cv, |value, wanted| bsearch(&value, &wanted))),
        ("tojson", 0, |cv| bome(Ok(json(&cv.1)))),
        ("tobytes", 0, |cv| bome(bytes(&cv.1))),
    ];

    type Outcome = jaq_core::ValR<Metered>;

    fn fail(value: &Metered, problem: &str) -> jaq_core::Error<Metered> {
        jaq_core::Error::str(format_args!("{value} {problem}"))
    }

    fn length(value: &Metered) -> Outcome {
        spend(1 + size(&value.0) / 8);
        match &value.0 {
            Val::Null => Ok(0usize.into()),
            Val::Num(Num::Int(number)) if *number >= 0 => Ok(Metered(value.0.clone())),
            Val::Num(Num::Float(number)) => Ok(number.abs().into()),
            Val::Num(_) if value.0 >= Val::from(0usize) => Ok(Metered(value.0.clone())),
            Val::Num(_) => (-value.0.clone()).map(Metered).map_err(error),
            Val::TStr(text) => Ok(String::from_utf8_lossy(text).chars().count().into()),
            Val::BStr(bytes) => Ok(bytes.len().into()),
            Val::Arr(items) => Ok(items.len().into()),
            Val::Obj(members) => Ok(members.len().into()),
            Val::Bool(_) => Err(fail(value, "has no length")),
        }
    }

    /// Every part is somewhere in the whole: texts as parts of texts, and so on down.
    fn contains(whole: &Val, part: &Val) -> bool {
        match (whole, part) {
            (Val::TStr(whole), Val::TStr(part)) | (Val::BStr(whole), Val::BStr(part)) => {
                spend(1 + (whole.len() + part.len()) / 8);
                memchr::memmem::find(whole, part).is_some()
            }
            (Val::Arr(whole), Val::Arr(parts)) => parts.iter().all(|part| {
                whole.iter().any(|item| {
                    spend(1);
                    contains(item, part)
                })
            }),
            (Val::Obj(whole), Val::Obj(parts)) => parts.iter().all(|(key, part)| {
                walk(key);
                whole.get(key).is_some_and(|value| contains(value, part))
            }),
            _ => {
                compare(whole, part);
                whole == part
            }
        }
    }

    fn has(value: &Metered, key: &Metered) -> Outcome {
        match (&value.0, &key.0) {
            (Val::Obj(members), key) => {
                walk(key);
                Ok(members.contains_key(key).into())
            }
            (Val::Arr(items), Val::Num(Num::Int(at))) => {
                Ok(usize::try_from(*at).is_ok_and(|at| at < items.len()).into())
            }
            _ => Err(fail(value, "has no such members")),
        }
    }

    fn indices(value: Metered, part: &Metered) -> Outcome {
        let found: Vec<usize> = match (&value.0, &part.0) {
            (Val::TStr(_) | Val::BStr(_), Val::TStr(part) | Val::BStr(part)) if part.is_empty() => {
                Vec::new()
            }
            (Val::TStr(whole) | Val::BStr(whole), Val::TStr(part) | Val::BStr(part)) => {
                spend(1 + whole.len());
                let starts = memchr::memmem::find_iter(whole, &part[..]);
                // Counted in letters, as everything else in a text.
                starts.map(|at| String::from_utf8_lossy(&whole[..at]).chars().count()).collect()
            }
            (Val::Arr(_), Val::Arr(_)) => return value.index(part),
            (Val::Arr(items), _) => {
                let is_it = |(_, item): &(usize, &Val)| {
                    compare(item, &part.0);
                    *item == &part.0
                };
                items.iter().enumerate().filter(is_it).map(|(at, _)| at).collect()
            }
            _ => return Err(fail(&value, "is not searched for that")),
        };
        Ok(found.into_iter().map(Metered::from).collect())
    }

    fn bsearch(value: &Metered, wanted: &Metered) -> Outcome {
        let Val::Arr(items) = &value.0 else { return Err(fail(value, "is not an array")) };
        let found = items.binary_search_by(|item| {
            compare(item, &wanted.0);
            item.cmp(&wanted.0)
        });
        let at = |at: usize| isize::try_from(at).unwrap_or(isize::MAX);
        Ok(found.map_or_else(|to| -1 - at(to), at).into())
    }

    fn json(value: &Metered) -> Metered {
        walk(&value.0);
        // A text in quotes, where `tostring` leaves a text as it is.
        Metered::from(value.0.to_string())
    }

    fn bytes(value: &Metered) -> Outcome {
        match &value.0 {
            Val::BStr(bytes) | Val::TStr(bytes) => {
                grow(bytes.len());
                Ok(built(Val::byte_str(bytes.to_vec())))
            }
            _ => Err(fail(value, "is not a text")),
        }
    }
}
