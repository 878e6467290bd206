//! Credentials of a source, read from mounted files. They print as nothing and go to one origin only.

use std::{fmt, fs, path::Path};

use crate::error::{FetchError, OnVolume as _};

/// Far above any token; keeps a wrong mount from filling memory.
const MAX_BYTES: u64 = 64 * 1024;

/// What to show a source.
#[derive(Clone)]
pub enum Credentials {
    /// `Authorization: Bearer …`.
    Token(String),
    /// `Authorization: Basic …`.
    Basic { username: String, password: String },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Credentials {
    /// Reads the files `token`, or `username` and `password`, of a mounted Secret.
    pub fn read(dir: &Path) -> Result<Self, FetchError> {
        if let Some(token) = read_key(dir, "token")? {
            return Ok(Self::Token(token));
        }
        match (read_key(dir, "username")?, read_key(dir, "password")?) {
            (Some(username), Some(password)) => Ok(Self::Basic { username, password }),
            _ => Err(FetchError::InvalidSource {
                fault: "the Secret holds neither the key 'token' nor the keys 'username' and 'password'".to_owned(),
            }),
        }
    }

    /// Whether something that a source sent repeats the secret part: what a source sends goes into errors and logs.
    pub(crate) fn are_in(&self, sent: &[u8]) -> bool {
        let secret = match self {
            Self::Token(token) => token,
            Self::Basic { password, .. } => password,
        };
        sent.windows(secret.len()).any(|part| part.eq_ignore_ascii_case(secret.as_bytes()))
    }

    pub(crate) fn apply(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self {
            Self::Token(token) => request.bearer_auth(token),
            Self::Basic { username, password } => request.basic_auth(username, Some(password)),
        }
    }
}

fn read_key(dir: &Path, key: &str) -> Result<Option<String>, FetchError> {
    let path = dir.join(key);
    let fault = |what: &str| FetchError::InvalidSource { fault: format!("the Secret's key '{key}' {what}") };
    match fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(source).on_volume("read", path),
        Ok(meta) if meta.len() > MAX_BYTES => return Err(fault("is longer than 64 KiB")),
        Ok(_) => {}
    }
    let bytes = fs::read(&path).on_volume("read", path)?;
    let text = String::from_utf8(bytes).map_err(|_| fault("is not text"))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(fault("is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(fault("has a line break or control character inside"));
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_secret_mounts() {
        let dir = tempfile::tempdir().expect("tempdir");
        assert!(Credentials::read(dir.path()).is_err());
        fs::write(dir.path().join("username"), "me\n").expect("write");
        fs::write(dir.path().join("password"), " pw \n").expect("write");
        let basic = Credentials::read(dir.path()).expect("basic");
        assert!(matches!(&basic, Credentials::Basic { username, password } if username == "me" && password == "pw"));
        fs::write(dir.path().join("token"), "hf_abc\n").expect("write");
        let token = Credentials::read(dir.path()).expect("token");
        assert!(matches!(&token, Credentials::Token(token) if token == "hf_abc"));
        assert_eq!(format!("{token:?}{basic:?}"), "Credentials(..)Credentials(..)");
    }

    #[test]
    fn are_found_where_a_source_repeats_them() {
        let basic = Credentials::Basic { username: "me".to_owned(), password: "pw-42".to_owned() };
        assert!(basic.are_in(b"no PW-42 here") && !basic.are_in(b"me pw-4") && !basic.are_in(b""));
        assert!(Credentials::Token("hf_abc".to_owned()).are_in(b"https://hf_abc.example"));
    }

    #[test]
    fn refuses_what_cannot_be_a_header_without_showing_it() {
        let dir = tempfile::tempdir().expect("tempdir");
        for bad in ["", "  \n", "hf_abc\nX: y", "hf\u{7f}_abc"] {
            fs::write(dir.path().join("token"), bad).expect("write");
            let error = Credentials::read(dir.path()).expect_err(bad).to_string();
            assert!(error.contains("'token'") && !error.contains("hf_abc"), "{error}");
        }
    }
}
