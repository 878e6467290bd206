//! The header of the age format: the file key, wrapped for a recipient, and a MAC over that.

use std::{cell::RefCell, fmt::Write as _};

use age::{Decryptor, Recipient as _};
use age_core::{
    format::{FileKey, Stanza},
    secrecy::ExposeSecret as _,
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{keys::Keys, stream::NONCE_BYTES};
use crate::error::FetchError;

const VERSION: &str = "age-encryption.org/v1";
/// Columns of a stanza's body.
const COLUMNS: usize = 64;

/// The header for the present key.
pub(crate) fn render_header(file_key: &FileKey, keys: &Keys) -> Result<String, FetchError> {
    let (stanzas, _) = keys
        .public()
        .wrap_file_key(file_key)
        .map_err(|error| FetchError::key(format!("nothing can be encrypted for it: {error}")))?;
    let mut text = format!("{VERSION}\n");
    for Stanza { tag, args, body } in stanzas {
        // Writing to a String cannot fail.
        let _ = write!(text, "-> {tag}");
        for arg in args {
            let _ = write!(text, " {arg}");
        }
        text.push('\n');
        let body = STANDARD_NO_PAD.encode(body);
        for line in body.as_bytes().chunks(COLUMNS) {
            text.extend(line.iter().copied().map(char::from));
            text.push('\n');
        }
        // The last line is a short one.
        if body.len().is_multiple_of(COLUMNS) {
            text.push('\n');
        }
    }
    text.push_str("---");
    let mac = mac(file_key, text.as_bytes());
    let _ = writeln!(text, " {}", STANDARD_NO_PAD.encode(mac));
    Ok(text)
}

fn mac(file_key: &FileKey, text: &[u8]) -> Vec<u8> {
    let mut key = Zeroizing::new([0; 32]);
    // 32 bytes are within what HKDF gives, and HMAC takes keys of any length.
    let _ = Hkdf::<Sha256>::new(None, file_key.expose_secret()).expand(b"header", key.as_mut());
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_ref()) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// The file key of a header, and whether the present identity opens it.
pub(crate) fn open_header(header: &[u8], keys: &Keys) -> Result<(FileKey, bool), FetchError> {
    if let Some(key) = open_with(header, keys.current())? {
        return Ok((key, true));
    }
    for identity in keys.previous() {
        if let Some(key) = open_with(header, identity)? {
            return Ok((key, false));
        }
    }
    Err(FetchError::key(format!(
        "the weights were not encrypted for {} nor for any of the {} previous keys; put the identity that they were \
         encrypted for into the Secret's entry 'previous', or delete the claim to fetch them again",
        keys.recipient(),
        keys.previous().len()
    )))
}

/// age reads the header and proves its MAC; the identity that it asks keeps the file key for us.
fn open_with(header: &[u8], identity: &age::x25519::Identity) -> Result<Option<FileKey>, FetchError> {
    let unsound = |error: &dyn std::fmt::Display| {
        FetchError::key(format!("the header of the encrypted weights is not sound ({error}); fetch them again"))
    };
    // A nonce follows a header wherever age meets one.
    let whole = [header, &[0; NONCE_BYTES]].concat();
    let decryptor = Decryptor::new(whole.as_slice()).map_err(|error| unsound(&error))?;
    let keeper = Keeper { identity, kept: RefCell::new(None) };
    match decryptor.decrypt(std::iter::once(&keeper as &dyn age::Identity)) {
        Ok(_) => Ok(keeper.kept.into_inner()),
        Err(age::DecryptError::NoMatchingKeys) => Ok(None),
        Err(error) => Err(unsound(&error)),
    }
}

struct Keeper<'a> {
    identity: &'a age::x25519::Identity,
    kept: RefCell<Option<FileKey>>,
}

impl age::Identity for Keeper<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        let key = match self.identity.unwrap_stanza(stanza)? {
            Ok(key) => key,
            Err(error) => return Some(Err(error)),
        };
        let copy = || FileKey::init_with_mut(|bytes| bytes.copy_from_slice(key.expose_secret()));
        *self.kept.borrow_mut() = Some(copy());
        Some(Ok(key))
    }
}
