//! What can be connected, and what is needed for it.

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::connector::{self, HookSecret};
use engine::Engine;
use engine::connector::Listed;
use engine::sign_in::{CALLBACK, CUSTOM_CALLBACK};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Json, Path};

/// A connector as a tile shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ConnectorSummary {
    id: String,
    name: String,
    status: ConnectorStatus,
    /// Whether it lies in the user's own folder.
    own: bool,
    /// `data:image/svg+xml;base64,…`
    icon: String,
    /// What it is, in a sentence.
    about: String,
    family: Family,
    has_webhooks: bool,
    /// Whether something can be read from it.
    has_api: bool,
    /// Whether it has a way in, and so can be connected.
    connects: bool,
    /// Whether the user has marked it as working with an account of their own.
    tried_here: bool,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<Broken>,
}

/// What a connector is for.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Family {
    Shop,
    Payments,
    Shipping,
    Customers,
    Support,
    Messages,
    Mail,
    Forms,
    Code,
    General,
}

/// How far a connector has been proved.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConnectorStatus {
    /// Written from the provider's documentation.
    Documented,
    /// Somebody has used it with a live account.
    Tried,
    /// The pretend shop inside Patchbay.
    Sandbox,
}

/// Where a connector's file cannot be read.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Broken {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    message: String,
}

/// A connector with what is needed to connect it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Connector {
    #[serde(flatten)]
    summary: ConnectorSummary,
    /// The provider's documentation.
    #[serde(skip_serializing_if = "Option::is_none")]
    docs: Option<String>,
    settings: Vec<Field>,
    /// The ways in, easiest first.
    auth: Vec<Way>,
    streams: Vec<Stream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<Webhooks>,
    /// How they come over a connection that Patchbay opens, where they can.
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<SocketOffer>,
}

/// A field of a form.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) example: Option<String>,
    /// A regular expression that a value has to match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pattern: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
    pub(crate) secret: bool,
    pub(crate) required: bool,
    /// Whether it is shown only to those who look for more: its default is right for most.
    pub(crate) advanced: bool,
    /// Whether its value has several lines, as a private key has.
    pub(crate) long: bool,
    /// The values that it may have; any where there are none.
    pub(crate) choices: Vec<Choice>,
}

/// A value that a field may have.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) title: String,
}

/// A way in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Way {
    id: String,
    title: String,
    /// `oauth_code`, `header_token`, `none`, …
    kind: String,
    /// Who can use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<String>,
    /// How long it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<u32>,
    /// What must be there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<String>,
    /// What it cannot do.
    #[serde(skip_serializing_if = "Option::is_none")]
    cannot: Option<String>,
    /// What to do over there, as Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<String>,
    scopes: Vec<String>,
    fields: Vec<Field>,
    /// Whether a browser is needed.
    browser: bool,
    /// What its user has to do at the provider that is waited for; nothing where what is filled in
    /// is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_in: Option<SignInKind>,
    /// Where the browser may come back. The first that works on this machine is taken.
    redirects: Vec<Redirect>,
    /// Whether a sign-in is taken back at the provider when its connection is deleted.
    revokes: bool,
    /// Whether test and live accounts can be told apart.
    test_or_live: bool,
}

/// What a user does at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignInKind {
    /// They allow access on a page, which sends the browser back.
    Browser,
    /// They type a short code into a page.
    Device,
    /// They allow access on a page, and keys are sent to a public address.
    HandOver,
}

/// An address that a browser may come back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Redirect {
    kind: RedirectKind,
    /// What the app at the provider is told: an address, or the shape of one, with `PORT` where
    /// any port is good and `HOST` for the address of a tunnel.
    url: String,
}

/// Where a browser may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RedirectKind {
    /// To this computer.
    Loopback,
    /// To a public https address that stays.
    Https,
    /// To the window, by an address of the application's own kind.
    Custom,
}

/// A collection that can be synced.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Stream {
    id: String,
    title: String,
    /// The ways in that can read it; all where there are none.
    ways: Vec<String>,
}

