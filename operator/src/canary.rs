//! The canary: a listener that answers everybody with one line. A model pod that gets the line is not isolated; the
//! operator, which must get it, shows with the same address that there was something to get. No client.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::telemetry::metrics::Metrics;

/// What it says.
const LINE: &[u8] = b"alcazar-canary\n";
/// Connections at a time; more wait in the backlog, where a connection counts as answered all the same.
const MAX_CONNECTIONS: usize = 64;
/// For the line to be taken, and for the operator's own question.
const PATIENCE: Duration = Duration::from_secs(2);
/// After an accept that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers until `stop`.
pub async fn serve(listener: TcpListener, metrics: Metrics, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    metrics.canary_answered();
                    connections.spawn(tokio::time::timeout(PATIENCE, answer(stream)));
                }
                Err(error) => {
                    tracing::warn!(%error, "the canary failed to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(LINE).await?;
    stream.shutdown().await
}

/// Whether a canary says its line there.
pub async fn answers(address: &str) -> bool {
    let ask = async {
        let mut said = [0; LINE.len()];
        TcpStream::connect(address).await?.read_exact(&mut said).await?;
        io::Result::Ok(said == LINE)
    };
    matches!(tokio::time::timeout(PATIENCE, ask).await, Ok(Ok(true)))
}

/// Listens before anything else starts, so that a taken port is an error at once. By both families where the machine has
/// both.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        // A kernel without IPv6.
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_answers_everybody_and_waits_for_nobody() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap().to_string(), CancellationToken::new());
        let metrics = Metrics::new().unwrap();
        let mut server = JoinSet::new();
        server.spawn(serve(listener, metrics.clone(), stop.clone()));
        // As many as say nothing and stay: the line is theirs at once, and their places are free again.
        let mut idle = Vec::new();
        for _ in 0..MAX_CONNECTIONS * 2 {
            idle.push(TcpStream::connect(&address).await.unwrap());
        }
        assert!(answers(&address).await);
        assert!(metrics.render().unwrap().contains("alcazar_operator_canary_connections_total"));
        stop.cancel();
        server.join_next().await.unwrap().unwrap();
        drop(idle);
        assert!(!answers(&address).await, "nobody listens");
    }

    #[tokio::test]
    async fn another_listener_is_no_canary() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (found, ()) = tokio::join!(answers(&address), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad\r\n").await.unwrap();
        });
        assert!(!found);
    }
}
