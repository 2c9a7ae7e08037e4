//! Planted secrets, and where they are found afterwards.
//!
//! Accounts of every kind are connected with secrets that nobody else has. Everything is then done
//! with them that a user, a program, a provider and a stranger can do, failures above all: providers
//! that say again what they were sent, senders whose requests carry keys, commands and copies. At
//! the end each secret may have been in requests to its own host, in the vault, and nowhere else;
//! and the ledger has counted those requests.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::api::Api;
use crate::home::{Home, Serve};
use crate::stand_in::{Answer, Asked, StandIn};

const CONNECTOR: &str = r#"
format: 1
id: canary
name: Canary
status: documented
settings: { shop: { title: Address, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' } }
base_url: '{{ settings.shop }}'
auth:
  - header_token: { header: x-shop-key }
  - query_token: { param: access_token }
  - fields: { user: { title: User }, password: { title: Password, secret: true } }
    basic: { user: '{{ settings.user }}', pass: '{{ secrets.password }}' }
  - oauth_code:
      authorize_url: '{{ settings.shop }}/authorize'
      token_url: '{{ settings.shop }}/token'
      secret: required
      pkce: beside_secret
      refresh: rotating
      revoke: '{{ settings.shop }}/revoke'
  - client_credentials: { token_url: '{{ settings.shop }}/token', client: basic }
  - url_secret: { pattern: 'http://127[.]0[.]0[.]1:[0-9]+/\w+' }
check: { get: /me, account: .name }
errors: { message: .message }
streams:
  orders: { get: /orders, records: .orders, key: .id, page: { next_url: .next } }
  away: { get: /away, records: .orders, key: .id, page: { next_url: .next } }
webhooks:
  verify:
    - { name: header, when: { header: x-way, is: header }, token_equal: { at: { header: x-hook-token } } }
    - { name: query, when: { header: x-way, is: query }, token_equal: { at: { query: hook } } }
    - { name: basic, when: { header: x-way, is: basic }, token_equal: { at: basic } }
"#;

/// What they all begin with.
const BEGIN: &str = "cnry";

/// Text that stands nowhere else.
fn canary(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    // What makes it another one stands where every way of writing it shows it.
    format!("{BEGIN}{number:02}{name}{:08x}", std::process::id().wrapping_mul(2_654_435_761))
}

/// What is planted, by what it is.
#[derive(Clone, Default)]
struct Planted(Arc<Mutex<BTreeMap<String, String>>>);

impl Planted {
    /// A new one.
    fn plant(&self, name: &str) -> String {
        let value = canary(name);
        self.note(name, &value);
        value
    }

    /// One that somebody else made.
    fn note(&self, name: &str, value: &str) {
        let mut all = self.0.lock().unwrap();
        let free = (0..).map(|n| format!("{name}#{n}")).find(|name| !all.contains_key(name));
        all.insert(free.unwrap(), value.to_owned());
    }

    /// Those that are in these bytes, however they are written.
    fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        if !forms(BEGIN).iter().any(|form| contains(bytes, form)) {
            return Vec::new();
        }
        let all = self.0.lock().unwrap();
        let is_in = |value: &str| forms(value).iter().any(|form| contains(bytes, form));
        all.iter().filter(|(_, value)| is_in(value)).map(|(name, _)| name.clone()).collect()
    }

    fn is_nowhere_in(&self, what: &str, bytes: &[u8]) {
        let found = self.found_in(bytes);
        assert!(found.is_empty(), "{what} holds {found:?}: {}", around(self, bytes));
    }
}

/// The surroundings of what was found, for whoever reads the failure.
fn around(planted: &Planted, bytes: &[u8]) -> String {
    let all = planted.0.lock().unwrap();
    let forms = all.values().flat_map(|value| forms(value));
    let at = forms.filter_map(|form| bytes.windows(form.len()).position(|it| it == form)).min();
    let at = at.unwrap_or_default();
    let end = bytes.len().min(at + 200);
    String::from_utf8_lossy(&bytes[at.saturating_sub(200)..end]).into_owned()
}

/// How a value can be written: as it is, in hexadecimal, in base64 wherever it begins.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![value.as_bytes().to_vec(), hex_of(value).into_bytes()];
    for shift in 0..3 {
        let bytes = [&vec![0; shift][..], value.as_bytes()].concat();
        let (from, to) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
        for alphabet in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
            forms.push(alphabet.encode(&bytes).as_bytes()[from..to].to_vec());
        }
    }
    forms
}

