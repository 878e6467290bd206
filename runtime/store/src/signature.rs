//! The signature of what a source offers: brought and verified before the files.

use alcazar_signing::{MAX_SIGNATURE_BYTES, Signed};
use sha2::{Digest as _, Sha256};

use crate::{
    client::Client,
    error::FetchError,
    manifest::hex,
    policy::shown,
    protection::Protection,
    source::{Expected, Offered},
};

/// `model.sig` of a source.
pub(crate) struct Signature {
    pub text: Vec<u8>,
    /// What it vouches for, when somebody is trusted.
    pub signed: Option<Signed>,
}

/// Brings the signature when there is one, and verifies it when somebody is trusted; then there must be one.
pub(crate) async fn bring(
    client: &Client,
    offered: &Offered,
    protection: &Protection,
) -> Result<Option<Signature>, FetchError> {
    let Some(file) = offered.signature()? else {
        return match &protection.trust {
            None => Ok(None),
            Some(_) => Err(FetchError::SignatureMissing { place: "the source".to_owned() }),
        };
    };
    let limit = usize::try_from(MAX_SIGNATURE_BYTES).unwrap_or(usize::MAX);
    let text = client.get_document(&file.url, limit).await?;
    let found = hex(&Sha256::digest(&text));
    if let Expected::Sha256(expected) = &file.expected
        && *expected != found
    {
        return Err(FetchError::FileDigest {
            path: file.path.to_string(),
            expected: format!("sha256:{expected}"),
            expected_bytes: file.size.map_or_else(|| "any number of".to_owned(), |size| size.to_string()),
            found: format!("sha256:{found}"),
            found_bytes: text.len() as u64,
            hint: "",
        });
    }
    let signed = protection.open(&text)?;
    if let Some(signed) = &signed {
        tracing::info!(url = shown(&file.url), n_files = signed.resources().len(), "the signature is verified");
    }
    Ok(Some(Signature { text, signed }))
}
