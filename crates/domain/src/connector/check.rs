//! What a connector's types cannot say: names that must exist, texts that become hosts, statuses
//! that senders understand.
//!
//! The important one is the host. What becomes part of a host decides who is given a credential,
//! so every value that gets there has a pattern: `evil.example/` in front of
//! `.retail.example` would be somebody else's host.

use std::collections::HashSet;

use super::link;
use super::{
    Action, Ask, Basic, Call, Connector, Dedupe, Deletions, Does, Each, Field, HookSecret,
    IdempotencyBy, OauthCode, PUBLIC_KEY, Paging, Pick, Pkce, ReconcileBy, Redirect, Register,
    RegisterBy, Reply, Revoke, Rule, SIGNING_SECRET, Send, Socket, Source, Span, Status, Stream,
    WayKind, Webhooks,
};
use crate::template::Template;

/// A mistake, and where it is: near a text, below these names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) near: String,
    pub(super) under: Vec<String>,
}

impl Mistake {
    /// The same, to be looked for below these names.
    fn under<const N: usize>(mut self, path: [&str; N]) -> Self {
        self.under = path.map(str::to_owned).into();
        self
    }
}

type Checked = Result<(), Mistake>;

fn mistake(near: impl Into<String>, message: impl Into<String>) -> Checked {
    Err(Mistake { message: message.into(), near: near.into(), under: Vec::new() })
}

/// Finds the first mistake.
pub(super) fn check(connector: &Connector) -> Checked {
    id(connector)?;
    links(connector)?;
    ways(connector)?;
    if connector.register.is_some() && connector.webhooks.is_none() {
        return mistake("register", "`register` needs `webhooks`");
    }
    if connector.socket.is_some() && connector.webhooks.is_none() {
        return mistake("socket", "`socket` needs `webhooks`, which say how its events are read");
    }
    mail(connector)?;
    let calls = asks(connector).iter().any(|asked| match asked.ask {
        Ask::Rest(call) => call.path.text().starts_with('/'),
        Ask::Graphql(_) => true,
    });
    if calls && connector.base_url.is_none() {
        return mistake("streams", "`base_url` is needed where there is something to call");
    }
    for (place, text) in addresses(connector) {
        address(connector, place, text)?;
    }
    for address in whole_addresses(connector) {
        reachable(connector, address)?;
    }
    for Text { text, words, under } in texts(connector) {
        names(connector, text, words)
            .and_then(|()| known_words(text))
            .map_err(|mistake| Mistake { under, ..mistake })?;
    }
    for (id, stream) in &connector.streams {
        stream_names(stream).map_err(|mistake| mistake.under(["streams", id]))?;
    }
    connector.register.as_ref().map_or(Ok(()), register_names)?;
    header_names(connector)?;
    settings_of_streams(connector)?;
    connector.socket.as_ref().map_or(Ok(()), |it| socket(connector, it))?;
    references(connector)?;
    connector.webhooks.as_ref().map_or(Ok(()), |hooks| webhooks(connector, hooks))
}

fn id(connector: &Connector) -> Checked {
    let id = &connector.id;
    let fits =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if id.is_empty() || id.len() > 64 || !id.chars().all(fits) || id.starts_with('-') {
        return mistake("id:", format!("`id: {id}` should be lower case letters, digits and `-`"));
    }
    if connector.status == Status::Sandbox && id != "sandbox" {
        return mistake("status:", "`status: sandbox` is for the sandbox alone");
    }
    Ok(())
}

/// Whoever signs in at a mail server, or sends mail, needs one.
fn mail(connector: &Connector) -> Checked {
    if connector.smtp.is_some() {
        return Ok(());
    }
    for way in &connector.auth {
        match &way.kind {
            WayKind::SmtpLogin(_) => return mistake("smtp_login", "`smtp_login` needs `smtp`"),
            kind if kind.token_facts().is_some_and(|it| matches!(it.send, Send::Xoauth2(_))) => {
                return mistake("xoauth2", "`xoauth2` needs `smtp`");
            }
            _ => {}
        }
    }
    if connector.actions.values().any(|action| action.does == Does::Mail) {
        return mistake("mail:", "`mail: {}` needs `smtp`");
    }
    Ok(())
}

/// What people may press leads to the web and nowhere else.
fn links(connector: &Connector) -> Checked {
    if let Some(docs) = connector.docs.as_deref().filter(|docs| !link::is_of_the_web(docs)) {
        return mistake(docs, format!("`docs: {docs}` should be an `https://` address"));
    }
    let steps = connector.auth.iter().filter_map(|way| way.steps.as_deref());
    let by_hand = match connector.register.as_ref().map(|register| &register.by) {
        Some(RegisterBy::Manual(manual)) => Some(manual.steps.as_str()),
        _ => None,
    };
    match steps.chain(by_hand).find_map(link::unfit) {
        Some(link) => mistake(
            link,
            format!("a link leads to `{link}`: only whole `https://` addresses may be pressed"),
        ),
        None => Ok(()),
    }
}

fn ways(connector: &Connector) -> Checked {
    let mut ids = HashSet::new();
    if let Some(way) = connector.auth.iter().find(|way| !ids.insert(&way.id)) {
        return mistake("auth:", format!("two ways in are called `{}`: give one an `id`", way.id));
    }
    let claimable = connector.auth.iter().any(|way| match way.kind.inner() {
        WayKind::OauthCode(oauth) => {
            oauth.pkce == Pkce::None && oauth.redirects().contains(&Redirect::Custom)
        }
        _ => false,
    });
    if claimable {
        // Any program can claim addresses of our kind, and with them the code.
        return mistake("custom", "`redirect: custom` needs `pkce`");
    }
    Ok(())
}

