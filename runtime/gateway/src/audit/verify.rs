//! Checks the chain of audit files.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use super::chain::{hash_of, parts};

/// What a sound chain holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Lines that were checked.
    pub lines: u64,
    /// `prev` of the first line: the hash of what came before it, [`super::GENESIS`] at the beginning of all.
    pub first_prev: String,
    /// Hash of the last line; empty without lines.
    pub last_hash: String,
}

/// Why a line does not belong to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It has no `prev` and `hash` at its end, or is cut off.
    #[error("it is no sealed line; it was changed or cut off")]
    Shape,
    /// Its hash is not that of its text.
    #[error("its text was changed: the hash does not match")]
    Changed,
    /// It is not tied to the line before.
    #[error("a line before it was removed, added or moved: 'prev' is not the hash of the line before")]
    Gap,
}

/// Why there is no verdict, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is wrong.
    #[error("line {line} of {} breaks the chain: {why}", path.display())]
    Broken {
        /// Of which file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// How.
        why: Broken,
    },
}

/// Checks one line after what was checked before.
pub fn verify(before: &mut Verified, line: &str) -> Result<(), Broken> {
    let (sealed, prev, hash) = parts(line).ok_or(Broken::Shape)?;
    if hash_of(sealed) != hash {
        return Err(Broken::Changed);
    }
    if before.lines == 0 {
        prev.clone_into(&mut before.first_prev);
    } else if prev != before.last_hash {
        return Err(Broken::Gap);
    }
    before.lines += 1;
    hash.clone_into(&mut before.last_hash);
    Ok(())
}

/// Checks files, oldest first, as one chain.
pub fn verify_files<P: AsRef<Path>>(files: &[P]) -> Result<Verified, VerifyError> {
    let mut verified = Verified::default();
    for path in files.iter().map(AsRef::as_ref) {
        let read = |source| VerifyError::Read { path: path.to_owned(), source };
        let mut reader = BufReader::new(File::open(path).map_err(read)?);
        let (mut line, mut number) = (String::new(), 0);
        while reader.read_line(&mut line).map_err(read)? > 0 {
            number += 1;
            let broken = |why| VerifyError::Broken { path: path.to_owned(), line: number, why };
            let text = line.strip_suffix('\n').ok_or_else(|| broken(Broken::Shape))?;
            verify(&mut verified, text).map_err(broken)?;
            line.clear();
        }
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Chain, GENESIS, Record};

    fn lines(n: u64) -> Vec<String> {
        let mut chain = Chain::default();
        let record = |n| Record { request_id: format!("r{n}"), status: 200, prompt_tokens: n, ..Record::default() };
        (0..n).map(|n| chain.seal(&record(n)).expect("it should be JSON").trim_end().to_owned()).collect()
    }

    fn check(lines: &[String]) -> Result<Verified, (usize, Broken)> {
        let mut verified = Verified::default();
        for (number, line) in lines.iter().enumerate() {
            verify(&mut verified, line).map_err(|why| (number, why))?;
        }
        Ok(verified)
    }

    #[test]
    fn a_sound_chain_holds() {
        let lines = lines(5);
        let verified = check(&lines).expect("nothing was changed");
        assert_eq!((verified.lines, verified.first_prev.as_str()), (5, GENESIS));
        assert!(lines[4].contains(&verified.last_hash));
        serde_json::from_str::<serde_json::Value>(&lines[0]).expect("a line should be JSON");
        assert!(check(&lines[2..]).is_ok());
    }

    #[test]
    fn a_change_shows() {
        let good = lines(4);
        let changed = |change: &dyn Fn(&mut Vec<String>)| {
            let mut lines = good.clone();
            change(&mut lines);
            check(&lines)
        };
        assert_eq!(changed(&|lines| drop(lines.remove(1))), Err((1, Broken::Gap)));
        assert_eq!(changed(&|lines| lines.swap(1, 2)), Err((1, Broken::Gap)));
        assert_eq!(changed(&|lines| lines.insert(2, lines[0].clone())), Err((2, Broken::Gap)));
        assert_eq!(changed(&|lines| lines[1] = lines[1].replace("200", "403")), Err((1, Broken::Changed)));
        assert_eq!(
            changed(&|lines| lines[1] = lines[1].replace(r#""promptTokens":1"#, r#""promptTokens":0"#)),
            Err((1, Broken::Changed))
        );
        assert_eq!(changed(&|lines| lines[2].truncate(80)), Err((2, Broken::Shape)));
        assert_eq!(changed(&|lines| lines[2].clear()), Err((2, Broken::Shape)));
    }

    #[test]
    fn every_byte_counts() {
        let good = lines(2);
        for at in 0..good[0].len() {
            let mut bytes = good[0].clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(check(&[changed, good[1].clone()]).is_err(), "byte {at}");
        }
    }
}