fn hex_of(value: &str) -> String {
    value.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    // The first byte alone is looked for fast.
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == what[0]) {
        if rest[at..].starts_with(what) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Says again all that it was sent.
fn echo(status: u16, asked: &Asked) -> Answer {
    let said = format!("no good: {}", String::from_utf8_lossy(&asked.raw));
    let plain = said.replace(|it: char| it.is_control(), " ");
    Answer::json(status, &json!({ "message": plain, "error": "invalid_grant", "raw": said }))
        .with("x-echo", plain.clone())
        .with("set-cookie", format!("last={plain}"))
}

/// A provider with one account. It refuses and tells everything while `loud`.
struct Provider {
    server: StandIn,
    loud: Arc<AtomicBool>,
}

impl Provider {
    async fn start(planted: &Planted, elsewhere: &str) -> Self {
        let loud = Arc::new(AtomicBool::new(false));
        let (refuses, planted, elsewhere) = (loud.clone(), planted.clone(), elsewhere.to_owned());
        let server = StandIn::start(move |asked| {
            if refuses.load(Ordering::SeqCst) {
                return echo(if asked.path == "/me" { 401 } else { 400 }, asked);
            }
            match asked.path.as_str() {
                "/token" => Answer::json(
                    200,
                    &json!({
                        "access_token": planted.plant("access"),
                        "refresh_token": planted.plant("refresh"),
                        "expires_in": 3600,
                    }),
                ),
                "/me" => Answer::json(200, &json!({ "name": "Acme" })),
                "/orders" if asked.query.contains("page=2") => {
                    Answer::json(200, &json!({ "orders": [{ "id": 2 }] }))
                }
                "/orders" => {
                    Answer::json(200, &json!({ "orders": [{ "id": 1 }], "next": "/orders?page=2" }))
                }
                // The next page, and where the browser goes, are at somebody else's.
                "/away" => Answer::json(
                    200,
                    &json!({ "orders": [{ "id": 1 }], "next": format!("{elsewhere}/orders") }),
                ),
                _ => Answer::json(404, &json!({ "message": "nothing here" })),
            }
        })
        .await;
        Self { server, loud }
    }
}

/// Everything that is under test, and all that it said.
struct Bench {
    home: Home,
    serve: Serve,
    api: Api,
    planted: Planted,
    /// Somebody that nobody has an account at.
    stranger: StandIn,
    /// A connection, its way in, and its provider.
    connections: Vec<(String, &'static str, Provider)>,
    said: Vec<(String, Vec<u8>)>,
}

impl Bench {
    async fn start() -> Self {
        let home = Home::new();
        assert_eq!(home.patchbay(&["vault", "init"]).status.code(), Some(0));
        let folder = home.data().join("connectors/canary");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("connector.yaml"), CONNECTOR).unwrap();
        let serve = serve(&home);
        let api = Api::of(&home);
        let stranger = StandIn::start(|_| Answer::json(200, &json!({ "orders": [] }))).await;
        let planted = Planted::default();
        Self { home, serve, api, planted, stranger, connections: Vec::new(), said: Vec::new() }
    }

    /// A connection of this way in, with planted secrets of these names.
    async fn connect(&mut self, way: &'static str, secrets: &[&str]) {
        let provider = Provider::start(&self.planted, &self.stranger.url).await;
        let secrets: BTreeMap<_, _> = secrets
            .iter()
            .map(|name| {
                let value = self.planted.plant(name);
                let is_address = *name == "url";
                let address = format!("{}/{value}", provider.server.url);
                (*name, if is_address { address } else { value })
            })
            .collect();
        let mut settings = json!({ "shop": provider.server.url });
        match way {
            "oauth_code" | "client_credentials" => settings["client_id"] = json!("mine"),
            "basic" => settings["user"] = json!("me"),
            _ => {}
        }
        let request = json!({
            "connector": "canary", "name": way, "way": way, "settings": settings,
            "secrets": secrets,
        });
        let id = self.api.make("/api/connections", request).await;
        if way == "oauth_code" {
            let page = self.api.authorize(&id).await;
            let code = self.planted.plant("code");
            let shown = self.api.come_back(&page, &[("code", &code)]).await;
            assert!(shown.contains("Signed in"), "{shown}");
            self.said.push(("the page of the callback".into(), shown.into_bytes()));
        }
        self.connections.push((id, way, provider));
    }

    /// Checks and syncs, while the provider is fair, and while it is not.
    async fn drive_connections(&mut self) {
        let mut said = Vec::new();
        for (id, way, provider) in &self.connections {
            let connection = self.api.connection(id).await;
            if *way != "url_secret" {
                assert_eq!(connection["state"], "ready", "{way}: {connection}");
            }
            for stream in ["orders", "away"] {
                let sync = json!({ "connection": id, "stream": stream, "schedule": null });
                let sync = self.api.make("/api/syncs", sync).await;
                // It runs at once.
                let path = format!("/api/syncs/{sync}");
                let ended = |sync: &Value| {
                    let run = &sync["runs"][0];
                    run.is_object() && run["state"] != "running"
                };
                self.api.until(&path, ended).await;
            }
            self.api.check(id).await;
            said.push(self.try_stream(&["--connection", id], ""));
            provider.loud.store(true, Ordering::SeqCst);
            said.push(self.try_stream(&["--connection", id], ""));
            self.api.check(id).await;
            let syncs = self.api.get("/api/syncs").await;
            for sync in syncs["syncs"].as_array().unwrap() {
                if sync["connection"] == json!(id) {
                    let run = format!("/api/syncs/{}/run", sync["id"].as_str().unwrap());
                    let (_, run) = self.api.post(&run, json!({ "full": true })).await;
                    let path = format!("/api/sync-runs/{}", run["id"].as_str().unwrap());
                    self.api.until(&path, |run| run["state"] != "running").await;
                }
            }
            for what in ["exchanges", "ledger"] {
                self.api.get(&format!("/api/connections/{id}/{what}")).await;
            }
        }
        self.said.extend(said);
    }

    /// Tries a connector without a connection, whose secrets come by standard input.
    async fn drive_tries(&mut self) {
        let provider = Provider::start(&self.planted, &self.stranger.url).await;
        let shop = format!("shop={}", provider.server.url);
        let password = self.planted.plant("typed");
        for is_loud in [false, true] {
            provider.loud.store(is_loud, Ordering::SeqCst);
            let way = ["--way", "basic", "--setting", &shop, "--setting", "user=me"];
            let args = [&way[..], &["--secret", "password=-"]].concat();
            let (what, shown) = self.try_stream(&args, &password);
            let told = String::from_utf8_lossy(&shown);
            assert!(is_loud || told.contains("/orders"), "{told}");
            self.said.push((what, shown));
        }
        assert!(!provider.server.seen().is_empty());
    }

    /// What `patchbay connectors try` says.
    fn try_stream(&self, more: &[&str], input: &str) -> (String, Vec<u8>) {
        let folder = self.home.data().join("connectors/canary").display().to_string();
        let args = [&["connectors", "try", &folder, "--stream", "orders"], more].concat();
        let mut command = self.home.command(&args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let out = child.wait_with_output().unwrap();
        let shown = [out.stdout, out.stderr].concat();
        (format!("{args:?}"), shown)
    }

    /// What programs send that is no good.
    async fn drive_mistakes(&self) {
        let (id, ..) = &self.connections[0];
        let path = format!("/api/connections/{id}");
        for wrong in [
            json!({ "connector": "canary", "name": "x", "secrets": self.planted.plant("shape") }),
            json!({ "connector": "canary", "name": "x", "secrets": [self.planted.plant("list")] }),
            json!({ "connector": "canary", "name": "x", "secrets": { "token": { "is": self.planted.plant("deep") } } }),
            json!({ "connector": "canary", "name": "x", "settings": { "shop": self.planted.plant("place"), "token": self.planted.plant("setting") } }),
            json!({ "connector": "canary", "name": "x", "settings": { "shop": "http://127.0.0.1:1" }, "secrets": { "token": format!("{}\u{7}", self.planted.plant("control")) } }),
            json!({ "connector": "canary", "name": "x", "way": "basic", "settings": { "shop": "http://127.0.0.1:1" }, "secrets": { "other": self.planted.plant("other") } }),
        ] {
            let (status, answer) = self.api.post("/api/connections", wrong).await;
            assert!((400..500).contains(&status), "{status} {answer}");
        }
        let wrong = json!({ "secrets": { "token": [7, self.planted.plant("mixed")] } });
        let (status, answer) = self.api.call(Method::PATCH, &path, Some(&wrong)).await;
        assert!((400..500).contains(&status), "{status} {answer}");
        let landed =
            format!("http://127.0.0.1:1/oauth/callback?code={}", self.planted.plant("lost"));
        let complete = format!("{path}/authorize/complete");
        let (status, answer) = self.api.post(&complete, json!({ "redirect_url": landed })).await;
        assert!((400..500).contains(&status), "{status} {answer}");
    }

    /// Senders, right ones and others, whose requests carry secrets.
    async fn drive_inboxes(&self) {
        let signing = self.planted.plant("signingofawholeshop");
        let signing = format!("whsec_{}", base64::prelude::BASE64_STANDARD.encode(&signing));
        self.planted.note("signing whole", &signing);
        let signed = json!({
            "name": "Signed", "connector": "standard-webhooks",
            "secrets": { "signing_secret": signing },
        });
        let signed = self.inbox(signed).await;
        let hook = self.planted.plant("hook");
        let tokens = json!({
            "name": "Tokens", "connector": "canary", "secrets": { "signing_secret": hook },
        });
        let tokens = self.inbox(tokens).await;
        let any = self.inbox(json!({ "name": "Any", "connector": "any" })).await;

        let http = reqwest::Client::new();
        let now = jiff::Timestamp::now().as_second();
        let signature = standardwebhooks::Webhook::new(&signing).unwrap();
        let signature = signature.sign("msg_1", now, b"{}").unwrap();
        for signature in [signature.as_str(), "v1,AAAA"] {
            let request = self.with_secrets(http.post(&signed)).header("webhook-id", "msg_1");
            let request = request.header("webhook-timestamp", now).body("{}");
            request.header("webhook-signature", signature).send().await.unwrap();
        }
        for hook in [hook, self.planted.plant("wronghook")] {
            let request = |way: &str| http.post(&tokens).header("x-way", way).body("{}");
            request("header").header("x-hook-token", &hook).send().await.unwrap();
            request("query").query(&[("hook", &hook)]).send().await.unwrap();
            request("basic").basic_auth("me", Some(&hook)).send().await.unwrap();
        }
        self.with_secrets(http.post(&any).body("{}")).send().await.unwrap();
        let ingress = self.home.serving()["ingress_url"].as_str().unwrap().to_owned();
        for path in ["/in/nobody", "/oauth/callback", "/other"] {
            self.with_secrets(http.get(format!("{ingress}{path}"))).send().await.unwrap();
        }
    }

    /// An inbox; the address that receives.
    async fn inbox(&self, request: Value) -> String {
        let id = self.api.make("/api/inboxes", request).await;
        let inbox = self.api.get(&format!("/api/inboxes/{id}")).await;
        inbox["local_url"].as_str().unwrap().to_owned()
    }

    /// Secrets of a sender, which are none of ours.
    fn with_secrets(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request
            .bearer_auth(self.planted.plant("bearer"))
            .header("cookie", format!("session={}", self.planted.plant("cookie")))
            .header("x-api-key", self.planted.plant("key"))
            .query(&[("token", self.planted.plant("query"))])
            .query(&[("code", self.planted.plant("oauth")), ("state", "x".into())])
    }

    /// All that can be read.
    async fn read_all(&self) {
        for path in [
            "/api/health",
            "/api/openapi.json",
            "/api/status",
            "/api/settings",
            "/api/connectors",
            "/api/connectors/canary",
            "/api/connections",
            "/api/inboxes",
            "/api/events?limit=1000",
            "/api/events/count",
            "/api/syncs",
            "/api/sync-runs?limit=1000",
            "/api/records?limit=1000",
            "/api/refusals?limit=1000",
            "/api/tunnels",
        ] {
            self.api.get(path).await;
        }
        for (list, more) in [("events", &["", "/body", "/request"][..]), ("refusals", &[""][..])] {
            // A refusal is written without anybody waiting for it.
            let enough = |listed: &Value| listed[list].as_array().unwrap().len() > 3;
            let listed = self.api.until(&format!("/api/{list}?limit=1000"), enough).await;
            for item in listed[list].as_array().unwrap() {
                for more in more {
                    let path = format!("/api/{list}/{}{more}", item["id"].as_str().unwrap());
                    self.api.get(&path).await;
                }
            }
        }
    }

    /// All commands that show something.
    async fn run_commands(&mut self) {
        let events = self.api.get("/api/events").await;
        let event = events["events"][0]["id"].as_str().unwrap().to_owned();
        let sync = self.api.get("/api/syncs").await["syncs"][0]["id"].as_str().unwrap().to_owned();
        let folder = self.home.data().join("connectors/canary").display().to_string();
        let commands: [&[&str]; 13] = [
            &["connections"],
            &["inboxes"],
            &["events", "list"],
            &["events", "count"],
            &["events", "show", &event],
            &["events", "show", &event, "--request"],
            &["syncs"],
            &["syncs", "run", &sync, "--wait"],
            &["tunnels"],
            &["connectors", "list"],
            &["connectors", "check", &folder],
            &["doctor"],
            &["backup"],
        ];
        for args in commands {
            for json in [&[][..], &["--json"]] {
                let out = self.home.patchbay(&[args, json].concat());
                let shown = [out.stdout, out.stderr].concat();
                self.said.push((format!("{args:?}"), shown));
            }
        }
    }

    /// Each file of the data, whole.
    fn search_files(&self) {
        let mut folders = vec![self.home.0.path().to_owned()];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    // One that is there for a moment alone may be gone.
                    let bytes = std::fs::read(&path).unwrap_or_default();
                    self.planted.is_nowhere_in(&path.display().to_string(), &bytes);
                    files += 1;
                }
            }
        }
        assert!(files > 5);
    }

    fn search_process(&self) {
        for what in ["cmdline", "environ"] {
            let path = format!("/proc/{}/{what}", self.serve.child.id());
            if let Ok(bytes) = std::fs::read(&path) {
                self.planted.is_nowhere_in(&path, &bytes);
            }
        }
    }

    /// Each host has seen secrets of its own connection and no others, as often as the ledger says.
    async fn compare_ledgers(&self) {
        assert!(self.stranger.seen().is_empty(), "nobody was sent to a stranger");
        let mut seen_at: BTreeMap<String, &str> = BTreeMap::new();
        for (id, way, provider) in &self.connections {
            let ledger = self.api.get(&format!("/api/connections/{id}/ledger")).await;
            let mut noted = 0;
            for entry in ledger["ledger"].as_array().unwrap() {
                assert_eq!(entry["host"], provider.server.host(), "{way}");
                assert!(!entry["secrets"].as_array().unwrap().is_empty());
                noted += entry["times"].as_u64().unwrap();
            }
            let mut carried = 0;
            for asked in provider.server.seen() {
                let found = self.planted.found_in(&asked.raw);
                carried += u64::from(!found.is_empty());
                for name in found {
                    let earlier = seen_at.insert(name.clone(), way);
                    assert!(earlier.is_none_or(|other| other == *way), "{name}: {earlier:?}");
                }
            }
            assert_eq!(noted, carried, "{way}: {ledger}");
            assert!(carried > 3, "{way}: {carried}");
        }
    }
}

