//! What a model must be beside intact: signed, encrypted, or both.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use alcazar_contract::report::{EncryptionFacts, ModelFacts, SignatureFacts};
use alcazar_formats::{Access, Plain};
use alcazar_signing::{Coverage, PublicKey, Resource, Roots, SIGNATURE_FILE, Signed, Signer, Trust, directory, open};

use crate::{
    convert,
    encryption::{self, Keys, Vault},
    error::{FetchError, OnVolume as _},
    manifest::Manifest,
};

/// Who must have signed the files, and for whom they are encrypted; nobody, unless it is said.
#[derive(Clone, Debug, Default)]
pub struct Protection {
    /// Whose signature counts.
    pub trust: Option<Trust>,
    /// Who opens the files.
    pub keys: Option<Keys>,
}

impl Protection {
    /// From mounted files: a public key, or roots with an `identity` beside them; and a directory of age identities.
    pub fn read(
        signature_key: Option<&Path>,
        signature_roots: Option<&Path>,
        encryption_key_dir: Option<&Path>,
    ) -> Result<Self, FetchError> {
        let trust = match (signature_key, signature_roots) {
            (Some(key), _) => Some(Trust::Key(PublicKey::from_pem(&text(key)?)?)),
            (None, Some(roots)) => {
                let identity = roots.with_file_name("identity");
                let identity = identity.exists().then(|| text(&identity)).transpose()?;
                Some(Trust::Roots(Roots::from_pem(&text(roots)?, identity.as_deref())?))
            }
            (None, None) => None,
        };
        Ok(Self { trust, keys: encryption_key_dir.map(Keys::read).transpose()? })
    }

    /// Opens files below a directory: through their key when there is one. A model is encrypted when a header lies
    /// beside it, and it must be exactly then when a key is given.
    pub(crate) fn vault(&self, model: &Path, rewrap: bool) -> Result<Option<Arc<Vault>>, FetchError> {
        let header = encryption::header_path(model);
        match (&self.keys, header.exists()) {
            (None, false) => Ok(None),
            (Some(keys), true) => Vault::open(&header, keys, rewrap).map(|vault| Some(Arc::new(vault))),
            (Some(_), false) => Err(FetchError::key(format!(
                "{} is not encrypted although a key is given; fetch the model again, or take spec.encryption away",
                model.display()
            ))),
            (None, true) => {
                let fault = format!("{} is encrypted; name the Secret of its key in spec.encryption", model.display());
                Err(FetchError::KeyMissing { fault })
            }
        }
    }

    /// Verifies a signature's text.
    pub(crate) fn open(&self, bundle: &[u8]) -> Result<Option<Signed>, FetchError> {
        match &self.trust {
            None => Ok(None),
            Some(trust) => Ok(Some(open(bundle, trust, SystemTime::now())?)),
        }
    }

    /// Verifies what lies at `model`, whose files were hashed: by the `model.sig` among them, which must cover them all,
    /// or by the one that a fetch left beside the directory.
    pub(crate) fn check(
        &self,
        model: &Path,
        manifest: &Manifest,
        access: &dyn Access,
    ) -> Result<Option<Signed>, FetchError> {
        if self.trust.is_none() {
            return Ok(None);
        }
        let (within, beside) = (model.join(SIGNATURE_FILE), signature_path(model));
        let (path, coverage) = if within.exists() { (within, Coverage::Whole) } else { (beside, Coverage::Part) };
        if !path.exists() {
            return Err(FetchError::SignatureMissing { place: model.display().to_string() });
        }
        let signed = self.open(&directory::read(&path)?)?;
        if let Some(signed) = &signed {
            // What was converted was signed before.
            let converted =
                (coverage == Coverage::Part).then(|| convert::source_of(access, model)).transpose()?.flatten();
            signed.check(&resources(converted.as_ref().unwrap_or(manifest)), coverage)?;
        }
        Ok(signed)
    }

    /// Tells what was found of both.
    pub(crate) fn tell(&self, facts: ModelFacts, signed: Option<&Signed>) -> ModelFacts {
        let signature = signed.map(|signed| match &signed.signer {
            Signer::Key { id } => SignatureFacts { key_id: Some(id.clone()), subject: None },
            Signer::Certificate { subject } => SignatureFacts { key_id: None, subject: Some(subject.clone()) },
        });
        let encryption = self.keys.as_ref().map(|keys| EncryptionFacts { recipient: keys.recipient() });
        ModelFacts { signature, encryption, ..facts }
    }
}

/// Where the signature of a sealed directory lies: beside it, since it is no part of the model.
pub(crate) fn signature_path(sealed: &Path) -> PathBuf {
    let mut name = sealed.file_name().unwrap_or_default().to_owned();
    name.push(".sig");
    sealed.with_file_name(name)
}

/// Files as a signature lists them.
pub(crate) fn resources(manifest: &Manifest) -> Vec<Resource> {
    let resource =
        |file: &crate::manifest::ManifestFile| Resource { name: file.path.clone(), sha256: file.sha256.clone() };
    manifest.files().iter().map(resource).collect()
}

/// Opens files through their key, or as they lie.
pub(crate) fn access(vault: Option<&Arc<Vault>>) -> Arc<dyn Access> {
    match vault {
        None => Arc::new(Plain),
        Some(vault) => {
            let vault: Arc<Vault> = Arc::clone(vault);
            vault
        }
    }
}

fn text(path: &Path) -> Result<String, FetchError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FetchError::KeyMissing {
            fault: format!("there is no entry '{}'", path.file_name().unwrap_or_default().display()),
        }),
        read => read.on_volume("read", path),
    }
}
