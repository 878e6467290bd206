//! What the targets share: files that hold the fuzzer's bytes.
#![forbid(unsafe_code)]

use std::{fs, path::Path};

use alcazar_formats::checkpoint::{
    Found,
    convert::{self, Plan},
};

/// Output of a conversion that is still worth its time; many names may share one storage.
const WORTH: u64 = 16 << 20;

/// A directory with these files, for as long as `read` takes.
pub fn in_directory(files: &[(&str, &[u8])], read: impl FnOnce(&Path)) {
    let Ok(dir) = tempfile::tempdir() else { return };
    for (name, bytes) in files {
        if fs::write(dir.path().join(name), bytes).is_err() {
            return;
        }
    }
    read(dir.path());
}

/// What fetch does with a checkpoint.
pub fn convert_all(dir: &Path) {
    let Ok(Some(found)) = Found::look(&alcazar_formats::Plain, dir) else { return };
    let Ok(checkpoint) = found.open(&alcazar_formats::Plain, dir) else { return };
    let plan = Plan::new(&checkpoint, convert::SHARD_BYTES);
    drop(plan.index(&checkpoint));
    if plan.size_bytes() < WORTH {
        for shard in plan.shards() {
            let failed = |source| alcazar_formats::Error::Read { file: dir.to_owned(), offset: 0, source };
            drop(convert::write(&checkpoint, shard, &mut std::io::sink(), failed));
        }
    }
}
