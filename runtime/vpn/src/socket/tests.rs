use std::time::Duration;

use super::*;
use crate::Outgoing;

async fn pair(address: &str) -> (Socket, Socket) {
    let bind = || Socket::bind(address.parse().unwrap());
    (bind().await.unwrap(), bind().await.unwrap())
}

/// What comes within two seconds, until there are `count` datagrams; and the calls it took.
async fn receive(socket: &Socket, count: usize) -> (Vec<Vec<u8>>, usize) {
    let (mut datagrams, mut calls, mut buffer) = (Vec::new(), 0, vec![0; RECEIVE_BYTES]);
    while datagrams.len() < count {
        tokio::time::timeout(Duration::from_secs(2), socket.readable()).await.unwrap().unwrap();
        let Ok(received) = socket.try_receive(&mut buffer) else { continue };
        datagrams.extend(buffer[..received.bytes].chunks(received.size).map(<[u8]>::to_vec));
        calls += 1;
    }
    (datagrams, calls)
}

fn outgoing(to: SocketAddr, lengths: &[usize]) -> (Outgoing, Vec<Vec<u8>>) {
    let mut outgoing = Outgoing::default();
    let datagrams: Vec<Vec<u8>> = lengths.iter().zip(0_u8..).map(|(length, number)| vec![number; *length]).collect();
    for datagram in &datagrams {
        outgoing.push(to, datagram.len(), |room| {
            room.copy_from_slice(datagram);
            room.len()
        });
    }
    (outgoing, datagrams)
}

#[tokio::test]
async fn datagrams_arrive_as_they_were_made_with_fewer_calls() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (from, to) = pair(address).await;
        let mut lengths = vec![1452; 40];
        lengths.extend([700, 100, 1452, 32]);
        let (sent, expected) = outgoing(to.local_address().unwrap(), &lengths);
        assert_eq!(sent.runs().count(), 3);
        for run in sent.runs() {
            assert_eq!(from.send(run).await, 0);
        }
        let (datagrams, calls) = receive(&to, expected.len()).await;
        assert!(datagrams == expected);
        assert!(calls <= 3, "{calls} calls");
    }
}

#[tokio::test]
async fn what_the_system_never_takes_is_counted() {
    let (from, _) = pair("127.0.0.1:0").await;
    // A socket of IPv4 sends nothing to IPv6.
    let (sent, _) = outgoing("[::1]:9".parse().unwrap(), &[100, 100, 50]);
    assert_eq!(from.send(sent.runs().next().unwrap()).await, 3);
}
