//! Telling a sender of an inbox's address.

use schemars::JsonSchema;
use serde::Deserialize;

use super::call::Ask;
use super::one_of::one_of;
use super::paging::Paging;
use super::stream::Stream;
use crate::expression::Expression;
use crate::json::Json;

/// How a sender is told of an address.
///
/// The texts of its calls may use `inbox.url`, `inbox.name`, `inbox.tag` (a short name that stays),
/// `topics` (a list), `topic` and `parent` (where there is one call for each), `secret` (where it is
/// ours) and `id` (in `remove`, `enable` and `secret.get`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Register {
    /// How it is told.
    pub by: RegisterBy,
    /// For what there is one call.
    pub each: Each,
    /// Who makes the signing secret.
    pub secret: HookSecret,
    /// How an entry that the sender has switched off is told and switched on.
    pub health: Option<Health>,
    /// The ways in that can register; all where there are none.
    pub ways: Vec<String>,
}

/// How a sender is told.
#[derive(Debug, Clone, PartialEq)]
pub enum RegisterBy {
    /// By calls that make, list and remove entries, by REST or GraphQL.
    Entries(Box<Entries>),
    /// By setting the one address that an app has.
    Single(Box<Single>),
    /// By setting an address on a thing that the user chooses, such as a telephone number.
    Resource(Box<Resource>),
    /// By the user, in the sender's own pages.
    Manual(Manual),
}

/// The written form of [`Register`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Register")]
pub(crate) struct Written {
    /// By REST calls that make, list and remove entries.
    rest: Option<Box<Entries>>,
    /// By GraphQL calls that do so.
    graphql: Option<Box<WrittenGraphql>>,
    /// By setting the one address that an app has.
    single: Option<Box<Single>>,
    /// By setting an address on a thing that the user chooses.
    resource: Option<Box<Resource>>,
    /// By the user, in the sender's own pages.
    manual: Option<Manual>,
    /// For what there is one call.
    #[serde(default)]
    each: Each,
    /// Who makes the signing secret.
    #[serde(default)]
    secret: HookSecret,
    /// How an entry that the sender has switched off is told and switched on.
    health: Option<Health>,
    /// The ways in that can register; all where it is not given.
    #[serde(default)]
    ways: Vec<String>,
}

impl TryFrom<Written> for Register {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let graphql = written.graphql.map(|it| RegisterBy::Entries(Box::new((*it).into())));
        let by = one_of([
            ("rest", written.rest.map(RegisterBy::Entries)),
            ("graphql", graphql),
            ("single", written.single.map(RegisterBy::Single)),
            ("resource", written.resource.map(RegisterBy::Resource)),
            ("manual", written.manual.map(RegisterBy::Manual)),
        ])?;
        let register = Self {
            by,
            each: written.each,
            secret: written.secret,
            health: written.health,
            ways: written.ways,
        };
        if register.each != Each::Inbox && !matches!(register.by, RegisterBy::Entries(_)) {
            return Err("`each` is for `rest` and `graphql`".into());
        }
        Ok(register)
    }
}

impl JsonSchema for Register {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

/// Calls that make, list and remove what is registered.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entries {
    /// Registers an address.
    pub create: Ask,
    /// The id of an entry, in the answer to `create` and in each item of `list`; or `address`, where
    /// it has none and is known by the address that was told.
    pub id: EntryId,
    /// The id in the answer to `create`, where that is another place than in an item of `list`.
    #[serde(default)]
    pub created_id: Option<Expression>,
    /// When the answer to `create` means that it is there already.
    #[serde(default)]
    pub exists: Option<Expression>,
    /// Lists the entries.
    #[serde(default)]
    pub list: Option<Ask>,
    /// Where the entries are in the answer to `list`: a list, or all of them one by one.
    #[serde(default)]
    pub items: Option<Expression>,
    /// The address of an entry, in each item of `list`.
    #[serde(default)]
    pub url: Option<Expression>,
    /// How the next page of `list` is found; one page is all where it is not given.
    #[serde(default)]
    pub page: Option<Paging>,
    /// Removes the entry `{{ id }}`.
    #[serde(default)]
    pub remove: Option<Ask>,
}

impl Entries {
    /// What `list` gives, as a stream whose records are the entries: it is read page by page like
    /// one. None where the sender cannot be asked, or does not say which address an entry has.
    pub fn listed(&self) -> Option<Stream> {
        let url = self.url.as_ref()?;
        let key = match &self.id {
            EntryId::At(id) => id,
            EntryId::Address => url,
        };
        let list = Box::new(self.list.clone()?);
        let records = self.items.clone()?;
        Some(Stream::of_pages(list, records, key.clone(), self.page.clone()))
    }
}

