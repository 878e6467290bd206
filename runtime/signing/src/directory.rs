//! Models in directories: hashes, signs and verifies them. Blocking.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use sha2::{Digest as _, Sha256};

use crate::{
    Coverage, MAX_SIGNATURE_BYTES, PrivateKey, Resource, SIGNATURE_FILE, SignatureError, Signed, Trust, is_ignored,
    open, statement::hex,
};

const BUFFER_BYTES: usize = 1 << 20;

/// Signs the model in a directory and writes `model.sig` into it. Returns its path.
pub fn sign(model: &Path, key: &PrivateKey, certificates: Option<&str>) -> Result<PathBuf, SignatureError> {
    let name = model.canonicalize().ok();
    let name = name.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let text = crate::sign(&name.unwrap_or_default(), &hash(model)?, key, certificates)?;
    let path = model.join(SIGNATURE_FILE);
    fs::write(&path, text).map_err(|source| io("write", &path, source))?;
    Ok(path)
}

/// Verifies the model in a directory: its `model.sig` is of whom is trusted, and the files are all that was signed and
/// nothing else.
pub fn verify(model: &Path, trust: &Trust, now: SystemTime) -> Result<Signed, SignatureError> {
    let path = model.join(SIGNATURE_FILE);
    let signed = open(&read(&path)?, trust, now)?;
    signed.check(&hash(model)?, Coverage::Whole)?;
    Ok(signed)
}

/// A signature's bytes, when it is not larger than one can be.
pub fn read(path: &Path) -> Result<Vec<u8>, SignatureError> {
    let file = File::open(path).map_err(|source| io("open", path, source))?;
    let mut bytes = Vec::new();
    file.take(MAX_SIGNATURE_BYTES + 1).read_to_end(&mut bytes).map_err(|source| io("read", path, source))?;
    if bytes.len() as u64 > MAX_SIGNATURE_BYTES {
        return Err(SignatureError::malformed(format!("it is larger than {MAX_SIGNATURE_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Every file of the model with its SHA-256. Symbolic links and special files are refused: what they show can change
/// without the signature changing.
pub fn hash(model: &Path) -> Result<Vec<Resource>, SignatureError> {
    let mut files = Vec::new();
    let mut directories = vec![String::new()];
    while let Some(directory) = directories.pop() {
        let full = model.join(&directory);
        for entry in fs::read_dir(&full).map_err(|source| io("list", &full, source))? {
            let entry = entry.map_err(|source| io("list", &full, source))?;
            let kind = entry.file_type().map_err(|source| io("inspect", &entry.path(), source))?;
            let Ok(name) = entry.file_name().into_string() else {
                let fault = format!("the file name {} is not UTF-8; rename it", entry.path().display());
                return Err(SignatureError::not_of_files(fault));
            };
            let name = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            if is_ignored(&name) {
                continue;
            }
            if kind.is_dir() {
                directories.push(name);
            } else if kind.is_file() {
                files.push(Resource { sha256: hash_file(&entry.path())?, name });
            } else {
                let fault = format!("{} is no regular file; replace it by the file itself", entry.path().display());
                return Err(SignatureError::not_of_files(fault));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn hash_file(path: &Path) -> Result<String, SignatureError> {
    let mut file = File::open(path).map_err(|source| io("open", path, source))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; BUFFER_BYTES]);
    loop {
        match file.read(&mut buffer).map_err(|source| io("read", path, source))? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn io(operation: &'static str, path: &Path, source: std::io::Error) -> SignatureError {
    SignatureError::Io { operation, path: path.to_owned(), source }
}
