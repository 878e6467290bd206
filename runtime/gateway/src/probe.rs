//! Plain HTTP for the kubelet and Prometheus: health and metrics. No request of a user comes here.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alcazar_contract::routes;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{gateway::Gateway, listen::crowd::Crowd, vpn};

const MAX_CONNECTIONS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(10);

/// What the probe port tells of.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) crowd: Arc<Crowd>,
    /// What the tunnel counts, if there is one; nothing while it is closed.
    pub(crate) vpn: Option<watch::Receiver<Option<alcazar_vpn::Reader>>>,
    /// Every watch has told everything once.
    pub(crate) is_synced: Arc<AtomicBool>,
}

/// Serves for as long as it is polled.
pub(crate) async fn serve(listener: TcpListener, probe: Arc<Probe>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    let probe = Arc::clone(&probe);
                    let service = service_fn(move |request: Request<Incoming>| {
                        let response = probe.answer(request.uri().path());
                        async move { Ok::<_, Infallible>(response) }
                    });
                    let mut builder = http1::Builder::new();
                    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
                    let connection = builder.serve_connection(TokioIo::new(stream), service);
                    connections.spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "a connection of the probe port ended early");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection on the probe port");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
}

impl Probe {
    fn answer(&self, path: &str) -> Response<Full<Bytes>> {
        let (status, text) = match path {
            routes::LIVE => (StatusCode::OK, b"alive\n".to_vec()),
            routes::READY => match self.unready() {
                None => (StatusCode::OK, b"ready\n".to_vec()),
                Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n").into_bytes()),
            },
            routes::METRICS => self.metrics(),
            _ => (StatusCode::NOT_FOUND, Vec::new()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response
    }

    /// Why no request should be sent here.
    pub(crate) fn unready(&self) -> Option<&'static str> {
        if self.gateway.is_draining() {
            Some("shutting down")
        } else if !self.is_synced.load(Ordering::Relaxed) {
            Some("keys and models are still being listed")
        } else if self.vpn.as_ref().is_some_and(|reader| reader.borrow().is_none()) {
            // Peers that are sent elsewhere find one that is open.
            Some("the tunnel is closed; it is being opened again")
        } else {
            None
        }
    }

    fn metrics(&self) -> (StatusCode, Vec<u8>) {
        let metrics = &self.gateway.metrics;
        let gauge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.connections.set(gauge(self.crowd.len() as u64));
        metrics.connections_evicted.set(gauge(self.crowd.evicted.load(Ordering::Relaxed)));
        metrics.connections_refused.set(gauge(self.crowd.refused.load(Ordering::Relaxed)));
        metrics.connections_flooding.set(gauge(self.crowd.flooding.load(Ordering::Relaxed)));
        let reader = self.vpn.as_ref().and_then(|reader| reader.borrow().clone());
        let of_vpn = reader.map_or(Ok(Vec::new()), |reader| vpn::metrics::render(&reader.snapshot()));
        match metrics.render().and_then(|text| Ok([text, of_vpn?].concat())) {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => {
                tracing::error!(%error, "failed to render the metrics");
                (StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
            }
        }
    }
}
