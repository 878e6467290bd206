//! `alcazar model`: signatures of a model's files. File system required.

use std::{fs, path::Path, time::SystemTime};

use alcazar_signing::{PrivateKey, PublicKey, Roots, SIGNATURE_FILE, Signer, Trust, directory};

use crate::{
    cli::{SignModel, VerifyModel},
    error::Error,
};

/// Signs; what to tell the person.
///
/// # Errors
/// A key or a file that cannot be used.
pub fn sign(arguments: &SignModel) -> Result<String, Error> {
    let refused = |error: alcazar_signing::SignatureError| Error::Signature { why: error.to_string() };
    let key = PrivateKey::from_pem(&read(&arguments.key)?).map_err(refused)?;
    let certificates = arguments.certificates.as_deref().map(read).transpose()?;
    let path = directory::sign(&arguments.directory, &key, certificates.as_deref()).map_err(refused)?;
    Ok(format!("signed: {}\n", path.display()))
}

/// Verifies; what to tell the person.
///
/// # Errors
/// No signature of whom is trusted, or other files than were signed.
pub fn verify(arguments: &VerifyModel, now: SystemTime) -> Result<String, Error> {
    let refused = |error: alcazar_signing::SignatureError| Error::Signature { why: error.to_string() };
    let trust = match (&arguments.public_key, &arguments.roots) {
        (Some(key), _) => Trust::Key(PublicKey::from_pem(&read(key)?).map_err(refused)?),
        (None, Some(roots)) => {
            Trust::Roots(Roots::from_pem(&read(roots)?, arguments.identity.as_deref()).map_err(refused)?)
        }
        (None, None) => {
            let expected = "a public key or roots to trust";
            return Err(Error::Value { what: "--public-key", found: String::new(), expected });
        }
    };
    let signed = directory::verify(&arguments.directory, &trust, now).map_err(refused)?;
    let by = match &signed.signer {
        Signer::Key { id } => format!("the key {id}"),
        Signer::Certificate { subject, .. } => subject.clone(),
    };
    Ok(format!("{} files are as {SIGNATURE_FILE} has them, signed by {by}\n", signed.resources().len()))
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}
