//! Expressions: jq over other people's data, as connectors and flows write them.
//!
//! They are somebody else's program. Only functions that are listed here exist: nothing that reads
//! the environment, further inputs or a clock of its own (`now` is the time of the run, given by
//! the caller), nothing that ends or prints. Definitions and loops without an end (`def`, `repeat`,
//! `while`, `until`, `recurse(f)`) are refused when an expression is compiled, since jaq has no
//! fuel: what is left ends, and takes time in proportion to its input and its literals. What comes
//! out is capped in number and size. Memory within one run is not: whoever runs expressions of a
//! stranger does so on a thread with a deadline.

use std::fmt;
use std::sync::Arc;

use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::load::{Arena, File, Loader, lex, parse};
use jaq_core::native::{Fun, bome, v};
use jaq_core::{Ctx, DataT, Lut, Native, Vars, data::HasLut};
use jaq_json::Val;
use jiff::Timestamp;
use serde::Deserialize;

use crate::json::Json;

/// How many values one expression may yield.
pub const MAX_OUTPUTS: usize = 100_000;

/// How long the text of an expression may be, in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;

/// The highest number that `range` counts to.
const MAX_RANGE: isize = 10_000;

/// Functions of the standard library that our expressions do not have.
const LEFT_OUT: &[&str] = &[
    "env",
    "now",
    "halt",
    "halt_error",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "input",
    "inputs",
    "input_line_number",
    "localtime",
    "strflocaltime",
    // It grows with a power of its argument.
    "combinations",
];

/// Loops that need not end. Definitions of the standard library use them with care; an expression
/// must not call them. Name and number of arguments.
const ENDLESS: &[(&str, usize)] =
    &[("repeat", 1), ("while", 2), ("until", 2), ("recurse", 1), ("recurse", 2)];

/// A compiled expression. Cloning is cheap.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Expression {
    text: Arc<str>,
    /// The names that it goes along, where that is all it does.
    path: Option<Arc<[Box<str>]>>,
    filter: Arc<jaq_core::Filter<Run>>,
}

/// Why a text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an expression: {problem}")]
pub struct CompileError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Why an expression gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// It does not fit the data.
    #[error("`{text}` {problem}")]
    Failed {
        /// The expression.
        text: String,
        /// What jq says, without control characters, shortened.
        problem: String,
    },
    /// It yields more than [`MAX_OUTPUTS`] values.
    #[error("`{0}` yields more than {MAX_OUTPUTS} values")]
    TooMany(String),
}

/// What native functions know of the run: the time.
pub(crate) struct Run;

#[derive(Clone)]
pub(crate) struct RunData<'a> {
    lut: &'a Lut<Run>,
    now: Timestamp,
}

impl DataT for Run {
    type V<'a> = Val;
    type Data<'a> = RunData<'a>;
}

impl<'a> HasLut<'a, Run> for RunData<'a> {
    fn lut(&self) -> &'a Lut<Run> {
        self.lut
    }
}

impl Expression {
    /// Compiles `text`.
    ///
    /// # Errors
    ///
    /// When it is not jq, or calls what is not listed here.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        let error = |problem: String| CompileError { text: text.into(), problem };
        if text.len() > MAX_LENGTH {
            return Err(error(format!("it is longer than {MAX_LENGTH} bytes")));
        }
        if let Some(term) = parsed(text) {
            check_term(&term).map_err(error)?;
        }

