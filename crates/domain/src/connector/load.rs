//! Loading: from a file's text to a connector, or to a sentence that says what to put right.
//!
//! The text is somebody else's: its size, depth and aliases are limited before its fields are read.
//! The format's number is read first, so that a file for a newer program is told apart from one
//! with a mistake. What YAML's types cannot say (names that must exist, texts that become hosts) is
//! checked after.

use serde::Deserialize;

use super::check::Mistake;
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
    for way in &mut connector.auth {
        if let Some(steps) = &mut way.steps {
            read_file(steps, ".md", files).map_err(whole)?;
        }
    }
    if let Some(RegisterBy::Manual(manual)) = connector.register.as_mut().map(|it| &mut it.by) {
        read_file(&mut manual.steps, ".md", files).map_err(whole)?;
    }
    let path = connector.graphql_path.clone();
    for graphql in graphqls(&mut connector) {
        read_file(&mut graphql.text, ".graphql", files).map_err(whole)?;
        graphql.path = path.clone();
    }
    super::check::check(&connector).map_err(|mistake| placed(file, text, mistake))?;
    Ok(connector)
}

/// Gives a mistake that was found after reading the place of the text that it is about: the first
/// that is the same.
fn placed(file: &str, text: &str, mistake: Mistake) -> Error {
    let found = (1..).zip(text.lines()).find_map(|(line, words)| {
        let before = &words[..words.find(&mistake.near)?];
        Some((line, before.chars().count() as u64 + 1))
    });
    match found {
        Some((line, column)) => {
            Error::At { file: file.into(), line, column, message: mistake.message }
        }
        None => Error::Whole { file: file.into(), message: mistake.message },
    }
}

fn read<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 100,
            max_anchors: 100,
            max_depth: 60,
            max_nodes: 50_000,
            max_documents: 1,
        },
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| described(file, &error))
}

fn described(file: &str, error: &serde_saphyr::Error) -> Error {
    let error = error.without_snippet();
    let message = message(error);
    match error.location() {
        Some(at) => Error::At { file: file.into(), line: at.line(), column: at.column(), message },
        None => Error::Whole { file: file.into(), message },
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
fn read_file(text: &mut String, ending: &str, files: Files<'_>) -> Result<(), String> {
    let name = text.trim();
    if name.contains(['\n', ' ', '{']) || !name.ends_with(ending) {
        return Ok(());
    }
    if name.contains(['/', '\\']) || name.starts_with('.') {
        return Err(format!("`{name}` is not a file beside the connector"));
    }
    *text = files(name).ok_or_else(|| format!("there is no file `{name}` beside it"))?;
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
                "7:58: missing field `at`",
            ),
            ("name: Other\n", "5:1: duplicate mapping key: name"),
        ];
        for (rest, expected) in cases {
            assert_eq!(check(rest), format!("acme.yaml:{expected}"), "{rest}");
        }
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
            "acme.yaml:6:12: `settings.shop` becomes part of a host, and needs a `pattern` for that"
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
            "acme.yaml:6:12: `settings.url` becomes part of a host, and needs a `pattern` for that"
        );
        assert_eq!(
            with("{ v: { title: V } }", "https://{{ settings.w }}"),
            "acme.yaml:6:12: there is no `settings.w` that `https://{{ settings.w }}` could hold"
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
            "acme.yaml:7:14: unknown setting `nope`, expected one of "
        );
        assert_eq!(
            call("/{{ setings.nope }}"),
            "acme.yaml:7:14: unknown name `setings.nope`, expected one that begins with \
             `settings`, `token`, `sandbox`, `cursor`, `until`, `parent`, `job`, `offset`"
        );
        assert!(call("a").contains("should begin with `/`"));
        assert!(call("http://b.example/").contains("should begin with `/`"));
        assert_eq!(call("https://b.example/"), "good");
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
        assert!(with("{ stream: order, key: .id }").contains("expected one of `orders`"));
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
        assert_eq!(missing, "a.yaml: there is no file `steps.md` beside it");
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
