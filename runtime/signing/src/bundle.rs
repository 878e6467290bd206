//! The JSON around a signed statement: a sigstore bundle with a DSSE envelope.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::error::{SignatureError, excerpt};

pub(crate) const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
pub(crate) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bundle {
    pub media_type: String,
    pub verification_material: Material,
    pub dsse_envelope: Envelope,
}

/// What helps to verify; nothing in it is trusted.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Material {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<KeyHint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x509_certificate_chain: Option<CertificateChain>,
    /// A bundle with one certificate may have it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// Entries of a public log. They are not read: nothing here talks to one.
    #[serde(default)]
    pub tlog_entries: Vec<serde_json::Value>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyHint {
    /// SHA-256 (hex) of the key's PEM text.
    #[serde(default)]
    pub hint: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct CertificateChain {
    /// The signer's first.
    pub certificates: Vec<Certificate>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Certificate {
    /// DER in base64.
    pub raw_bytes: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope {
    /// Base64.
    pub payload: String,
    pub payload_type: String,
    pub signatures: Vec<EnvelopeSignature>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EnvelopeSignature {
    /// DER in base64.
    pub sig: String,
    #[serde(default)]
    pub keyid: String,
}

/// What is signed, and by which bytes.
pub(crate) struct Opened {
    pub payload: Vec<u8>,
    pub signature: Vec<u8>,
    /// DER, the signer's first.
    pub certificates: Vec<Vec<u8>>,
    pub key_hint: Option<String>,
}

/// Takes a bundle apart; trusts nothing in it.
pub(crate) fn open(text: &[u8]) -> Result<Opened, SignatureError> {
    let bundle: Bundle = serde_json::from_slice(text)
        .map_err(|error| SignatureError::malformed(format!("found no sigstore bundle in JSON: {error}")))?;
    let expect = |what: &str, found: &str, expected: &str| {
        if found == expected {
            return Ok(());
        }
        Err(SignatureError::malformed(format!("found {what} '{}', expected '{expected}'", excerpt(found))))
    };
    expect("the media type", &bundle.media_type, MEDIA_TYPE)?;
    expect("the payload type", &bundle.dsse_envelope.payload_type, PAYLOAD_TYPE)?;
    let [signature] = bundle.dsse_envelope.signatures.as_slice() else {
        let n = bundle.dsse_envelope.signatures.len();
        return Err(SignatureError::malformed(format!("found {n} signatures, expected one")));
    };
    let material = bundle.verification_material;
    let chain = material.x509_certificate_chain.unwrap_or_default().certificates;
    let certificates = material.certificate.iter().chain(&chain);
    Ok(Opened {
        payload: decode("payload", &bundle.dsse_envelope.payload)?,
        signature: decode("signature", &signature.sig)?,
        certificates: certificates
            .map(|certificate| decode("certificate", &certificate.raw_bytes))
            .collect::<Result<_, _>>()?,
        key_hint: material.public_key.and_then(|key| key.hint).filter(|hint| !hint.is_empty()),
    })
}

/// The bundle around a payload and its signature.
pub(crate) fn render(payload: &[u8], signature: &[u8], material: Material) -> Result<String, SignatureError> {
    let bundle = Bundle {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material: material,
        dsse_envelope: Envelope {
            payload: STANDARD.encode(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![EnvelopeSignature { sig: STANDARD.encode(signature), keyid: String::new() }],
        },
    };
    serde_json::to_string(&bundle).map_err(|error| SignatureError::malformed(format!("it has no JSON form: {error}")))
}

fn decode(what: &str, text: &str) -> Result<Vec<u8>, SignatureError> {
    STANDARD.decode(text).map_err(|error| SignatureError::malformed(format!("the {what} is no base64: {error}")))
}

/// What is signed in place of the payload, so that its type is signed too (DSSE v1, "PAE").
pub(crate) fn pre_authentication_encoding(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}
