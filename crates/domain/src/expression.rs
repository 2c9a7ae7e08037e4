//! Expressions: jq over other people's data, as connectors and flows write them.
//!
//! They are somebody else's program. Only functions that are listed here exist: nothing that reads
//! the environment, further inputs or a clock of its own (`now` is the time of the run, given by
//! the caller), nothing that ends or prints. Definitions and loops without an end (`def`, `repeat`,
//! `while`, `until`, `recurse(f)`) are refused when an expression is compiled. What is left ends,
//! but may take long: each run has a budget of steps and of bytes (see [`metered`]), and what comes
//! out is capped in number.

mod metered;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::load::{Arena, File, Loader, lex, parse};
use jaq_core::native::{Fun, bome, v};
use jaq_core::path::Part;
use jaq_core::{Ctx, DataT, Lut, Native, Vars, data::HasLut};
use jaq_json::Val;
use jiff::Timestamp;
use serde::Deserialize;

use self::metered::{Metered, within};
use crate::json::Json;

/// How many values one expression may yield.
pub const MAX_OUTPUTS: usize = 100_000;

/// How long the text of an expression may be, in bytes.
pub const MAX_LENGTH: usize = 4 * 1024;

/// How deep an expression may be nested, as [`depth`] counts. Parsing, compiling and running all
/// recurse as deep as that; twice as much still fits into the 2 MiB of a thread, unoptimised.
const MAX_DEPTH: usize = 120;

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
    /// What `$settings` or `$value` is, where it speaks of that: nothing before
    /// [`Expression::bind`].
    variable: Option<Json>,
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
    /// It takes more time or memory than a run may.
    #[error("`{0}` is too much work for this input")]
    TooMuch(String),
}

/// The variable by which jq of a stream speaks of the settings of a connection.
const SETTINGS: &str = "$settings";

/// The variable by which jq of an answer speaks of the value that is answered.
const VALUE: &str = "$value";

/// What native functions know of the run: the time.
pub(crate) struct Run;

#[derive(Clone)]
pub(crate) struct RunData<'a> {
    lut: &'a Lut<Run>,
    now: Timestamp,
}

impl DataT for Run {
    type V<'a> = Metered;
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
        Self::compiled(text, None)
    }

    /// The same, where it may speak of `$settings`, which [`Expression::bind`] then says.
    ///
    /// # Errors
    ///
    /// As [`Expression::compile`].
    pub fn with_settings(text: &str) -> Result<Self, CompileError> {
        Self::compiled(text, Some(SETTINGS))
    }

    /// The same, where it may speak of `$value`, which [`Expression::bind`] then says.
    ///
    /// # Errors
    ///
    /// As [`Expression::compile`].
    pub fn with_value(text: &str) -> Result<Self, CompileError> {
        Self::compiled(text, Some(VALUE))
    }

    fn compiled(text: &str, variable: Option<&'static str>) -> Result<Self, CompileError> {
        let error = |problem: String| CompileError { text: text.into(), problem };
        if text.len() > MAX_LENGTH {
            return Err(error(format!("it is longer than {MAX_LENGTH} bytes")));
        }
        if depth(text).map_err(error)? > MAX_DEPTH {
            return Err(error("it is nested too deep".into()));
        }
        // What cannot be parsed needs nothing, and is described by the loader.
        let term = jaq_core::load::parse(text, |parser| parser.term()).unwrap_or_default();
        check(&term).map_err(error)?;
        let names = needed(&term);
        let asked = variable.filter(|name| speaks_of(&term, name));
        let definitions =
            DEFINITIONS.iter().filter(|definition| names.contains(definition.name)).cloned();

        let arena = Arena::default();
        let modules = Loader::new(definitions)
            .load(&arena, File { code: text, path: () })
            .map_err(|errors| error(describe_load(&errors)))?;
        let filter = jaq_core::Compiler::default()
            .with_funs(natives(&names))
            .with_global_vars(asked)
            .compile(modules)
            .map_err(|errors| error(describe_compile(&errors)))?;
        Ok(Self {
            text: text.into(),
            path: plain_path(text),
            filter: Arc::new(filter),
            variable: asked.map(|_| Json::default()),
        })
    }

    /// Whether it speaks of `$settings`.
    pub fn speaks_of_settings(&self) -> bool {
        self.variable.is_some()
    }

    /// Says what its variable is, where it speaks of one.
    pub fn bind(&mut self, value: &Json) {
        if let Some(bound) = &mut self.variable {
            bound.clone_from(value);
        }
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
        if let Some(value) = self.path.as_deref().and_then(|path| along(path, input)) {
            return Ok(vec![value]);
        }
        within(|| self.run(input, now).take(most).collect())
            .unwrap_or_else(|| Err(RunError::TooMuch(self.text.to_string())))
    }

    /// What it yields, one by one. To be called [`within`] a budget.
    fn run(&self, input: &Json, now: Timestamp) -> impl Iterator<Item = Result<Json, RunError>> {
        let data = RunData { lut: &self.filter.lut, now };
        let context =
            Ctx::new(data, Vars::new(self.variable.iter().map(|value| Metered(value.0.clone()))));
        self.filter.id.run::<Run>((context, Metered(input.0.clone()))).map(|output| {
            match jaq_core::unwrap_valr(output) {
                Ok(value) => Ok(Json(value.0)),
                Err(error) => Err(RunError::Failed {
                    text: self.text.to_string(),
                    problem: crate::text::clean(&message(error), 200),
                }),
            }
        })
    }
}

