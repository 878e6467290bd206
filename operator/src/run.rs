//! The operator as a whole: starts the parts, holds the Lease, ends in order. Client required.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use kube::{Client, Config, client::ClientBuilder, config::InferConfigError};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    admin::{self, Admin},
    apply::Cilium,
    authority::{self, AuthorityStore},
    canary,
    context::{Clock, Context, FIELD_MANAGER},
    controller::{api_key::LlmApiKeys, deployment::LlmDeployments, model::LlmModels, vpn_peer::LlmVpnPeers},
    env_vars,
    lease::{Election, Identity, Pod},
    runner::{self, Waker},
    secrets::Secrets,
    settings::Settings,
    store::{Key, Stores},
    telemetry::{api_calls::ApiCalls, events::Recorder, metrics::Metrics},
    watch::{self, Wakers},
};

/// Where the operator runs when the platform does not say: on a developer's machine.
const DEFAULT_NAMESPACE: &str = "alcazar-system";
/// How long running passes may take to end after a signal.
const GRACE: Duration = Duration::from_secs(10);

/// Why the operator ended or could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither in a cluster nor a kubeconfig.
    #[error("failed to find a Kubernetes cluster: run in a pod with a service account, or set KUBECONFIG")]
    FindCluster(#[source] InferConfigError),
    /// The client cannot be made of it.
    #[error("failed to make a Kubernetes client")]
    MakeClient(#[source] kube::Error),
    /// A metric is registered twice: a fault of the operator.
    #[error("failed to register the metrics")]
    RegisterMetrics(#[source] prometheus::Error),
    /// The port is taken.
    #[error("failed to listen on {address}")]
    Listen {
        /// As asked for.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The process cannot be told to end.
    #[error("failed to listen for signals")]
    ListenForSignals(#[source] std::io::Error),
    /// Somebody else leads now.
    #[error("lost the Lease; another replica leads")]
    LostLease,
    /// A part ended that should not.
    #[error("the {part} ended")]
    PartEnded {
        /// Which.
        part: &'static str,
    },
}

/// Runs until a signal.
pub async fn run(settings: Settings) -> Result<(), Error> {
    let stop = CancellationToken::new();
    let mut signals = Signals::new()?;
    let listen = settings.admin_listen;
    let listener = admin::bind(listen).await.map_err(|source| Error::Listen { address: listen, source })?;
    let at = settings.canary_listen;
    let canary = canary::bind(at).await.map_err(|source| Error::Listen { address: at, source })?;
    let (ctx, election) = connect(settings).await?;
    let (wakers, woken) = wakers();
    let watches = watch::start(&ctx, &wakers, &stop);
    let mut background = JoinSet::new();
    let admin = Admin { stores: ctx.stores.clone(), metrics: ctx.metrics.clone() };
    background.spawn(admin::serve(listener, admin, stop.clone()));
    let (metrics, until) = (ctx.metrics.clone(), stop.clone());
    background.spawn(async move {
        canary::serve(canary, metrics, until).await;
        Ok(())
    });
    let leading = lead(Arc::clone(&ctx), election, wakers, woken, stop.clone());
    tokio::pin!(leading);
    let outcome = tokio::select! {
        outcome = &mut leading => outcome,
        () = signals.recv() => {
            info!("told to end; finishing the passes that run");
            stop.cancel();
            tokio::time::timeout(GRACE, leading).await.unwrap_or(Ok(()))
        }
        _ = background.join_next() => Err(Error::PartEnded { part: "admin server or the canary" }),
    };
    stop.cancel();
    drop((watches, background));
    outcome
}

/// What wakes the controllers.
struct Woken {
    deployments: tokio::sync::mpsc::UnboundedReceiver<Key>,
    models: tokio::sync::mpsc::UnboundedReceiver<Key>,
    api_keys: tokio::sync::mpsc::UnboundedReceiver<Key>,
    vpn_peers: tokio::sync::mpsc::UnboundedReceiver<Key>,
}

fn wakers() -> (Wakers, Woken) {
    let (wake_deployments, deployments) = Waker::channel();
    let (wake_models, models) = Waker::channel();
    let (wake_api_keys, api_keys) = Waker::channel();
    let (wake_vpn_peers, vpn_peers) = Waker::channel();
    let wakers = Wakers {
        deployments: wake_deployments,
        models: wake_models,
        api_keys: wake_api_keys,
        vpn_peers: wake_vpn_peers,
    };
    (wakers, Woken { deployments, models, api_keys, vpn_peers })
}

async fn connect(settings: Settings) -> Result<(Arc<Context>, Election), Error> {
    let metrics = Metrics::new().map_err(Error::RegisterMetrics)?;
    let client = client(metrics.clone()).await?;
    let namespace = env_vars::read(env_vars::POD_NAMESPACE).unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let name = env_vars::read(env_vars::POD_NAME);
    let pod = name.clone().zip(env_vars::read(env_vars::POD_UID)).map(|(name, uid)| Pod { name, uid });
    // A container that restarts keeps its pod: the process id and start tell it from the one before.
    let process = format!("{}_{}", std::process::id(), Clock::System.now().as_millisecond());
    let election = Election::new(client.clone(), &namespace, Identity { pod, process });
    let reporter = name.unwrap_or_else(|| FIELD_MANAGER.to_owned());
    let ctx = Context {
        recorder: Recorder::new(client.clone(), reporter, metrics.clone()),
        secrets: Secrets::new(client.clone()),
        authority: AuthorityStore::new(&namespace, FIELD_MANAGER),
        cilium: Cilium::default(),
        client,
        settings: Arc::new(settings),
        stores: Stores::default(),
        metrics,
        clock: Clock::System,
        namespace,
    };
    Ok((Arc::new(ctx), election))
}

async fn client(metrics: Metrics) -> Result<Client, Error> {
    let mut config = Config::infer().await.map_err(Error::FindCluster)?;
    config.connect_timeout = Some(Duration::from_secs(5));
    // Failures are retried by pass, with a backoff that an object's status can tell about.
    config.default_retry = false;
    let builder = ClientBuilder::try_from(config).map_err(Error::MakeClient)?;
    Ok(builder.with_layer(&ApiCalls::new(metrics)).build())
}

/// Waits for complete caches and the Lease, then runs the controllers for as long as it holds.
async fn lead(
    ctx: Arc<Context>,
    mut election: Election,
    wakers: Wakers,
    woken: Woken,
    stop: CancellationToken,
) -> Result<(), Error> {
    if !synced(&ctx, &stop).await || !election.win(&stop).await {
        return Ok(());
    }
    ctx.metrics.leads(true);
    let passes = stop.child_token();
    let mut controllers = JoinSet::new();
    let (deployments, models) = (LlmDeployments::new(&ctx), LlmModels::new());
    controllers.spawn(deployments.clone().watch_pods(Arc::clone(&ctx), wakers.deployments, passes.clone()));
    controllers.spawn(models.clone().watch_fetches(Arc::clone(&ctx), wakers.models, passes.clone()));
    controllers.spawn(runner::run(deployments, Arc::clone(&ctx), woken.deployments, passes.clone()));
    controllers.spawn(runner::run(models, Arc::clone(&ctx), woken.models, passes.clone()));
    controllers.spawn(runner::run(LlmApiKeys, Arc::clone(&ctx), woken.api_keys, passes.clone()));
    controllers.spawn(runner::run(LlmVpnPeers, Arc::clone(&ctx), woken.vpn_peers, passes.clone()));
    controllers.spawn({
        let (ctx, stop) = (Arc::clone(&ctx), passes.clone());
        async move { authority::keep(&ctx, stop).await }
    });
    let held = tokio::select! {
        held = election.hold(&stop) => held,
        _ = controllers.join_next() => {
            election.release().await;
            return Err(Error::PartEnded { part: "controller" });
        }
    };
    ctx.metrics.leads(false);
    if !held {
        // Another replica works already: drop every pass where it stands.
        controllers.abort_all();
        error!("lost the Lease; ending so that two do not work at once");
        return Err(Error::LostLease);
    }
    passes.cancel();
    while controllers.join_next().await.is_some() {}
    election.release().await;
    Ok(())
}

async fn synced(ctx: &Context, stop: &CancellationToken) -> bool {
    while !ctx.stores.unsynced().is_empty() {
        if stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(20))).await.is_none() {
            return false;
        }
    }
    info!("all caches are complete");
    true
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(Error::ListenForSignals);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
