//! `docs/connectors.md`: what each connector can do, written from the connectors themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use domain::connector::{
    Algorithm, Connector, Hash, HookSecret, LookBack, ReconcileBy, ReconcileSource, Register,
    RegisterBy, Rule, Scheme, Status,
};
use serde_json::Value;

/// How many fixtures of a connector should come from outside.
const ENOUGH: usize = 3;

const HEAD: &str = "# What each connector can do

Written from the connectors by a test; `UPDATE_DOCS=1 cargo nextest run -p domain --test connectors`
writes it anew.

*Proved by* is how webhooks are verified, *told by* how the other side learns of an inbox's address,
*afterwards* what can be asked to find what did not arrive, and how far back. *Fixtures* are the
recorded requests and answers that each connector is tested with: those from outside (vectors,
examples in documentation, the output or the consent of a library of the provider's), and all. None
of these connectors has been used with a live account unless it says *tried*.

| connector | ways in | streams | actions | proved by | told by | afterwards | fixtures |
| --- | --- | --- | --- | --- | --- | --- | --- |
";

/// The whole document.
pub(crate) fn document(shipped: &[(std::path::PathBuf, Connector)]) -> String {
    let mut text = HEAD.to_owned();
    let mut details = String::new();
    let mut few = BTreeMap::new();
    let mut sorted: Vec<_> = shipped.iter().collect();
    sorted.sort_by_key(|(_, connector)| &connector.id);
    for (folder, connector) in sorted {
        let sources = sources(folder);
        let outside = sources.iter().filter(|source| is_outside(source)).count();
        if outside < ENOUGH {
            few.insert(connector.id.as_str(), outside);
        }
        text.push_str(&row(connector, outside, sources.len()));
        details.push_str(&detail(connector));
    }
    text.push_str("\n## Without an outside source\n\n");
    let named = |wanted: &dyn Fn(usize) -> bool| {
        let names: Vec<_> = few
            .iter()
            .filter(|(_, count)| wanted(**count))
            .map(|(id, _)| format!("`{id}`"))
            .collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    text.push_str(&format!(
        "No fixture from outside: {}. Fewer than {ENOUGH}: {}.\n",
        named(&|count| count == 0),
        named(&|count| count > 0),
    ));
    text.push_str("\n## One by one\n");
    text.push_str(&details);
    text
}

fn row(connector: &Connector, outside: usize, all: usize) -> String {
    let status = match connector.status {
        Status::Documented => "",
        Status::Tried => " (tried)",
        Status::Sandbox => " (built in)",
    };
    let ways: Vec<_> = connector.auth.iter().map(|way| way.kind.name()).collect();
    let proofs = connector.webhooks.as_ref().map_or_else(String::new, |hooks| {
        let mut proofs: Vec<_> = hooks.verify.schemes.iter().map(proof).collect();
        proofs.dedup();
        proofs.join(", ")
    });
    let cells = [
        format!("[{}](#{}){status}", connector.id, connector.id),
        unique(ways).join(", "),
        connector.streams.len().to_string(),
        connector.actions.len().to_string(),
        match (&connector.socket, proofs.is_empty()) {
            (None, _) => proofs,
            (Some(_), true) => "a socket of ours".into(),
            (Some(_), false) => format!("{proofs}, or a socket of ours"),
        },
        connector.register.as_ref().map_or("", told).into(),
        connector.reconcile.0.iter().map(afterwards).collect::<Vec<_>>().join("; "),
        format!("{outside} of {all}"),
    ];
    let cells = cells.map(|cell| if cell.is_empty() || cell == "0" { "–".into() } else { cell });
    format!("| {} |\n", cells.join(" | "))
}

fn detail(connector: &Connector) -> String {
    let mut text = format!("\n### {}\n\n**{}**", connector.id, connector.name);
    if let Some(about) = &connector.about {
        text.push_str(&format!(": {about}"));
    }
    text.push('\n');
    let ways = connector.auth.iter().map(|way| match (&way.who, way.minutes) {
        (Some(who), Some(minutes)) => format!("{} ({who}, {minutes} min)", way.title),
        (Some(who), None) => format!("{} ({who})", way.title),
        (None, Some(minutes)) => format!("{} ({minutes} min)", way.title),
        (None, None) => way.title.clone(),
    });
    let streams = connector.streams.iter().map(|(id, stream)| match &stream.since {
        Some(_) => format!("`{id}` (what changed)"),
        None => format!("`{id}`"),
    });
    let actions = connector.actions.keys().map(|id| format!("`{id}`"));
    let topics = connector.webhooks.iter().flat_map(|hooks| &hooks.topics);
    let lists = [
        ("Ways in", ways.collect::<Vec<_>>()),
        ("Streams", streams.collect()),
        ("Actions", actions.collect()),
        ("Topics", topics.map(|topic| format!("`{topic}`")).collect()),
        ("Secret of webhooks", connector.register.iter().map(secret).map(String::from).collect()),
    ];
    let lines = lists.iter().filter(|(_, items)| !items.is_empty());
    let lines: String =
        lines.map(|(name, items)| format!("- {name}: {}\n", items.join(", "))).collect();
    if !lines.is_empty() {
        text.push_str(&format!("\n{lines}"));
    }
    text
}

fn proof(scheme: &Scheme) -> String {
    match &scheme.rule {
        Rule::None => "nothing".into(),
        Rule::StandardWebhooks => "Standard Webhooks".into(),
        Rule::Hmac(rule) => format!("HMAC-{}", digest(rule.hash)),
        Rule::HashConcat(rule) => format!("{} over the secret", digest(rule.hash)),
        Rule::PublicKey(algorithm, _) => signature(*algorithm).into(),
        Rule::TokenEqual(_) => "a token".into(),
        Rule::Refetch(_) => "asking again".into(),
        Rule::Own => "a rule of the user's own".into(),
        rule => rule.name().replace('_', " "),
    }
}

const fn signature(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Ed25519 => "Ed25519",
        Algorithm::RsaPkcs1Sha1 => "RSA-SHA1",
        Algorithm::RsaPkcs1Sha256 => "RSA-SHA256",
        Algorithm::RsaPssSha256 => "RSA-PSS-SHA256",
        Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP256Sha256Raw => "ECDSA-SHA256",
    }
}

fn digest(hash: Hash) -> String {
    format!("{hash:?}").to_uppercase()
}

const fn told(register: &Register) -> &'static str {
    match &register.by {
        RegisterBy::Entries(_) => "calls",
        RegisterBy::Single(_) => "the address of an app",
        RegisterBy::Resource(_) => "a thing of the account",
        RegisterBy::Manual(_) => "the user",
    }
}

