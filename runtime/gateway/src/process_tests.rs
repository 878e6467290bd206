//! Gateways, fake pods and a scripted world, over real connections on loopback.

mod attacks;
mod cluster;
mod floods;
mod keys;
mod pods;
mod quotas;
mod rig;
mod rotation;
mod streams;
mod tunnel;
