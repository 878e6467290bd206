//! Calls to model pods and other replicas: mutual TLS, connections that are used again, and an exact answer to the one
//! question that decides about a second try: was it begun?

pub(crate) mod fleet;
pub(crate) mod pool;

use std::{error::Error as _, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::task::TaskTracker;

use pool::Lease;

/// A pod is near; one that takes longer is not there.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// The handshake is computed on a processor that models use, too.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// A server and the name that its certificate must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) server_name: Arc<str>,
    pub(crate) address: SocketAddr,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("failed to connect: {source}")]
    Connect { source: io::Error },
    #[error("failed to connect in time")]
    ConnectTimeout,
    #[error("failed to send: the connection was closed and the request not begun")]
    NotBegun,
    #[error("failed to call: {source}")]
    Failed { source: hyper::Error },
    #[error("failed to answer in time")]
    Timeout,
}

impl CallError {
    /// Whether the server cannot have begun the request.
    pub(crate) fn was_not_begun(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::ConnectTimeout | Self::NotBegun)
    }
}

/// A connection that takes a request.
#[derive(Debug)]
pub(super) enum Wire {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    /// Kept until the end of the body, and finished if that was reached.
    pub(crate) lease: Lease,
}

/// Opens a connection; what drives it runs in `tasks` and ends with the connection.
async fn connect(target: &Target, config: &Arc<ClientConfig>, tasks: &TaskTracker) -> Result<Wire, CallError> {
    let stream = tokio::time::timeout(CONNECT_TIME, TcpStream::connect(target.address)).await;
    let stream = stream.map_err(|_| CallError::ConnectTimeout)?.map_err(|source| CallError::Connect { source })?;
    stream.set_nodelay(true).map_err(|source| CallError::Connect { source })?;
    let name = ServerName::try_from(target.server_name.to_string());
    let name = name.map_err(|error| CallError::Connect { source: io::Error::other(error) })?;
    let shaken = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    let shaken = tokio::time::timeout(HANDSHAKE_TIME, shaken).await.map_err(|_| CallError::ConnectTimeout)?;
    let stream = shaken.map_err(|source| CallError::Connect { source })?;
    speak(stream, tasks).await.map_err(|source| CallError::Connect { source: io::Error::other(source) })
}

async fn speak(stream: TlsStream<TcpStream>, tasks: &TaskTracker) -> hyper::Result<Wire> {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if is_http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .adaptive_window(false)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(8 << 20);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a pod ended");
            }
        });
        return Ok(Wire::Http2(sender));
    }
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tasks.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a pod ended");
        }
    });
    Ok(Wire::Http1(sender))
}

impl Wire {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, CallError> {
        match self {
            Self::Http1(sender) => sender.try_send_request(request).await.map_err(judge),
            Self::Http2(sender) => sender.try_send_request(request).await.map_err(judge),
        }
    }
}

/// Not begun: handed back unsent, refused, or beyond the last one that a closing server takes.
fn judge(mut failure: TrySendError<Request<Full<Bytes>>>) -> CallError {
    if failure.take_message().is_some() {
        return CallError::NotBegun;
    }
    let error = failure.into_error();
    let of_http2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    let was_refused = of_http2.is_some_and(|error| {
        error.is_remote()
            && match error.reason() {
                Some(h2::Reason::REFUSED_STREAM) => true,
                Some(h2::Reason::NO_ERROR) => error.is_go_away(),
                _ => false,
            }
    });
    if was_refused { CallError::NotBegun } else { CallError::Failed { source: error } }
}