fn serve(home: &Home) -> Serve {
    let args = ["serve", "--api", "127.0.0.1:0", "--ingress", "127.0.0.1:0", "--log", "trace"];
    let log = std::fs::File::create(home.0.path().join("stderr")).unwrap();
    Serve::ready(home.command(&args).stdout(Stdio::piped()).stderr(log).spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_found_in_requests_to_its_own_host_and_nowhere_else() {
    let mut bench = Bench::start().await;
    bench.connect("header_token", &["token"]).await;
    bench.connect("query_token", &["token"]).await;
    bench.connect("basic", &["password"]).await;
    bench.connect("oauth_code", &["client_secret"]).await;
    bench.connect("client_credentials", &["client_secret"]).await;
    bench.connect("url_secret", &["url"]).await;

    bench.drive_connections().await;
    bench.drive_tries().await;
    bench.drive_mistakes().await;
    bench.drive_inboxes().await;
    bench.read_all().await;
    bench.run_commands().await;

    bench.compare_ledgers().await;
    bench.search_process();
    bench.search_files();
    for (id, ..) in &bench.connections {
        bench.api.call(Method::DELETE, &format!("/api/connections/{id}"), None).await;
    }
    bench.planted.is_nowhere_in("what the API answered", &bench.api.said());
    for (what, said) in &bench.said {
        bench.planted.is_nowhere_in(what, said);
    }
    assert_eq!(bench.serve.end(Signal::TERM), Some(0));
    bench.search_files();
}
