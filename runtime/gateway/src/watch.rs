//! Keeps the [`World`] up to date: watches keys, deployments and endpoints. Client required.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alcazar_contract::labels;
use alcazar_crds::{llm_api_key::LlmApiKey, llm_deployment::LlmDeployment, llm_vpn_peer::LlmVpnPeer};
use futures::StreamExt as _;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt as _,
        utils::Backoff,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use crate::{
    key::Name,
    metrics::Metrics,
    world::{
        World,
        build::{Observed, Own},
    },
};

/// A server-side watch ends after this time and is resumed: a connection that died silently is noticed soon after.
const WATCH_SECONDS: u32 = 120;
const PAGE: u32 = 500;
/// Changes that come together make one world.
const TOGETHER: Duration = Duration::from_millis(20);

/// What the watches fill.
#[derive(Debug)]
pub(crate) struct Cluster {
    observed: Mutex<Observed>,
    changed: Notify,
    unlisted: AtomicUsize,
    own: Own,
    metrics: Arc<Metrics>,
    pub(crate) is_synced: Arc<AtomicBool>,
}

/// How a watch reaches its objects.
type Part<K> = fn(&mut Observed) -> &mut HashMap<Name, K>;

impl Cluster {
    pub(crate) fn new(own: Own, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            observed: Mutex::default(),
            changed: Notify::new(),
            unlisted: AtomicUsize::new(0),
            own,
            metrics,
            is_synced: Arc::default(),
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Observed) -> T) -> T {
        work(&mut self.observed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the pods of a deployment list.
    pub(crate) fn adapters(&self, deployment: Name, adapters: Vec<String>) {
        let has_changed =
            self.with(|observed| observed.adapters.insert(deployment, adapters.clone()) != Some(adapters));
        if has_changed {
            self.changed.notify_one();
        }
    }

    /// Starts all watches; they end with the set.
    pub(crate) fn start(self: &Arc<Self>, client: &Client, namespaces: &[String], tasks: &mut JoinSet<()>) {
        let scopes: Vec<_> = match namespaces {
            [] => vec![None],
            some => some.iter().cloned().map(Some).collect(),
        };
        // The replicas' own endpoints lie in the gateway's namespace, whatever is watched.
        let mut of_slices = scopes.clone();
        if !namespaces.is_empty() && !namespaces.contains(&self.own.namespace) {
            of_slices.push(Some(self.own.namespace.clone()));
        }
        let of_each = 2 + usize::from(self.own.has_vpn);
        self.unlisted.store(of_each * scopes.len() + of_slices.len(), Ordering::Relaxed);
        for scope in scopes {
            self.spawn::<LlmApiKey>(client, scope.clone(), "", |observed| &mut observed.keys, tasks);
            if self.own.has_vpn {
                self.spawn::<LlmVpnPeer>(client, scope.clone(), "", |observed| &mut observed.vpn_peers, tasks);
            }
            self.spawn::<LlmDeployment>(client, scope, "", |observed| &mut observed.deployments, tasks);
        }
        // Model pods and other replicas. Not by who manages the Service: Helm writes its own name there.
        let ours = format!("{} in ({},{})", labels::APP_NAME, labels::APP_NAME_RUNTIME, labels::APP_NAME_GATEWAY);
        for scope in of_slices {
            self.spawn::<EndpointSlice>(client, scope, &ours, |observed| &mut observed.slices, tasks);
        }
    }

    fn spawn<K>(
        self: &Arc<Self>,
        client: &Client,
        scope: Option<String>,
        selector: &str,
        part: Part<K>,
        tasks: &mut JoinSet<()>,
    ) where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug
            + Send
            + 'static,
    {
        let api: Api<DeserializeGuard<K>> = match &scope {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let config = watcher::Config::default().labels(selector).timeout(WATCH_SECONDS).page_size(PAGE);
        let cluster = Arc::clone(self);
        tasks.spawn(async move { cluster.follow(api, config, scope, part).await });
    }

    async fn follow<K>(
        &self,
        api: Api<DeserializeGuard<K>>,
        config: watcher::Config,
        scope: Option<String>,
        part: Part<K>,
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        let mut events = watcher::watcher(api, config).backoff(Steady::default()).boxed();
        let (mut listed, mut is_first) = (HashSet::new(), true);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(object)) => {
                    listed.insert(name_of(&object));
                    self.saw(part, object);
                    continue;
                }
                Ok(Event::InitDone) => {
                    let is_there = |name: &Name| {
                        listed.contains(name) || scope.as_ref().is_some_and(|scope| *scope != name.namespace)
                    };
                    self.with(|observed| part(observed).retain(|name, _| is_there(name)));
                    if std::mem::take(&mut is_first) {
                        self.unlisted.fetch_sub(1, Ordering::Relaxed);
                    }
                }
                Ok(Event::Apply(object)) => self.saw(part, object),
                Ok(Event::Delete(object)) => {
                    self.with(|observed| part(observed).remove(&name_of(&object)));
                }
                Err(error) => {
                    tracing::warn!(kind = %K::plural(&()), %error, "the watch failed; it is begun again");
                    self.metrics.watch_failures.with_label_values(&[K::plural(&()).as_ref()]).inc();
                    continue;
                }
            }
            self.changed.notify_one();
        }
    }

    /// An object that cannot be read is as good as none: a key that nobody understands opens nothing.
    fn saw<K: Resource>(&self, part: Part<K>, object: DeserializeGuard<K>) {
        let name = name_of(&object);
        match object.0 {
            Ok(object) => drop(self.with(|observed| part(observed).insert(name, object))),
            Err(error) => {
                tracing::warn!(object = %name, error = %error.error, "an object cannot be read; it does not count");
                self.with(|observed| part(observed).remove(&name));
            }
        }
    }

    /// Makes worlds of what the watches bring, for as long as it is polled.
    pub(crate) async fn build(&self, worlds: &watch::Sender<Arc<World>>) {
        loop {
            self.changed.notified().await;
            tokio::time::sleep(TOGETHER).await;
            if self.unlisted.load(Ordering::Relaxed) > 0 {
                continue;
            }
            let world = self.with(|observed| {
                let gone: Vec<_> = observed
                    .adapters
                    .keys()
                    .filter(|name| !observed.deployments.contains_key(*name))
                    .cloned()
                    .collect();
                for name in gone {
                    observed.adapters.remove(&name);
                }
                observed.world(&self.own)
            });
            worlds.send_if_modified(|current| {
                let is_new = **current != world;
                if is_new {
                    *current = Arc::new(world);
                }
                is_new
            });
            self.is_synced.store(true, Ordering::Relaxed);
        }
    }
}

fn name_of<K: Resource>(object: &DeserializeGuard<K>) -> Name
where
    DeserializeGuard<K>: Resource,
{
    Name::new(object.namespace().unwrap_or_default(), object.name_any())
}

/// Half a second, doubling up to four: short, because a revocation that is not heard of is a key that still opens.
#[derive(Debug, Default)]
struct Steady {
    failures: u32,
}

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = Duration::from_millis(500 << self.failures.min(3));
        self.failures += 1;
        Some(pause)
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {
        self.failures = 0;
    }
}