// -- hosts

/// The texts that decide which host is called, with their names.
fn addresses(connector: &Connector) -> Vec<(&'static str, &Template)> {
    let mut addresses: Vec<_> = connector.hosts.iter().map(|host| ("hosts", host)).collect();
    addresses.extend(connector.smtp.as_ref().map(|smtp| ("smtp", &smtp.host)));
    addresses.extend(connector.base_url.as_ref().map(|base| ("base_url", base)));
    addresses.extend(connector.auth.iter().flat_map(|way| way.kind.addresses()));
    addresses.extend(whole_addresses(connector).into_iter().map(|path| ("path", path)));
    addresses
}

/// The paths of requests that are whole addresses: a path is one of ours and has no host.
fn whole_addresses(connector: &Connector) -> Vec<&Template> {
    let paths = asks(connector).into_iter().filter_map(|asked| match asked.ask {
        Ask::Rest(call) => Some(&call.path),
        Ask::Graphql(_) => None,
    });
    let is_whole = |path: &&Template| !path.text().starts_with('/');
    let paths = paths.chain(way_calls(connector).into_iter().map(|call| &call.path));
    let own = |path: &&Template| !path.text().is_empty() || !is_whole_address(connector);
    paths.filter(is_whole).filter(own).collect()
}

/// Whether the host of a whole address is one that may be called: that of `base_url`, of an address
/// in `auth`, or one of `hosts`.
fn reachable(connector: &Connector, address: &Template) -> Checked {
    let spaceless = |text: &str| text.split_whitespace().collect::<String>();
    let host = spaceless(host_part(address.text()));
    let mut known: Vec<_> = connector.hosts.iter().map(|host| spaceless(host.text())).collect();
    known.extend(connector.base_url.iter().map(|base| spaceless(host_part(base.text()))));
    let ways = connector.auth.iter().flat_map(|way| way.kind.addresses());
    known.extend(ways.map(|(_, text)| spaceless(host_part(text.text()))));
    // A setting alone may be any host, and one with choices is each of them.
    let may_be = |known: &String| {
        let name = known.strip_prefix("{{settings.").and_then(|rest| rest.strip_suffix("}}"));
        let choices = name.and_then(|name| setting(connector, name)).map(|field| field.choices.0);
        choices.is_some_and(|choices| choices.is_empty() || choices.contains_key(&host))
    };
    if known.contains(&host) || known.iter().any(may_be) {
        return Ok(());
    }
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    mistake(
        address.text(),
        format!("`{host}` is not among the `hosts` that may be called{}", expected(&known)),
    )
}

fn address(connector: &Connector, place: &str, text: &Template) -> Checked {
    let written = text.text();
    if place == "path" && !written.starts_with("https://") {
        return mistake(
            written,
            format!("`{written}` should begin with `/` or be a whole `https://` address"),
        );
    }
    let is_host = matches!(place, "hosts" | "smtp");
    if !is_host && !written.starts_with("https://") && !written.starts_with("{{") {
        return mistake(written, format!("`{place}` should be an `https://` address"));
    }
    let part = if is_host { written } else { host_part(written) };
    if is_host && part.contains("://") {
        return mistake(written, format!("`{place}` holds names without `https://`"));
    }
    let Ok(part) = Template::new(part) else {
        return mistake(written, format!("the host in `{written}` cannot be told from its path"));
    };
    part.names().iter().try_for_each(|name| host_name(connector, written, name))
}

/// What stands between `://` and the path, as far as that is written out.
fn host_part(text: &str) -> &str {
    let start = text.find("://").filter(|at| !text[..*at].contains("{{")).map_or(0, |at| at + 3);
    let mut inside = false;
    for (at, letter) in text[start..].char_indices() {
        let rest = &text[start + at..];
        inside = (inside || rest.starts_with("{{")) && !rest.starts_with("}}");
        if !inside && matches!(letter, '/' | '?' | '#') {
            return &text[start..start + at];
        }
    }
    &text[start..]
}

/// Whether the value of this name may become part of a host.
fn host_name(connector: &Connector, text: &str, name: &str) -> Checked {
    let (root, key) = name.split_once('.').unwrap_or((name, ""));
    let patterned = match root {
        "sandbox" => Some(connector.status == Status::Sandbox),
        "settings" => {
            let closed = |field: &Field| field.pattern.is_some() || !field.choices.0.is_empty();
            setting(connector, key).map(|field| closed(&field))
        }
        // Its pattern is not a choice.
        "callback" => oauths(connector).find_map(|oauth| oauth.callback.get(key)).map(|_| true),
        "token" => {
            let ways = connector.auth.iter().flat_map(|way| way.kind.keep());
            let kept: Vec<_> = ways.filter(|(name, _)| *name == key).collect();
            (!kept.is_empty()).then(|| kept.iter().all(|(_, keep)| keep.pattern.is_some()))
        }
        _ => Some(false),
    };
    match patterned {
        Some(true) => Ok(()),
        Some(false) => mistake(
            text,
            format!("`{name}` becomes part of a host, and needs a `pattern` for that"),
        ),
        None => mistake(text, format!("there is no `{name}` that `{text}` could hold")),
    }
}