/// What an error says. One that is a text is not put in quotes.
fn message(error: jaq_core::Error<Metered>) -> String {
    match error.into_val().0 {
        Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
        other => Metered(other).to_string(),
    }
}

/// What jq answers to a plain path, without running it: most expressions of a connector are one.
/// None where something on the way has no members, of which jq knows what to say.
fn along(path: &[Box<str>], input: &Json) -> Option<Json> {
    path.iter().try_fold(input.clone(), |at, name| match at.0 {
        Val::Null => Some(at),
        Val::Obj(_) => Some(at.get(name).unwrap_or_default()),
        _ => None,
    })
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

/// The standard library without what is left out, parsed once.
static DEFINITIONS: LazyLock<Vec<Def<&'static str>>> = LazyLock::new(|| {
    regexes()
        .chain(jaq_core::defs())
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .filter(|definition| !LEFT_OUT.contains(&definition.name))
        .collect()
});

/// The library's three functions that take a regular expression, each behind a charge for it.
fn regexes() -> impl Iterator<Item = Def<&'static str>> {
    jaq_core::load::parse(
        "def matches($re; $flags): charge_regex($re) as $_ | std_matches($re; $flags);
         def split_matches($re; $flags): charge_regex($re) as $_ | std_split_matches($re; $flags);
         def split_($re; $flags): charge_regex($re) as $_ | std_split_($re; $flags);",
        |parser| parser.defs(),
    )
    .unwrap_or_default()
    .into_iter()
}

