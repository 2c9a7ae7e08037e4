//! One start of a tunnel: its listener is opened, its program runs, its address is found and
//! proved, until it is stopped or ends by itself.
//!
//! The listener is opened before the program starts and closed after it has ended, so that a
//! program never leads to a port that is not ours.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use domain::secret::{Secret, Secrets};
use domain::tunnel::Tunnel;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::definition::{self, Address, Definition, Values};
use super::program::{Launch, Next, Program};
use super::slot::{Failure, Slot, Up};
use super::{ServeIngress, field, note, note_address, output, probe, proof};
use crate::Engine;

/// How long a program has to tell its address.
const ADDRESS_WITHIN: Duration = Duration::from_secs(60);

/// How long requests that are under way may take once the listener is told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Everything that one start needs, looked up and opened.
pub(super) struct Plan {
    definition: &'static Definition,
    launch: Option<Launch>,
    address: Address,
    listener: TcpListener,
    ingress: SocketAddr,
    sender_header: Option<http::HeaderName>,
    secrets: Secrets,
    key: probe::Key,
    order: u64,
}

/// How a start came to its end.
enum End {
    Stopped,
    Failed(Failure),
}

impl Plan {
    /// Looks everything up and opens the listener. Nothing runs yet.
    pub(super) async fn make(engine: &Engine, tunnel: &Tunnel) -> Result<Self, Failure> {
        let wanted = &tunnel.tunnel;
        let definition = definition::find(&wanted.kind).ok_or_else(|| Failure {
            why: format!("This Patchbay knows no tunnel of the kind `{}`.", wanted.kind),
            hint: Some("Update Patchbay, or delete this tunnel and make another one.".into()),
        })?;
        let secrets = secrets(engine, tunnel).await?;
        let settings = field::filled_in(&definition.fields, &wanted.settings, &secrets)
            .map_err(|error| Failure::new(format!("Its settings do not fit: {error}.")))?;

        let port = definition.port_field.as_ref().and_then(|field| settings.get(field));
        let listener = listen(port.and_then(|port| port.parse().ok()).unwrap_or(0)).await?;
        let ingress = listener
            .local_addr()
            .map_err(|error| Failure::new(format!("Its listener cannot be used: {error}.")))?;
        let values = Values::new(&settings, ingress.port());
        let address = definition
            .address(&values)
            .ok_or_else(|| Failure::new("Its settings tell no public address."))?;
        Ok(Self {
            launch: launch(engine, definition, &values, &secrets)?,
            sender_header: definition.sender_header(&values),
            key: probe::Key::random().map_err(|fault| Failure::new(fault.to_string()))?,
            order: engine.inner.tunnels.next_order(),
            definition,
            address,
            listener,
            ingress,
            secrets,
        })
    }

    /// Runs until `stop`, or until it cannot go on, and leaves in the slot how it ended.
    pub(super) async fn run(
        self,
        engine: Engine,
        slot: Arc<Slot>,
        serve: Arc<dyn ServeIngress>,
        stop: CancellationToken,
    ) {
        slot.set_ingress(self.ingress);
        let closing = CancellationToken::new();
        let serving =
            serve.serve(engine.clone(), self.listener, self.sender_header, closing.clone());
        let mut serving = tokio::spawn(serving);
        let mut run = Run {
            program: self.definition.program.as_ref().map_or("", |program| &program.name),
            definition: self.definition,
            address: self.address,
            ingress: self.ingress,
            secrets: self.secrets,
            key: self.key,
            order: self.order,
            engine,
            slot,
            proving: None,
        };

        let end = run.until_its_end(self.launch.as_ref(), &mut serving, &stop).await;
        drop(run.proving.take());
        closing.cancel();
        if timeout(LAST_REQUESTS, &mut serving).await.is_err() {
            serving.abort();
        }
        match end {
            End::Stopped => run.slot.set_off(),
            End::Failed(failure) => run.slot.set_failed(failure),
        }
        note_address(&run.engine);
    }
}

struct Run {
    program: &'static str,
    definition: &'static Definition,
    address: Address,
    ingress: SocketAddr,
    secrets: Secrets,
    key: probe::Key,
    order: u64,
    engine: Engine,
    slot: Arc<Slot>,
    proving: Option<AbortOnDropHandle<()>>,
}

impl Run {
    async fn until_its_end(
        &mut self,
        launch: Option<&Launch>,
        serving: &mut JoinHandle<()>,
        stop: &CancellationToken,
    ) -> End {
        let program = match launch.map(Program::start).transpose() {
            Ok(program) => program,
            Err(error) => {
                let why = format!("{} cannot be started: {error}.", self.program);
                return End::Failed(Failure::new(why));
            }
        };
        if let Address::Known(address) = &self.address {
            self.is_up(address.clone());
        }
        let Some(mut program) = program else {
            return tokio::select! {
                () = stop.cancelled() => End::Stopped,
                _ = serving => listener_ended(),
            };
        };
        let end = tokio::select! {
            () = stop.cancelled() => End::Stopped,
            _ = serving => listener_ended(),
            what = self.watch(&mut program) => End::Failed(self.failure(&what)),
        };
        if let Err(error) = program.end().await {
            tracing::error!(%error, program = self.program, "a tunnel's program cannot be ended");
        }
        end
    }

