//! All servers that are called: how busy each is, and which are set aside for a moment.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Version,
    header::{HOST, HeaderValue},
};
use sha2::{Digest as _, Sha256};
use tokio_util::task::TaskTracker;

use super::{Answered, CallError, Target, pool::Pool};
use crate::{
    balance::{self, Candidate},
    tls::Identity,
    world::{Model, World},
};

/// After one failure; doubled with each further one in a row, up to [`MAX_ASIDE`].
const ASIDE: Duration = Duration::from_millis(500);
const MAX_ASIDE: Duration = Duration::from_secs(10);

/// All servers that are called.
#[derive(Debug)]
pub(crate) struct Fleet {
    began: Instant,
    identity: Arc<Identity>,
    tasks: TaskTracker,
    answer_time: Duration,
    endpoints: Mutex<HashMap<Target, Arc<Endpoint>>>,
}

/// One server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    target: Target,
    id: u64,
    in_flight: AtomicUsize,
    /// Milliseconds since the fleet began.
    aside_until: AtomicU64,
    failures: AtomicU32,
    pool: Arc<Pool>,
}

/// A request on its way to an endpoint.
#[derive(Debug)]
pub(crate) struct Flight(Arc<Endpoint>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Fleet {
    pub(crate) fn new(identity: Arc<Identity>, answer_time: Duration) -> Arc<Self> {
        let endpoints = Mutex::default();
        Arc::new(Self { began: Instant::now(), identity, tasks: TaskTracker::new(), answer_time, endpoints })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The server, known or new.
    pub(crate) fn endpoint(&self, target: &Target) -> Arc<Endpoint> {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = endpoints.get(target) {
            return Arc::clone(endpoint);
        }
        let endpoint = Arc::new(Endpoint::new(target.clone()));
        endpoints.insert(target.clone(), Arc::clone(&endpoint));
        endpoint
    }

    /// The endpoint of a model that takes a request; `None` while there is none that may.
    pub(crate) fn pick(&self, model: &Model, prefix: Option<u64>, not: &[Arc<Endpoint>]) -> Option<Flight> {
        let server_name: Arc<str> = model.server_name().into();
        let target = |address| Target { server_name: Arc::clone(&server_name), address };
        let now = self.now();
        let endpoints = model.endpoints.iter().map(|address| self.endpoint(&target(*address)));
        let open = endpoints.filter(|endpoint| endpoint.aside_until.load(Ordering::Relaxed) <= now);
        let open: Vec<_> = open.filter(|one| !not.iter().any(|other| Arc::ptr_eq(one, other))).collect();
        let load = |one: &Arc<Endpoint>| Candidate { id: one.id, in_flight: one.in_flight.load(Ordering::Relaxed) };
        let candidates: Vec<_> = open.iter().map(load).collect();
        let place = balance::pick(prefix, &candidates, fastrand::u64(..))?;
        open.get(place).map(Flight::new)
    }

    /// Sends a request along a flight. What cannot be reached is set aside for a moment.
    pub(crate) async fn call(&self, flight: &Flight, request: &Call) -> Result<Answered, CallError> {
        let endpoint = &flight.0;
        let build = |is_http2| request.build(&endpoint.target, is_http2);
        let call = endpoint.pool.call(&endpoint.target, &self.identity, &self.tasks, build);
        let answered = tokio::time::timeout(self.answer_time, call).await.unwrap_or(Err(CallError::Timeout));
        match &answered {
            Ok(_) => endpoint.failures.store(0, Ordering::Relaxed),
            Err(CallError::NotBegun | CallError::Timeout) => {}
            Err(error) => {
                tracing::warn!(%error, endpoint = %endpoint.target.address, "a pod is set aside for a moment");
                self.set_aside(flight);
            }
        }
        answered
    }

    /// Takes no request for a moment.
    pub(crate) fn set_aside(&self, flight: &Flight) {
        let failures = flight.0.failures.fetch_add(1, Ordering::Relaxed).min(8);
        let time = ASIDE.saturating_mul(1 << failures).min(MAX_ASIDE);
        let until = self.now().saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        flight.0.aside_until.store(until, Ordering::Relaxed);
    }

    /// Forgets servers that are gone; what is under way ends as it would have.
    pub(crate) fn retain(&self, world: &World) {
        let models = world.models().flat_map(|model| {
            let server_name: Arc<str> = model.server_name().into();
            model
                .endpoints
                .iter()
                .map(move |address| Target { server_name: Arc::clone(&server_name), address: *address })
        });
        let there: std::collections::HashSet<_> = models.collect();
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let is_peer = |target: &Target| {
            *target.server_name == *crate::tls::GATEWAY_NAME
                && world.peers().iter().any(|peer| peer.address == target.address)
        };
        endpoints.retain(|target, _| there.contains(target) || is_peer(target));
    }
}

impl Endpoint {
    fn new(target: Target) -> Self {
        let mut hash = Sha256::new();
        hash.update(target.server_name.as_bytes());
        hash.update(target.address.to_string().as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&hash.finalize()[..8]);
        Self {
            target,
            id: u64::from_be_bytes(id),
            in_flight: AtomicUsize::new(0),
            aside_until: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            pool: Arc::default(),
        }
    }
}

impl Flight {
    pub(crate) fn new(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(endpoint))
    }

    pub(crate) fn endpoint(&self) -> Arc<Endpoint> {
        Arc::clone(&self.0)
    }
}

/// A request that can be made again.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    fn build(&self, target: &Target, is_http2: bool) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers.clone();
        if is_http2 {
            *request.version_mut() = Version::HTTP_2;
            let whole = format!("https://{}{}", target.server_name, self.path);
            *request.uri_mut() = whole.parse().unwrap_or_else(|_| hyper::Uri::from_static(self.path));
        } else {
            *request.uri_mut() = hyper::Uri::from_static(self.path);
            if let Ok(host) = HeaderValue::from_str(&target.server_name) {
                request.headers_mut().insert(HOST, host);
            }
        }
        request
    }
}
