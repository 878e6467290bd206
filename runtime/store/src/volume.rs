//! The volume under the model: room, durability, modes, removal.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use alcazar_signing::SIGNATURE_FILE;

use crate::{
    error::{FetchError, OnVolume as _, is_full},
    path::SafePath,
};

/// Kept free beside the model: state files, directories, the file system's own needs.
const RESERVE_BYTES: u64 = 1 << 20;

/// Bytes this process may still write below `path`.
pub(crate) fn free_bytes(path: &Path) -> Result<u64, FetchError> {
    let stat = rustix::fs::statvfs(path).map_err(io::Error::from).on_volume("measure", path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses before the first byte what would not fit.
pub(crate) fn require_room(needed_bytes: u64, free_bytes: u64) -> Result<(), FetchError> {
    if needed_bytes > 0 && needed_bytes.saturating_add(RESERVE_BYTES) > free_bytes {
        return Err(FetchError::VolumeFull { needed_bytes: needed_bytes + RESERVE_BYTES, free_bytes });
    }
    Ok(())
}

/// Turns "no space left" into what is needed and what is there.
pub(crate) fn explain_full(error: FetchError, root: &Path, needed_bytes: u64) -> FetchError {
    match error {
        FetchError::Volume { ref source, .. } if is_full(source) => {
            FetchError::VolumeFull { needed_bytes, free_bytes: free_bytes(root).unwrap_or(0) }
        }
        other => other,
    }
}

pub(crate) fn sync_file(path: &Path) -> Result<(), FetchError> {
    File::open(path).and_then(|file| file.sync_all()).on_volume("sync", path)
}

/// Replaces a small file in one step.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FetchError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, bytes).on_volume("write", &new)?;
    fs::rename(&new, path).on_volume("rename", path)
}

/// Every regular file of the model below `root`, with its size on the volume. Symbolic links and special files are refused: what they
/// show can change without their digest changing.
pub(crate) fn list_files(root: &Path) -> Result<Vec<(SafePath, u64)>, FetchError> {
    let mut files = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let full = root.join(&directory);
        for entry in fs::read_dir(&full).on_volume("list", &full)? {
            let entry = entry.on_volume("list", &full)?;
            let relative = directory.join(entry.file_name());
            let kind = entry.file_type().on_volume("inspect", entry.path())?;
            if kind.is_dir() {
                // The file system's own directory at the root of a volume is not part of a model.
                if relative != Path::new("lost+found") {
                    directories.push(relative);
                }
            } else if kind.is_file() && relative == Path::new(SIGNATURE_FILE) {
                // Says what the model is, and is no part of it.
            } else if kind.is_file() {
                let text = relative.to_str().ok_or_else(|| FetchError::VolumeState {
                    fault: format!("the file name {} is not UTF-8; rename it", relative.display()),
                })?;
                let size = entry.metadata().on_volume("inspect", entry.path())?.len();
                files.push((SafePath::parse(text)?, size));
            } else {
                let what = if kind.is_symlink() { "a symbolic link" } else { "no regular file" };
                return Err(FetchError::VolumeState {
                    fault: format!("{} is {what}; replace it by the file itself", entry.path().display()),
                });
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Makes files 0444 and directories below `root` 0555, and everything durable; `root` itself stays writable
/// until it has its final name.
pub(crate) fn make_read_only(root: &Path) -> Result<(), FetchError> {
    for directory in directories_deepest_first(root)? {
        for entry in fs::read_dir(&directory).on_volume("list", &directory)? {
            let path = entry.on_volume("list", &directory)?.path();
            if path.is_file() {
                set_mode(&path, 0o444)?;
                sync_file(&path)?;
            }
        }
        if directory != root {
            set_mode(&directory, 0o555)?;
        }
        sync_file(&directory)?;
    }
    Ok(())
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), FetchError> {
    fs::set_permissions(path, Permissions::from_mode(mode)).on_volume("set the mode of", path)
}

/// Removes a tree, sealed or not; one that is not there is removed already.
pub(crate) fn remove_tree(root: &Path) -> Result<(), FetchError> {
    match fs::symlink_metadata(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(meta) if !meta.is_dir() => return fs::remove_file(root).on_volume("remove", root),
        _ => {}
    }
    for directory in directories_deepest_first(root)? {
        set_mode(&directory, 0o755)?;
    }
    fs::remove_dir_all(root).on_volume("remove", root)
}

fn directories_deepest_first(root: &Path) -> Result<Vec<PathBuf>, FetchError> {
    let mut all = vec![root.to_owned()];
    let mut at = 0;
    while at < all.len() {
        let directory = all[at].clone();
        for entry in fs::read_dir(&directory).on_volume("list", &directory)? {
            let entry = entry.on_volume("list", &directory)?;
            if entry.file_type().on_volume("inspect", entry.path())?.is_dir() {
                all.push(entry.path());
            }
        }
        at += 1;
    }
    all.reverse();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn lists_files_sorted_and_refuses_links() {
        let dir = tempfile::tempdir().expect("tempdir");
        fs::create_dir_all(dir.path().join("b")).expect("mkdir");
        fs::create_dir_all(dir.path().join("lost+found")).expect("mkdir");
        fs::write(dir.path().join("lost+found/x"), "x").expect("write");
        fs::write(dir.path().join("b/c"), "12").expect("write");
        fs::write(dir.path().join("a"), "1").expect("write");
        let names = |files: Vec<(SafePath, u64)>| files.iter().map(|(p, n)| format!("{p}:{n}")).collect::<Vec<_>>();
        assert_eq!(names(list_files(dir.path()).expect("list")), ["a:1", "b/c:2"]);
        symlink("/etc/passwd", dir.path().join("b/d")).expect("symlink");
        let error = list_files(dir.path()).expect_err("link").to_string();
        assert!(error.contains("symbolic link"), "{error}");
    }

    #[test]
    fn a_sealed_tree_can_be_removed() {
        let dir = tempfile::tempdir().expect("tempdir");
        let root = dir.path().join("m");
        fs::create_dir_all(root.join("b")).expect("mkdir");
        fs::write(root.join("b/c"), "12").expect("write");
        make_read_only(&root).expect("seal");
        assert_eq!(fs::metadata(root.join("b/c")).expect("meta").permissions().mode() & 0o777, 0o444);
        assert_eq!(fs::metadata(root.join("b")).expect("meta").permissions().mode() & 0o777, 0o555);
        remove_tree(&root).expect("remove");
        assert!(!root.exists());
        remove_tree(&root).expect("again");
    }

    #[test]
    fn a_write_to_a_full_device_says_so() {
        let Ok(mut full) = fs::OpenOptions::new().write(true).open("/dev/full") else { return };
        let failed = io::Write::write_all(&mut full, b"x").on_volume("write", "/weights/x").expect_err("full");
        let explained = explain_full(failed, Path::new("/"), 1234);
        assert!(matches!(explained, FetchError::VolumeFull { needed_bytes: 1234, .. }), "{explained}");
        assert!(
            require_room(10, 11).is_err() && require_room(10, RESERVE_BYTES + 10).is_ok() && require_room(0, 0).is_ok()
        );
    }
}
