//! Certificate authorities and what they signed.

use std::{fs, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::{settings::Protocol, tls::Identity};

/// A CA and what it signed, in files.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What is trusted: more than one while one takes over from another.
    bundle: String,
    pub(crate) dir: TempDir,
}

fn ca() -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).expect("a certificate").pem();
    (Issuer::new(params, key), pem)
}

impl Authority {
    pub(crate) fn new() -> Self {
        let (issuer, bundle) = ca();
        let authority = Self { issuer, bundle, dir: tempfile::tempdir().expect("a directory") };
        authority.leaves();
        authority.leaf("foreign", "other.team-b.svc", &[ExtendedKeyUsagePurpose::ServerAuth]);
        authority
    }

    /// New certificates for all that take part.
    pub(crate) fn leaves(&self) {
        let both = [ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        self.leaf("client", "alcazar-gateway", &both);
        self.leaf("tls", "gateway.test", &both[1..]);
        self.leaf("pod", "assistant.team-a.svc", &both[1..]);
    }

    /// Another authority signs from now on, and both are trusted; what it was before is returned.
    pub(crate) fn succeed(&mut self) -> Issuer<'static, KeyPair> {
        let (issuer, pem) = ca();
        self.bundle.push_str(&pem);
        std::mem::replace(&mut self.issuer, issuer)
    }

    /// As it would be had this one signed.
    pub(crate) fn signed_by(&mut self, issuer: Issuer<'static, KeyPair>) -> Issuer<'static, KeyPair> {
        std::mem::replace(&mut self.issuer, issuer)
    }

    /// The first authority is trusted no more.
    pub(crate) fn forget_first(&mut self) {
        let second = self.bundle.rfind("-----BEGIN").expect("a certificate");
        self.bundle.drain(..second);
    }

    /// Writes the three files of a Secret.
    pub(crate) fn leaf(&self, name: &str, dns: &str, usages: &[ExtendedKeyUsagePurpose]) {
        let dir = self.dir.path().join(name);
        fs::create_dir_all(&dir).expect("a directory");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![dns.to_owned()]).expect("a name");
        params.extended_key_usages = usages.to_vec();
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate");
        for (file, text) in [("tls.crt", &leaf.pem()), ("tls.key", &key.serialize_pem()), ("ca.crt", &self.bundle)] {
            fs::write(dir.join("next"), text).expect("it should be written");
            fs::rename(dir.join("next"), dir.join(file)).expect("it should be renamed");
        }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn identity(&self, name: &str) -> Arc<Identity> {
        Identity::open(&self.path(name), Protocol::Http2).expect("sound files")
    }
}
