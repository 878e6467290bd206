//! Keeps the stores up to date and wakes whoever a change concerns. Client required.
//!
//! One watch for each kind (and namespace, where the operator looks after some only). A watch that fails is logged, counted
//! and begun again; it never ends.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use alcazar_contract::labels;
use alcazar_crds::llm_deployment::LlmDeployment;
use futures::StreamExt as _;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt as _,
        utils::Backoff,
        watcher::{self, Event},
    },
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    children::OwnerKind,
    context::Context,
    runner::Waker,
    store::{Changed, Key, Kind, Store, WatchedObject, Wrote},
};

/// A server-side watch ends after this time and is resumed: a connection that died silently is noticed soon after.
const WATCH_SECONDS: u32 = 120;
/// Objects of one page of the first list: bounds the memory that a start needs.
const PAGE: u32 = 100;

/// Wakes the objects of our kinds.
#[derive(Clone, Debug)]
pub struct Wakers {
    /// `LlmApiKey`.
    pub api_keys: Waker,
    /// `LlmVpnPeer`.
    pub vpn_peers: Waker,
    /// `LlmDeployment`.
    pub deployments: Waker,
    /// `LlmModel`.
    pub models: Waker,
}

impl Wakers {
    /// Wakes the owners of a child, unless they wrote it themselves.
    fn owners(&self, changed: Changed) {
        if changed.echo == Some(Wrote::Child) {
            return;
        }
        for owner in changed.owners {
            match owner.kind {
                OwnerKind::Deployment => self.deployments.wake(owner.key),
                OwnerKind::Model => self.models.wake(owner.key),
                OwnerKind::ApiKey => self.api_keys.wake(owner.key),
            }
        }
    }
}

/// Starts all watches; they end with `stop`.
pub fn start(ctx: &Arc<Context>, wakers: &Wakers, stop: &CancellationToken) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let stores = &ctx.stores;
    spawn_for(&mut tasks, ctx, &stores.llm_deployments, stop, "", {
        let wakers = wakers.clone();
        move |changed| deployment_changed(&wakers, changed)
    });
    spawn_for(&mut tasks, ctx, &stores.llm_models, stop, "", {
        let (ctx, wakers) = (Arc::clone(ctx), wakers.clone());
        move |changed| model_changed(&ctx, &wakers, changed)
    });
    spawn_for(&mut tasks, ctx, &stores.llm_api_keys, stop, "", {
        let (keys, waker) = (stores.llm_api_keys.clone(), wakers.api_keys.clone());
        move |changed| grant_changed(&keys, &waker, &changed)
    });
    spawn_for(&mut tasks, ctx, &stores.llm_vpn_peers, stop, "", {
        let (peers, waker) = (stores.llm_vpn_peers.clone(), wakers.vpn_peers.clone());
        move |changed| grant_changed(&peers, &waker, &changed)
    });
    let ours = format!("{}={}", labels::MANAGED_BY, labels::MANAGED_BY_VALUE);
    macro_rules! children {
        ($($store:ident),*) => {$({
            let wakers = wakers.clone();
            spawn_for(&mut tasks, ctx, &stores.$store, stop, &ours, move |changed| wakers.owners(changed));
        })*};
    }
    children!(deployments, jobs, pods, services, service_accounts, claims, network_policies, disruption_budgets);
    tasks
}

/// A deployment wakes itself, but not by its own status.
fn deployment_changed(wakers: &Wakers, changed: Changed) {
    if changed.echo != Some(Wrote::Status) {
        changed.objects.into_iter().for_each(|key| wakers.deployments.wake(key));
    }
}

/// A model wakes itself, but not by its own status; the deployment that owns it, but not by what that wrote; and every
/// deployment that names it.
fn model_changed(ctx: &Context, wakers: &Wakers, changed: Changed) {
    for key in &changed.objects {
        for user in users_of(&ctx.stores.llm_deployments, key) {
            wakers.deployments.wake(user);
        }
        if changed.echo != Some(Wrote::Status) {
            wakers.models.wake(key.clone());
        }
    }
    wakers.owners(changed);
}

/// A key or a peer wakes itself, but not by its own status, and all that have its hash, its key or its address.
fn grant_changed<K>(store: &Store<K>, waker: &Waker, changed: &Changed) {
    if changed.echo == Some(Wrote::Status) {
        return;
    }
    let alike: BTreeSet<Key> = changed.marks.iter().flat_map(|mark| store.marked(mark)).collect();
    alike.union(&changed.objects).for_each(|key| waker.wake(key.clone()));
}

/// Deployments of the same namespace that name the model.
fn users_of(deployments: &Store<LlmDeployment>, model: &Key) -> Vec<Key> {
    deployments.marked(&model.name).into_iter().filter(|key| key.namespace == model.namespace).collect()
}

fn spawn_for<K: Kind>(
    tasks: &mut JoinSet<()>,
    ctx: &Arc<Context>,
    store: &Store<K>,
    stop: &CancellationToken,
    selector: &str,
    on_change: impl Fn(Changed) + Clone + Send + 'static,
) {
    let scopes: Vec<Option<String>> = match ctx.settings.watch_namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    store.expect_lists(scopes.len());
    for scope in scopes {
        let (ctx, store, on_change) = (Arc::clone(ctx), store.clone(), on_change.clone());
        let (selector, stop) = (selector.to_owned(), stop.clone());
        tasks.spawn(async move {
            stop.run_until_cancelled(follow(&ctx, &store, scope.as_deref(), &selector, on_change)).await;
        });
    }
}

async fn follow<K: Kind>(
    ctx: &Context,
    store: &Store<K>,
    scope: Option<&str>,
    selector: &str,
    on_change: impl Fn(Changed),
) {
    let api: Api<WatchedObject<K>> = scoped(&ctx.client, scope);
    let config = watcher::Config::default().labels(selector).timeout(WATCH_SECONDS).page_size(PAGE);
    let mut events = watcher::watcher(api, config).backoff(Steady::default()).boxed();
    let mut listing: Option<Listing> = None;
    while let Some(event) = events.next().await {
        let changed = match event {
            Ok(Event::Init) => {
                listing = Some(Listing { began: Instant::now(), seen: BTreeSet::new() });
                None
            }
            Ok(Event::InitApply(object)) => {
                if let Some(listing) = &mut listing {
                    listing.seen.insert(object.key());
                }
                store.saw(object)
            }
            Ok(Event::InitDone) => {
                let listing = listing.take();
                let changed = listing.and_then(|list| store.retain_listed(scope, &list.seen, list.began));
                if store.listed() {
                    debug!(kind = %K::plural(&()), "cache is complete");
                }
                changed
            }
            Ok(Event::Apply(object)) => store.saw(object),
            Ok(Event::Delete(object)) => store.gone(object),
            Err(failure) => {
                warn!(kind = %K::plural(&()), error = %failure, "the watch failed; it is begun again");
                ctx.metrics.watch_failed(K::plural(&()).as_ref());
                None
            }
        };
        if let Some(changed) = changed {
            on_change(changed);
        }
    }
}

struct Listing {
    began: Instant,
    seen: BTreeSet<Key>,
}

fn scoped<K: Kind>(client: &Client, scope: Option<&str>) -> Api<WatchedObject<K>> {
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Half a second, doubling up to four: short, because a cache that lags makes every answer wrong.
#[derive(Debug, Default)]
struct Steady {
    failures: u32,
}

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = Duration::from_millis(500 << self.failures.min(3));
        self.failures = self.failures.saturating_add(1);
        Some(wait)
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {
        self.failures = 0;
    }
}