/// How its events come over a connection that Patchbay opens.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SocketOffer {
    /// The ways in that can open it.
    ways: Vec<String>,
    /// The secret that these have to have for it, one of their fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// What its senders are like.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Webhooks {
    secrets: Vec<Field>,
    settings: Vec<Field>,
    /// The types that it can send.
    topics: Vec<String>,
    /// Whether Patchbay can tell the provider of an inbox by itself.
    registers: bool,
    /// The ways in that can do so; all where there are none.
    register_ways: Vec<String>,
    /// What the user does where it cannot, as Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<String>,
    /// Where the signing secret of an inbox with a connection comes from.
    secret_from: SecretFrom,
    /// Whether what it sends is signed.
    signed: bool,
    /// When it stops to try, as it documents that.
    #[serde(skip_serializing_if = "Option::is_none")]
    gives_up: Option<GivesUp>,
}

/// When a sender stops to try.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct GivesUp {
    /// After how many tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<u32>,
    /// Over how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    over_s: Option<u64>,
    /// What happens then.
    #[serde(skip_serializing_if = "Option::is_none")]
    then: Option<String>,
}

impl From<&connector::GivesUp> for GivesUp {
    fn from(known: &connector::GivesUp) -> Self {
        let connector::GivesUp { tries, over, then } = known;
        let over_s = over.map(|over| over.get().unsigned_abs().as_secs());
        Self { tries: *tries, over_s, then: then.clone() }
    }
}

/// Where the signing secret of an inbox comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecretFrom {
    /// Its user copies it from the provider's pages.
    User,
    /// Its connection has it.
    Connection,
    /// It is agreed upon while the provider is told of the inbox.
    Registration,
}

impl SecretFrom {
    const fn of(register: Option<&connector::Register>) -> Self {
        let Some(register) = register else { return Self::User };
        match &register.secret {
            HookSecret::App | HookSecret::Connection(_) => Self::Connection,
            HookSecret::Answer(_)
            | HookSecret::Get(_)
            | HookSecret::Ours
            | HookSecret::OursAs(_) => Self::Registration,
            HookSecret::User | HookSecret::None => Self::User,
        }
    }
}

impl From<connector::Family> for Family {
    fn from(family: connector::Family) -> Self {
        match family {
            connector::Family::Shop => Self::Shop,
            connector::Family::Payments => Self::Payments,
            connector::Family::Shipping => Self::Shipping,
            connector::Family::Customers => Self::Customers,
            connector::Family::Support => Self::Support,
            connector::Family::Messages => Self::Messages,
            connector::Family::Mail => Self::Mail,
            connector::Family::Forms => Self::Forms,
            connector::Family::Code => Self::Code,
            connector::Family::General => Self::General,
        }
    }
}

impl From<connector::Status> for ConnectorStatus {
    fn from(status: connector::Status) -> Self {
        match status {
            connector::Status::Documented => Self::Documented,
            connector::Status::Tried => Self::Tried,
            connector::Status::Sandbox => Self::Sandbox,
        }
    }
}

impl From<&Listed> for ConnectorSummary {
    fn from(found: &Listed) -> Self {
        let connector = found.connector.as_ref().ok();
        let broken = found.connector.as_ref().err().map(|broken| Broken {
            file: broken.file.clone(),
            line: broken.line,
            message: broken.message.clone(),
        });
        Self {
            id: found.id.clone(),
            name: connector.map_or_else(|| found.id.clone(), |it| it.name.clone()),
            status: connector.map_or(ConnectorStatus::Documented, |it| it.status.into()),
            own: found.own,
            icon: format!("data:image/svg+xml;base64,{}", STANDARD.encode(found.icon.as_bytes())),
            about: connector.and_then(|it| it.about.clone()).unwrap_or_default(),
            family: connector.map_or(connector::Family::General, |it| it.family).into(),
            has_webhooks: connector.is_some_and(|it| it.webhooks.is_some()),
            has_api: connector.is_some_and(|it| !it.streams.is_empty()),
            connects: connector.is_some_and(|it| !it.auth.is_empty()),
            tried_here: false,
            broken,
        }
    }
}

