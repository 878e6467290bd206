//! Gateways, fake pods and a scripted world, over real connections on loopback.

mod attacks;
mod cluster;
mod keys;
mod pods;
mod quotas;
mod rig;
mod streams;
