//! Certificates are renewed while requests come and streams run.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::task::JoinSet;

use super::rig::{
    Authority, Mode, Options, Pod, Running, begin, chat, chat_stream, connect, connect_for, key, model, until,
};
use crate::settings::{Protocol, Upstream};

/// Requests without a pause: each on a connection of its own, and all on one of HTTP/2.
struct Load {
    done: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Load {
    fn start(authority: PathBuf, address: std::net::SocketAddr) -> Self {
        let (done, is_over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let mut tasks = JoinSet::new();
        let (count, over, dir) = (Arc::clone(&done), Arc::clone(&is_over), authority.clone());
        tasks.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let io = TokioIo::new(connect(&dir, address).await);
                let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP/1.1");
                let mut tasks = JoinSet::new();
                tasks.spawn(async move { drop(connection.await) });
                assert_eq!(sender.send_request(chat()).await.expect("an answer").status(), 200);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let (count, over) = (Arc::clone(&done), Arc::clone(&is_over));
        tasks.spawn(async move {
            let io = TokioIo::new(connect_for(Protocol::Http2, &authority, address).await);
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
            let mut tasks = JoinSet::new();
            tasks.spawn(async move { drop(connection.await) });
            while !over.load(Ordering::Relaxed) {
                let mut request = chat();
                *request.uri_mut() = "https://gateway.test/v1/chat/completions".parse().expect("an address");
                assert_eq!(sender.send_request(request).await.expect("an answer").status(), 200);
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Self { done, is_over, tasks }
    }

    async fn more(&self) {
        let before = self.done.load(Ordering::Relaxed);
        until(|| self.done.load(Ordering::Relaxed) >= before + 20).await;
    }

    /// Fails if one request did.
    async fn end(mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no request should fail");
        }
    }
}

struct Scene {
    authority: Authority,
    pod: Pod,
    running: Running,
    load: Load,
    stream: (Incoming, JoinSet<()>),
}

impl Scene {
    async fn new(protocol: Protocol) -> Self {
        let authority = Authority::new();
        let pod = Pod::start(&authority, "pod").await;
        let options = Options { upstream: Upstream { protocol, ..Upstream::default() }, ..Options::default() };
        let running = Running::start(&authority, options).await;
        running.knows(vec![key()], vec![model(&[&pod])], Vec::new());
        pod.does(Mode::Stream);
        let (response, connection) = begin(&authority, running.address, chat_stream()).await;
        pod.does(Mode::Answer);
        let load = Load::start(authority.dir.path().into(), running.address);
        load.more().await;
        Self { authority, pod, running, load, stream: (response.into_body(), connection) }
    }

    fn leaf(&self, name: &str) -> Vec<u8> {
        let file = self.authority.path(name).join("tls.crt");
        CertificateDer::from_pem_file(file).expect("a certificate").to_vec()
    }

    /// Waits until all use the files as they are now.
    async fn settle(&mut self) {
        let _ = self.pod.identity.reload().expect("sound files");
        let shown = async || {
            let stream = connect(self.authority.dir.path(), self.running.address).await;
            stream.get_ref().1.peer_certificates().expect("a certificate")[0].to_vec()
        };
        while shown().await != self.leaf("tls") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let gateway = self.leaf("client");
        until(|| self.pod.seen.lock().expect("not poisoned").last().is_some_and(|seen| seen.certificate == gateway))
            .await;
        self.load.more().await;
        self.pod.say("data: {}\n\n").await;
        let event = self.stream.0.frame().await.expect("the stream should go on").expect("a frame");
        assert!(event.is_data());
    }
}

#[tokio::test]
async fn renewed_certificates_are_taken_up_and_cost_no_request() {
    for protocol in [Protocol::Http2, Protocol::Http1] {
        let mut scene = Scene::new(protocol).await;
        let before = (scene.leaf("tls"), scene.leaf("client"));
        scene.authority.leaves();
        scene.settle().await;
        assert_ne!(before, (scene.leaf("tls"), scene.leaf("client")));
        scene.load.end().await;
    }
}

#[tokio::test]
async fn an_authority_takes_over_from_another_and_no_request_is_lost() {
    let mut scene = Scene::new(Protocol::Http2).await;
    // Both are trusted, the old one still signs; then the new one; then the old one is trusted no more.
    let old = scene.authority.succeed();
    let new = scene.authority.signed_by(old);
    scene.authority.leaves();
    scene.settle().await;
    drop(scene.authority.signed_by(new));
    scene.authority.leaves();
    scene.settle().await;
    scene.authority.forget_first();
    scene.authority.leaves();
    scene.settle().await;
    scene.load.end().await;
}
