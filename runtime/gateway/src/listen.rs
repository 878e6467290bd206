//! Accepts connections wherever they come from, bounds them, and lets those that are open end well.

pub(crate) mod crowd;
mod resets;

use std::{future::Future, io, sync::Arc, time::Duration};

use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use self::crowd::{Crowd, Seat};
use crate::{answer::Answer, settings::Limits};

/// After an accept that failed, for want of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Of a head of HTTP/1.1, and of the header list of HTTP/2.
const MAX_HEAD_BYTES: u32 = 32 << 10;
/// Requests at once on one connection of HTTP/2.
const MAX_STREAMS: u32 = 128;
/// Streams that were reset before they were accepted: only what comes in one read, so few. More close the connection, as do
/// those of [`resets`]; 20 is what h2 has, written down so that it stays.
const MAX_PENDING_RESETS: usize = 20;
/// Streams that we reset ourselves, because they break the protocol or are more than [`MAX_STREAMS`], in the whole life of a
/// connection. A client that opens many before it has read our settings loses some once; h2's 1024 is for proxies.
const MAX_LOCAL_RESETS: usize = 256;

/// Where connections come from: a port, or the inside of a tunnel.
pub trait Listener: Send {
    /// A connection, before TLS.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one. An error is logged and the next is asked for after a short pause.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::accept(self).await?;
        // Tokens are small; waiting to fill a packet would show as stutter.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// What one port needs.
#[derive(Clone)]
pub(crate) struct Port<A> {
    /// Asked for each connection, so that a renewed certificate is used.
    pub(crate) acceptor: A,
    pub(crate) limits: Limits,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) close: CancellationToken,
}

/// Serves until told to close, then until the last connection has finished its answers.
pub(crate) async fn serve<L, A, H, F>(mut listener: L, port: Port<A>, handle: H)
where
    L: Listener,
    A: Fn() -> TlsAcceptor + Clone + Send + 'static,
    H: Fn(Arc<Seat>, Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Answer>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = port.close.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    // With no seat left to give, the newcomer is dropped: everybody else is being answered.
                    if let Some(seat) = port.crowd.enter() {
                        connections.spawn(connect(stream, port.clone(), handle.clone(), seat));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connect<S, A, H, F>(stream: S, port: Port<A>, handle: H, seat: crowd::Seated)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn() -> TlsAcceptor,
    H: Fn(Arc<Seat>, Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Answer>> + Send + 'static,
{
    let acceptor = (port.acceptor)();
    let shaken = tokio::time::timeout(port.limits.header_time(), acceptor.accept(stream));
    let shaken = tokio::select! {
        shaken = shaken => shaken,
        () = seat.told_to_leave() => return,
        () = port.close.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => talk(stream, &port.limits, port.close, handle, seat).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn talk<S, H, F>(stream: TlsStream<S>, limits: &Limits, close: CancellationToken, handle: H, seat: crowd::Seated)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Arc<Seat>, Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Answer>> + Send + 'static,
{
    seat.showed(stream.get_ref().1.peer_certificates());
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time())
        .max_buf_size(MAX_HEAD_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS);
    let service = {
        let seat = seat.seat();
        service_fn(move |request| {
            let (mut work, seat) = (seat.work(), Arc::clone(&seat));
            let answer = handle(seat, request);
            async move {
                let answer = answer.await;
                work.answered();
                Ok::<_, std::convert::Infallible>(answer.map(|body| body.holding(work)))
            }
        })
    };
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = seat.told_to_leave() => return,
        () = seat.idle_for(limits.idle_time()) => {
            connection.as_mut().graceful_shutdown();
            // A request may have come just now: it is answered.
            tokio::select! { ended = connection => ended, () = seat.told_to_leave() => return }
        }
        () = close.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client that leaves in the middle is everyday.
        tracing::debug!(error = %error, "a connection ended early");
    }
}
