//! The VPN's WireGuard key and what peers need to know of it. Client required.
//!
//! A key is made once. One that is damaged is never replaced: every peer has the public half in its file, so a person decides.

use std::{collections::BTreeMap, fmt};

use alcazar_contract::gateway::vpn::{CIDR, ENDPOINT, GATEWAY_ADDRESS, NAME, PRIVATE_KEY, PUBLIC_KEY};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use tracing::info;
use x25519_dalek::{PublicKey, StaticSecret};

use super::gateway::metadata;
use crate::{
    context::{Context, FIELD_MANAGER},
    random,
    settings::Vpn,
};

/// Why the VPN has no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The object could not be read.
    #[error("failed to read {kind} {NAME}: {source}")]
    Read { kind: &'static str, source: kube::Error },
    /// The object could not be written.
    #[error("failed to write {kind} {NAME}: {source}")]
    Write { kind: &'static str, source: kube::Error },
    /// The system has no randomness.
    #[error("failed to make a key: {source}")]
    Random { source: random::Error },
    /// What the Secret holds is no key.
    #[error(
        "Secret {NAME} holds no WireGuard key (32 bytes in base64) in {PRIVATE_KEY}: restore it from a backup, or delete it and \
         give every peer the new public key"
    )]
    Damaged,
}

/// A WireGuard private key; prints as a placeholder.
struct PrivateKey(StaticSecret);

impl PrivateKey {
    fn from_random(random: [u8; 32]) -> Self {
        Self(StaticSecret::from(random))
    }

    fn read(stored: &[u8]) -> Option<Self> {
        let bytes = STANDARD.decode(stored.trim_ascii()).ok()?;
        Some(Self(StaticSecret::from(<[u8; 32]>::try_from(bytes).ok()?)))
    }

    /// Base64, for a Secret's data and nothing else.
    fn expose(&self) -> String {
        STANDARD.encode(self.0.as_bytes())
    }

    /// Base64 of the public half.
    fn public(&self) -> String {
        STANDARD.encode(PublicKey::from(&self.0).as_bytes())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([redacted])")
    }
}

pub(super) async fn ensure(ctx: &Context, settings: &Vpn) -> Result<(), Error> {
    let key = ensure_key(ctx).await?;
    publish(ctx, what_peers_need(settings, &key)).await
}

async fn ensure_key(ctx: &Context) -> Result<PrivateKey, Error> {
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &ctx.namespace);
    let read = || async { secrets.get_opt(NAME).await.map_err(|source| Error::Read { kind: "Secret", source }) };
    if let Some(stored) = read().await? {
        return parse(&stored);
    }
    let key = PrivateKey::from_random(random::bytes().map_err(|source| Error::Random { source })?);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match secrets.create(&params, &secret(&ctx.namespace, &key)).await {
        Ok(_) => {
            info!(public_key = key.public(), "made the key of the VPN");
            Ok(key)
        }
        // Lost the race: what the winner wrote counts.
        Err(kube::Error::Api(status)) if status.code == 409 => parse(&read().await?.ok_or(Error::Damaged)?),
        Err(source) => Err(Error::Write { kind: "Secret", source }),
    }
}

fn secret(namespace: &str, key: &PrivateKey) -> Secret {
    Secret {
        metadata: metadata(NAME, namespace),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(PRIVATE_KEY.to_owned(), ByteString(key.expose().into_bytes()))])),
        ..Secret::default()
    }
}

fn parse(secret: &Secret) -> Result<PrivateKey, Error> {
    let stored = secret.data.as_ref().and_then(|data| data.get(PRIVATE_KEY));
    stored.and_then(|stored| PrivateKey::read(&stored.0)).ok_or(Error::Damaged)
}

fn what_peers_need(settings: &Vpn, key: &PrivateKey) -> BTreeMap<String, String> {
    BTreeMap::from([
        (PUBLIC_KEY.to_owned(), key.public()),
        (ENDPOINT.to_owned(), settings.endpoint.clone()),
        (CIDR.to_owned(), settings.cidr.to_string()),
        (GATEWAY_ADDRESS.to_owned(), settings.gateway_address().to_string()),
    ])
}

/// Writes the ConfigMap when it is missing or differs, so that a restart writes nothing.
async fn publish(ctx: &Context, wanted: BTreeMap<String, String>) -> Result<(), Error> {
    let maps: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), &ctx.namespace);
    let live = maps.get_opt(NAME).await.map_err(|source| Error::Read { kind: "ConfigMap", source })?;
    if live.is_some_and(|live| live.data.as_ref() == Some(&wanted)) {
        return Ok(());
    }
    let map = ConfigMap { metadata: metadata(NAME, &ctx.namespace), data: Some(wanted), ..ConfigMap::default() };
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written = maps.patch(NAME, &params, &Patch::Apply(map)).await;
    written.map(drop).map_err(|source| Error::Write { kind: "ConfigMap", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7748, section 6.1: Alice's pair, as `wg pubkey` gives it.
    #[test]
    fn the_public_half_is_wireguards() {
        let key = PrivateKey::read(b"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n").unwrap();
        assert_eq!(key.public(), "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
    }

    #[test]
    fn reads_back_what_it_wrote_and_nothing_else() {
        let key = PrivateKey::from_random([7; 32]);
        let stored = secret("alcazar-system", &key);
        assert_eq!(parse(&stored).unwrap().public(), key.public());
        for damaged in [&b""[..], b"short", b"AAAA", &[0xff; 44]] {
            assert!(PrivateKey::read(damaged).is_none());
        }
        assert!(matches!(parse(&Secret::default()), Err(Error::Damaged)));
        assert!(!format!("{key:?}").contains(&key.expose()));
    }

    #[test]
    fn peers_are_told_all_they_need() {
        let settings = Vpn { endpoint: "vpn.example.com:51820".into(), ..Vpn::default() };
        let told = what_peers_need(&settings, &PrivateKey::from_random([7; 32]));
        assert_eq!((told[CIDR].as_str(), told[GATEWAY_ADDRESS].as_str()), ("10.88.0.0/16", "10.88.0.1"));
        assert_eq!((told[ENDPOINT].as_str(), told[PUBLIC_KEY].len(), told.len()), ("vpn.example.com:51820", 44, 4));
    }
}