/// Whether the user gives a whole address, below which paths may be empty: a setting, or one that
/// is secret.
fn is_whole_address(connector: &Connector) -> bool {
    connector.base_url.as_ref().is_some_and(Template::is_one_setting)
        || connector.auth.iter().any(|way| matches!(way.kind, WayKind::UrlSecret(_)))
}

/// The calls that ways in make, beside those to token endpoints.
fn way_calls(connector: &Connector) -> Vec<&Call> {
    let calls = connector.auth.iter().filter_map(|way| match &way.kind {
        WayKind::AppJwtExchange(way) => Some(&way.call),
        WayKind::TokenExchange(way) => Some(&way.call),
        WayKind::OauthCode(way) => match &way.revoke {
            Some(Revoke::Call(call)) => Some(&**call),
            _ => None,
        },
        _ => None,
    });
    calls.collect()
}

fn oauths(connector: &Connector) -> impl Iterator<Item = &OauthCode> {
    connector.auth.iter().filter_map(|way| match way.kind.inner() {
        WayKind::OauthCode(oauth) => Some(&**oauth),
        _ => None,
    })
}

/// The field of a setting: the connector's, or one of a way in.
fn setting(connector: &Connector, name: &str) -> Option<Field> {
    let own = connector.settings.get(name).cloned();
    own.or_else(|| {
        let mut fields = connector.auth.iter().flat_map(super::Way::fields);
        fields.find(|field| !field.secret && field.name == name).map(|field| field.field)
    })
}

// -- names in texts

/// A text, and the first words of the names that it may speak of.
struct Text<'a> {
    text: &'a Template,
    words: &'static [&'static str],
    under: Vec<String>,
}

/// A request, what its texts may speak of, and below which names it stands.
struct Asked<'a> {
    ask: &'a Ask,
    words: &'static [&'static str],
    under: Vec<String>,
}

/// Names of the file, one below the other.
fn path<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).into()
}

/// What every call may speak of.
const CALL: &[&str] = &["settings", "token", "sandbox"];
const SIGN_IN: &[&str] = &["settings", "sandbox", "callback", "token"];
/// What texts of a way in may speak of that go into a request or a signature, and nowhere else.
const SECRET: &[&str] = &["settings", "sandbox", "callback", "token", "secrets"];
const READ: &[&str] =
    &["settings", "token", "sandbox", "cursor", "until", "parent", "job", "offset"];
const ACTION: &[&str] = &["settings", "token", "sandbox", "input"];
const REGISTER: &[&str] =
    &["settings", "token", "sandbox", "inbox", "topics", "topic", "parent", "secret", "id"];
/// What is sent over a socket.
const SENT: &[&str] = &["message"];
const RECONCILE: &[&str] = &["settings", "token", "sandbox", "cursor", "until", "hook", "id"];

fn texts(connector: &Connector) -> Vec<Text<'_>> {
    let mut texts = Vec::new();
    let mut push = |under: Vec<String>, words, text| texts.push(Text { text, words, under });
    connector.hosts.iter().for_each(|host| push(path(["hosts"]), SIGN_IN, host));
    connector.base_url.iter().for_each(|base| push(path(["base_url"]), CALL, base));
    for (number, way) in connector.auth.iter().enumerate() {
        let under = path(["auth", &number.to_string()]);
        way_texts(&way.kind, &mut |words, text| push(under.clone(), words, text));
    }
    connector.headers.values().for_each(|text| push(path(["headers"]), CALL, text));
    for (id, stream) in &connector.streams {
        let since = stream.since.iter().flat_map(|since| &since.text);
        since.chain(stream.add.values()).for_each(|text| push(path(["streams", id]), READ, text));
    }
    if let Some(smtp) = &connector.smtp {
        let texts = [&smtp.host, &smtp.port, &smtp.tls].into_iter().chain(&smtp.from);
        texts.for_each(|text| push(path(["smtp"]), CALL, text));
    }
    let sent = connector.socket.iter().flat_map(Socket::sent_texts);
    sent.for_each(|text| push(path(["socket"]), SENT, text));
    for Asked { ask, words, under } in asks(connector) {
        ask.texts().into_iter().for_each(|text| push(under.clone(), words, text));
    }
    for source in &connector.reconcile.0 {
        if let ReconcileBy::EventLog(log) = &source.by {
            log.failed.values().for_each(|text| push(path(["reconcile"]), RECONCILE, text));
        }
    }
    texts
}

