//! STREAM as age has it: chunks of 64 KiB, each sealed with ChaCha20-Poly1305 under its number, the last one marked.

use age_core::{format::FileKey, secrecy::ExposeSecret as _};
use chacha20poly1305::{AeadInPlace as _, ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Plaintext of every chunk but the last.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;
pub(super) const TAG_BYTES: usize = 16;
pub(crate) const NONCE_BYTES: usize = 16;
pub(super) const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;

/// A chunk that was not sealed with this key, at this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotSealed;

/// Seals and opens the chunks of one file in any order. Its key is zeroised when it is dropped.
#[derive(Clone)]
pub(super) struct Chunks(ChaCha20Poly1305);

impl Chunks {
    pub(super) fn new(file_key: &FileKey, nonce: &[u8; NONCE_BYTES]) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // 32 bytes are within what HKDF gives.
        let _ = Hkdf::<Sha256>::new(Some(nonce), file_key.expose_secret()).expand(b"payload", key.as_mut());
        Self(ChaCha20Poly1305::new((&*key).into()))
    }

    /// Appends the tag.
    pub(super) fn seal(&self, number: u64, is_last: bool, chunk: &mut Vec<u8>) -> Result<(), NotSealed> {
        let tag = self.0.encrypt_in_place_detached(&nonce(number, is_last), &[], chunk).map_err(|_| NotSealed)?;
        chunk.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens a sealed chunk where it lies; gives its plaintext.
    pub(super) fn open<'a>(&self, number: u64, is_last: bool, sealed: &'a mut [u8]) -> Result<&'a [u8], NotSealed> {
        let at = sealed.len().checked_sub(TAG_BYTES).ok_or(NotSealed)?;
        let (chunk, tag) = sealed.split_at_mut(at);
        self.0
            .decrypt_in_place_detached(&nonce(number, is_last), &[], chunk, Tag::from_slice(tag))
            .map_err(|_| NotSealed)?;
        Ok(chunk)
    }
}

/// Eleven bytes of the number, one of whether it is the last.
fn nonce(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(is_last);
    nonce.into()
}
