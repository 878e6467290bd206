//! Open connections to one server.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request,
    client::conn::{http1, http2},
};
use rustls::ClientConfig;
use tokio_util::task::TaskTracker;

use super::{Answered, CallError, Target, Wire, connect};
use crate::tls::Identity;

/// Requests at once on one connection of HTTP/2; the runtime takes 256, others 100.
const STREAMS: usize = 100;
/// An idle connection of HTTP/1.1 is not used after it: servers close theirs a while later, and a request that meets the
/// closing cannot be sent again.
const IDLE_TIME: Duration = Duration::from_secs(4);

#[derive(Debug, Default)]
pub(super) struct Pool {
    shared: Mutex<Vec<Shared>>,
    idle: Mutex<Vec<Idle>>,
    speaks_http1: AtomicBool,
    /// One handshake at a time while one connection serves many.
    dialing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Shared {
    sender: http2::SendRequest<Full<Bytes>>,
    streams: Arc<AtomicUsize>,
    shown: Shown,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<Full<Bytes>>,
    since: Instant,
    shown: Shown,
}

/// The certificate and the authorities with which a connection was opened. Once they are renewed it takes no further request
/// and closes with its last answer.
#[derive(Clone, Debug)]
struct Shown(Arc<ClientConfig>);

impl Shown {
    fn is(&self, now: &Arc<ClientConfig>) -> bool {
        Arc::ptr_eq(&self.0, now)
    }
}

/// The part of a connection that an answer occupies.
#[derive(Debug)]
pub(crate) struct Lease {
    held: Option<Held>,
}

#[derive(Debug)]
enum Held {
    Stream(Arc<AtomicUsize>),
    Whole { pool: Arc<Pool>, sender: http1::SendRequest<Full<Bytes>>, shown: Shown },
}

impl Lease {
    /// The body was read to its end: the connection takes the next request.
    pub(crate) fn finish(&mut self) {
        if let Some(Held::Whole { pool, sender, shown }) = self.held.take_if(|held| matches!(held, Held::Whole { .. }))
        {
            let idle = Idle { sender, since: Instant::now(), shown };
            pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(Held::Stream(streams)) = &self.held {
            streams.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Pool {
    fn open(self: &Arc<Self>, config: &Arc<ClientConfig>) -> Option<(Wire, Lease)> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|one| !one.sender.is_closed() && one.shown.is(config));
        if let Some(one) = shared.iter().find(|one| one.streams.load(Ordering::Relaxed) < STREAMS) {
            return Some(one.clone().lease());
        }
        drop(shared);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|one| !one.sender.is_closed() && one.since.elapsed() < IDLE_TIME && one.shown.is(config));
        // The freshest: the others may rest until they are old.
        let at = idle.iter().rposition(|one| one.sender.is_ready())?;
        let Idle { sender, .. } = idle.swap_remove(at);
        Some((Wire::Http1(sender), Lease { held: None }))
    }

    async fn checkout(
        self: &Arc<Self>,
        target: &Target,
        config: &Arc<ClientConfig>,
        tasks: &TaskTracker,
    ) -> Result<(Wire, Lease), CallError> {
        if let Some(open) = self.open(config) {
            return Ok(open);
        }
        let turn = if self.speaks_http1.load(Ordering::Relaxed) { None } else { Some(self.dialing.lock().await) };
        if turn.is_some()
            && let Some(open) = self.open(config)
        {
            return Ok(open);
        }
        match connect(target, config, tasks).await? {
            Wire::Http2(sender) => {
                let one = Shared { sender, streams: Arc::default(), shown: Shown(Arc::clone(config)) };
                self.shared.lock().unwrap_or_else(PoisonError::into_inner).push(one.clone());
                Ok(one.lease())
            }
            Wire::Http1(sender) => {
                self.speaks_http1.store(true, Ordering::Relaxed);
                Ok((Wire::Http1(sender), Lease { held: None }))
            }
        }
    }

    /// Sends the request that `build` makes for HTTP/2 or HTTP/1.1; the answer's body is yet to come.
    pub(super) async fn call(
        self: &Arc<Self>,
        target: &Target,
        identity: &Identity,
        tasks: &TaskTracker,
        build: impl FnOnce(bool) -> Request<Full<Bytes>>,
    ) -> Result<Answered, CallError> {
        let config = identity.client();
        let (mut wire, mut lease) = self.checkout(target, &config, tasks).await?;
        let response = wire.send(build(matches!(wire, Wire::Http2(_)))).await?;
        if let Wire::Http1(sender) = wire {
            lease.held = Some(Held::Whole { pool: Arc::clone(self), sender, shown: Shown(config) });
        }
        Ok(Answered { response, lease })
    }
}

impl Shared {
    fn lease(self) -> (Wire, Lease) {
        self.streams.fetch_add(1, Ordering::Relaxed);
        (Wire::Http2(self.sender), Lease { held: Some(Held::Stream(self.streams)) })
    }
}