/// The texts of a way in.
fn way_texts<'a>(kind: &'a WayKind, push: &mut impl FnMut(&'static [&'static str], &'a Template)) {
    kind.addresses().into_iter().for_each(|(_, text)| push(SIGN_IN, text));
    if let Some(endpoint) = kind.endpoint() {
        endpoint.token_params.values().for_each(|text| push(SECRET, text));
        endpoint.token_headers.values().for_each(|text| push(SECRET, text));
    }
    let jwt = match kind {
        WayKind::JwtBearer(way) => Some(&way.jwt),
        WayKind::AppJwtExchange(way) => {
            call_texts(&way.call, SECRET, push);
            Some(&way.jwt)
        }
        _ => None,
    };
    if let Some(jwt) = jwt {
        let mut texts = Vec::new();
        jwt.claims.texts(&mut texts);
        texts.into_iter().for_each(|text| push(SIGN_IN, text));
        jwt.key_id.iter().for_each(|text| push(SIGN_IN, text));
    }
    match kind {
        WayKind::OauthCode(way) => {
            way.authorize_params.values().for_each(|text| push(SIGN_IN, text));
            way.refresh_params.values().for_each(|text| push(SECRET, text));
            if let Some(Revoke::Call(call)) = &way.revoke {
                call_texts(call, SECRET, push);
            }
        }
        WayKind::Device(way) => way.device_params.values().for_each(|text| push(SIGN_IN, text)),
        WayKind::TokenExchange(way) => {
            call_texts(&way.call, SECRET, push);
            way_texts(&way.from.kind, push);
        }
        WayKind::HeaderToken(way) => {
            [&way.header, &way.prefix].into_iter().for_each(|text| push(CALL, text));
            way.headers.values().for_each(|text| push(SECRET, text));
        }
        WayKind::QueryToken(way) => {
            way.param.iter().for_each(|text| push(CALL, text));
            way.params.values().for_each(|text| push(SECRET, text));
        }
        WayKind::Basic(way) => basic_texts(way, push),
        WayKind::Oauth1(way) => {
            push(SECRET, &way.consumer_key);
            push(SECRET, &way.consumer_secret);
            way.token.iter().chain(&way.token_secret).for_each(|text| push(SECRET, text));
        }
        WayKind::KeyHandOver(way) => {
            way.params.values().for_each(|text| push(SIGN_IN, text));
            basic_texts(&way.basic, push);
        }
        WayKind::SmtpLogin(way) => {
            [&way.user, &way.pass].into_iter().for_each(|text| push(SECRET, text));
        }
        _ => {}
    }
    if let Some(Send::Xoauth2(user)) = kind.token_facts().map(|facts| facts.send) {
        push(SIGN_IN, user);
    }
}

fn basic_texts<'a>(basic: &'a Basic, push: &mut impl FnMut(&'static [&'static str], &'a Template)) {
    push(SECRET, &basic.user);
    basic.pass.iter().for_each(|text| push(SECRET, text));
}

fn call_texts<'a>(
    call: &'a Call,
    words: &'static [&'static str],
    push: &mut impl FnMut(&'static [&'static str], &'a Template),
) {
    call.texts().into_iter().for_each(|text| push(words, text));
}

/// All requests but those of the ways in.
fn asks(connector: &Connector) -> Vec<Asked<'_>> {
    let mut asks = Vec::new();
    let mut push = |under: Vec<String>, words, ask| asks.push(Asked { ask, words, under });
    connector.check.iter().for_each(|check| push(path(["check"]), CALL, &check.ask));
    for (number, way) in connector.auth.iter().enumerate() {
        let under = path(["auth", &number.to_string(), "check"]);
        way.check.iter().for_each(|check| push(under.clone(), CALL, &check.ask));
    }
    for (id, stream) in &connector.streams {
        stream.asks().into_iter().for_each(|ask| push(path(["streams", id]), READ, ask));
    }
    for (id, action) in &connector.actions {
        if let Does::Call(ask) = &action.does {
            push(path(["actions", id]), ACTION, &**ask);
        }
    }
    connector.socket.iter().for_each(|socket| push(path(["socket"]), CALL, &socket.open));
    for (_, ask) in connector.register.iter().flat_map(|register| register.asks()) {
        push(path(["register"]), REGISTER, ask);
    }
    for source in &connector.reconcile.0 {
        let calls = match &source.by {
            ReconcileBy::EventLog(log) => {
                let body = log.body.as_ref().map(|body| &body.call);
                vec![log.enable.as_ref(), log.resend.as_ref(), body]
            }
            ReconcileBy::DeliveryLog(log) => vec![Some(&log.list), log.redeliver.as_ref()],
            _ => Vec::new(),
        };
        let calls = calls.into_iter().flatten();
        calls.for_each(|ask| push(path(["reconcile"]), RECONCILE, ask));
    }
    asks
}

/// What the language does not know: a filter, a test, a function.
fn known_words(text: &Template) -> Checked {
    text.unknown().map_or(Ok(()), |problem| mistake(text.text(), problem))
}

/// What the texts of a stream speak of is there: a parent, a job, a cursor.
fn stream_names(stream: &Stream) -> Checked {
    let (mut first, mut later, mut journal) = (Vec::new(), Vec::new(), Vec::new());
    match &stream.source {
        Source::Pages(ask) => first.extend(ask.texts()),
        Source::Job(job) => {
            first.extend(job.create.texts());
            let asks = [&job.poll, &job.download, &job.cancel].into_iter().flatten();
            later.extend(asks.flat_map(Ask::texts));
        }
        Source::Journal(it) => {
            first.extend(it.first.texts());
            journal.extend(it.next.texts());
        }
    }
    first.extend(stream.since.iter().flat_map(|since| &since.text));
    first.extend(stream.add.values());
    let since = stream.since.is_some() || stream.choices.since.is_some();
    let until = stream.since.as_ref().map_or(since, |since| since.until.is_some());
    let there = |name: &str, part: u8| match name {
        "parent" => stream
            .parent
            .is_some()
            .then_some(())
            .ok_or("`parent` needs a stream that is its parent"),
        "cursor" => since.then_some(()).ok_or("`cursor` needs `since`, which says what it is"),
        "until" => until.then_some(()).ok_or("`until` needs an `until` in `since`"),
        "job" => (part == 1).then_some(()).ok_or("`job` is for `poll` and `download` of a `job`"),
        "offset" => (part == 2).then_some(()).ok_or("`offset` is for `next` of a `journal`"),
        _ => Ok(()),
    };
    for (part, texts) in (0..).zip([first, later, journal]) {
        for text in texts {
            for name in text.names() {
                let root = name.split('.').next().unwrap_or(&name);
                if let Err(problem) = there(root, part) {
                    return mistake(text.text(), problem);
                }
            }
        }
    }
    let Source::Pages(ask) = &stream.source else { return Ok(()) };
    first_run(ask)
}

