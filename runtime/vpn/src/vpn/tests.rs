use std::{net::UdpSocket as BlockingSocket, sync::mpsc, thread};

use tokio::{io::AsyncReadExt, io::AsyncWriteExt, task::JoinSet};

use super::*;
use crate::{
    Limits, PrivateKey,
    simulation::client::{Client, GATEWAY},
};

const LONG: Duration = Duration::from_secs(20);

fn config() -> Config {
    let private_key = PrivateKey::from_bytes(&[200; 32]);
    let cidr = "10.88.0.0/16".parse().unwrap();
    Config { private_key, cidr, address: GATEWAY, ports: vec![443], limits: Limits::default() }
}

fn peer(client: &Client) -> Peer {
    Peer { public_key: client.key.public(), address: client.address, expires_at: None, name: "a/laptop".into() }
}

/// A person's computer in a thread: sends `bytes`, and gives what comes back, or None when the connection is reset.
fn person(mut client: Client, to: SocketAddr, bytes: Vec<u8>) -> mpsc::Receiver<Option<Vec<u8>>> {
    let (told, result) = mpsc::channel();
    thread::spawn(move || {
        let socket = BlockingSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let (began, connection) = (Instant::now(), client.connect(GATEWAY, 443));
        let (mut sent, mut back, mut datagram) = (0, Vec::new(), [0; 2048]);
        while began.elapsed() < LONG {
            if let Ok((length, _)) = socket.recv_from(&mut datagram) {
                client.receive(&datagram[..length]);
            }
            client.poll(began.elapsed());
            let tcp = client.socket(connection);
            if sent < bytes.len() && tcp.may_send() {
                sent += tcp.send_slice(&bytes[sent..]).unwrap();
            }
            while let Ok(length @ 1..) = tcp.recv_slice(&mut datagram) {
                back.extend_from_slice(&datagram[..length]);
            }
            if back.len() == bytes.len() || !tcp.is_open() {
                let reset = !tcp.is_open();
                let _ = told.send((!reset).then(|| std::mem::take(&mut back)));
                if reset {
                    return;
                }
            }
            for datagram in client.wire.drain(..) {
                socket.send_to(&datagram, to).unwrap();
            }
        }
    });
    result
}

#[tokio::test]
async fn bytes_go_over_a_socket_and_a_revoked_peer_is_reset() {
    let client = Client::new(7, config().private_key.public(), 1420);
    let (told, peers) = watch::channel(vec![peer(&client)]);
    let vpn = Vpn::bind(([127, 0, 0, 1], 0).into(), config(), peers).await.unwrap();
    let (acceptor, reader, address) = (vpn.acceptor(), vpn.reader(), vpn.local_address().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { vpn.run().await.unwrap() });
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let result = person(client, address, bytes.clone());

    let mut stream = tokio::time::timeout(LONG, acceptor.accept()).await.unwrap();
    assert_eq!(&**stream.peer(), "a/laptop");
    assert_eq!((stream.local_address().port(), stream.remote_address().ip().to_string().as_str()), (443, "10.88.1.7"));
    let mut taken = vec![0; bytes.len()];
    stream.read_exact(&mut taken).await.unwrap();
    assert!(taken == bytes);
    stream.write_all(&taken).await.unwrap();
    let back = tokio::task::spawn_blocking(move || (result.recv_timeout(LONG).unwrap(), result)).await.unwrap();
    assert!(back.0 == Some(bytes));
    assert_eq!(reader.snapshot().peers[0].connections, 1);

    told.send(Vec::new()).unwrap();
    let error = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut taken)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(reader.snapshot().peers.is_empty());
    tokio::task::spawn_blocking(move || back.1.iter().find(Option::is_none)).await.unwrap().unwrap();
}

#[tokio::test]
async fn streams_end_with_the_endpoint() {
    let client = Client::new(7, config().private_key.public(), 1420);
    let (_told, peers) = watch::channel(vec![peer(&client)]);
    let vpn = Vpn::bind(([127, 0, 0, 1], 0).into(), config(), peers).await.unwrap();
    let (acceptor, address) = (vpn.acceptor(), vpn.local_address().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { vpn.run().await.unwrap() });
    let _result = person(client, address, vec![1; 10]);
    let mut stream = tokio::time::timeout(LONG, acceptor.accept()).await.unwrap();
    tasks.shutdown().await;
    let mut taken = Vec::new();
    assert!(tokio::time::timeout(LONG, stream.read_to_end(&mut taken)).await.unwrap().is_err());
}

#[tokio::test]
async fn says_why_it_cannot_start() {
    let (_told, peers) = watch::channel(Vec::new());
    let outside = Config { address: "10.99.0.1".parse().unwrap(), ..config() };
    let error = Vpn::bind(([127, 0, 0, 1], 0).into(), outside, peers.clone()).await.err().unwrap();
    assert!(error.to_string().contains("10.99.0.1 is not in the network 10.88.0.0/16"), "{error}");
    let taken = Vpn::bind(([127, 0, 0, 1], 0).into(), config(), peers.clone()).await.unwrap();
    let error = Vpn::bind(taken.local_address().unwrap(), config(), peers).await.err().unwrap();
    assert!(error.to_string().contains("cannot listen on UDP 127.0.0.1"), "{error}");
}
