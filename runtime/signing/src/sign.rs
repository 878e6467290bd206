//! Makes a signature.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use crate::{
    PrivateKey, PublicKey, Resource,
    bundle::{Certificate, CertificateChain, KeyHint, Material, pre_authentication_encoding, render},
    error::SignatureError,
    is_ignored, statement,
};

/// The text of `model.sig` for files that were hashed. `certificates`: PEM, the signer's first and then those between it
/// and a root; without it the signature names the bare key.
pub fn sign(
    model_name: &str,
    files: &[Resource],
    key: &PrivateKey,
    certificates: Option<&str>,
) -> Result<String, SignatureError> {
    let files: Vec<Resource> = files.iter().filter(|file| !is_ignored(&file.name)).cloned().collect();
    if files.is_empty() {
        return Err(SignatureError::not_of_files("there are none to sign"));
    }
    let payload = statement::render(model_name, &files)?;
    let signature = key.sign(&pre_authentication_encoding(&payload))?;
    let material = match certificates {
        None => Material { public_key: Some(KeyHint { hint: Some(key.public().id()?) }), ..Material::default() },
        Some(pem) => Material { x509_certificate_chain: Some(chain(pem, &key.public())?), ..Material::default() },
    };
    render(&payload, &signature, material)
}

fn chain(pem: &str, key: &PublicKey) -> Result<CertificateChain, SignatureError> {
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| SignatureError::key(format!("the certificates are not in PEM: {error}")))?;
    let first = certificates.first().ok_or_else(|| SignatureError::key("found no certificate in PEM"))?;
    let (_, parsed) = X509Certificate::from_der(first)
        .map_err(|error| SignatureError::key(format!("the certificate is not sound: {error}")))?;
    if PublicKey::from_der(parsed.public_key().raw)? != *key {
        let fault = "the first certificate is not that of the private key; give the signer's certificate first";
        return Err(SignatureError::key(fault));
    }
    let certificates = certificates.iter().map(|der| Certificate { raw_bytes: STANDARD.encode(der) }).collect();
    Ok(CertificateChain { certificates })
}