/// The first run has no cursor: what speaks of one is left out then, and what cannot be left out has
/// to do without.
fn first_run(ask: &Ask) -> Checked {
    let needed = match ask {
        Ask::Rest(call) => vec![&call.path],
        Ask::Graphql(graphql) => vec![&graphql.path],
    };
    let speaks = |text: &&Template| {
        let is_bare = |name: &String| name == "cursor" || name == "until";
        text.names().iter().any(is_bare) && !text.text().contains("default")
    };
    match needed.into_iter().find(speaks) {
        Some(text) => mistake(
            text.text(),
            "the first run has no `cursor` yet: a path cannot do without, `| default(…)` gives one",
        ),
        None => Ok(()),
    }
}

/// What the texts of the registration speak of is there for what there is one call.
fn register_names(register: &Register) -> Checked {
    let topics = register.each == Each::Topic || matches!(register.by, RegisterBy::Single(_));
    let parents = matches!(register.each, Each::Parent(_));
    for (_, ask) in register.asks() {
        for text in ask.texts() {
            for name in text.names() {
                let problem = match name.split('.').next() {
                    Some("topic") if !topics => "`topic` needs `each: topic`",
                    Some("parent") if !parents => "`parent` needs `each: { parent: … }`",
                    _ => continue,
                };
                let found = mistake(text.text(), problem);
                return found.map_err(|mistake| mistake.under(["register"]));
            }
        }
    }
    Ok(())
}

/// What an inbox says of itself to whom it is registered with.
const INBOX: &[&str] = &["url", "name", "tag"];
/// What a callback has by itself where keys are handed over.
const HAND_OVER: &[&str] = &["url", "return_url", "nonce"];

/// What stands below a word that the connector itself fills in; none where nobody can know.
fn below(connector: &Connector, root: &str) -> Option<Vec<String>> {
    let kept =
        || connector.auth.iter().flat_map(|way| way.kind.keep()).map(|(name, _)| name.to_owned());
    let names: Vec<String> = match root {
        "inbox" => INBOX.iter().map(|&name| name.to_owned()).collect(),
        "token" => kept().collect(),
        "callback" => {
            let hands_over =
                connector.auth.iter().any(|way| matches!(way.kind, WayKind::KeyHandOver(_)));
            let own = HAND_OVER.iter().filter(|_| hands_over).map(|&name| name.to_owned());
            oauths(connector).flat_map(|oauth| oauth.callback.keys().cloned()).chain(own).collect()
        }
        "job" | "hook" => vec!["id".to_owned()],
        _ => return None,
    };
    Some(names)
}

fn names(connector: &Connector, text: &Template, words: &[&str]) -> Checked {
    for name in text.names() {
        let (root, key) = name.split_once('.').unwrap_or((&name, ""));
        if !words.contains(&root) {
            return mistake(
                text.text(),
                format!("unknown name `{name}`, expected one that begins with {}", quoted(words)),
            );
        }
        if root == "settings" && setting(connector, key).is_none() {
            let known: Vec<_> = connector.settings.keys().map(String::as_str).collect();
            return mistake(text.text(), format!("unknown setting `{key}`{}", expected(&known)));
        }
        let member = key.split('.').next().unwrap_or(key);
        if let Some(known) = below(connector, root)
            && !member.is_empty()
            && !known.iter().any(|known| known == member)
        {
            let known: Vec<_> = known.iter().map(|name| format!("{root}.{name}")).collect();
            let known: Vec<_> = known.iter().map(String::as_str).collect();
            return mistake(text.text(), format!("unknown name `{name}`{}", expected(&known)));
        }
        if root == "secrets" {
            let known = secret_names(connector);
            if !known.iter().any(|known| known == key) {
                let known: Vec<_> = known.iter().map(String::as_str).collect();
                let expected = quoted(&known);
                return mistake(
                    text.text(),
                    format!(
                        "unknown secret `{key}`, expected one of {expected}: others stand in \
                             `fields` with `secret: true`"
                    ),
                );
            }
        }
        if root == "sandbox" && connector.status != Status::Sandbox {
            return mistake(text.text(), format!("`{name}` is for the sandbox alone"));
        }
    }
    Ok(())
}

/// What settings decide of streams: each value that the setting may have has to mean something.
fn settings_of_streams(connector: &Connector) -> Checked {
    let listed = connector.register.as_ref().and_then(Register::listed);
    let streams = connector.streams.iter().map(|(id, stream)| (id.as_str(), stream));
    for (id, stream) in streams.chain(listed.as_ref().map(|listed| ("register:", listed))) {
        for text in stream.names_as_texts() {
            let text = Template::new(&text).map_err(|error| Mistake {
                message: error.to_string(),
                near: text.clone(),
                under: Vec::new(),
            })?;
            names(connector, &text, &["settings"])?;
        }
        for (name, values) in stream.choices.settings() {
            let field = setting(connector, name);
            let known: Vec<_> = field.iter().flat_map(|field| field.choices.0.keys()).collect();
            if known.is_empty() {
                return mistake(id, format!("`{name}` should be a setting with `choices`"));
            }
            if let Some(left) = known.iter().find(|known| !values.contains(&known.as_str())) {
                return mistake(id, format!("`of` has nothing for `{left}`, a choice of `{name}`"));
            }
        }
    }
    Ok(())
}

