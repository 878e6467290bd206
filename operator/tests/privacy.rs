//! No credential is written down: Secrets hold canary strings, whole and broken ones, the operator passes over all that refers
//! to them at the finest level of logs, and afterwards neither its output nor anything that it wrote but Secrets holds one.

#[cfg(test)]
#[path = "privacy/api_server.rs"]
mod api_server;
#[cfg(test)]
#[path = "../../runtime/server/tests/privacy/canary.rs"]
mod canary;
#[cfg(test)]
#[path = "privacy/secrets.rs"]
mod secrets;
