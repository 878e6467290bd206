//! The life of a serving process: prove isolation, verify, load, serve, drain.

mod failure;
mod prepare;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::{JoinError, JoinSet},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::prepare::Worker;
pub(crate) use self::{
    failure::ServeError,
    prepare::{Bundle, EncoderBundle, Load, Model, name_of},
};
use crate::{
    api,
    app::App,
    benchmark,
    cli::{self, IsolationMode},
    isolation::{Given, Pace, Probe},
    listen,
    metrics::Metrics,
    probe,
    tls::{self, Tls},
};

/// Between two looks at whether the drain is over.
const DRAIN_LOOK: Duration = Duration::from_millis(10);
/// What connections get after the last answer, to be closed in order.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Serves until SIGTERM or SIGINT, then drains.
pub(crate) async fn run(args: cli::Serve, started: Instant, load: Load) -> Result<(), ServeError> {
    let stop = stop_signal().map_err(|source| ServeError::Signal { source })?;
    run_until(stop, args, started, load).await
}

/// Tests bring their own stop and model.
async fn run_until(
    stop: impl Future<Output = ()>,
    args: cli::Serve,
    started: Instant,
    load: Load,
) -> Result<(), ServeError> {
    let name = name_of(&args);
    let metrics = Arc::new(Metrics::new(&name).map_err(|source| ServeError::Metrics { source })?);
    let is_required = args.isolation == IsolationMode::Required;
    if is_required && given(&args).is_empty() {
        return Err(ServeError::NothingToProve);
    }
    let app = Arc::new(App::new(name, metrics, started, is_required));
    let servers = Servers::start(&args, &app).await?;
    let outcome = until_stopped(&args, &app, load, stop, is_required).await;
    match outcome {
        Ok(Some(worker)) => {
            drain(&app, Duration::from_secs(args.drain_seconds)).await;
            servers.stop().await;
            // The engine's step may still run; nobody waits for its answer any more.
            tokio::task::spawn_blocking(move || worker.quit()).await.map_err(|source| ServeError::Task { source })
        }
        Ok(None) => {
            servers.stop().await;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Prepares and then watches, until the signal comes. Gives the model's thread if there is one by then.
async fn until_stopped(
    args: &cli::Serve,
    app: &Arc<App>,
    load: Load,
    stop: impl Future<Output = ()>,
    is_required: bool,
) -> Result<Option<Worker>, ServeError> {
    let mut stop = std::pin::pin!(stop);
    let mut probe = Probe::new(given(args), Pace::default());
    let mut watchers = JoinSet::new();
    let prepared = async {
        if let (Some(probe), true) = (&mut probe, is_required) {
            probe.prove(app).await;
        }
        if let Some(probe) = probe {
            watchers.spawn(probe.watch(Arc::clone(app)));
        }
        prepare::prepare(args, app, load).await
    };
    let prepared = tokio::select! {
        biased;
        () = &mut stop => {
            tracing::info!("stopped before the model was loaded");
            app.drain();
            return Ok(None);
        }
        prepared = prepared => prepared?,
    };
    watchers.spawn({
        let app = Arc::clone(app);
        async move {
            let Some(served) = app.served() else { return };
            if let Some((prefill, decode)) = benchmark::measure(served).await {
                tracing::info!(prefill, decode, "measured, in tokens per second");
                app.measured(prefill, decode);
            }
        }
    });
    stop.await;
    Ok(Some(prepared))
}

/// What must not be reached.
fn given(args: &cli::Serve) -> Given {
    Given {
        targets: args.isolation_target.clone(),
        nodes: args.isolation_node.clone(),
        node_ports: args.isolation_node_port.clone(),
        resolvers: args.isolation_resolvers,
    }
}

/// Refuses what is new and waits for what runs.
async fn drain(app: &App, patience: Duration) {
    app.drain();
    let Some(gate) = app.gate() else { return };
    let deadline = tokio::time::Instant::now() + patience;
    tracing::info!(in_flight = gate.in_flight(), seconds = patience.as_secs(), "draining");
    while gate.in_flight() > 0 {
        if tokio::time::Instant::now() >= deadline {
            tracing::warn!(in_flight = gate.in_flight(), "the drain took too long; what still runs is cut off");
            if let Some(served) = app.served() {
                served.engine.cancel_all();
            }
            break;
        }
        tokio::time::sleep(DRAIN_LOOK).await;
    }
    tracing::info!("drained");
}

/// The two listeners and what keeps them fresh.
struct Servers {
    tasks: JoinSet<()>,
    api: CancellationToken,
    probe: CancellationToken,
    background: JoinSet<()>,
}

impl Servers {
    async fn start(args: &cli::Serve, app: &Arc<App>) -> Result<Self, ServeError> {
        let bind = async |address| probe::bind(address).await.map_err(|source| ServeError::Listen { source });
        let (api_socket, probe_socket) = (bind(args.listen).await?, bind(args.probe_listen).await?);
        let mut background = JoinSet::new();
        let acceptor = match &args.tls_dir {
            None => None,
            Some(dir) => {
                let tls = Tls::open(dir, args.clients).map_err(|source| ServeError::Tls { source })?;
                let acceptor = tls.acceptor().map_err(|source| ServeError::Tls { source })?;
                background.spawn(tls.keep_fresh(tls::RELOAD_EVERY));
                Some(acceptor)
            }
        };
        let mut servers =
            Self { tasks: JoinSet::new(), api: CancellationToken::new(), probe: CancellationToken::new(), background };
        let (api, probe) = (servers.api.clone(), servers.probe.clone());
        let (api_address, probe_address) = (api_socket.local_addr(), probe_socket.local_addr());
        servers.listen(probe_socket, None, probe::router(Arc::clone(app)), probe);
        servers.listen(api_socket, acceptor, api::router(Arc::clone(app)), api);
        if let (Ok(api), Ok(probe)) = (api_address, probe_address) {
            tracing::info!(%api, %probe, tls = args.tls_dir.is_some(), "listening");
        }
        Ok(servers)
    }

    fn listen(&mut self, socket: TcpListener, tls: Option<TlsAcceptor>, router: Router, close: CancellationToken) {
        self.tasks.spawn(listen::serve(socket, tls, router, close));
    }

    /// Closes connections after their answers. The probe port goes with the API: the kubelet has asked enough.
    async fn stop(mut self) {
        self.background.abort_all();
        self.api.cancel();
        self.probe.cancel();
        let closed = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(CLOSE_PATIENCE, closed).await.is_err() {
            tracing::warn!("some connections did not close in time");
        }
    }
}

fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

impl From<JoinError> for ServeError {
    fn from(source: JoinError) -> Self {
        Self::Task { source }
    }
}

#[cfg(test)]
mod tests;