/// The secrets that texts of a way in may speak of.
fn secret_names(connector: &Connector) -> Vec<String> {
    let fields = connector.auth.iter().flat_map(super::Way::fields);
    let mut names: Vec<_> = fields.filter(|field| field.secret).map(|field| field.name).collect();
    for way in &connector.auth {
        match &way.kind {
            WayKind::KeyHandOver(way) => names.extend(way.secrets.keys().cloned()),
            WayKind::TokenExchange(_) => names.push("subject".into()),
            _ => {}
        }
        if way.kind.token_facts().is_some() {
            names.extend(["access_token".into(), "refresh_token".into()]);
        }
    }
    names.sort();
    names.dedup();
    names
}

/// The words that were possible, as the end of a sentence.
fn expected(known: &[&str]) -> String {
    match known {
        [] => ": none is declared".into(),
        [only] => format!(", expected {}", quoted(&[only])),
        known => format!(", expected one of {}", quoted(known)),
    }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

// -- headers

fn header_names(connector: &Connector) -> Checked {
    let mut names: Vec<&str> = Vec::new();
    if let Some(hooks) = &connector.webhooks {
        names.extend(hooks.verify.headers());
        names.extend(hooks.dedupe.iter().flat_map(Dedupe::headers));
        for pick in [&hooks.event_type, &hooks.id, &hooks.time, &hooks.account] {
            names.extend(pick.iter().flat_map(Pick::headers));
        }
        names.extend(hooks.answer.headers.keys().map(String::as_str));
    }
    for way in &connector.auth {
        names.extend(way.kind.token_facts().and_then(|facts| facts.send.header()).map(|it| it.0));
        let endpoint = way.kind.endpoint();
        names.extend(
            endpoint.into_iter().flat_map(|it| it.token_headers.keys()).map(String::as_str),
        );
        if let WayKind::HeaderToken(token) = way.kind.inner() {
            names.extend(token.header.is_plain().then(|| token.header.text()));
            names.extend(token.headers.keys().map(String::as_str));
        }
    }
    for Asked { ask, .. } in asks(connector) {
        names.extend(ask.headers().keys().map(String::as_str));
    }
    names.extend(way_calls(connector).iter().flat_map(|call| call.headers.keys()).map(|it| &**it));
    names.extend(connector.headers.keys().map(String::as_str));
    for headers in &connector.limit.headers {
        names.push(&headers.remaining);
        names.extend(headers.limit.as_deref());
        names.extend(headers.bucket.as_deref());
        names.extend(headers.reset.as_ref().map(|reset| reset.header.as_str()));
    }
    for used in &connector.limit.used {
        names.push(&used.header);
        names.extend(used.drip.as_deref().into_iter().chain(used.cost.as_deref()));
    }
    let listed = connector.register.as_ref().and_then(Register::listed);
    names.extend(connector.streams.values().chain(&listed).filter_map(
        |stream| match &stream.page {
            Some(Paging::HeaderLocator(locator)) => Some(locator.header.as_str()),
            _ => None,
        },
    ));
    names.extend(connector.actions.values().filter_map(|action| {
        match action.idempotency.as_ref().map(|it| &it.by) {
            Some(IdempotencyBy::Header(header)) => Some(header.as_str()),
            _ => None,
        }
    }));
    match names.into_iter().find(|name| !is_header_name(name)) {
        Some(name) => mistake(name, format!("`{name}` is not the name of a header")),
        None => Ok(()),
    }
}

fn is_header_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

// -- sockets

/// The shortest time that a socket may be silent, or be waited for.
const SHORTEST: Span = Span::millis(100);

fn socket(connector: &Connector, socket: &Socket) -> Checked {
    if socket.hosts.is_empty() {
        return mistake("hosts:", "`socket` needs the `hosts` that it may lead to");
    }
    if let Some((word, _)) = socket.spans().into_iter().find(|(_, span)| *span < SHORTEST) {
        return mistake(word, format!("`{word}` of `socket` should be at least {SHORTEST}"));
    }
    let Some(token) = &socket.token else { return Ok(()) };
    let mut ways = connector.auth.iter().filter(|way| socket.opens_by(way)).peekable();
    if ways.peek().is_none() {
        return mistake(
            token,
            format!("no way in has a field `{token}` with `secret: true`, for `socket`"),
        );
    }
    match ways.find(|way| way.kind.token_header().is_none()) {
        Some(way) => mistake(
            token,
            format!(
                "`{token}` cannot take the place of what `{}` carries: no token in a header",
                way.id
            ),
        ),
        None => Ok(()),
    }
}

// -- webhooks

fn webhooks(connector: &Connector, hooks: &Webhooks) -> Checked {
    for scheme in &hooks.verify.schemes {
        proof_names(&scheme.rule).map_err(|mistake| mistake.under(["webhooks", "verify"]))?;
        default_key(&scheme.rule)?;
    }
    if let Some(name) =
        hooks.used_settings().into_iter().find(|name| !hooks.settings.contains_key(*name))
    {
        let known: Vec<_> = hooks.settings.keys().map(String::as_str).collect();
        let found =
            mistake(name, format!("unknown setting `{name}` of `webhooks`{}", expected(&known)));
        return found.map_err(|mistake| mistake.under(["webhooks"]));
    }
    about(connector, hooks)?;
    mistyped_topics(hooks)?;
    answer(hooks).map_err(|mistake| mistake.under(["webhooks", "answer"]))?;
    registration(connector, hooks).map_err(|mistake| mistake.under(["register"]))
}

/// What a sender is answered is something that it understands.
fn answer(hooks: &Webhooks) -> Checked {
    let answer = &hooks.answer;
    for text in hooks.answer.headers.values() {
        answer_names(hooks, text)?;
    }
    for ping in hooks.handshake.iter().filter_map(|handshake| match &handshake.reply {
        Reply::Ping(ping) => ping.status,
        _ => None,
    }) {
        if !(200..300).contains(&ping) {
            return mistake("ping:", "the `status` of a `ping` should be between 200 and 299");
        }
    }
    let statuses = answer.or.iter().filter_map(|other| other.status);
    if !statuses.chain([answer.status]).all(|status| (200..300).contains(&status)) {
        return mistake("status:", "`answer.status` should be between 200 and 299");
    }
    if let Some(other) = answer.or.iter().find(|it| it.json.is_some() && !it.body.is_empty()) {
        return mistake(other.body.as_str(), "`json` and `body` exclude each other");
    }
    if !(400..500).contains(&answer.refused) {
        return mistake("refused:", "`answer.refused` should be between 400 and 499");
    }
    if answer.overload != 429 && !(500..600).contains(&answer.overload) {
        return mistake("overload:", "`answer.overload` should be 429 or between 500 and 599");
    }
    Ok(())
}

/// The registration fits what it registers for.
fn registration(connector: &Connector, hooks: &Webhooks) -> Checked {
    let Some(register) = &connector.register else { return Ok(()) };
    if let Some(name) = register.secret.of_connection() {
        let secrets = secret_names(connector);
        if !secrets.iter().any(|secret| secret == name) {
            let known: Vec<_> = secrets.iter().map(String::as_str).collect();
            let what = format!("no way in asks for a secret `{name}`{}", expected(&known));
            return mistake("secret:", what);
        }
    }
    if matches!(register.secret, HookSecret::Answer(_) | HookSecret::Ours)
        && hooks.verify.secrets().is_empty()
    {
        return mistake("register:", "`register` gives a secret that `verify` does not use");
    }
    match &register.each {
        Each::Topic if hooks.topics.is_empty() => {
            mistake("register:", "`each: topic` needs `topics`")
        }
        Each::Parent(stream) => known_stream(connector, ["register"], stream),
        Each::Topic | Each::Inbox => Ok(()),
    }
}

/// What another stream needs on the way is read page by page, once.
fn read_by_itself(connector: &Connector, id: &str) -> Checked {
    match connector.streams.get(id) {
        Some(stream) if !matches!(stream.source, Source::Pages(_)) => mistake(
            id,
            format!(
                "`{id}` is read by `job` or `journal`, and what is needed for each run is read \
                 page by page"
            ),
        ),
        Some(stream) if stream.parent.is_some() => {
            mistake(id, format!("`{id}` has a parent itself"))
        }
        _ => Ok(()),
    }
}

/// Streams, ways and inputs that are named elsewhere.
fn references(connector: &Connector) -> Checked {
    let ways: Vec<_> = connector.auth.iter().map(|way| way.id.as_str()).collect();
    let known_ways = |near: [&str; 2], named: &[String]| match named
        .iter()
        .find(|way| !ways.contains(&way.as_str()))
    {
        None => Ok(()),
        Some(way) => {
            mistake(way.as_str(), format!("there is no way in `{way}`{}", expected(&ways)))
                .map_err(|mistake| mistake.under(near))
        }
    };
    for (id, stream) in &connector.streams {
        let under = ["streams", id.as_str()];
        known_ways(under, &stream.ways)?;
        if let Some(parent) = &stream.parent {
            known_stream(connector, under, &parent.stream)?;
            if connector.streams.get(&parent.stream).is_some_and(|it| it.parent.is_some()) {
                let what = format!("the parent `{}` has a parent itself", parent.stream);
                return mistake(parent.stream.as_str(), what)
                    .map_err(|mistake| mistake.under(["streams", id, "parent"]));
            }
        }
        if let Deletions::Stream(gone) = &stream.deletions {
            known_stream(connector, under, gone)?;
            read_by_itself(connector, gone).map_err(|mistake| mistake.under(under))?;
        }
        if let Some(parent) = &stream.parent {
            let on_the_way = read_by_itself(connector, &parent.stream);
            on_the_way.map_err(|mistake| mistake.under(under))?;
            if !matches!(stream.source, Source::Pages(_)) {
                return mistake(
                    "parent",
                    "what has a `parent` is read page by page, not by `job` or `journal`",
                )
                .map_err(|mistake| mistake.under(under));
            }
        }
    }
    for (id, action) in &connector.actions {
        let under = ["actions", id.as_str()];
        known_ways(under, &action.ways)?;
        if let Some(stream) = &action.stream {
            known_stream(connector, under, stream)?;
        }
        action_inputs(action).map_err(|mistake| mistake.under(under))?;
    }
    for source in &connector.reconcile.0 {
        let streams = match &source.by {
            ReconcileBy::EventLog(log) => vec![&log.stream],
            ReconcileBy::Updated(streams)
            | ReconcileBy::Version(streams)
            | ReconcileBy::FullSweep(streams) => streams.iter().collect(),
            ReconcileBy::DeliveryLog(_) | ReconcileBy::ReplayStream(_) => Vec::new(),
        };
        streams.iter().try_for_each(|stream| known_stream(connector, ["reconcile"], stream))?;
    }
    Ok(())
}

fn known_stream<const N: usize>(connector: &Connector, under: [&str; N], stream: &str) -> Checked {
    if connector.streams.contains_key(stream) {
        return Ok(());
    }
    let known: Vec<_> = connector.streams.keys().map(String::as_str).collect();
    mistake(stream, format!("there is no stream `{stream}`{}", expected(&known)))
        .map_err(|mistake| mistake.under(under))
}

fn action_inputs(action: &Action) -> Checked {
    let Does::Call(ask) = &action.does else { return Ok(()) };
    let ask = &**ask;
    for name in ask.texts().into_iter().flat_map(Template::names) {
        let Some(input) = name.strip_prefix("input.") else { continue };
        let input = input.split('.').next().unwrap_or(input);
        if !action.input.contains_key(input) {
            let known: Vec<_> = action.input.keys().map(String::as_str).collect();
            let what = format!("unknown input `{input}`{}", expected(&known));
            return mistake(format!("input.{input}"), what);
        }
    }
    match (action.idempotency.as_ref().map(|it| &it.by), ask) {
        (Some(IdempotencyBy::Directive(name)), Ask::Graphql(graphql))
            if !graphql.text.contains(&format!("@{name}")) =>
        {
            mistake("directive", format!("the document has no `@{name}`"))
        }
        (Some(IdempotencyBy::Directive(_) | IdempotencyBy::Variable(_)), Ask::Rest(_)) => {
            mistake("idempotency", "`directive` and `variable` are for `graphql`")
        }
        _ => Ok(()),
    }
}

/// The headers of an answer speak of the settings of the inbox, and of nothing else.
fn answer_names(hooks: &Webhooks, text: &Template) -> Checked {
    let known = |name: &str| {
        name.strip_prefix("settings.").is_some_and(|name| hooks.settings.contains_key(name))
    };
    match text.names().into_iter().find(|name| !known(name)) {
        Some(name) => mistake(
            text.text(),
            format!("unknown name `{name}`, expected `settings.` and a setting of `webhooks`"),
        ),
        None => Ok(()),
    }
}

/// Programs outside count on these two names.
fn proof_names(rule: &Rule) -> Checked {
    let (what, name) = match rule {
        rule if rule.has_public_key() => ("key that signatures are checked with", PUBLIC_KEY),
        _ => ("signing secret", SIGNING_SECRET),
    };
    match rule.secrets().into_iter().find(|secret| *secret != name) {
        Some(other) => mistake(other, format!("a {what} is called `{name}`, not `{other}`")),
        None => Ok(()),
    }
}

fn about(connector: &Connector, hooks: &Webhooks) -> Checked {
    for (event_type, about) in hooks.about.iter() {
        let Some(stream) = connector.streams.get(&about.stream) else {
            let known: Vec<_> = connector.streams.keys().map(String::as_str).collect();
            let what = format!(
                "`about` of `{event_type}` names the stream `{}`{}",
                about.stream,
                expected(&known)
            );
            return mistake(about.stream.as_str(), what)
                .map_err(|mistake| mistake.under(["webhooks", "about", event_type]));
        };
        if stream.key.len() != about.key.len() {
            return mistake(
                "key",
                format!(
                    "`about` of `{event_type}` needs as many keys as the stream `{}`, which has {}",
                    about.stream,
                    stream.key.len()
                ),
            )
            .map_err(|mistake| mistake.under(["webhooks", "about", event_type]));
        }
    }
    Ok(())
}

/// A key that stands in the connector can be read: no user could put it right.
fn default_key(rule: &Rule) -> Checked {
    match crate::signature::unreadable_default(rule) {
        Some(default) => mistake(
            default,
            "this `default` is no key of this kind: PEM, or a key in hex or base64, or a JWK",
        )
        .map_err(|mistake| mistake.under(["webhooks", "verify"])),
        None => Ok(()),
    }
}

/// A type of event that differs from a topic by a letter or two, where that topic has nothing, is a
/// topic that was mistyped. Others may be: not every sender calls its events as its topics.
fn mistyped_topics(hooks: &Webhooks) -> Checked {
    let about: Vec<_> = hooks.about.iter().map(|(name, _)| name).collect();
    let title: Vec<_> = hooks.title.iter().map(|(name, _)| name).collect();
    for (word, types) in [("about", about), ("title", title)] {
        for event_type in &types {
            if hooks.topics.iter().any(|topic| topic == event_type) {
                continue;
            }
            let meant = hooks
                .topics
                .iter()
                .find(|topic| !types.contains(&topic.as_str()) && is_near(topic, event_type));
            if let Some(meant) = meant {
                let what =
                    format!("`{event_type}` of `{word}` is none of `topics`: is `{meant}` meant?");
                return mistake(*event_type, what)
                    .map_err(|mistake| mistake.under(["webhooks", word]));
            }
        }
    }
    Ok(())
}

/// Whether two words differ by one letter: one more, one less, another one, or two that changed
/// places.
fn is_near(a: &str, b: &str) -> bool {
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    if a.len() < 4 || a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let before = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[before..], &b[before..]);
    let after = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - after.min(a.len())], &b[..b.len() - after.min(b.len())]);
    match (a, b) {
        ([], [_]) | ([_], [] | [_]) => true,
        ([a1, a2], [b1, b2]) => a1 == b2 && a2 == b1,
        _ => false,
    }
}
