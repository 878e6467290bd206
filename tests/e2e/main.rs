//! Tests on a real node: the images, the chart, real pods, volumes, packets and tokens.
//! Run by `make e2e`, which brings the cluster, the operator by its chart, and the mirror of the model hub.
#![forbid(unsafe_code)]

mod deletion;
mod demo;
mod enforcement;
mod fetch_faults;
mod formats;
mod gateway;
mod gateway_pods;
mod isolation;
mod link_local;
mod requests;
mod rollout;
mod scenario;
mod volumes;
mod vpn;
mod weights;
