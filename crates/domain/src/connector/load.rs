//! Loading: from a file's text to a connector, or to a sentence that says what to put right.
//!
//! The text is somebody else's: its size, depth and aliases are limited before its fields are read.
//! The format's number is read first, so that a file for a newer program is told apart from one
//! with a mistake. What YAML's types cannot say (names that must exist, texts that become hosts) is
//! checked after.

use serde::Deserialize;

use super::check::Mistake;
use super::place::{Node, Place};
use super::{Connector, Does, FORMAT, Graphql, Register, RegisterBy, Stream};

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Reads a file beside the connector by its name; none where it is not there.
pub type Files<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is wrong with a connector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is for a newer program; its fields were not read.
    #[error(
        "{file} was made for a newer Patchbay: its format is {format}, this one reads {FORMAT}"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its format.
        format: u64,
    },
    /// A mistake at a place.
    #[error("{file}:{line}:{column}: {message}")]
    At {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What was found, what was expected, and the words that were possible.
        message: String,
    },
    /// A mistake that no single place shows.
    #[error("{file}: {message}")]
    Whole {
        /// The file.
        file: String,
        /// What is wrong.
        message: String,
    },
}

impl Error {
    /// The line, where one shows it.
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::At { line, .. } => Some(*line),
            Self::Newer { .. } | Self::Whole { .. } => None,
        }
    }

    /// The file.
    pub fn file(&self) -> &str {
        match self {
            Self::At { file, .. } | Self::Newer { file, .. } | Self::Whole { file, .. } => file,
        }
    }
}

/// Only the number; all else is left for later.
#[derive(Deserialize)]
struct OnlyFormat {
    format: u64,
}

/// Loads the connector in `text`, which is called `file` in errors.
///
/// # Errors
///
/// The first mistake that was found.
pub fn load(file: &str, text: &str, files: Files<'_>) -> Result<Connector, Error> {
    let whole = |message: String| Error::Whole { file: file.into(), message };
    if text.len() > MAX_BYTES {
        return Err(whole(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let found: OnlyFormat = read(file, text)?;
    if found.format > FORMAT {
        return Err(Error::Newer { file: file.into(), format: found.format });
    }
    if found.format < FORMAT {
        return Err(whole(format!("there is no format {}, expected {FORMAT}", found.format)));
    }

    let mut connector: Connector = read(file, text)?;
    let placed = |mistake| placed(file, text, mistake);
    if let Some((folder, _)) = file.rsplit_once('/')
        && folder.rsplit('/').next() != Some(&connector.id)
    {
        let message = format!("its `id` is `{}`, but its folder is `{folder}`", connector.id);
        return Err(placed(Mistake { message, near: "id".into(), under: vec!["id".into()] }));
    }
    for way in &mut connector.auth {
        if let Some(steps) = &mut way.steps {
            read_file(steps, ".md", files).map_err(placed)?;
        }
    }
    if let Some(RegisterBy::Manual(manual)) = connector.register.as_mut().map(|it| &mut it.by) {
        read_file(&mut manual.steps, ".md", files).map_err(placed)?;
    }
    let path = connector.graphql_path.clone();
    for graphql in graphqls(&mut connector) {
        read_file(&mut graphql.text, ".graphql", files).map_err(placed)?;
        graphql.path = path.clone();
    }
    super::check::check(&connector).map_err(placed)?;
    Ok(connector)
}

/// Gives a mistake that was found after reading its place in the text.
fn placed(file: &str, text: &str, mistake: Mistake) -> Error {
    let Mistake { message, near, under } = mistake;
    let found = tree(text).and_then(|tree| {
        let path: Vec<_> = under.iter().map(String::as_str).collect();
        let (named, node) = tree.below(&path);
        let found = node.find(near.trim_end_matches(':'));
        // What is not written there can still be told by what it is part of.
        found.or_else(|| (!under.is_empty()).then_some(named))
    });
    match found {
        Some((line, column)) => Error::At { file: file.into(), line, column, message },
        None => Error::Whole { file: file.into(), message },
    }
}

/// The text with its places; none where it is no YAML.
fn tree(text: &str) -> Option<Node> {
    serde_saphyr::from_str_with_options(text, options()).ok()
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 100,
            max_anchors: 100,
            max_depth: 60,
            max_nodes: 50_000,
            max_documents: 1,
        },
        strict_booleans: true,
        with_snippet: false,
    }
}

fn read<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, Error> {
    serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| described(file, text, &error))
}

