//! The tunnel as the program keeps it open.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use alcazar_vpn::PrivateKey;
use kube::{Client, Config};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::rig::{Authority, Options, Running, until};
use crate::{
    listen::{Port, crowd::Crowd},
    probe::Probe,
    settings::{Limits, Vpn},
    tls::Serving,
    vpn::{Around, Tunnel},
    world::World,
};

struct Scene {
    key: PathBuf,
    probe: Probe,
    worlds: Option<watch::Sender<Arc<World>>>,
    _authority: Authority,
    _running: Running,
    _tasks: JoinSet<()>,
}

fn write_key(path: &PathBuf) {
    fs::write(path, &*PrivateKey::generate().expect("randomness").encode()).expect("it should be written");
}

async fn scene() -> Scene {
    let authority = Authority::new();
    let running = Running::start(&authority, Options::default()).await;
    let key = authority.path("privateKey");
    write_key(&key);
    let settings = Vpn {
        enabled: true,
        listen: Some("127.0.0.1:0".parse().expect("an address")),
        private_key_file: key.clone(),
        cidr: "10.88.0.0/16".to_owned(),
        address: "10.88.0.1".to_owned(),
    };
    let tunnel = Tunnel::open(&settings).await.expect("it should open").expect("it is enabled");
    let acceptor = Serving::open(&authority.path("tls")).expect("sound files").acceptor().expect("an acceptor");
    let (crowd, close) = (Crowd::new(10), CancellationToken::new());
    let port = Port { acceptor: move || acceptor.clone(), limits: Limits::default(), crowd: Arc::clone(&crowd), close };
    let client = Client::try_from(Config::new("http://127.0.0.1:1".parse().expect("an address"))).expect("a client");
    let (worlds, seen) = watch::channel(Arc::new(World::default()));
    let gateway = Arc::clone(&running.gateway);
    let reload_every = Duration::from_millis(20);
    let mut tasks = JoinSet::new();
    let around = Around { port, gateway: Arc::clone(&gateway), client, worlds: seen, reload_every };
    let vpn = Some(tunnel.start(around, &mut tasks));
    let probe = Probe { gateway, crowd, vpn, is_synced: Arc::new(AtomicBool::new(true)) };
    until(|| probe.unready().is_none()).await;
    Scene { key, probe, worlds: Some(worlds), _authority: authority, _running: running, _tasks: tasks }
}

#[tokio::test]
async fn a_tunnel_of_which_a_part_fails_is_unready_until_it_is_open_again() {
    let mut scene = scene().await;
    // What tells it of its peers cannot go on.
    scene.worlds = None;
    until(|| scene.probe.unready().is_some_and(|why| why.contains("tunnel"))).await;
    let mut reader = scene.probe.vpn.clone().expect("there is a tunnel");
    reader.mark_unchanged();
    // It is opened, and fails for the same cause again.
    tokio::time::timeout(Duration::from_secs(5), reader.changed()).await.expect("in time").expect("it should run");
}

#[tokio::test]
async fn another_key_opens_it_anew_without_a_restart() {
    let scene = scene().await;
    let mut reader = scene.probe.vpn.clone().expect("there is a tunnel");
    reader.mark_unchanged();
    write_key(&scene.key);
    let opened = async {
        reader.changed().await.expect("it should run");
        reader.wait_for(Option::is_some).await.expect("it should run");
    };
    tokio::time::timeout(Duration::from_secs(5), opened).await.expect("within five seconds");
}
