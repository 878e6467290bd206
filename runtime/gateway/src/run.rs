//! From parsed arguments to an exit code: logs, the async runtime, the ports, and an orderly end.

use std::{io, path::Path, process::ExitCode, sync::Arc, time::Duration};

use alcazar_telemetry::{Ceiling, Unclear, panics};
use kube::Client;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    adapters,
    audit::{self, VerifyError, log::AuditLog},
    cli::{Cli, Command},
    gateway::{Gateway, Load},
    listen::{self, Port, crowd::Crowd},
    metrics::Metrics,
    probe::{self, Probe},
    quota::{desk::Desk, peer},
    settings::{self, Settings, SettingsError},
    tls::{self, Identity, Serving, TlsError},
    upstream::fleet::Fleet,
    usage,
    vpn::{Around, Tunnel, TunnelError},
    watch::Cluster,
    world::{World, build::Own},
};

/// Between unready and the end of accepting: endpoints take a moment to learn of it.
const LEAVE_TIME: Duration = Duration::from_secs(5);
/// For the last lines of the audit log.
const WRITE_TIME: Duration = Duration::from_secs(5);
/// Other gateways hold a connection for each replica.
const MAX_PEER_CONNECTIONS: usize = 256;

/// Why the program ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// `--log-level` makes no sense.
    #[error("failed to understand --log-level: {source}")]
    LogLevel {
        /// Why.
        source: Unclear,
    },
    /// Logs cannot be written.
    #[error("failed to set up logging: {source}")]
    Logs {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No threads.
    #[error("failed to start the async runtime: {source}")]
    Runtime {
        /// Why.
        source: io::Error,
    },
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The audit log cannot be written.
    #[error("failed to open the audit log: {source}")]
    Audit {
        /// Why.
        source: io::Error,
    },
    /// A port is taken.
    #[error("failed to listen on {address}: {source}")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The tunnel cannot begin.
    #[error(transparent)]
    Vpn(#[from] TunnelError),
    /// There is no API server to ask.
    #[error("failed to find the API server: {source}")]
    Api {
        /// Why.
        source: Box<kube::Error>,
    },
    /// Signals cannot be waited for.
    #[error("failed to listen for signals: {source}")]
    Signals {
        /// Why.
        source: io::Error,
    },
    /// Metrics that collide; a fault of the program.
    #[error("failed to register the metrics: {source}")]
    Metrics {
        /// Why.
        source: prometheus::Error,
    },
    /// A part ended that should not; what starts the program starts it again.
    #[error("a part of the gateway ended that should not")]
    PartEnded,
    /// An audit log whose chain does not hold.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// Runs a command.
pub fn run(cli: &Cli) -> Result<ExitCode, RunError> {
    init_logs(&cli.log_level)?;
    match &cli.command {
        Command::Run { settings } => build_runtime()?.block_on(serve(settings))?,
        Command::VerifyAudit { files } => {
            let verified = audit::verify_files(files)?;
            tracing::info!(lines = verified.lines, last = verified.last_hash, "the chain holds");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(path: &Path) -> Result<(), RunError> {
    let settings = settings::load(path)?;
    let mut ends = Ends::new().map_err(|source| RunError::Signals { source })?;
    let client = Client::try_default().await.map_err(|source| RunError::Api { source: Box::new(source) })?;
    let program = Program::new(&settings, client.default_namespace())?;
    let listeners = Listeners::open(&settings).await?;
    let (mut tasks, close) = (JoinSet::new(), CancellationToken::new());
    program.start(&settings, &client, listeners, &close, &mut tasks)?;
    tracing::info!(listen = %settings.listen, "serving");
    let outcome = tokio::select! {
        () = ends.told() => Ok(()),
        _ = tasks.join_next() => Err(RunError::PartEnded),
    };
    tracing::info!(is_told = outcome.is_ok(), "the gateway ends; running answers are finished");
    program.gateway.drain();
    tokio::time::sleep(LEAVE_TIME).await;
    close.cancel();
    let drained = program.drained();
    if tokio::time::timeout(Duration::from_secs(settings.limits.drain_seconds), drained).await.is_err() {
        tracing::warn!("answers were still running when the time for them was over");
    }
    program.desk.send_settlements().await;
    usage::write(&client, &program.desk, Duration::ZERO).await;
    tasks.shutdown().await;
    let Program { gateway, desk, audit_thread, .. } = program;
    drop((gateway, desk));
    // Answers that were cut off let go of the log a moment later.
    let written = tokio::time::timeout(WRITE_TIME, tokio::task::spawn_blocking(|| audit_thread.join())).await;
    if !matches!(written, Ok(Ok(Ok(())))) {
        tracing::error!("the audit log was not closed in order");
    }
    outcome
}

struct Listeners {
    public: TcpListener,
    peers: TcpListener,
    probe: TcpListener,
    tunnel: Option<Tunnel>,
}

impl Listeners {
    async fn open(settings: &Settings) -> Result<Self, RunError> {
        let open =
            async |address| TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source });
        Ok(Self {
            public: open(settings.listen).await?,
            peers: open(settings.peer_listen).await?,
            probe: open(settings.probe_listen).await?,
            tunnel: Tunnel::open(&settings.vpn).await?,
        })
    }
}

/// Everything that runs.
struct Program {
    gateway: Arc<Gateway>,
    desk: Arc<Desk>,
    fleet: Arc<Fleet>,
    cluster: Arc<Cluster>,
    worlds: watch::Sender<Arc<World>>,
    serving: Arc<Serving>,
    identity: Arc<Identity>,
    audit_thread: std::thread::JoinHandle<()>,
}

impl Program {
    fn new(settings: &Settings, namespace: &str) -> Result<Self, RunError> {
        let metrics = Arc::new(Metrics::new().map_err(|source| RunError::Metrics { source })?);
        let serving = Serving::open(&settings.tls_dir)?;
        let identity = Identity::open(&settings.client_dir, settings.upstream.protocol)?;
        let (audit, audit_thread) = AuditLog::open(&settings.audit).map_err(|source| RunError::Audit { source })?;
        let (worlds, world) = watch::channel(Arc::new(World::default()));
        let fleet = Fleet::new(Arc::clone(&identity), Duration::from_secs(settings.upstream.answer_seconds));
        let me = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let peer_time = Duration::from_millis(settings.peers.answer_milliseconds);
        let desk = Desk::new(me, peer_time, world.clone(), Arc::clone(&fleet), Arc::clone(&metrics));
        let own = Own {
            namespace: namespace.to_owned(),
            peer_service: settings.peers.service.clone(),
            has_vpn: settings.vpn.enabled,
        };
        let cluster = Cluster::new(own, Arc::clone(&metrics));
        let gateway = Arc::new(Gateway {
            world,
            fleet: Arc::clone(&fleet),
            desk: Arc::clone(&desk),
            audit,
            metrics,
            hold: settings.hold,
            upstream: settings.upstream,
            limits: settings.limits,
            load: Load::new(&settings.limits),
        });
        Ok(Self { gateway, desk, fleet, cluster, worlds, serving, identity, audit_thread })
    }

    fn start(
        &self,
        settings: &Settings,
        client: &Client,
        listeners: Listeners,
        close: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), RunError> {
        let crowd = Crowd::new(settings.limits.max_connections);
        let acceptor = self.serving.acceptor()?;
        let public = Port {
            acceptor: move || TlsAcceptor::clone(&acceptor),
            limits: settings.limits,
            crowd: Arc::clone(&crowd),
            close: close.clone(),
        };
        let vpn = listeners.tunnel.map(|tunnel| {
            let (port, gateway) = (public.clone(), Arc::clone(&self.gateway));
            let (client, worlds, reload_every) = (client.clone(), self.worlds.subscribe(), tls::RELOAD_EVERY);
            tunnel.start(Around { port, gateway, client, worlds, reload_every }, tasks)
        });
        tasks.spawn(serve_public(listeners.public, public, Arc::clone(&self.gateway)));
        let identity = Arc::clone(&self.identity);
        let peers = Port {
            acceptor: move || identity.acceptor(),
            limits: settings.limits,
            crowd: Crowd::new(MAX_PEER_CONNECTIONS),
            close: close.clone(),
        };
        let desk = Arc::clone(&self.desk);
        tasks.spawn(listen::serve(listeners.peers, peers, move |seat, request| {
            peer::serve(Arc::clone(&desk), seat, request)
        }));
        let is_synced = Arc::clone(&self.cluster.is_synced);
        let probe = Probe { gateway: Arc::clone(&self.gateway), crowd, vpn, is_synced };
        tasks.spawn(probe::serve(listeners.probe, Arc::new(probe)));
        self.cluster.start(client, &settings.watch_namespaces, tasks);
        let (cluster, worlds) = (Arc::clone(&self.cluster), self.worlds.clone());
        tasks.spawn(async move { cluster.build(&worlds).await });
        let follow = adapters::follow(Arc::clone(&self.cluster), Arc::clone(&self.fleet), self.worlds.subscribe());
        tasks.spawn(follow);
        tasks.spawn(usage::keep_written(client.clone(), Arc::clone(&self.desk)));
        tasks.spawn(usage::tell(Arc::clone(&self.desk)));
        tasks.spawn(keep_up(Arc::clone(&self.gateway), self.worlds.subscribe()));
        let (serving, identity) = (Arc::clone(&self.serving), Arc::clone(&self.identity));
        tasks.spawn(async move { tls::keep_fresh(&serving, &identity, tls::RELOAD_EVERY).await });
        Ok(())
    }

    /// Until no answer runs any more.
    async fn drained(&self) {
        while self.gateway.metrics.in_flight.get() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The public API behind any listener: a port, or the inside of a tunnel.
pub(crate) async fn serve_public<L, A>(listener: L, port: Port<A>, gateway: Arc<Gateway>)
where
    L: listen::Listener,
    A: Fn() -> TlsAcceptor + Clone + Send + 'static,
{
    listen::serve(listener, port, move |seat, request| Arc::clone(&gateway).handle(seat, request)).await;
}

/// Lets go of what each new world no longer has.
async fn keep_up(gateway: Arc<Gateway>, mut worlds: watch::Receiver<Arc<World>>) {
    while worlds.changed().await.is_ok() {
        let world = Arc::clone(&worlds.borrow_and_update());
        gateway.fleet.retain(&world);
        gateway.metrics.saw(&world);
    }
}

/// What tells the program to end.
struct Ends {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Ends {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Audit lines may go to stdout, so logs go to stderr.
fn init_logs(level: &str) -> Result<(), RunError> {
    panics::install();
    // WireGuard's library calls it an error when a peer is away for nine minutes. Who wants its lines names it.
    let filter = Ceiling::parse(&format!("boringtun=off,{level}")).map_err(|source| RunError::LogLevel { source })?;
    let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    let lines = lines.with_writer(io::stderr).with_filter(filter);
    tracing_subscriber::registry().with(lines).try_init().map_err(|source| RunError::Logs { source: source.into() })
}

fn build_runtime() -> Result<Runtime, RunError> {
    Builder::new_multi_thread().enable_all().build().map_err(|source| RunError::Runtime { source })
}