fn described(file: &str, text: &str, error: &serde_saphyr::Error) -> Error {
    let error = error.without_snippet();
    let message = message(error);
    let Some(at) = error.location() else {
        return Error::Whole { file: file.into(), message };
    };
    let ((line, column), message) = explained(text, (at.line(), at.column()), message);
    Error::At { file: file.into(), line, column, message }
}

/// The library's sentence in words of the format, at the place that it is about.
fn explained(text: &str, at: Place, message: String) -> (Place, String) {
    const QUOTES: &str = "a text with `{{ … }}` needs quotes around it";
    let lines = || text.lines().skip(usize::try_from(at.0).unwrap_or(usize::MAX).saturating_sub(1));
    let rest =
        |line: &str| line.chars().skip(usize::try_from(at.1).unwrap_or(1) - 1).collect::<String>();
    let is_bare = |line: &str| line.contains(": {{") || line.contains("- {{");
    if lines().next().is_some_and(|line| rest(line).starts_with("{{")) {
        return (at, QUOTES.into());
    }
    let Some(tree) = tree(text) else {
        // It may be told on the line that follows.
        let before = text.lines().take(usize::try_from(at.0).unwrap_or(usize::MAX)).last();
        return match before.filter(|line| is_bare(line)) {
            Some(_) => (at, format!("{message}: {QUOTES}")),
            None => (at, message),
        };
    };
    if let Some(missing) =
        message.strip_prefix("missing field `").and_then(|it| it.split('`').next())
    {
        return (tree.map_with(at, missing).unwrap_or(at), message);
    }
    if message.starts_with("expected end of mapping after enum variant") {
        let keys = tree.keys_beside(at);
        let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
        return match keys.len() {
            0 | 1 => (at, "one word is meant here, and there are several".into()),
            _ => (at, format!("{} exclude each other", keys.join(" and "))),
        };
    }
    let number = message.strip_prefix("invalid ").is_some_and(|kind| {
        kind.strip_prefix(['u', 'i']).is_some_and(|bits| bits.parse::<u8>().is_ok())
    });
    match tree.text_at(at).filter(|_| number) {
        Some(found) => (at, format!("`{found}` should be a whole number")),
        None => (at, message),
    }
}

/// The library's sentence without its place, which stands before it here.
fn message(error: &serde_saphyr::Error) -> String {
    let text = crate::text::clean(&error.to_string(), 600);
    // A word to whoever calls the library, not to whoever wrote the file.
    let text = text.replace(", set DuplicateKeyPolicy in Options if acceptable", "");
    match text.rfind(" at line ") {
        Some(end) if text[end..].chars().all(|letter| letter != '`') => text[..end].into(),
        _ => text,
    }
}

/// All GraphQL documents of a connector.
fn graphqls(connector: &mut Connector) -> Vec<&mut Graphql> {
    let Connector { auth, check, streams, actions, socket, register, .. } = connector;
    let checks = auth.iter_mut().filter_map(|way| way.check.as_mut()).chain(check.as_mut());
    let mut graphqls: Vec<_> = checks.filter_map(|check| check.ask.graphql_mut()).collect();
    graphqls.extend(streams.values_mut().flat_map(Stream::graphqls));
    graphqls.extend(actions.values_mut().filter_map(|action| match &mut action.does {
        Does::Call(ask) => ask.graphql_mut(),
        Does::Mail => None,
    }));
    graphqls.extend(socket.iter_mut().filter_map(|socket| socket.open.graphql_mut()));
    graphqls.extend(register.iter_mut().flat_map(Register::graphqls));
    graphqls
}

