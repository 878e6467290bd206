//! Who signed what, and whether files are that.

use std::{collections::BTreeMap, time::SystemTime};

use rustls_pki_types::UnixTime;

use crate::{
    PublicKey, Resource, Roots,
    bundle::{self, pre_authentication_encoding},
    error::{SignatureError, excerpt},
    is_ignored, statement,
};

/// Whose signature counts.
#[derive(Clone, Debug)]
pub enum Trust {
    /// That of this key.
    Key(PublicKey),
    /// That of a certificate which leads to these roots.
    Roots(Roots),
}

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// A bare key.
    Key {
        /// SHA-256 (hex) of its PEM text.
        id: String,
    },
    /// A certificate.
    Certificate {
        /// The identity that was asked for, or the first alternative name, or the subject.
        subject: String,
    },
}

/// A statement whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Who vouches for it.
    pub signer: Signer,
    resources: Vec<Resource>,
}

/// Which files must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All that were signed, and no other.
    Whole,
    /// Some of those that were signed, and no other.
    Part,
}

/// Verifies the signature of a bundle. `now` counts for certificates.
pub fn open(bundle: &[u8], trust: &Trust, now: SystemTime) -> Result<Signed, SignatureError> {
    let opened = bundle::open(bundle)?;
    let (key, signer) = match trust {
        Trust::Key(key) => {
            let id = key.id()?;
            if let Some(hint) = opened.key_hint.as_ref().filter(|hint| **hint != id) {
                let fault = format!("it was made with the key {}, expected the key {id}", excerpt(hint));
                return Err(SignatureError::not_of_signer(fault));
            }
            (key.clone(), Signer::Key { id })
        }
        Trust::Roots(roots) => {
            let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let (key, subject) = roots.verify(&opened.certificates, UnixTime::since_unix_epoch(since))?;
            (key, Signer::Certificate { subject })
        }
    };
    if !key.verify(&pre_authentication_encoding(&opened.payload), &opened.signature) {
        let fault = "it is not that of the trusted key over this content; sign the model again, or correct the key";
        return Err(SignatureError::not_of_signer(fault));
    }
    Ok(Signed { signer, resources: statement::parse(&opened.payload)? })
}

impl Signed {
    /// What was signed, sorted by name.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Compares with files that were hashed. Files of a repository that belong to no model are passed over.
    pub fn check(&self, files: &[Resource], coverage: Coverage) -> Result<(), SignatureError> {
        let signed: BTreeMap<&str, &str> = self.resources.iter().map(|file| (&*file.name, &*file.sha256)).collect();
        let mut n_checked = 0;
        for file in files.iter().filter(|file| !is_ignored(&file.name)) {
            let name = excerpt(&file.name);
            match signed.get(&*file.name) {
                Some(sha256) if *sha256 == file.sha256 => n_checked += 1,
                Some(sha256) => {
                    let fault = format!("{name} is sha256:{}, signed was sha256:{sha256}", file.sha256);
                    return Err(SignatureError::not_of_files(fault));
                }
                None => {
                    let fault = format!("{name} was not signed; remove it, or sign the model again with it");
                    return Err(SignatureError::not_of_files(fault));
                }
            }
        }
        if coverage == Coverage::Whole && n_checked != signed.len() {
            let is_there = |name: &str| files.iter().any(|file| file.name == name);
            let missing = self.resources.iter().map(|file| &*file.name).find(|name| !is_there(name));
            let fault = format!("{} was signed and is missing", excerpt(missing.unwrap_or("a file")));
            return Err(SignatureError::not_of_files(fault));
        }
        if n_checked == 0 {
            return Err(SignatureError::not_of_files("there are no files"));
        }
        Ok(())
    }
}