const fn secret(register: &Register) -> &'static str {
    match &register.secret {
        HookSecret::Answer(_) => "in the answer",
        HookSecret::Get(_) => "asked for",
        HookSecret::Ours | HookSecret::OursAs(_) => "made here",
        HookSecret::App => "that of the app",
        HookSecret::Connection(_) => "one of the connection",
        HookSecret::User => "copied by the user",
        HookSecret::None => "none",
    }
}

fn afterwards(source: &ReconcileSource) -> String {
    let by = match &source.by {
        ReconcileBy::EventLog(_) => "events",
        ReconcileBy::DeliveryLog(_) => "deliveries",
        ReconcileBy::ReplayStream(_) => "replay",
        ReconcileBy::Updated(_) => "what changed",
        ReconcileBy::Version(_) => "versions",
        ReconcileBy::FullSweep(_) => "all records",
    };
    match source.look_back {
        LookBack::For(span) => format!("{by}, {span}"),
        LookBack::Unlimited => by.into(),
    }
}

fn unique(items: Vec<&'static str>) -> Vec<&'static str> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

/// The sources of a connector's fixtures; empty where none is written down.
fn sources(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder.join("fixtures")).into_iter().flatten().flatten();
    let source = |file: fs::DirEntry| {
        let text = fs::read_to_string(file.path()).ok()?;
        let fixture: Value = serde_json::from_str(&text).ok()?;
        let source = fixture.as_object()?.values().next()?["source"].as_str();
        Some(source.unwrap_or_default().to_owned())
    };
    files.filter_map(source).collect()
}

/// Whether somebody else wrote it, or a program of somebody else takes it. What we wrote after a
/// description begins with `made`.
fn is_outside(source: &str) -> bool {
    let judged = ["npm", "package", "librar", "SDK"].iter().any(|word| source.contains(word));
    !source.is_empty() && (judged || !source.starts_with("made"))
}