/// What the library's own one is called here.
fn renamed(name: &'static str) -> &'static str {
    match name {
        "matches" => "std_matches",
        "split_matches" => "std_split_matches",
        "split_" => "std_split_",
        other => other,
    }
}

/// The names that `term` calls, and those that the definitions of these names call.
///
/// A compiled expression holds all that it was compiled with: with the whole library each of a
/// thousand small paths would be as large as the library.
fn needed<'t>(term: &'t Term<&'t str>) -> HashSet<&'t str> {
    let mut names = HashSet::new();
    let mut waiting: Vec<&Term<&str>> = vec![term];
    while let Some(term) = waiting.pop() {
        let mut called = Vec::new();
        walk(term, &mut |term| match term {
            Term::Call(name, _) | Term::Str(Some(name), _) => called.push(*name),
            _ => {}
        });
        for name in called {
            if names.insert(name) {
                let meant = DEFINITIONS.iter().filter(|definition| definition.name == name);
                waiting.extend(meant.map(|definition| &definition.body));
            }
        }
    }
    names
}

/// The listed native functions of these names, with some of our own.
fn natives(names: &HashSet<&str>) -> impl Iterator<Item = Fun<Run>> {
    let ours: [(&'static str, usize, jaq_core::RunPtr<Run>); 4] = [
        ("now", 0, |cv| bome(Ok(seconds(cv.0.data().now)))),
        ("fromjson", 0, |cv| bome(from_json(&cv.1))),
        ("charge_regex", 1, |mut cv| {
            let pattern = cv.0.pop_var();
            bome(metered::regex(&cv.1, &pattern))
        }),
        ("range", 3, |mut cv| {
            let (by, to, from) = (cv.0.pop_var(), cv.0.pop_var(), cv.0.pop_var());
            range(&from, &to, &by)
        }),
    ];
    let ours = ours.into_iter().chain(metered::natives::ALL);
    let ours = ours.map(|(name, arity, run)| (name, v(arity), Native::<Run>::new(run)));
    // None of ours is among the listed ones, so that the library's own are left out.
    jaq_core::funs()
        .chain(jaq_std::funs())
        .map(|(name, arity, run)| (renamed(name), arity, run))
        .filter(|(name, ..)| NATIVES.contains(name))
        .chain(ours)
        .filter(|(name, ..)| names.contains(name))
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
    "std_matches",
    "std_split_matches",
    "std_split_",
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

fn seconds(now: Timestamp) -> Metered {
    now.as_duration().as_secs_f64().into()
}

/// As the library's, but with our limit on nesting: texts inside of data are data too.
fn from_json(value: &Metered) -> jaq_core::ValR<Metered> {
    let fail = |problem: String| jaq_core::Error::new(problem.into());
    match &value.0 {
        Val::TStr(bytes) | Val::BStr(bytes) => {
            metered::charge_parsing(bytes.len());
            Json::parse(bytes).map(|json| Metered(json.0)).map_err(|error| fail(error.to_string()))
        }
        _ => Err(fail("only a text can be read as JSON".into())),
    }
}

/// Whole numbers only, and at most [`MAX_RANGE`] of them.
fn range<'a>(from: &Metered, to: &Metered, by: &Metered) -> jaq_core::ValXs<'a, Metered> {
    let int = |value: &Metered| match &value.0 {
        Val::Num(number) => number.as_isize(),
        _ => None,
    };
    let fail = |problem: &str| bome(Err(jaq_core::Error::new(problem.to_owned().into())));
    let (Some(from), Some(to), Some(by)) = (int(from), int(to), int(by)) else {
        return fail("`range` takes whole numbers");
    };
    if by == 0 {
        return fail("`range` needs a step");
    }
    let within = move |at: &isize| if by > 0 { *at < to } else { *at > to };
    if within(&by.saturating_mul(MAX_RANGE).saturating_add(from)) {
        return fail("`range` is longer than 10000");
    }
    Box::new(
        std::iter::successors(Some(from), move |at| at.checked_add(by))
            .take_while(within)
            .map(|at| Ok(at.into())),
    )
}

/// Refuses what need not end or might use up the stack.
fn check(term: &Term<&str>) -> Result<(), String> {
    let mut found = Ok(());
    walk(term, &mut |term| match term {
        Term::Def(..) => found = Err("`def` is not available".into()),
        Term::Call(name, args) if ENDLESS.contains(&(name, args.len())) => {
            found = Err(format!("`{name}` is not available, since it need not end"));
        }
        _ => {}
    });
    found
}

/// Whether `term` speaks of this variable.
fn speaks_of(term: &Term<&str>, variable: &str) -> bool {
    let mut found = false;
    walk(term, &mut |term| found |= matches!(term, Term::Var(name) if *name == variable));
    found
}

/// Calls `visit` with a term and all that is in it.
fn walk<'t, 's>(term: &'t Term<&'s str>, visit: &mut impl FnMut(&'t Term<&'s str>)) {
    visit(term);
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => {}
        Term::Str(_, parts) => parts.iter().for_each(|part| match part {
            lex::StrPart::Term(term) => walk(term, visit),
            lex::StrPart::Str(_) | lex::StrPart::Char(_) => {}
        }),
        Term::Arr(inner) => inner.iter().for_each(|inner| walk(inner, visit)),
        Term::Obj(members) => members.iter().for_each(|(key, value)| {
            walk(key, visit);
            value.iter().for_each(|value| walk(value, visit));
        }),
        Term::Neg(inner) | Term::Label(_, inner) => walk(inner, visit),
        Term::BinOp(left, op, right) => {
            if let BinaryOp::Pipe(Some(pattern)) = op {
                walk_pattern(pattern, visit);
            }
            walk(left, visit);
            walk(right, visit);
        }
        Term::Fold(_, input, pattern, args) => {
            walk(input, visit);
            walk_pattern(pattern, visit);
            args.iter().for_each(|arg| walk(arg, visit));
        }
        Term::TryCatch(body, catch) => {
            walk(body, visit);
            catch.iter().for_each(|catch| walk(catch, visit));
        }
        Term::IfThenElse(branches, otherwise) => {
            for (condition, body) in branches {
                walk(condition, visit);
                walk(body, visit);
            }
            otherwise.iter().for_each(|otherwise| walk(otherwise, visit));
        }
        Term::Def(definitions, body) => {
            definitions.iter().for_each(|definition| walk(&definition.body, visit));
            walk(body, visit);
        }
        Term::Call(_, args) => args.iter().for_each(|arg| walk(arg, visit)),
        Term::Path(head, path) => {
            walk(head, visit);
            path.0.iter().for_each(|(part, _)| match part {
                Part::Index(index) => walk(index, visit),
                Part::Range(from, to) => from.iter().chain(to).for_each(|end| walk(end, visit)),
            });
        }
    }
}

fn walk_pattern<'t, 's>(pattern: &'t Pattern<&'s str>, visit: &mut impl FnMut(&'t Term<&'s str>)) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(items) => items.iter().for_each(|item| walk_pattern(item, visit)),
        Pattern::Obj(members) => members.iter().for_each(|(key, value)| {
            walk(key, visit);
            walk_pattern(value, visit);
        }),
    }
}

