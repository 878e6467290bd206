//! A hole that a policy for IPv4 leaves: the node's link-local address. Two network namespaces stand for pod and node, since
//! the rig's own pods have no IPv6; nothing of the cluster is needed.

use std::{
    io::{BufRead as _, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use alcazar_tests::cluster::repo;

/// A wire between two namespaces; all of it goes with the namespaces.
struct Wire {
    node: String,
    pod: String,
}

impl Wire {
    /// The pod has 10.99.0.2 and its gateway, the node, 10.99.0.1; both have link-local addresses.
    fn lay() -> Self {
        let id = std::process::id();
        let wire = Self { node: format!("alcazar-node-{id}"), pod: format!("alcazar-pod-{id}") };
        ip(&["netns", "add", &wire.node]);
        ip(&["netns", "add", &wire.pod]);
        ip(&["-n", &wire.node, "link", "add", "veth0", "type", "veth", "peer", "name", "eth0", "netns", &wire.pod]);
        for (namespace, device, address) in [(&wire.node, "veth0", "10.99.0.1/24"), (&wire.pod, "eth0", "10.99.0.2/24")]
        {
            ip(&["-n", namespace, "address", "add", address, "dev", device]);
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
            ip(&["-n", namespace, "link", "set", device, "up"]);
        }
        ip(&["-n", &wire.pod, "route", "add", "default", "via", "10.99.0.1"]);
        wire
    }

    /// The node's link-local address, once nobody else can have it.
    fn link_local(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let shown =
                Command::new("ip").args(["-n", &self.node, "-6", "-o", "address", "show", "dev", "veth0"]).output();
            let shown = String::from_utf8(shown.expect("ip should run").stdout).expect("text");
            let found = shown.split_whitespace().find(|word| word.starts_with("fe80::"));
            if let Some(found) = found.filter(|_| !shown.contains("tentative")) {
                return found.split('/').next().expect("an address").to_owned();
            }
            assert!(Instant::now() < deadline, "there is no link-local address: {shown}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for namespace in [&self.node, &self.pod] {
            let _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
    }
}

fn ip(args: &[&str]) {
    let done = Command::new("ip").args(args).status().expect("ip should run");
    assert!(done.success(), "ip {args:?} should succeed");
}

/// A program in a namespace; killed when dropped.
struct Program(Child);

impl Program {
    fn start(namespace: &str, program: PathBuf, args: &[&str]) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program).args(args);
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ip should run"))
    }

    fn output(&mut self) -> Receiver<String> {
        lines(self.0.stdout.take().expect("output"))
    }

    fn log(&mut self) -> Receiver<String> {
        lines(self.0.stderr.take().expect("a log"))
    }
}

/// Line by line, until the program ends or nobody reads any more.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (lines, read) = channel();
    std::thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).all(|line| lines.send(line).is_ok()));
    read
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first line with these words.
fn wait_line(log: &Receiver<String>, words: &str) -> String {
    let mut seen = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let line = log.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        assert!(line.is_ok(), "no line with {words:?} in the log:\n{}", seen.join("\n"));
        let line = line.unwrap_or_default();
        if line.contains(words) {
            return line;
        }
        seen.push(line);
    }
}

#[test]
fn a_node_that_is_open_by_its_link_local_address_is_found_out() {
    let wire = Wire::lay();
    let address = wire.link_local();
    let open = format!("[{address}%veth0]:10250");
    let mut kubelet = Program::start(&wire.node, repo("target/cluster-bin/probe"), &["listen", &open]);
    wait_line(&kubelet.output(), "listening");
    let args = "serve --model /no/such/model --name m --listen 127.0.0.1:0 --probe-listen 127.0.0.1:0 \
                --isolation Required --isolation-target Canary=10.99.0.1:8083 --isolation-node 10.99.0.1 \
                --isolation-node-port Kubelet=10250";
    let args: Vec<&str> = args.split_whitespace().collect();
    let mut runtime = Program::start(&wire.pod, repo("target/debug/alcazar-runtime"), &args);
    let log = runtime.log();
    let told = wait_line(&log, "this pod can reach");
    assert!(told.contains("a kubelet at") && told.contains(&address) && told.contains("link-local IPv6"), "{told}");
    drop(kubelet);
    wait_line(&log, "isolation proven");
}
