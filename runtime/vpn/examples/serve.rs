//! A small HTTP server inside a tunnel, for tests/vpn and for measuring: `GET /bytes/N` gives N bytes, `POST /` says how many came,
//! `GET /metrics` what was counted. With `--plain` it serves the same on an address of the system, which is what a kernel's tunnel
//! or wireguard-go's leads to.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use alcazar_vpn::{Cause, Config, Limits, Peer, PrivateKey, Reader, Vpn};
use anyhow::Context;
use clap::Parser;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
};

const RELOAD: Duration = Duration::from_millis(500);

#[derive(Parser)]
struct Arguments {
    /// Serve on this TCP address and make no tunnel.
    #[arg(long)]
    plain: Option<SocketAddr>,
    #[arg(long, default_value = "0.0.0.0:51820")]
    listen: SocketAddr,
    /// A file as `wg genkey` writes it.
    #[arg(long, default_value = "private.key")]
    key: PathBuf,
    /// Lines of public key, address and name, read again when they change.
    #[arg(long, default_value = "peers")]
    peers: PathBuf,
    #[arg(long, default_value = "10.88.0.0/16")]
    cidr: String,
    #[arg(long, default_value = "10.88.0.1")]
    address: String,
    #[arg(long, default_value_t = 80)]
    port: u16,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.plain {
        Some(address) => serve_plain(TcpListener::bind(address).await?).await,
        None => serve_tunnel(arguments).await,
    }
}

async fn serve_plain(listener: TcpListener) -> anyhow::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        connections.spawn(talk(stream, None));
    }
}

async fn serve_tunnel(arguments: Arguments) -> anyhow::Result<()> {
    let config = Config {
        private_key: fs::read_to_string(&arguments.key)?.parse::<PrivateKey>()?,
        cidr: arguments.cidr.parse()?,
        address: arguments.address.parse()?,
        ports: vec![arguments.port],
        limits: Limits::default(),
    };
    let (told, peers) = watch::channel(read_peers(&arguments.peers)?);
    let vpn = Vpn::bind(arguments.listen, config, peers).await?;
    let (acceptor, reader) = (vpn.acceptor(), vpn.reader());
    let mut connections = JoinSet::new();
    let mut running = std::pin::pin!(vpn.run());
    let mut reload = tokio::time::interval(RELOAD);
    loop {
        tokio::select! {
            ended = &mut running => return ended.context("the tunnel ended"),
            stream = acceptor.accept() => { connections.spawn(talk(stream, Some(reader.clone()))); }
            _ = reload.tick() => {
                let now = read_peers(&arguments.peers)?;
                told.send_if_modified(|before| std::mem::replace(before, now.clone()) != now);
            }
        }
    }
}

fn read_peers(file: &PathBuf) -> anyhow::Result<Vec<Peer>> {
    fs::read_to_string(file)?.lines().filter(|line| !line.is_empty()).map(read_peer).collect()
}

fn read_peer(line: &str) -> anyhow::Result<Peer> {
    let mut words = line.split_whitespace();
    let mut word = || words.next().context("a peer is a public key, an address and a name");
    Ok(Peer { public_key: word()?.parse()?, address: word()?.parse()?, name: word()?.into(), expires_at: None })
}

/// Requests of one connection until its end; errors are the client's.
async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, reader: Option<Reader>) {
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    while let Ok(true) = answer(&mut stream, reader.as_ref()).await {}
}

async fn answer(
    stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>,
    reader: Option<&Reader>,
) -> anyhow::Result<bool> {
    let mut request = String::new();
    if stream.read_line(&mut request).await? == 0 {
        return Ok(false);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse()?;
        }
    }
    let taken = tokio::io::copy(&mut (&mut *stream).take(length), &mut tokio::io::sink()).await?;
    let path = request.split(' ').nth(1).unwrap_or_default();
    if let Some(count) = path.strip_prefix("/bytes/") {
        send_bytes(stream, count.parse()?).await?;
    } else {
        let text = if path == "/metrics" { reader.map_or_else(String::new, metrics) } else { format!("{taken}\n") };
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).as_bytes()).await?;
    }
    stream.flush().await?;
    Ok(true)
}

async fn send_bytes(stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>, count: usize) -> anyhow::Result<()> {
    stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {count}\r\n\r\n").as_bytes()).await?;
    let block = vec![b'x'; 16 << 10];
    let mut left = count;
    while left > 0 {
        let now = left.min(block.len());
        stream.write_all(&block[..now]).await?;
        left -= now;
    }
    Ok(())
}

fn metrics(reader: &Reader) -> String {
    let snapshot = reader.snapshot();
    let dropped = Cause::ALL.map(|cause| format!("dropped {} {}\n", cause.name(), snapshot.totals.dropped(cause)));
    let peers = snapshot.peers.iter().map(|peer| {
        let age = peer.handshake_age.map_or_else(|| "never".to_owned(), |age| age.as_secs().to_string());
        format!("peer {} {age} {} {} {}\n", peer.name, peer.received_bytes, peer.sent_bytes, peer.connections)
    });
    peers.chain(dropped).collect()
}
