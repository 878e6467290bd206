//! STREAM as age has it: chunks of 64 KiB, each sealed with ChaCha20-Poly1305 under its number, the last one marked.

use std::{hint::black_box, sync::Arc};

use age_core::{format::FileKey, secrecy::ExposeSecret as _};
use hkdf::Hkdf;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Plaintext of every chunk but the last.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;
pub(super) const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
pub(crate) const NONCE_BYTES: usize = 16;
pub(super) const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;

/// A chunk that was not sealed with this key, at this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotSealed;

/// What follows each chunk.
pub(super) type Tag = [u8; TAG_BYTES];

/// Seals and opens the chunks of one file in any order.
#[derive(Clone)]
pub(super) struct Chunks(Arc<Key>);

impl Chunks {
    pub(super) fn new(file_key: &FileKey, nonce: &[u8; NONCE_BYTES]) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        // 32 bytes are within what HKDF gives.
        let _ = Hkdf::<Sha256>::new(Some(nonce), file_key.expose_secret()).expand(b"payload", key.as_mut());
        Self(Arc::new(Key(prepare(&key))))
    }

    /// Seals a chunk where it lies; gives its tag.
    pub(super) fn seal(&self, number: u64, is_last: bool, chunk: &mut [u8]) -> Result<Tag, NotSealed> {
        let key = self.0.0.as_ref().ok_or(NotSealed)?;
        let tag = key.seal_in_place_separate_tag(nonce(number, is_last), Aad::empty(), chunk).map_err(|_| NotSealed)?;
        tag.as_ref().try_into().map_err(|_| NotSealed)
    }

    /// Opens a sealed chunk where it lies. Nothing of one that is refused can be read afterwards.
    pub(super) fn open(&self, number: u64, is_last: bool, chunk: &mut [u8], tag: Tag) -> Result<(), NotSealed> {
        let key = self.0.0.as_ref().ok_or(NotSealed)?;
        let opened = key.open_in_place_separate_tag(nonce(number, is_last), Aad::empty(), tag.into(), chunk, 0..);
        opened.map(|_| ()).map_err(|_| NotSealed)
    }
}

/// ring's key does not wipe itself.
struct Key(Option<LessSafeKey>);

impl Drop for Key {
    fn drop(&mut self) {
        // Another key in its place; who looks at it keeps the compiler from leaving that out.
        self.0 = prepare(&[0; KEY_BYTES]);
        black_box(&self.0);
    }
}

/// Always a key, since the length is the right one.
fn prepare(key: &[u8; KEY_BYTES]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
}

/// Eleven bytes of the number, one of whether it is the last.
fn nonce(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(is_last);
    Nonce::assume_unique_for_key(nonce)
}