/// How an entry is known.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum EntryId {
    /// By what stands there.
    At(Expression),
    /// By the address that was told.
    Address,
}

impl TryFrom<String> for EntryId {
    type Error = crate::expression::CompileError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "address" => Ok(Self::Address),
            text => Expression::compile(text).map(Self::At),
        }
    }
}

impl JsonSchema for EntryId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EntryId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "An expression, or `address`: it is known by the address that was told",
        })
    }
}

impl EntryId {
    /// The id of the entry that `item` tells of, whose address is `url`.
    pub fn of(&self, item: &Json, url: &str, now: jiff::Timestamp) -> Option<String> {
        match self {
            Self::At(at) => at.text_of(item, now),
            Self::Address => Some(url.to_owned()),
        }
    }
}

/// As [`Entries`], with documents for calls.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GraphqlEntries")]
pub(crate) struct WrittenGraphql {
    /// Registers an address: a file, or `{ graphql: …, variables: … }`.
    create: Document,
    /// The id of an entry, in each item of `list` and, unless `created_id` says otherwise, in the
    /// answer to `create`; or `address`.
    id: EntryId,
    /// The id in the answer to `create`.
    created_id: Option<Expression>,
    /// When the answer to `create` means that it is there already.
    exists: Option<Expression>,
    /// Lists the entries.
    list: Option<Document>,
    /// Where the entries are in the answer to `list`.
    items: Option<Expression>,
    /// The address of an entry, in each item of `list`.
    url: Option<Expression>,
    /// How the next page of `list` is found; one page is all where it is not given.
    page: Option<Paging>,
    /// Removes the entry `{{ id }}`.
    remove: Option<Document>,
}

impl From<WrittenGraphql> for Entries {
    fn from(written: WrittenGraphql) -> Self {
        let ask = |document: Document| document.0;
        Self {
            create: ask(written.create),
            id: written.id,
            created_id: written.created_id,
            exists: written.exists,
            list: written.list.map(ask),
            items: written.items,
            url: written.url,
            page: written.page,
            remove: written.remove.map(ask),
        }
    }
}

/// A GraphQL document: its text, a file with it, or both with variables.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document(Ask);

super::one_of::text_list_or_object! {
    Document: "a GraphQL document, a file with one, or `{ graphql: …, variables: … }`",
    text: |text: &str| Ok::<_, String>(Document(Ask::Graphql(super::Graphql::new(text.into())))),
    object: super::call::AskAlone => |mut written: super::call::AskAlone| {
        Ask::try_from(written.take_ask()).map(Document)
    },
}

/// The one address that an app has. Setting it takes the place of another, so the user is asked.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Single {
    /// Sets it.
    pub set: Ask,
    /// Asks what it is.
    #[serde(default)]
    pub get: Option<Ask>,
    /// The address, in the answer to `get`.
    #[serde(default)]
    pub url: Option<Expression>,
    /// Takes it away.
    #[serde(default)]
    pub remove: Option<Ask>,
    /// Further calls, one for each topic, after the address is set.
    #[serde(default)]
    pub topics: Option<Ask>,
}

/// A thing with an address on it, chosen by the user. Texts of `set` and `remove` may use `id`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// What it is called: `telephone number`.
    pub title: String,
    /// Lists the things.
    pub list: Ask,
    /// Where they are in the answer.
    pub items: Expression,
    /// The id of one.
    pub id: Expression,
    /// What people call one.
    pub name: Expression,
    /// Its address.
    pub url: Expression,
    /// Sets its address.
    pub set: Ask,
    /// Takes its address away.
    #[serde(default)]
    pub remove: Option<Ask>,
}

/// What the user does by hand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manual {
    /// A Markdown file beside the connector, or Markdown. The address stands beside it.
    pub steps: String,
}

/// For what there is one call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Each {
    /// For the inbox, with all topics.
    #[default]
    Inbox,
    /// For each topic.
    Topic,
    /// For each record of a stream, as `parent`.
    Parent(String),
}

/// Who makes the signing secret.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HookSecret {
    /// The sender: the answer to the registration holds it, there.
    Answer(Expression),
    /// The sender: a later call brings it.
    Get(Box<LaterSecret>),
    /// We, and the call tells it: 32 random bytes, as Standard Webhooks writes them.
    Ours,
    /// We, in another form.
    OursAs(OursAs),
    /// It is the app's own secret, `client_secret`, which the user has given.
    App,
    /// It is another secret of the connection, of this name.
    Connection(String),
    /// The user copies it from the sender's pages.
    User,
    /// There is none; or the verification has a key that is the same for everybody.
    #[default]
    None,
}