        let arena = Arena::default();
        let modules = Loader::new(definitions())
            .load(&arena, File { code: text, path: () })
            .map_err(|errors| error(describe_load(&errors)))?;
        let filter = jaq_core::Compiler::default()
            .with_funs(natives())
            .compile(modules)
            .map_err(|errors| error(describe_compile(&errors)))?;
        Ok(Self { text: text.into(), path: plain_path(text), filter: Arc::new(filter) })
    }

    /// The text that was compiled.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names that it goes along, where that is all it does: `a` and `b` for `.a.b`. Such an
    /// expression can be answered without reading what is beside its path.
    pub fn path(&self) -> Option<&[Box<str>]> {
        self.path.as_deref()
    }

    /// The first value that it yields, if any. `now` is what `now` answers.
    ///
    /// # Errors
    ///
    /// When it does not fit the data.
    pub fn first(&self, input: &Json, now: Timestamp) -> Result<Option<Json>, RunError> {
        Ok(self.take(input, now, 1)?.pop())
    }

    /// All values that it yields.
    ///
    /// # Errors
    ///
    /// When it does not fit the data, or yields more than [`MAX_OUTPUTS`].
    pub fn all(&self, input: &Json, now: Timestamp) -> Result<Vec<Json>, RunError> {
        let outputs = self.take(input, now, MAX_OUTPUTS + 1)?;
        if outputs.len() > MAX_OUTPUTS {
            return Err(RunError::TooMany(self.text.to_string()));
        }
        Ok(outputs)
    }

    /// Whether the first value is neither `null` nor `false`; no value and a failure are not.
    pub fn holds(&self, input: &Json, now: Timestamp) -> bool {
        matches!(self.first(input, now), Ok(Some(value)) if value.is_true())
    }

    /// The first value as text: a text, a number as written, `true` or `false`. Anything else, and
    /// a failure, is none: what is wanted here is decoration.
    pub fn text_of(&self, input: &Json, now: Timestamp) -> Option<String> {
        self.first(input, now).ok().flatten()?.as_text()
    }

    fn take(&self, input: &Json, now: Timestamp, most: usize) -> Result<Vec<Json>, RunError> {
        let data = RunData { lut: &self.filter.lut, now };
        self.filter
            .id
            .run::<Run>((Ctx::new(data, Vars::new([])), input.0.clone()))
            .take(most)
            .map(|output| match jaq_core::unwrap_valr(output) {
                Ok(value) => Ok(Json(value)),
                Err(error) => Err(RunError::Failed {
                    text: self.text.to_string(),
                    problem: crate::text::clean(&error.to_string(), 200),
                }),
            })
            .collect()
    }
}

/// The names of a path such as `.a.b`; `.` alone has none.
fn plain_path(text: &str) -> Option<Arc<[Box<str>]>> {
    let names = text.trim().strip_prefix('.')?;
    if names.is_empty() {
        return Some(Arc::default());
    }
    let is_name = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    names.split('.').map(|name| is_name(name).then(|| name.into())).collect()
}

/// The standard library without what is left out.
fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .filter(|definition| !LEFT_OUT.contains(&definition.name))
}

/// The listed native functions, with three of our own.
fn natives() -> impl Iterator<Item = Fun<Run>> {
    let ours: [(&'static str, usize, jaq_core::RunPtr<Run>); 3] = [
        ("now", 0, |cv| bome(Ok(seconds(cv.0.data().now)))),
        ("fromjson", 0, |cv| bome(from_json(&cv.1))),
        ("range", 3, |mut cv| {
            let (by, to, from) = (cv.0.pop_var(), cv.0.pop_var(), cv.0.pop_var());
            range(&from, &to, &by)
        }),
    ];
    let replaced = ours.map(|(name, arity, _)| (name, arity));
    let ours = ours.map(|(name, arity, run)| (name, v(arity), Native::<Run>::new(run)));
    jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs())
        .filter(move |(name, args, _)| {
            NATIVES.contains(name) && !replaced.contains(&(*name, args.len()))
        })
        .chain(ours)
}