/// How deep `text` is nested at most, found without recursion: each open bracket counts twice, and
/// so does each operator and word before it that may hold all that follows, as in `- - 1` and
/// `a | b | c`. What is found is never less than what jq makes of it.
fn depth(text: &str) -> Result<usize, String> {
    /// An open bracket, the quote of a text, or (at the bottom) the whole.
    struct Open {
        bracket: char,
        chain: usize,
    }
    let mut open = vec![Open { bracket: ' ', chain: 0 }];
    let (mut depth, mut deepest) = (0usize, 0usize);
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let Some(inner) = open.last_mut() else { break };
        if inner.bracket == '"' {
            match letter {
                '"' => {
                    open.pop();
                }
                // Whatever is escaped is passed over here, too.
                '\\' if letters.next().is_some_and(|(_, next)| next == '(') => {
                    open.push(Open { bracket: '(', chain: 0 });
                    depth += 2;
                }
                _ => {}
            }
            deepest = deepest.max(depth);
            continue;
        }
        match letter {
            '#' => return Err("comments are not available".into()),
            '"' => open.push(Open { bracket: '"', chain: 0 }),
            '(' | '[' | '{' => {
                open.push(Open { bracket: letter, chain: 0 });
                depth += 2;
            }
            ')' | ']' | '}' => {
                // With brackets that do not match, jq would see other texts than we do.
                if !matches!((inner.bracket, letter), ('(', ')') | ('[', ']') | ('{', '}')) {
                    return Err(format!("there is nothing that `{letter}` closes"));
                }
                depth -= 2 + inner.chain;
                open.pop();
            }
            // What follows is beside what was before, not in it.
            ';' => depth -= std::mem::take(&mut inner.chain),
            ',' if inner.bracket == '{' => depth -= std::mem::take(&mut inner.chain),
            '-' | '+' | '*' | '/' | '%' | '|' | '=' | '<' | '>' | ',' => {
                inner.chain += 1;
                depth += 1;
            }
            _ if letter.is_ascii_lowercase() => {
                let end = text[at..].find(|letter: char| !in_word(letter));
                let word = &text[at..end.map_or(text.len(), |end| at + end)];
                let weight = match word {
                    "if" => 2,
                    _ => usize::from(PREFIXES.contains(&word)),
                };
                inner.chain += weight;
                depth += weight;
                while letters.next_if(|(_, letter)| in_word(*letter)).is_some() {}
            }
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    Ok(deepest)
}

/// Words, beside `if`, after which everything may be inside of what they begin.
const PREFIXES: &[&str] = &[
    "then", "elif", "else", "try", "catch", "reduce", "foreach", "as", "label", "and", "or", "def",
];

fn in_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

fn describe_load(errors: &jaq_core::load::Errors<&str, ()>) -> String {
    use jaq_core::load::Error;
    let first = errors.first().map(|(_, error)| error);
    match first {
        Some(Error::Lex(errors)) => errors.first().map_or_else(String::new, |(expected, at)| {
            format!("expected {} {}", lex_word(expected), place(at))
        }),
        Some(Error::Parse(errors)) => errors.first().map_or_else(String::new, |(expected, at)| {
            format!("expected {} {}", parse_word(expected), place(at))
        }),
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

fn place(rest: &str) -> String {
    match crate::text::clean(rest, 30).as_str() {
        "" => "at its end".into(),
        rest => format!("at `{rest}`"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        "2026-11-24T12:00:00.5Z".parse().unwrap()
    }

    /// All that `text` yields, as JSON texts on one line.
    fn check(text: &str, input: &str) -> String {
        let input = Json::parse(input.as_bytes()).unwrap();
        match Expression::compile(text).unwrap().all(&input, now()) {
            Ok(values) => values.iter().map(Json::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    fn refused(text: &str) -> String {
        Expression::compile(text).unwrap_err().problem
    }

    #[test]
    fn a_regular_expression_is_charged_for_what_it_runs_over() {
        let input = format!("{{\"big\":\"{}\"}}", "a".repeat(100_000));

        assert_eq!(check(r#".big | test("^a+$")"#, &input), "true");
        let steps = check(r#".big | test("(?:a?){500}a{500}")"#, &input);
        assert!(steps.contains("too much"), "{steps}");
        assert_eq!(check(r#".big[:900] | test("(?:a?){500}a{500}")"#, &input), "true");
    }

    #[test]
    fn paths_and_the_usual_functions_work() {
        let input =
            r##"{"a":{"b":[1,2,3]},"name":"#1001","total":"19.90","at":"2026-11-24T12:00:00Z"}"##;

        assert_eq!(check(".a.b[]", input), "1 2 3");
        assert_eq!(check(r#""\(.name) · \(.total)""#, input), r##""#1001 · 19.90""##);
        assert_eq!(check(".a.b | map(. * 2) | add", input), "12");
        assert_eq!(check(".missing // \"none\"", input), "\"none\"");
        assert_eq!(check(".a.b | map(select(. > 1)) | length", input), "2");
        assert_eq!(check(".name | ltrimstr(\"#\") | tonumber", input), "1001");
        assert_eq!(check("[.name, .total] | join(\"/\")", input), r##""#1001/19.90""##);
        assert_eq!(check(".at | fromdate", input), "1795521600");
        assert_eq!(check("1795521600 | todate", input), "\"2026-11-24T12:00:00Z\"");
        assert_eq!(check(".name | test(\"^#\") and (split(\"0\") | length == 3)", input), "true");
        assert_eq!(check(".a | to_entries | map(.key)", input), "[\"b\"]");
        assert_eq!(check("[range(3)]", input), "[0,1,2]");
        assert_eq!(
            check("@base64 \"x\\(.total)\", (.total | @uri)", input),
            r#""xMTkuOTA=" "19.90""#
        );
        assert_eq!(check("reduce .a.b[] as $x (0; . + $x)", input), "6");
        assert_eq!(check("[.. | numbers]", input), "[1,2,3]");
        assert_eq!(check(".a.b | first, last, min, max, (sort_by(-.) | .[0])", input), "1 3 1 3 3");
    }

    #[test]
    fn a_plain_path_is_answered_as_jq_would() {
        for input in ["null", "{}", r#"{"a":null}"#, r#"{"a":{"b":[1]}}"#, r#"{"a":1}"#, "[]", "2"]
        {
            for path in [".", ".a", ".a.b"] {
                // Parentheses make it more than a plain path.
                let (plain, run) = (check(path, input), check(&format!("({path})"), input));
                assert_eq!(plain, run.replace(['(', ')'], ""), "{path} of {input}");
            }
        }
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        assert_eq!(check(".", "9007199254740993"), "9007199254740993");
        assert_eq!(check(".", "123456789012345678901234567890"), "123456789012345678901234567890");
        assert_eq!(check(".", "19.90"), "19.90");
        assert_eq!(check(".a", r#"{"a":1e400}"#), "1e400");
        assert_eq!(check("\"\\(.)\"", "1531420618.000200"), "\"1531420618.000200\"");
        assert_eq!(check(".", "0.1000"), "0.1000");
    }

    #[test]
    fn now_is_the_time_of_the_run() {
        assert_eq!(check("now", "null"), "1795521600.5");
        assert_eq!(check("now | floor | todate", "null"), "\"2026-11-24T12:00:00Z\"");
    }

    #[test]
    fn what_reaches_outside_does_not_exist() {
        for name in
            ["env", "input", "inputs", "halt", "debug", "stderr", "localtime", "input_line_number"]
        {
            assert_eq!(refused(name), format!("there is no function `{name}` without arguments"));
        }
        for text in ["$ENV", "$__loc__", "$__prog_args", "env.HOME", "halt(1)", "debug(\"x\")"] {
            assert!(Expression::compile(text).is_err(), "{text}");
        }
        assert!(Expression::compile("import \"a\" as a; .").is_err());
        assert!(Expression::compile("include \"a\"; .").is_err());
    }

    #[test]
    fn what_need_not_end_is_refused() {
        for text in [
            "repeat(.)",
            "[.[] | while(true; .)]",
            "{a: until(false; .)}",
            "\"\\(recurse(.))\"",
            "if repeat(.) then 1 else 2 end",
            ". as [$a] | try repeat(.) catch .",
            ". as {(repeat(.)): $a} | $a",
            "reduce repeat(.) as $x (0; .)",
            ".[repeat(.)]",
            "-repeat(.)",
            "label $l | repeat(.)",
        ] {
            assert!(refused(text).ends_with("is not available, since it need not end"), "{text}");
        }
        assert_eq!(refused("def f: f; f"), "`def` is not available");
        assert_eq!(refused("1 | def f: f; f"), "`def` is not available");
    }

    #[test]
    fn counting_has_an_end() {
        assert_eq!(check("[range(10000)] | length", "null"), "10000");
        assert!(check("range(10001)", "null").contains("longer than 10000"));
        assert!(check("range(0; 10; 0)", "null").contains("needs a step"));
        assert_eq!(check("[range(5; 0; -2)]", "null"), "[5,3,1]");
        assert_eq!(check("[range(5; 0)]", "null"), "[]");
    }

    #[test]
    fn what_is_too_much_work_ends() {
        for text in [
            "[limit(1; range(10000) as $a | range(10000) as $b | range(10000) | select(. < 0))]",
            "[limit(1; .[] as $a | .[] as $b | .[] as $c | .[] | select(. < 0))]",
            "reduce range(60) as $i (\"aaaa\"; . + .) | .[0:5]",
            "reduce range(60) as $i ([1]; . + .) | .[0:5]",
            "\"a\" * 3000000000 | .[0:3]",
            "\"a\" * 1e300 | .[0:3]",
            "reduce range(60) as $i (7; . * .) | . > 0",
            "[range(10000) as $a | range(10000)] | length",
            "reduce range(10000) as $i (0; [.])",
            "reduce range(10000) as $i (.; {a: .})",
            "reduce range(10000) as $i ({}; .a = .) | .b",
            "[range(10000) | . as $x | \"\\($x)\" | test(\"(a|b){100}\")] | length",
            "([range(10000)] | tojson) as $t | [range(10000) | $t | fromjson] | length",
            "[range(10000)] as $a | [$a[] | $a - [.]] | length",
            "[range(10000)] as $a | [$a[] | $a | contains([-1])] | length",
            "[range(10000)] as $a | [$a[] | [$a, .] | sort] | length",
            "[range(10000)] as $a | [$a[] | try ($a | .x) catch \"\"] | length",
        ] {
            let input: Vec<_> = (0..1_000).map(|n| n.to_string()).collect();
            let failed = check(text, &format!("[{}]", input.join(",")));

            let expected = format!("`{text}` is too much work for this input");
            assert!(failed == expected || failed.contains("object"), "{text}: {failed}");
        }
    }

    #[test]
    fn a_regular_expression_that_grows_is_refused() {
        let failed = check("test(\"((a{100}){100}){100}\")", "\"a\"");

        assert!(failed.contains("takes more than"), "{failed}");
    }

    #[test]
    fn the_work_of_a_page_is_not_too_much() {
        let record = |n| format!(r#"{{"id":{n},"lines":[{{"sku":"a-{n}","price":"1.50"}},{{}}]}}"#);
        let records: Vec<_> = (0..10_000).map(record).collect();
        let page = format!(r#"{{"data":[{}]}}"#, records.join(","));
        let text = ".data | map(select(.lines | length > 1) | {id, skus: [.lines[].sku // \"-\"]}) | length";

        assert_eq!(check(text, &page), "10000");
        let names: Vec<_> = (0..1_000).map(|n| format!("\"name {n}\"")).collect();
        assert_eq!(check("join(\", \") | length", &format!("[{}]", names.join(","))), "9888");
    }

    #[test]
    fn what_is_written_into_data_goes_where_jq_puts_it() {
        let input = r#"{"a":{"b":[1,2,3]},"c":null}"#;

        assert_eq!(check(".a.b[1] = 7", input), r#"{"a":{"b":[1,7,3]},"c":null}"#);
        assert_eq!(check(".a.b[-1] |= . + 1 | .a.b", input), "[1,2,4]");
        assert_eq!(check(".a.b[] |= . * 2 | .a.b", input), "[2,4,6]");
        assert_eq!(check(".c.d = 1 | .c", input), r#"{"d":1}"#);
        assert_eq!(check("del(.a.b[0]) | .a.b", input), "[2,3]");
        assert_eq!(check("del(.c) | keys", input), r#"["a"]"#);
        assert_eq!(check("map_values(1)", input), r#"{"a":1,"c":1}"#);
        assert_eq!(check("with_entries(.value = 2)", input), r#"{"a":2,"c":2}"#);
        assert!(check(".a = 1", "[]").contains("cannot use"), "{}", check(".a = 1", "[]"));
    }

    #[test]
    fn what_the_library_offers_for_json_works() {
        assert_eq!(
            check("map(length)", r#"[null,-2,1.5,"é","",[1],{"a":1}]"#),
            "[0,2,1.5,1,0,1,1]"
        );
        assert_eq!(check("contains({a: [\"x\"]})", r#"{"a":["wxyz"],"b":1}"#), "true");
        assert_eq!(check("contains([2])", "[1]"), "false");
        assert_eq!(check("has(\"a\"), has(\"b\")", r#"{"a":null}"#), "true false");
        assert_eq!(check("has(0), has(1)", "[7]"), "true false");
        assert_eq!(check("indices(\"b\"), indices(\"\")", "\"ébab\""), "[1,3] []");
        assert_eq!(check("indices(1), indices([1,2])", "[1,2,1,2]"), "[0,2] [0,2]");
        assert_eq!(check("index(\",\")", "\"a,b\""), "1");
        assert_eq!(
            check("tojson, (tojson | fromjson)", r#"{"a":"x"}"#),
            r#""{\"a\":\"x\"}" {"a":"x"}"#
        );
        assert_eq!(check("map(bsearch(1, 4))", "[[1,2,3]]"), "[0,-4]");
        assert_eq!(
            check("\"aXbXc\" | [splits(\"X\")], sub(\"X\"; \"-\"), gsub(\"X\"; \"-\")", "1"),
            r#"["a","b","c"] "a-bXc" "a-b-c""#
        );
    }

    #[test]
    fn what_comes_out_is_counted() {
        let text = "[range(1000)] as $a | $a[] | $a[]";

        assert_eq!(check(text, "null"), format!("`{text}` yields more than 100000 values"));
    }

    #[test]
    fn text_inside_of_data_cannot_use_up_the_stack() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let input = Json::text(deep);

        let failed = Expression::compile("fromjson").unwrap().first(&input, now()).unwrap_err();

        assert!(failed.to_string().contains("nested deeper"), "{failed}");
    }

    #[test]
    fn an_expression_cannot_use_up_the_stack() {
        let units = [
            ("(", ")"),
            ("[", "]"),
            ("{a:", "}"),
            ("-", ""),
            ("- ", ""),
            ("if . then ", " end"),
            ("if ", " then . end"),
            ("try ", ""),
            (".|", ""),
            ("1+", ""),
            (". as $x|", ""),
            ("\"\\(", ")\""),
            (".[", "]"),
            ("1//", ""),
            ("map(", ")"),
            ("label $x|", ""),
            ("reduce . as $x (0;", ")"),
            (". as [$x,", "]|."),
            ("if . then . else ", " end"),
            (".a|=", ""),
            ("1,", ""),
            ("not and ", ""),
            (". as {(", "):$x}|."),
        ];
        for (open, close) in units {
            for count in [15, 19, 24, 29, 30, 39, 40, 59, 60, 61, 119, 120, 121, 1_000] {
                let _ = Expression::compile(&open.repeat(count));
                let text = format!("{}.{}", open.repeat(count), close.repeat(count));
                if let Ok(expression) = Expression::compile(&text) {
                    let _ = expression.first(&Json::default(), now());
                }
            }
        }
    }

    #[test]
    fn brackets_in_texts_hide_no_others() {
        for text in [
            format!(r#""]]]]" | {}1{}"#, "[".repeat(61), "]".repeat(61)),
            format!(r#"{}"]\"]]"{}"#, "[".repeat(61), "]".repeat(61)),
            format!(r#""\(")))")" | {}1{}"#, "(".repeat(61), ")".repeat(61)),
        ] {
            let problem = refused(&text);
            assert!(problem.contains("nested too deep"), "{text}: {problem}");
        }
        assert_eq!(refused("1 # \""), "comments are not available");
        assert_eq!(refused("[1)]"), "there is nothing that `)` closes");
        assert_eq!(refused("]"), "there is nothing that `]` closes");
    }

    #[test]
    fn a_long_list_of_members_is_not_deep() {
        let members: Vec<_> = (0..150).map(|n| format!("a{n}: (.a | . + {n})")).collect();

        assert!(Expression::compile(&format!("{{{}}}", members.join(", "))).is_ok());
    }

    #[test]
    fn a_mistake_is_described() {
        assert_eq!(refused(".a["), "expected a closing bracket or quote at its end");
        assert_eq!(refused(".a |"), "expected a value at its end");
        assert_eq!(refused(".a | nosuch(1)"), "there is no function `nosuch` with one argument");
        assert_eq!(refused("$x"), "there is no variable `$x`");
        assert_eq!(refused(".a .b c"), "expected the end at `c`");
        assert_eq!(refused(&" ".repeat(MAX_LENGTH + 1)), "it is longer than 4096 bytes");
    }

    #[test]
    fn a_failure_names_the_expression_and_is_one_line() {
        let failed = check(".a.b", r#"{"a":"x\ny"}"#);

        assert!(failed.starts_with("`.a.b` cannot index"), "{failed}");
        assert!(!failed.contains('\n'));
    }

    #[test]
    fn only_true_things_hold() {
        let holds = |text: &str| {
            let input = Json::parse(br#"{"a":1,"b":null,"c":false}"#).unwrap();
            Expression::compile(text).unwrap().holds(&input, now())
        };

        assert!(holds(".a"));
        for text in [".b", ".c", ".d", "empty", ".a.x", "error(\"no\")"] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn an_expression_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}

        shared::<Expression>();
        shared::<Json>();
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = Expression::compile(&text);
        }

        #[test]
        fn no_tokens_make_it_panic(
            tokens in prop::collection::vec(
                prop::sample::select(vec![
                    ".", "[", "]", "(", ")", "{", "}", "|", ",", ":", "a", ".a", "$x", "as", "if",
                    "then", "else", "end", "reduce", "foreach", "try", "catch", "\"", "\\(", "1",
                    "-", "+", "//", "?", "=", "|=", "and", "..", "@base64", "map", "label", "break",
                ]),
                0..12,
            ),
        ) {
            let text = tokens.join(" ");
            if let Ok(expression) = Expression::compile(&text) {
                let input = Json::parse(br#"{"a":[1,{"a":"x"}]}"#).unwrap();
                let _ = expression.all(&input, now());
            }
        }
    }
}