impl HookSecret {
    /// The secret of the connection that is the signing secret, where it is one of those.
    pub fn of_connection(&self) -> Option<&str> {
        match self {
            Self::App => Some("client_secret"),
            Self::Connection(name) => Some(name),
            Self::Answer(_)
            | Self::Get(_)
            | Self::Ours
            | Self::OursAs(_)
            | Self::User
            | Self::None => None,
        }
    }
}

/// A call that brings a secret, after the registration unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaterSecret {
    /// The call.
    pub call: Ask,
    /// Where the secret is in its answer.
    pub at: Expression,
    /// Whether it is called before the sender is told of the address, as for those that ask the
    /// address at once, and sign that.
    #[serde(default)]
    pub before: bool,
}

/// A secret of ours in another form.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OursAs {
    /// How its bytes are written.
    #[serde(default)]
    pub encoding: OursEncoding,
    /// How many bytes it has.
    #[serde(default = "thirty_two")]
    pub bytes: u8,
    /// What stands before them.
    #[serde(default)]
    pub prefix: String,
}

/// How the bytes of a secret of ours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OursEncoding {
    /// As hexadecimal digits.
    #[default]
    Hex,
    /// As base64.
    Base64,
}

const fn thirty_two() -> u8 {
    32
}

/// How an entry that the sender has switched off is told and switched on.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Whether an item of `list` is switched on.
    pub active: Expression,
    /// Switches the entry `{{ id }}` on; it is registered anew where it is not given.
    #[serde(default)]
    pub enable: Option<Ask>,
}

impl Register {
    /// The sender's list of entries; see [`Entries::listed`].
    pub(super) fn listed(&self) -> Option<Stream> {
        match &self.by {
            RegisterBy::Entries(entries) => entries.listed(),
            RegisterBy::Single(_) | RegisterBy::Resource(_) | RegisterBy::Manual(_) => None,
        }
    }

    /// Whether calls alone tell the sender, without the user.
    pub const fn is_by_calls(&self) -> bool {
        matches!(self.by, RegisterBy::Entries(_) | RegisterBy::Single(_))
    }

    /// Its requests, each with a name for messages.
    pub fn asks(&self) -> Vec<(&'static str, &Ask)> {
        let mut asks: Vec<(&'static str, Option<&Ask>)> = Vec::new();
        let mut push = |name, ask| asks.push((name, ask));
        match &self.by {
            RegisterBy::Entries(entries) => {
                push("create", Some(&entries.create));
                push("list", entries.list.as_ref());
                push("remove", entries.remove.as_ref());
            }
            RegisterBy::Single(single) => {
                push("set", Some(&single.set));
                push("get", single.get.as_ref());
                push("remove", single.remove.as_ref());
                push("topics", single.topics.as_ref());
            }
            RegisterBy::Resource(resource) => {
                push("list", Some(&resource.list));
                push("set", Some(&resource.set));
                push("remove", resource.remove.as_ref());
            }
            RegisterBy::Manual(_) => {}
        }
        if let HookSecret::Get(later) = &self.secret {
            push("get", Some(&later.call));
        }
        push("enable", self.health.as_ref().and_then(|health| health.enable.as_ref()));
        asks.into_iter().filter_map(|(name, ask)| Some((name, ask?))).collect()
    }

    /// Its GraphQL documents, to be read from their files.
    pub(super) fn graphqls(&mut self) -> Vec<&mut super::Graphql> {
        let mut asks: Vec<&mut Ask> = Vec::new();
        match &mut self.by {
            RegisterBy::Entries(entries) => {
                let Entries { create, list, remove, .. } = &mut **entries;
                asks.push(create);
                asks.extend(list.as_mut());
                asks.extend(remove.as_mut());
            }
            RegisterBy::Single(single) => {
                let Single { set, get, remove, topics, .. } = &mut **single;
                asks.push(set);
                asks.extend([get, remove, topics].into_iter().filter_map(Option::as_mut));
            }
            RegisterBy::Resource(resource) => {
                let Resource { list, set, remove, .. } = &mut **resource;
                asks.extend([list, set]);
                asks.extend(remove.as_mut());
            }
            RegisterBy::Manual(_) => {}
        }
        if let HookSecret::Get(later) = &mut self.secret {
            asks.push(&mut later.call);
        }
        asks.extend(self.health.as_mut().and_then(|health| health.enable.as_mut()));
        asks.into_iter().filter_map(Ask::graphql_mut).collect()
    }
}
