//! One new attempt at each target of a round.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use alcazar_contract::isolation::{Protocol, Target};
use tokio::{
    net::{TcpStream, UdpSocket, lookup_host},
    task::JoinSet,
};

/// Asks for the name servers of the root: every resolver has an answer, and it tells it nothing.
const DNS_QUERY: [u8; 17] = [0x41, 0x4c, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];

/// The targets that answer, in their order.
pub(super) async fn reached(targets: &Arc<[Target]>, wait: Duration) -> Vec<Target> {
    let mut attempts = JoinSet::new();
    for n in 0..targets.len() {
        let targets = Arc::clone(targets);
        attempts.spawn(async move {
            let answered = tokio::time::timeout(wait, attempt(&targets[n])).await;
            matches!(answered, Ok(Ok(()))).then_some(n)
        });
    }
    let mut found: Vec<usize> = attempts.join_all().await.into_iter().flatten().collect();
    found.sort_unstable();
    found.into_iter().map(|n| targets[n].clone()).collect()
}

/// Always over a socket of its own: what was open before a policy may stay open after it.
async fn attempt(target: &Target) -> io::Result<()> {
    match target.protocol {
        Protocol::Tcp => TcpStream::connect(target.address.as_str()).await.map(drop),
        Protocol::Udp => ask(&target.address).await,
    }
}

async fn ask(address: &str) -> io::Result<()> {
    let address = lookup_host(address).await?.next().ok_or(io::ErrorKind::NotFound)?;
    let own = if address.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(own).await?;
    // Connected, so that nobody else's packet counts as the answer.
    socket.connect(address).await?;
    socket.send(&DNS_QUERY).await?;
    socket.recv(&mut [0; 512]).await.map(drop)
}
