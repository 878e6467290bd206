//! Nothing of a request stays: canary strings go through every route and every way to fail, at the finest level of logs,
//! and afterwards no output of the program holds one.

#[cfg(test)]
#[path = "privacy/canary.rs"]
mod canary;
#[cfg(test)]
#[path = "privacy/decoder.rs"]
mod decoder;
#[cfg(test)]
#[path = "privacy/encoder.rs"]
mod encoder;
#[cfg(test)]
#[path = "privacy/fetch.rs"]
mod fetch;
#[cfg(test)]
#[path = "privacy/raw.rs"]
mod raw;
#[cfg(test)]
#[path = "privacy/serving.rs"]
mod serving;
#[cfg(test)]
#[path = "process/tiny.rs"]
mod tiny;