/// Native functions that an expression, or a definition of the standard library, may call.
const NATIVES: &[&str] = &[
    // control and paths
    "error_empty",
    "path",
    "path_value",
    "keys_unsorted",
    "key_values",
    "first",
    "last",
    "limit",
    "skip",
    "length",
    "contains",
    "has",
    "indices",
    "bsearch",
    "tojson",
    "tobytes",
    // numbers
    "floor",
    "round",
    "ceil",
    "fabs",
    "sqrt",
    "pow",
    "log",
    "log2",
    "log10",
    "exp",
    "exp2",
    "exp10",
    "trunc",
    "fmin",
    "fmax",
    "fmod",
    "ilogb",
    "scalbln",
    "remainder",
    "copysign",
    "nextafter",
    "tgamma",
    // texts
    "utf8bytelength",
    "explode",
    "implode",
    "ascii_downcase",
    "ascii_upcase",
    "startswith",
    "endswith",
    "ltrimstr",
    "rtrimstr",
    "trim",
    "ltrim",
    "rtrim",
    "matches",
    "split_matches",
    "split_",
    "split",
    "escape_sh",
    "escape_html",
    "unescape_html",
    "encode_uri",
    "decode_uri",
    "encode_base64",
    "decode_base64",
    // arrays
    "reverse",
    "sort",
    "sort_by",
    "group_by",
    "min_by_or_empty",
    "max_by_or_empty",
    // times
    "fromdateiso8601",
    "todateiso8601",
    "strftime",
    "strptime",
    "gmtime",
    "mktime",
];

fn seconds(now: Timestamp) -> Val {
    Val::from(now.as_duration().as_secs_f64())
}

/// As the library's, but with our limit on nesting: texts inside of data are data too.
fn from_json(value: &Val) -> jaq_json::ValR {
    let fail = |problem: String| jaq_core::Error::new(Val::from(problem));
    match value {
        Val::TStr(bytes) | Val::BStr(bytes) => {
            Json::parse(bytes).map(|json| json.0).map_err(|error| fail(error.to_string()))
        }
        _ => Err(fail("only a text can be read as JSON".into())),
    }
}

/// Whole numbers only, and at most [`MAX_RANGE`] of them.
fn range<'a>(from: &Val, to: &Val, by: &Val) -> jaq_core::ValXs<'a, Val> {
    let int = |value: &Val| match value {
        Val::Num(number) => number.as_isize(),
        _ => None,
    };
    let fail = |problem: &str| bome(Err(jaq_core::Error::new(Val::from(problem.to_owned()))));
    let (Some(from), Some(to), Some(by)) = (int(from), int(to), int(by)) else {
        return fail("`range` takes whole numbers");
    };
    let steps = match by {
        0 => return fail("`range` needs a step"),
        _ => (to.saturating_sub(from) / by).saturating_add(1),
    };
    if steps > MAX_RANGE {
        return fail("`range` is longer than 10000");
    }
    let within = move |at: &isize| if by > 0 { *at < to } else { *at > to };
    Box::new(
        std::iter::successors(Some(from), move |at| at.checked_add(by))
            .take_while(within)
            .map(|at| Ok(Val::from(at))),
    )
}

/// Parses for [`check_term`]; what cannot be parsed is described by the loader.
fn parsed(text: &str) -> Option<Term<&str>> {
    jaq_core::load::parse(text, |parser| parser.term())
}

/// Refuses what need not end or might use up the stack.
fn check_term(term: &Term<&str>) -> Result<(), String> {
    match term {
        Term::Def(..) => Err("`def` is not available".into()),
        Term::Call(name, args) => {
            if ENDLESS.contains(&(name, args.len())) {
                return Err(format!("`{name}` is not available, since it need not end"));
            }
            args.iter().try_for_each(check_term)
        }
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => Ok(()),
        Term::Str(_, parts) => parts.iter().try_for_each(|part| match part {
            lex::StrPart::Term(term) => check_term(term),
            lex::StrPart::Str(_) | lex::StrPart::Char(_) => Ok(()),
        }),
        Term::Arr(inner) => inner.as_deref().map_or(Ok(()), check_term),
        Term::Obj(members) => members.iter().try_for_each(|(key, value)| {
            check_term(key)?;
            value.as_ref().map_or(Ok(()), check_term)
        }),
        Term::Neg(inner) | Term::Label(_, inner) => check_term(inner),
        Term::BinOp(left, op, right) => {
            if let BinaryOp::Pipe(Some(pattern)) = op {
                check_pattern(pattern)?;
            }
            check_term(left)?;
            check_term(right)
        }
        Term::Fold(_, input, pattern, args) => {
            check_term(input)?;
            check_pattern(pattern)?;
            args.iter().try_for_each(check_term)
        }
        Term::TryCatch(body, catch) => {
            check_term(body)?;
            catch.as_deref().map_or(Ok(()), check_term)
        }
        Term::IfThenElse(branches, otherwise) => {
            branches.iter().try_for_each(|(condition, body)| {
                check_term(condition)?;
                check_term(body)
            })?;
            otherwise.as_deref().map_or(Ok(()), check_term)
        }
        Term::Path(head, path) => {
            check_term(head)?;
            path.0.iter().try_for_each(|(part, _)| check_part(part))
        }
    }
}