    /// Reads what the program prints until it has ended, or has told no address for too long; says
    /// which.
    async fn watch(&mut self, program: &mut Program) -> String {
        let deadline = Instant::now() + ADDRESS_WITHIN;
        loop {
            tokio::select! {
                next = program.next() => match next {
                    Next::Line(line) => self.take_line(&line),
                    Next::Ended(status) => return self.ended(status),
                },
                () = sleep_until(deadline), if self.proving.is_none() => {
                    let seconds = ADDRESS_WITHIN.as_secs();
                    return format!("{} told no address within {seconds} seconds", self.program);
                }
            }
        }
    }

    fn take_line(&mut self, line: &[u8]) {
        let line = output::shown(line, &self.secrets);
        if line.is_empty() {
            return;
        }
        let address = self.address.told_by(&line);
        self.slot.push_line(line);
        match address {
            Some(address) => self.is_up(address),
            None => note(&self.engine),
        }
    }

    /// It has an address, which is to be proved from now on.
    fn is_up(&mut self, address: String) {
        if self.slot.up().is_some_and(|up| up.address == address) {
            return;
        }
        self.slot.set_up(Up::new(address, self.ingress, self.key.clone(), self.order));
        note_address(&self.engine);
        let proving = proof::keep(self.engine.clone(), self.slot.clone());
        self.proving = Some(AbortOnDropHandle::new(tokio::spawn(proving)));
    }

    fn ended(&self, status: io::Result<ExitStatus>) -> String {
        match status.map(|status| status.code()) {
            Ok(Some(code)) => format!("{} ended with status {code}", self.program),
            Ok(None) => format!("{} was ended from outside", self.program),
            Err(error) => format!("{} was lost: {error}", self.program),
        }
    }

    /// What happened, with the line that says most about it.
    fn failure(&self, what: &str) -> Failure {
        self.slot.with_output(|output| {
            let trouble = self.definition.trouble(output.lines());
            let line = trouble.map(|(line, _)| line).or_else(|| output.lines().next_back());
            Failure {
                why: line.map_or_else(|| format!("{what}."), |line| format!("{what}: {line}")),
                hint: trouble.map(|(_, hint)| hint.to_owned()),
            }
        })
    }
}

impl Failure {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None }
    }
}

fn listener_ended() -> End {
    End::Failed(Failure::new("Its listener ended."))
}

async fn secrets(engine: &Engine, tunnel: &Tunnel) -> Result<Secrets, Failure> {
    let Some(generation) = tunnel.secrets else { return Ok(Secrets::new()) };
    let vault = &engine.inner.vault;
    vault.settled().await;
    vault.read(&tunnel.id.to_string(), generation).await.map_err(|error| Failure {
        hint: Some(if error.is_lost() {
            "Delete this tunnel and make it again: its secret is no longer in the vault.".into()
        } else {
            "Open the keychain and start the tunnel again.".into()
        }),
        why: format!("Its secret cannot be read: {error}."),
    })
}

/// Opens an ingress listener, on loopback alone: what leads to it is the tunnel's business.
async fn listen(port: u16) -> Result<TcpListener, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Failure {
            why: format!("Port {port} is taken by another program."),
            hint: Some(
                "End that program, or delete this tunnel and make it again with another port."
                    .into(),
            ),
        },
        _ => Failure::new(format!("Port {port} cannot be opened: {error}.")),
    })
}

fn launch(
    engine: &Engine,
    definition: &Definition,
    values: &Values,
    secrets: &Secrets,
) -> Result<Option<Launch>, Failure> {
    let Some(source) = &definition.program else { return Ok(None) };
    let environment = &engine.inner.tunnels.environment;
    let program = environment.program(&source.name).ok_or_else(|| Failure {
        why: format!("The program `{}` is not on this machine.", source.name),
        hint: Some(source.hint().to_owned()),
    })?;
    let own = definition.environment(values, |name| secrets.get(name).map(Secret::expose));
    let handed_on = environment.variables().map(|(name, value)| (name.into(), value.into()));
    Ok(Some(Launch {
        program,
        arguments: definition.arguments(values),
        environment: handed_on
            .chain([("NO_COLOR".into(), "1".into())])
            .chain(own.map(|(name, value)| (name.into(), value.into())))
            .collect(),
    }))
}
