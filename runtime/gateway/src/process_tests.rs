//! Two gateways, a fake pod and a scripted world, over real connections on loopback.
