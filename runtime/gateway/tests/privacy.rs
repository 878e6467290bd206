//! Nothing of a request stays at the gateway: canary strings go through the program by every way to be answered, refused or
//! broken off, at the finest level of logs, and afterwards no output of the program holds one.

#[cfg(test)]
#[path = "privacy/api_server.rs"]
mod api_server;
#[cfg(test)]
#[path = "../benches/gateway/authority.rs"]
mod authority;
#[cfg(test)]
#[path = "../../server/tests/privacy/canary.rs"]
mod canary;
#[cfg(test)]
#[path = "privacy/panic.rs"]
mod panic;
#[cfg(test)]
#[path = "privacy/pod.rs"]
mod pod;
#[cfg(test)]
#[path = "privacy/program.rs"]
mod program;
#[cfg(test)]
#[path = "privacy/requests.rs"]
mod requests;
