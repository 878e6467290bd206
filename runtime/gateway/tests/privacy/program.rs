//! The program with everything it writes kept: both streams, its folder, what its probe port tells and what it wrote into
//! objects.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    api_server::{self, Written},
    authority::Authority,
    canary::{canary, found_in},
    pod,
};

const LEVELS: &str = "trace,hyper=trace,h2=trace,rustls=trace,kube=trace,tower=trace,boringtun=trace";
/// For what is said at once.
const MOMENT: Duration = Duration::from_millis(300);

/// A running program and what is around it; killed when the test is over.
pub(crate) struct Program {
    child: Child,
    authority: Authority,
    pub(crate) public: SocketAddr,
    pub(crate) peers: SocketAddr,
    pub(crate) probe: SocketAddr,
    written: Written,
    _tasks: JoinSet<()>,
}

async fn free_port() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A command whose streams are files in the folder, and that runs in its `work`, where a core file would lie.
pub(crate) fn command(dir: &Path, settings: &Path, kubeconfig: &Path) -> Command {
    let work = dir.join("work");
    fs::create_dir_all(&work).unwrap();
    let file = |name: &str| File::create(dir.join(name)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_alcazar-gateway"));
    command.args(["--log-level", LEVELS, "run", "--settings"]).arg(settings);
    command.env("KUBECONFIG", kubeconfig).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full").env("TMPDIR", &work);
    command.current_dir(&work).stdout(file("stdout")).stderr(file("stderr"));
    command
}

pub(crate) fn kubeconfig(dir: &Path, api: SocketAddr) -> std::path::PathBuf {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": format!("http://{api}")}}],
        "users": [{"name": "x", "user": {"token": canary("token")}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    });
    fs::write(dir.join("kubeconfig"), config.to_string()).unwrap();
    dir.join("kubeconfig")
}

impl Program {
    pub(crate) async fn start() -> Self {
        let (authority, mut tasks) = (Authority::new(), JoinSet::new());
        let pod = pod::start(&authority, &mut tasks).await;
        let broken = pod::start_broken(&authority, &mut tasks).await;
        let (api, written) = api_server::start(pod, broken, &mut tasks).await;
        let (public, peers, probe) = (free_port().await, free_port().await, free_port().await);
        let dir = authority.dir.path();
        let settings = json!({
            "listen": public, "peerListen": peers, "probeListen": probe,
            "tlsDir": dir.join("tls"), "clientDir": dir.join("client"),
            "hold": {"seconds": 1}, "limits": {"maxBodyBytes": 65536, "headerSeconds": 2, "bodySeconds": 2},
        });
        let file = dir.join("settings.yaml");
        fs::write(&file, settings.to_string()).unwrap();
        let child = command(dir, &file, &kubeconfig(dir, api)).spawn().unwrap();
        let program = Self { child, authority, public, peers, probe, written, _tasks: tasks };
        let deadline = Instant::now() + Duration::from_mins(1);
        while !program.get("/health/ready").await.contains("200 OK") {
            assert!(Instant::now() < deadline, "{}", program.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        program
    }

    fn log(&self) -> String {
        fs::read_to_string(self.authority.dir.path().join("stderr")).unwrap()
    }

    /// Of the probe port.
    async fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.probe).await else { return String::new() };
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Sends bytes to the public port by TLS and reads until it closes or is silent for long; what came.
    pub(crate) async fn say(&self, bytes: &[u8], patience: Duration) -> String {
        let stream = TcpStream::connect(self.public).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("gateway.test").unwrap();
        let stream = self.authority.connector().connect(name, stream).await.unwrap();
        exchange(stream, bytes, patience).await
    }

    /// Sends bytes as they are to every port.
    pub(crate) async fn say_plainly(&self, bytes: &[u8]) {
        for port in [self.public, self.peers, self.probe] {
            let answer = exchange(TcpStream::connect(port).await.unwrap(), bytes, MOMENT).await;
            assert_eq!(found_in(answer.as_bytes()), None, "{port}");
        }
    }

    /// Ends the program and looks through all that it told.
    pub(crate) async fn end(mut self) {
        let mut told = vec![("the status of keys".to_owned(), self.written.lock().unwrap().clone())];
        assert!(!told[0].1.is_empty(), "what keys used should have been written");
        for path in ["/metrics", "/health/live", "/health/ready"] {
            told.push((path.to_owned(), self.get(path).await.into_bytes()));
        }
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the program does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(status.success(), "{}", self.log());
        let dir = self.authority.dir.path();
        let mut files = vec![dir.join("stdout"), dir.join("stderr")];
        files.extend(fs::read_dir(dir.join("work")).unwrap().map(|entry| entry.unwrap().path()));
        told.extend(files.iter().map(|file| (file.display().to_string(), fs::read(file).unwrap())));
        let leaks: Vec<String> = told
            .iter()
            .filter_map(|(place, text)| found_in(text).map(|around| format!("{place}: …{around}…")))
            .collect();
        assert!(leaks.is_empty(), "{} places hold a canary:\n{}", leaks.len(), leaks.join("\n"));
        let audit = fs::read_to_string(dir.join("stdout")).unwrap();
        assert!(audit.lines().count() > 20, "the audit log should tell of the requests:\n{audit}");
        assert!(self.log().lines().any(|line| line.contains("\"DEBUG\"")), "the log should be at its finest");
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8], patience: Duration) -> String {
    // It may close while we write.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(patience, stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already in a good test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