impl Connector {
    /// A broken one has a summary and nothing to fill in.
    fn new(found: &Listed) -> Self {
        let summary = found.into();
        let Ok(connector) = &found.connector else {
            let (settings, auth, streams) = (Vec::new(), Vec::new(), Vec::new());
            return Self {
                summary,
                docs: None,
                settings,
                auth,
                streams,
                webhooks: None,
                socket: None,
            };
        };
        let streams = connector.streams.iter().map(|(id, stream)| Stream {
            id: id.clone(),
            title: connector.stream_title(id),
            ways: stream.ways.clone(),
        });
        let register = connector.register.as_ref();
        Self {
            summary,
            docs: connector.docs.clone(),
            settings: fields(connector.setting_fields()),
            auth: connector.auth.iter().map(Way::from).collect(),
            streams: streams.collect(),
            webhooks: connector.webhooks.as_ref().map(|webhooks| Webhooks {
                secrets: fields(webhooks.secret_fields()),
                settings: fields(webhooks.setting_fields()),
                topics: webhooks.topics.clone(),
                registers: register.is_some_and(connector::Register::is_by_calls),
                register_ways: register.map(|it| it.ways.clone()).unwrap_or_default(),
                steps: register.and_then(by_hand),
                secret_from: SecretFrom::of(register),
                signed: webhooks.signed(),
                gives_up: webhooks.gives_up.as_ref().map(GivesUp::from),
            }),
            socket: connector.socket.as_ref().map(|socket| SocketOffer {
                ways: (connector.auth.iter().filter(|way| socket.opens_by(way)))
                    .map(|way| way.id.clone())
                    .collect(),
                token: socket.token.clone(),
            }),
        }
    }
}

impl From<&connector::Way> for Way {
    fn from(way: &connector::Way) -> Self {
        let scopes = match way.kind.inner() {
            connector::WayKind::OauthCode(oauth) => oauth.scopes.clone(),
            connector::WayKind::ClientCredentials(client) => client.scopes.clone(),
            connector::WayKind::Device(device) => device.scopes.clone(),
            _ => Vec::new(),
        };
        Self {
            id: way.id.clone(),
            title: way.title.clone(),
            kind: way.kind.name().to_owned(),
            who: way.who.clone(),
            minutes: way.minutes,
            needs: way.needs.clone(),
            cannot: way.cannot.clone(),
            steps: way.steps.clone(),
            scopes,
            fields: way_fields(way),
            browser: way.browser(),
            sign_in: sign_in(way.kind.inner()),
            redirects: redirects(way).iter().map(Redirect::from).collect(),
            revokes: engine::connection::revokes(way),
            test_or_live: way.test_or_live.is_some(),
        }
    }
}

/// What a user does to tell a provider of an inbox.
fn by_hand(register: &connector::Register) -> Option<String> {
    match &register.by {
        connector::RegisterBy::Manual(manual) => Some(manual.steps.clone()),
        connector::RegisterBy::Entries(_)
        | connector::RegisterBy::Single(_)
        | connector::RegisterBy::Resource(_) => None,
    }
}

/// What is filled in for a way.
fn way_fields(way: &connector::Way) -> Vec<Field> {
    let mut fields = fields(way.fields());
    for field in &mut fields {
        field.long = way.long_field() == Some(&field.name);
    }
    fields
}

pub(crate) fn sign_in(kind: &connector::WayKind) -> Option<SignInKind> {
    match kind {
        connector::WayKind::OauthCode(_) => Some(SignInKind::Browser),
        connector::WayKind::Device(_) => Some(SignInKind::Device),
        connector::WayKind::KeyHandOver(_) => Some(SignInKind::HandOver),
        _ => None,
    }
}

fn redirects(way: &connector::Way) -> &[connector::Redirect] {
    match way.kind.inner() {
        connector::WayKind::OauthCode(oauth) => oauth.redirects(),
        _ => &[],
    }
}

