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
    idle: Mutex<Vec<(http1::SendRequest<Full<Bytes>>, Instant)>>,
    speaks_http1: AtomicBool,
    /// One handshake at a time while one connection serves many.
    dialing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Shared {
    sender: http2::SendRequest<Full<Bytes>>,
    streams: Arc<AtomicUsize>,
}

/// The part of a connection that an answer occupies.
#[derive(Debug)]
pub(crate) struct Lease {
    held: Option<Held>,
}

#[derive(Debug)]
enum Held {
    Stream(Arc<AtomicUsize>),
    Whole { pool: Arc<Pool>, sender: http1::SendRequest<Full<Bytes>> },
}

impl Lease {
    /// The body was read to its end: the connection takes the next request.
    pub(crate) fn finish(&mut self) {
        if let Some(Held::Whole { pool, sender }) = self.held.take_if(|held| matches!(held, Held::Whole { .. })) {
            pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push((sender, Instant::now()));
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
    fn open(self: &Arc<Self>) -> Option<(Wire, Lease)> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|one| !one.sender.is_closed());
        if let Some(one) = shared.iter().find(|one| one.streams.load(Ordering::Relaxed) < STREAMS) {
            return Some(one.clone().lease());
        }
        drop(shared);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < IDLE_TIME);
        // The freshest: the others may rest until they are old.
        let at = idle.iter().rposition(|(sender, _)| sender.is_ready())?;
        let (sender, _) = idle.swap_remove(at);
        Some((Wire::Http1(sender), Lease { held: None }))
    }

    async fn checkout(
        self: &Arc<Self>,
        target: &Target,
        identity: &Identity,
        tasks: &TaskTracker,
    ) -> Result<(Wire, Lease), CallError> {
        if let Some(open) = self.open() {
            return Ok(open);
        }
        let turn = if self.speaks_http1.load(Ordering::Relaxed) { None } else { Some(self.dialing.lock().await) };
        if turn.is_some()
            && let Some(open) = self.open()
        {
            return Ok(open);
        }
        match connect(target, identity, tasks).await? {
            Wire::Http2(sender) => {
                let one = Shared { sender, streams: Arc::default() };
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
        let (mut wire, mut lease) = self.checkout(target, identity, tasks).await?;
        let response = wire.send(build(matches!(wire, Wire::Http2(_)))).await?;
        if let Wire::Http1(sender) = wire {
            lease.held = Some(Held::Whole { pool: Arc::clone(self), sender });
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