/// A text that is the name of a file becomes what is in it.
fn read_file(text: &mut String, ending: &str, files: Files<'_>) -> Result<(), Mistake> {
    let mistake = |near: &str, message| Mistake { message, near: near.into(), under: Vec::new() };
    let name = text.trim();
    if name.contains(['\n', ' ', '{']) || !name.ends_with(ending) {
        return Ok(());
    }
    if name.contains(['/', '\\']) || name.starts_with('.') {
        return Err(mistake(name, format!("`{name}` is not a file beside the connector")));
    }
    *text =
        files(name).ok_or_else(|| mistake(name, format!("there is no file `{name}` beside it")))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(id: &str) -> Connector {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../connectors");
        let text = std::fs::read_to_string(format!("{folder}/{id}/connector.yaml")).unwrap();
        load("connector.yaml", &text, &|_| None).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn what_may_be_pressed_leads_to_the_web() {
        let check = |docs: &str, steps: &str| {
            let text = format!(
                "format: 1\nid: acme\nname: Acme\nstatus: documented\ndocs: {docs}\n\
                 auth: [{{ title: Key, steps: steps.md, header_token: {{}} }}]\n"
            );
            load("acme/connector.yaml", &text, &|_| Some(steps.to_owned()))
                .map(|_| ())
                .map_err(|error| error.to_string())
        };

        assert_eq!(check("https://acme.example", "Open [it](https://acme.example/keys)."), Ok(()));
        assert_eq!(
            check("javascript:alert(1)", "Go."),
            Err("acme/connector.yaml:5:7: `docs: javascript:alert(1)` should be an `https://` address"
                .into())
        );
        assert_eq!(
            check("https://acme.example", "Open [it](data:text/html,x)."),
            Err("acme/connector.yaml: a link leads to `data:text/html,x`: only whole `https://` \
                 addresses may be pressed"
                .into())
        );
    }

    #[test]
    fn the_shipped_connectors_load() {
        for id in ["sandbox", "standard-webhooks", "any"] {
            assert_eq!(shipped(id).id, id);
        }
    }

    const BASE: &str = "format: 1\nid: acme\nname: Acme\nstatus: documented\n";

    /// What is said of a connector of which `rest` is all but the first four lines.
    fn check(rest: &str) -> String {
        match load("acme.yaml", &format!("{BASE}{rest}"), &|_| None) {
            Ok(_) => "good".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_mistaken_word_is_answered_with_the_words_that_were_possible() {
        let cases = [
            (
                "colour: red\n",
                "5:1: unknown field `colour`, expected one of format, id, name, status, docs, \
                 about, family, settings, base_url, hosts, headers, graphql_path, auth, check, limit, \
                 errors, streams, actions, smtp, webhooks, socket, register, reconcile",
            ),
            (
                "webhooks:\n  verify: standard\n",
                "6:11: unknown word `standard`, expected one of `none`, `standard_webhooks`, \
                 `refetch`, `form_guard`, `own`, or an object with `hmac`, `hash_concat`, `ed25519`, \
                 `rsa_pkcs1_sha1`, `rsa_pkcs1_sha256`, `rsa_pss_sha256`, `ecdsa_p256_sha256`, \
                 `ecdsa_p256_sha256_raw`, `jwt`, `token_equal`",
            ),
            (
                "webhooks:\n  verify: { hmac: { sha256: boddy, key: signing_secret, header: x, encoding: hex } }\n",
                "6:29: unknown word `boddy`, expected one of `body`, `body_crc32`, `method`, \
                 `path`, `target`, `url`, `sorted_form`, `secret`; a text that looks like a word is written `{ text: boddy }`",
            ),
            (
                "webhooks:\n  verify: { hmac: { key: signing_secret, header: x, encoding: hex } }\n",
                "6:19: expected one of `sha1`, `sha256`, `sha384`, `sha512`",
            ),
            (
                "webhooks:\n  verify: { hmac: { sha1: body, sha256: body, key: signing_secret, header: x, encoding: hex } }\n",
                "6:19: `sha1` and `sha256` exclude each other",
            ),
            (
                "webhooks:\n  verify: { hmac: { sha256: body, key: signing_secret, header: x, encoding: hxe } }\n",
                "6:77: unknown variant `hxe`, expected one of hex, base64",
            ),
            (
                "webhooks:\n  verify: none\n  type: .a[\n",
                "7:9: `.a[` is not an expression: expected a closing bracket or quote at its end",
            ),
            (
                "webhooks:\n  verify: none\n  title: { paid: env.HOME }\n",
                "7:18: `env.HOME` is not an expression: there is no function `env` without arguments",
            ),
            (
                "webhooks:\n  verify: none\n  dedupe: { heder: x }\n",
                "7:13: unknown field `heder`, expected one of header, query, field, digest, first_of",
            ),
            (
                "auth:\n  - title: x\n",
                "6:5: expected one of `oauth_code`, `client_credentials`, `device`, `jwt_bearer`, \
                 `app_jwt_exchange`, `token_exchange`, `header_token`, `query_token`, `basic`, \
                 `url_secret`, `oauth1`, `key_hand_over`, `smtp_login`, `none`",
            ),
            (
                "webhooks:\n  verify: none\n  answer: { within: 5 sec }\n",
                "7:21: `5 sec` is not a length of time: expected a number and `ms`, `s`, `m`, `h` or `d`",
            ),
            (
                "base_url: https://a.example\nstreams:\n  a: { get: /a, records: .a, key: .id, page: { cursor: { param: x } } }\n",
                "7:48: missing field `at`",
            ),
            ("name: Other\n", "5:1: duplicate mapping key: name"),
        ];
        for (rest, expected) in cases {
            assert_eq!(check(rest), format!("acme.yaml:{expected}"), "{rest}");
        }
    }

    /// A connector with a bit of everything, for what is wrong in one place of it.
    const WHOLE: &str = "\
settings:
  shop: { title: Shop, pattern: '[a-z]+' }
base_url: \"https://{{ settings.shop }}.acme.example\"
auth:
  - { title: Key, header_token: {} }
check: { get: /me, account: .name }
streams:
  orders:
    get: /orders
    records: .orders
    key: .id
    page: { cursor: { param: after, at: .next } }
    since: { param: since, field: .at }
  lines:
    parent: orders
    get: \"/orders/{{ parent.id }}/lines\"
    records: .lines
    key: .id
actions:
  cancel:
    post: \"/orders/{{ input.id }}/cancel\"
    input: { id: {} }
    stream: orders
webhooks:
  verify: { hmac: { sha256: body, key: signing_secret, header: x-sig, encoding: hex } }
  about: { paid: { stream: orders, key: .id } }
  answer: { within: 5s, status: 200 }
  topics: [paid, shipped]
register:
  rest: { create: { post: /hooks, json: { url: \"{{ inbox.url }}\" } }, id: .id }
  secret: { answer: .secret }
reconcile: [{ updated: [orders], look_back: 30d }]
";

    #[test]
    fn a_mistake_is_told_where_it_is() {
        assert_eq!(check(WHOLE), "good");
        let mut wrong = Vec::new();
        for (from, to, expected) in [
            // Where a word is missing, the place is the object that lacks it.
            ("    records: .orders\n", "", "12:3: missing field `records`"),
            (", field: .at", "", "17:5: missing field `field`"),
            (
                "  verify: { hmac: { sha256: body, key: signing_secret, header: x-sig, encoding: hex } }\n",
                "",
                "28:1: missing field `verify`",
            ),
            // What stands in two places is told at the one that is meant.
            (
                "stream: orders\nweb",
                "stream: order\nweb",
                "27:13: there is no stream `order`, expected one of `orders`, `lines`",
            ),
            ("input.id", "input.it", "25:11: unknown input `it`, expected `id`"),
            ("    input: { id: {} }\n", "", "25:11: unknown input `id`: none is declared"),
            (
                "parent: orders",
                "parent: order",
                "19:13: there is no stream `order`, expected one of `orders`, `lines`",
            ),
            ("status: 200", "status: 999", "31:25: `answer.status` should be between 200 and 299"),
            ("status: 200", "status: ok", "31:33: `ok` should be a whole number"),
            (
                "[orders], look",
                "[order], look",
                "36:25: there is no stream `order`, expected one of `orders`, `lines`",
            ),
            (
                "stream: orders, key",
                "stream: order, key",
                "30:28: `about` of `paid` names the stream `order`, expected one of `orders`, `lines`",
            ),
            (
                "key: .id } }\n  answer",
                "key: [.id, .b] } }\n  answer",
                "30:36: `about` of `paid` needs as many keys as the stream `orders`, which has 1",
            ),
            (
                "paid: {",
                "piad: {",
                "30:12: `piad` of `about` is none of `topics`: is `paid` meant?",
            ),
            ("header: x-sig", "header: \"X Sig:\"", "29:64: `x sig:` is not the name of a header"),
            // Texts without quotes, and two words where one is meant.
            (
                "base_url: \"https://{{ settings.shop }}.acme.example\"",
                "base_url: {{ settings.shop }}",
                "7:11: a text with `{{ … }}` needs quotes around it",
            ),
            (
                "\"/orders/{{ parent.id }}/lines\"",
                "{{ parent.id }}/lines",
                "a text with `{{ … }}` needs quotes around it",
            ),
            (
                ", at: .next } }",
                ", at: .next }, page: { param: p } }",
                "`cursor` and `page` exclude each other",
            ),
            // Names that are not there.
            (
                "get: /orders\n",
                "get: \"/orders/{{ parent.id }}\"\n",
                "13:10: `parent` needs a stream that is its parent",
            ),
            (
                "get: /orders\n",
                "get: \"/orders/{{ cursor }}\"\n",
                "13:10: the first run has no `cursor` yet: a path cannot do without, `| default(…)` gives one",
            ),
            (
                "/lines\"",
                "/lines/{{ cursor }}\"",
                "20:10: `cursor` needs `since`, which says what it is",
            ),
            (
                "get: /orders\n",
                "get: \"/orders/{{ job.id }}\"\n",
                "13:10: `job` is for `poll` and `download` of a `job`",
            ),
            (
                "get: /orders\n",
                "get: \"/{{ token.shop }}\"\n",
                "13:10: unknown name `token.shop`: none is declared",
            ),
            (
                "inbox.url",
                "inbox.adress",
                "34:48: unknown name `inbox.adress`, expected one of `inbox.url`, `inbox.name`, `inbox.tag`",
            ),
            ("inbox.url", "topic", "34:48: `topic` needs `each: topic`"),
            // Hosts and secrets.
            (
                "get: /me",
                "get: https://api.other.example/me",
                "10:15: `api.other.example` is not among the `hosts` that may be called, expected `{{settings.shop}}.acme.example`",
            ),
            (
                "{ answer: .secret }",
                "app",
                "35:3: no way in asks for a secret `client_secret`, expected `token`",
            ),
            ("{ url:", "{ version: 2.0, url:", "`2.0` needs quotes, since 2.10 is not 2.1"),
            (
                "hmac: { sha256: body, key: signing_secret,",
                "ed25519: { message: body, key: { default: abc },",
                "29:55: this `default` is no key of this kind: PEM, or a key in hex or base64, or a JWK",
            ),
            // The words that were possible, those of objects too.
            (
                "    key: .id\n    page",
                "    answer: yaml\n    key: .id\n    page",
                "15:13: unknown variant `yaml`, expected one of json, jsonl, csv, xml, or `{ csv: … }`, `{ zip: … }`",
            ),
            (
                "  topics:",
                "  envelope: items\n  topics:",
                "32:13: unknown word `items`, expected one of `body`, `array`, `cloudevents`, or `{ form_field: … }`, `{ items: … }`, `{ soap: … }`",
            ),
            (
                "{ hmac: { sha256: body, key: signing_secret, header: x-sig, encoding: hex } }",
                "{ token_equal: { at: digest } }",
                "29:32: unknown word `digest`, expected one of `bearer`, `basic`, `segment`, or `{ header: … }`, `{ query: … }`, `{ field: … }`, `{ path: … }`",
            ),
        ] {
            assert!(WHOLE.contains(from), "{from}");
            let said = check(&WHOLE.replacen(from, to, 1));
            // What begins with no place is looked for anywhere.
            let placed = expected.starts_with(|letter: char| letter.is_ascii_digit());
            let fits = match said.strip_prefix("acme.yaml:") {
                Some(said) if placed => said == expected,
                _ => said.contains(expected),
            };
            if !fits {
                wrong.push(format!("{to}: {said}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let filter =
            check(&WHOLE.replace("get: /orders\n", "get: \"/{{ settings.shop | upcase }}\"\n"));
        assert!(filter.starts_with("acme.yaml:13:10: `/{{ settings.shop | upcase }}` has a filter that is not there: `upcase`, expected one of `abs`, "), "{filter}");
    }

    #[test]
    fn what_an_anchor_lacks_is_told_of_it_and_not_of_those_that_take_from_it() {
        let told = check(
            "base_url: https://a.example\nstreams:\n  a: &a\n    get: /a\n    records: .a\n  b:\n    \
             <<: *a\n    key: .id\n  c:\n    <<: *a\n",
        );

        assert_eq!(told, "acme.yaml:7:3: missing field `key`");
    }

    #[test]
    fn an_id_is_that_of_its_folder() {
        let told = load("other/connector.yaml", BASE, &|_| None).unwrap_err().to_string();

        assert_eq!(told, "other/connector.yaml:2:1: its `id` is `acme`, but its folder is `other`");
    }

    #[test]
    fn a_newer_format_is_told_before_its_fields_are_read() {
        let says = |text: &str| load("a.yaml", text, &|_| None).unwrap_err().to_string();

        assert_eq!(
            says("format: 2\nwhatever: [1, {a: b}]\n"),
            "a.yaml was made for a newer Patchbay: its format is 2, this one reads 1"
        );
        assert_eq!(says("format: 0\n"), "a.yaml: there is no format 0, expected 1");
        assert_eq!(says("id: acme\n"), "a.yaml:1:1: missing field `format`");
        assert!(says("").starts_with("a.yaml:1:1: "));
        assert!(says("format: [").starts_with("a.yaml:1:"));
        assert!(says("format: 1\n---\nformat: 1\n").starts_with("a.yaml:"));
    }

    #[test]
    fn what_becomes_a_host_needs_a_pattern() {
        let stream = "streams:\n  a: { get: /a, records: .a, key: .id }\n";
        let with = |settings: &str, base: &str| {
            check(&format!("settings: {settings}\nbase_url: \"{base}\"\n{stream}"))
        };

        assert_eq!(
            with("{ shop: { title: Shop } }", "https://{{ settings.shop }}/api"),
            "acme.yaml:6:11: `settings.shop` becomes part of a host, and needs a `pattern` for that"
        );
        assert_eq!(
            with(
                "{ shop: { title: Shop, pattern: '[a-z]+' } }",
                "https://{{ settings.shop }}.example"
            ),
            "good"
        );
        assert_eq!(with("{ v: { title: Version } }", "https://a.example/{{ settings.v }}"), "good");
        assert_eq!(
            with("{ url: { title: Address } }", "{{ settings.url }}/wp-json"),
            "acme.yaml:6:11: `settings.url` becomes part of a host, and needs a `pattern` for that"
        );
        assert_eq!(
            with("{ v: { title: V } }", "https://{{ settings.w }}"),
            "acme.yaml:6:11: there is no `settings.w` that `https://{{ settings.w }}` could hold"
        );
        assert!(with("{}", "http://a.example").contains("should be an `https://` address"));
        assert!(with("{}", "{{ sandbox.url }}").contains("needs a `pattern`"));
        assert!(with("{}", "https://a.example{{ token.x }}").contains("no `token.x`"));
    }

    #[test]
    fn an_address_that_any_program_may_claim_needs_pkce() {
        let with = |pkce: &str, redirect: &str| {
            check(&format!(
                "auth:\n  - oauth_code:\n      authorize_url: https://a.example/a\n      \
                 token_url: https://a.example/t\n      pkce: {pkce}\n      redirect: {redirect}\n"
            ))
        };

        assert!(with("none", "[loopback, custom]").ends_with("`redirect: custom` needs `pkce`"));
        assert_eq!(with("beside_secret", "[loopback, custom]"), "good");
        assert_eq!(with("none", "loopback"), "good");
    }

    #[test]
    fn a_host_from_the_callback_or_the_token_has_a_pattern_too() {
        let with = |keep: &str| {
            check(&format!(
                "hosts: [\"{{{{ token.domain }}}}.a.example\"]\nauth:\n  - oauth_code:\n      \
                 authorize_url: https://a.example/connect\n      \
                 token_url: \"https://{{{{ callback.prefix }}}}.a.example/token\"\n      \
                 callback: {{ prefix: {{ pattern: '[a-z]+' }} }}\n      keep: {{ domain: {keep} }}\n"
            ))
        };

        assert_eq!(with("{ at: .domain_prefix, pattern: '[a-z]+' }"), "good");
        assert!(with(".domain_prefix").contains("`token.domain` becomes part of a host"));
    }

    #[test]
    fn names_that_nobody_fills_in_are_found() {
        let call = |text: &str| {
            check(&format!(
                "base_url: https://a.example\nstreams:\n  a: {{ get: \"{text}\", records: .a, key: .id }}\n"
            ))
        };

        assert_eq!(
            call("/{{ settings.nope }}"),
            "acme.yaml:7:13: unknown setting `nope`: none is declared"
        );
        assert_eq!(
            call("/{{ setings.nope }}"),
            "acme.yaml:7:13: unknown name `setings.nope`, expected one that begins with \
             `settings`, `token`, `sandbox`, `cursor`, `until`, `parent`, `job`, `offset`"
        );
        assert!(call("a").contains("should begin with `/`"));
        assert!(call("http://b.example/").contains("should begin with `/`"));
        assert_eq!(call("https://a.example/x"), "good");
        assert!(call("https://b.example/").contains("`b.example` is not among the `hosts`"));
    }

    #[test]
    fn what_settings_decide_has_to_be_decided_for_each_of_their_values() {
        let with = |stream: &str| {
            check(&format!(
                "base_url: \"{{{{ settings.url }}}}\"\nsettings:\n  \
                 url: {{ title: Address, pattern: 'https?://\\S+' }}\n  \
                 kind: {{ title: Kind, choices: [csv, json] }}\n\
                 streams:\n  a: {{ get: \"\", records: ., key: '.[$settings.url]', {stream} }}\n"
            ))
        };

        assert_eq!(with("answer_by: { setting: kind, of: { csv: csv, json: json } }"), "good");
        assert_eq!(with("page: { cursor: { param: '{{ settings.kind }}', at: .next } }"), "good");
        for (stream, expected) in [
            ("answer_by: { setting: kind, of: { csv: csv } }", "`of` has nothing for `json`"),
            ("answer_by: { setting: url, of: {} }", "`url` should be a setting with `choices`"),
            ("answer_by: { setting: kind, of: { csv: cvs } }", "unknown variant `cvs`"),
            ("answer: { csv: { separator: '{{ settings.x }}' } }", "unknown setting `x`"),
            ("page: { cursor: { param: '{{ cursor }}', at: . } }", "begins with `settings`"),
            ("page: { cursor: { param: a, at: $other } }", "no variable `$other`"),
        ] {
            let said = with(stream);
            assert!(said.contains(expected), "{stream}: {said}");
        }
        // Where no setting decides, the variable is unknown as ever.
        let title = "webhooks:\n  verify: none\n  title: $settings.a\n";
        assert!(check(title).contains("no variable `$settings`"), "{}", check(title));
    }

    #[test]
    fn an_event_speaks_of_a_stream_that_is_there() {
        let with = |about: &str| {
            check(&format!(
                "base_url: https://a.example\nstreams:\n  orders: {{ get: /o, records: ., key: [.shop, .id] }}\n\
                 webhooks:\n  verify: none\n  about: {{ paid: {about} }}\n"
            ))
        };

        assert_eq!(with("{ stream: orders, key: [.shop, .id] }"), "good");
        assert!(with("{ stream: order, key: .id }").contains("expected `orders`"));
        assert!(with("{ stream: orders, key: .id }").contains("as many keys"));
    }

    #[test]
    fn what_senders_would_not_understand_is_refused() {
        for (rest, expected) in [
            ("answer: { status: 302 }", "between 200 and 299"),
            ("answer: { refused: 200 }", "between 400 and 499"),
            ("answer: { overload: 404 }", "429 or between 500 and 599"),
            ("dedupe: { header: 'a b' }", "`a b` is not the name of a header"),
            ("type: { header: '' }", "`` is not the name of a header"),
        ] {
            let said = check(&format!("webhooks:\n  verify: none\n  {rest}\n"));
            assert!(said.contains(expected), "{rest}: {said}");
        }
        let other = "webhooks:\n  verify: { hmac: { sha256: body, key: app_secret, header: x, encoding: hex } }\n";
        assert!(check(other).contains("a signing secret is called `signing_secret`"));
        assert!(
            check("register: { rest: { create: { post: /a }, id: .id } }\n")
                .contains("needs `webhooks`")
        );
    }

    #[test]
    fn a_socket_is_opened_with_a_secret_that_a_way_in_asks_for() {
        let with = |socket: &str, webhooks: &str| {
            check(&format!(
                "base_url: https://a.example\nauth:\n  - header_token: {{ prefix: 'Bearer ' }}\n    \
                 fields: {{ app_token: {{ title: App token, secret: true }} }}\n  \
                 - {{ basic: {{ user: me }}, fields: {{ other: {{ title: Other, secret: true }} }} }}\n\
                 socket: {{ open: {{ post: /open }}, url: .url, hosts: '*.a.example', {socket} }}\n{webhooks}"
            ))
        };
        let socket = |socket: &str| with(socket, "webhooks: { verify: none }\n");

        for (rest, expected) in [
            ("token: app_token", "good"),
            ("ack: { json: { id: '{{ message.id }}' } }", "good"),
            ("token: nothing", "no way in has a field `nothing` with `secret: true`"),
            ("token: other", "cannot take the place of what `basic` carries"),
            ("ack: { json: '{{ settings.x }}' }", "expected one that begins with `message`"),
            ("ping: 1ms", "`ping` of `socket` should be at least 100ms"),
            ("ack: { json: 1, within: 0s }", "`within` of `socket` should be at least 100ms"),
            ("colour: red", "unknown field `colour`"),
        ] {
            let said = socket(rest);
            assert!(said.contains(expected), "{rest}: {said}");
        }
        assert!(with("ping: 30s", "").contains("`socket` needs `webhooks`"));
    }

    #[test]
    fn the_sandboxs_status_is_for_the_sandbox_alone() {
        let text = BASE.replace("documented", "sandbox");

        let error = load("a.yaml", &text, &|_| None).unwrap_err();

        assert_eq!(error.to_string(), "a.yaml:4:1: `status: sandbox` is for the sandbox alone");
    }

    #[test]
    fn steps_may_stand_in_a_file_beside_it() {
        let text = format!("{BASE}auth:\n  - {{ none: {{}}, steps: steps.md }}\n");
        let files = |name: &str| (name == "steps.md").then(|| "1. Nothing".to_owned());

        let connector = load("a.yaml", &text, &files).unwrap();

        assert_eq!(connector.auth[0].steps.as_deref(), Some("1. Nothing"));
        let missing = load("a.yaml", &text, &|_| None).unwrap_err().to_string();
        assert_eq!(missing, "a.yaml:6:24: there is no file `steps.md` beside it");
        for name in ["../secret.md", "/etc/secret.md", ".hidden.md", "a\\b.md"] {
            let text = format!("{BASE}auth:\n  - {{ none: {{}}, steps: '{name}' }}\n");
            let error = load("a.yaml", &text, &|_| Some("x".into())).unwrap_err().to_string();
            assert!(error.contains("is not a file beside the connector"), "{error}");
        }
    }

    #[test]
    fn size_depth_and_aliases_have_an_end() {
        let large = format!("{BASE}about: {}\n", "x".repeat(MAX_BYTES));
        assert!(load("a.yaml", &large, &|_| None).unwrap_err().to_string().contains("larger than"));

        let deep = format!("{BASE}about: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
        assert!(load("a.yaml", &deep, &|_| None).is_err());

        let mut bomb = format!("{BASE}a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = format!("*a{}, ", level - 1).repeat(9);
            bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        // Written out it would have 9^12 items: that it ends at all is the point.
        assert!(load("a.yaml", &bomb, &|_| None).is_err());
    }

    #[test]
    fn shorthands_mean_the_long_form() {
        let webhooks = |rest: &str| {
            let text = format!("{BASE}webhooks:\n  verify: none\n{rest}");
            load("a.yaml", &text, &|_| None).unwrap().webhooks.unwrap()
        };

        assert_eq!(webhooks("  dedupe: .id\n"), webhooks("  dedupe: [.id]\n"));
        assert_eq!(
            webhooks("  dedupe: { header: X-Id }\n"),
            webhooks("  dedupe: { header: [x-id] }\n")
        );
        assert_eq!(webhooks("  title: .name\n"), webhooks("  title: { '*': .name }\n"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = load("a.yaml", &text, &|_| None);
            let _ = load("a.yaml", &format!("{BASE}base_url: {text}\nstreams: {{}}\n"), &|_| None);
            let _ = load("a.yaml", &format!("{BASE}webhooks: {text}\n"), &|_| None);
        }
    }
}