impl From<&connector::Redirect> for Redirect {
    fn from(redirect: &connector::Redirect) -> Self {
        let kind = match redirect {
            connector::Redirect::Loopback | connector::Redirect::LoopbackAt(_) => {
                RedirectKind::Loopback
            }
            connector::Redirect::Https => RedirectKind::Https,
            connector::Redirect::Custom => RedirectKind::Custom,
        };
        Self { kind, url: redirect_url(redirect) }
    }
}

fn redirect_url(redirect: &connector::Redirect) -> String {
    match redirect {
        connector::Redirect::Loopback => format!("http://127.0.0.1:PORT{CALLBACK}"),
        connector::Redirect::LoopbackAt(at) => {
            let port = at.port.map_or_else(|| "PORT".to_owned(), |port| port.to_string());
            format!("http://{}:{port}{}", at.host.as_str(), at.path.as_deref().unwrap_or(CALLBACK))
        }
        connector::Redirect::Https => format!("https://HOST{CALLBACK}"),
        connector::Redirect::Custom => CUSTOM_CALLBACK.to_owned(),
    }
}

fn fields(fields: Vec<connector::FormField>) -> Vec<Field> {
    fields.into_iter().map(Field::from).collect()
}

impl From<connector::FormField> for Field {
    fn from(form: connector::FormField) -> Self {
        Self {
            name: form.name,
            title: form.field.title,
            help: form.field.help,
            example: form.field.example,
            pattern: form.field.pattern.map(|pattern| pattern.to_string()),
            required: !form.field.optional && form.field.default.is_none(),
            default: form.field.default,
            secret: form.secret,
            advanced: form.field.advanced,
            long: false,
            choices: form
                .field
                .choices
                .0
                .into_iter()
                .map(|(value, title)| Choice { value, title })
                .collect(),
        }
    }
}

/// All connectors.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectorList {
    connectors: Vec<ConnectorSummary>,
}

/// Lists what can be connected, the broken ones among it.
#[utoipa::path(
    get,
    path = "/api/connectors",
    tag = "connectors",
    responses((status = OK, body = ConnectorList), (status = "default", body = ApiError)),
)]
pub(crate) async fn list_connectors(
    State(engine): State<Engine>,
) -> Result<Json<ConnectorList>, ApiError> {
    let connectors = engine.connectors().clone();
    // Listing looks for changed files.
    let all = tokio::task::spawn_blocking(move || connectors.all())
        .await
        .map_err(|error| ApiError::host_failed(error.to_string()))?;
    let tried = engine.tried_connectors().await?;
    let summary = |listed: &Listed| {
        let summary = ConnectorSummary::from(listed);
        ConnectorSummary { tried_here: tried.contains(&summary.id), ..summary }
    };
    Ok(Json(ConnectorList { connectors: all.iter().map(summary).collect() }))
}

/// Shows one with what is needed to connect it.
#[utoipa::path(
    get,
    path = "/api/connectors/{id}",
    tag = "connectors",
    params(("id" = String, Path)),
    responses((status = OK, body = Connector), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_connector(
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<Connector>, ApiError> {
    Ok(Json(shown(&engine, &id).await?))
}

async fn shown(engine: &Engine, id: &str) -> Result<Connector, ApiError> {
    let found = engine.connectors().listed(id).ok_or_else(ApiError::not_found)?;
    let mut connector = Connector::new(&found);
    connector.summary.tried_here = engine.tried_connectors().await?.contains(id);
    Ok(connector)
}

/// What of a connector changes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectorPatch {
    tried_here: bool,
}

/// Marks one as working with an account of the user's, or no longer.
#[utoipa::path(
    patch,
    path = "/api/connectors/{id}",
    tag = "connectors",
    params(("id" = String, Path)),
    request_body = ConnectorPatch,
    responses((status = OK, body = Connector), (status = "default", body = ApiError)),
)]
pub(crate) async fn mark_connector(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Json(patch): Json<ConnectorPatch>,
) -> Result<Json<Connector>, ApiError> {
    engine.connectors().listed(&id).ok_or_else(ApiError::not_found)?;
    engine.mark_connector(&id, patch.tried_here).await?;
    Ok(Json(shown(&engine, &id).await?))
}