fn check_pattern(pattern: &Pattern<&str>) -> Result<(), String> {
    match pattern {
        Pattern::Var(_) => Ok(()),
        Pattern::Arr(items) => items.iter().try_for_each(check_pattern),
        Pattern::Obj(members) => members.iter().try_for_each(|(key, value)| {
            check_term(key)?;
            check_pattern(value)
        }),
    }
}

fn check_part(part: &jaq_core::path::Part<Term<&str>>) -> Result<(), String> {
    match part {
        jaq_core::path::Part::Index(index) => check_term(index),
        jaq_core::path::Part::Range(from, to) => from.iter().chain(to).try_for_each(check_term),
    }
}

fn describe_load(errors: &jaq_core::load::Errors<&str, ()>) -> String {
    use jaq_core::load::Error;
    let first = errors.first().map(|(_, error)| error);
    match first {
        Some(Error::Lex(errors)) => errors.first().map_or_else(String::new, |(expected, at)| {
            format!("expected {} at `{}`", lex_word(expected), start_of(at))
        }),
        Some(Error::Parse(errors)) => {
            errors.first().map_or_else(String::new, |(expected, at)| match at {
                &"" => format!("expected {} at its end", parse_word(expected)),
                at => format!("expected {} at `{}`", parse_word(expected), start_of(at)),
            })
        }
        Some(Error::Io(_)) => "`import` and `include` are not available".into(),
        None => "it cannot be read".into(),
    }
}

fn describe_compile(errors: &jaq_core::compile::Errors<&str, ()>) -> String {
    let first = errors.iter().flat_map(|(_, errors)| errors).next();
    match first {
        Some((name, jaq_core::compile::Undefined::Filter(arity))) => {
            let arguments = match arity {
                0 => "without arguments".into(),
                1 => "with one argument".into(),
                n => format!("with {n} arguments"),
            };
            format!("there is no function `{name}` {arguments}")
        }
        Some((name, undefined)) => format!("there is no {} `{name}`", undefined.as_str()),
        None => "it cannot be compiled".into(),
    }
}

fn lex_word(expected: &lex::Expect<&str>) -> &'static str {
    match expected {
        // The library's own words panic on a delimiter that it does not know.
        lex::Expect::Delim(_) => "a closing bracket or quote",
        lex::Expect::Digit => "a digit",
        lex::Expect::Ident => "a name",
        lex::Expect::Escape => "an escape sequence",
        lex::Expect::Unicode => "four hexadecimal digits",
        _ => "something else",
    }
}

fn parse_word<'a>(expected: &parse::Expect<&'a str>) -> &'a str {
    match expected {
        parse::Expect::Term => "a value",
        parse::Expect::Nothing => "the end",
        other => other.as_str(),
    }
}

fn start_of(text: &str) -> String {
    crate::text::clean(text, 30)
}

impl TryFrom<String> for Expression {
    type Error = CompileError;

    fn try_from(text: String) -> Result<Self, CompileError> {
        Self::compile(&text)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl schemars::JsonSchema for Expression {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expression".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "jq, such as .data[].id" })
    }
}
