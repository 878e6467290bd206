//! Heads that pass through: what goes on, and what does not. Pure.

use hyper::{
    HeaderMap,
    header::{
        ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue,
        RETRY_AFTER, VARY,
    },
};

/// Known to client, logs and runtime alike.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is passed on.
const MAX_ID_BYTES: usize = 128;

/// Of a request. Everything else stays here: credentials, cookies, and whatever a client claims about who it is; also
/// `Accept-Encoding`, since a compressed answer cannot be counted.
const FORWARDED: [HeaderName; 2] = [CONTENT_TYPE, ACCEPT];
/// Of an answer.
const RETURNED: [HeaderName; 7] = [
    CONTENT_TYPE,
    CONTENT_LENGTH,
    CONTENT_ENCODING,
    CACHE_CONTROL,
    RETRY_AFTER,
    VARY,
    HeaderName::from_static("x-accel-buffering"),
];

/// The head that goes upstream.
pub(crate) fn forwarded(from: &HeaderMap, request_id: &HeaderValue) -> HeaderMap {
    let mut headers = kept(from, &FORWARDED);
    headers.insert(REQUEST_ID, request_id.clone());
    headers
}

/// The head that goes back. `CONTENT_LENGTH` only where the body goes on as it is.
pub(crate) fn returned(from: &HeaderMap, is_as_is: bool) -> HeaderMap {
    let mut headers = kept(from, &RETURNED);
    // One that `Connection` names speaks of that connection alone.
    let hops =
        from.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    for hop in hops {
        headers.remove(hop.trim());
    }
    if !is_as_is {
        headers.remove(CONTENT_LENGTH);
    }
    headers
}

fn kept(from: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(names.len() + 4);
    for name in names {
        if let Some(value) = from.get(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    headers
}

/// The client's id if it is one, else a new one of 32 hex digits from `random`.
pub(crate) fn request_id(from: &HeaderMap, random: impl FnOnce() -> u128) -> HeaderValue {
    let is_id = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !bytes.is_empty() && bytes.len() <= MAX_ID_BYTES && bytes.iter().all(allowed) && !bytes.starts_with(b"alc_")
    };
    match from.get(REQUEST_ID).filter(is_id) {
        Some(value) => value.clone(),
        None => HeaderValue::from_str(&format!("{:032x}", random())).unwrap_or(HeaderValue::from_static("unknown")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn nothing_about_the_client_goes_on() {
        let from = map(&[
            ("authorization", "Bearer alc_x"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-user", "root"),
            ("connection", "x-secret"),
            ("transfer-encoding", "chunked"),
            ("content-type", "application/json"),
            ("accept-encoding", "gzip"),
        ]);
        let headers = forwarded(&from, &HeaderValue::from_static("id"));
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "x-request-id"]);
    }

    #[test]
    fn answers_keep_what_describes_them() {
        let from = map(&[
            ("content-type", "text/event-stream"),
            ("content-length", "7"),
            ("set-cookie", "a=b"),
            ("connection", "keep-alive, vary"),
            ("vary", "x"),
            ("server", "uvicorn"),
        ]);
        let mut names: Vec<_> = returned(&from, true).keys().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "content-type"]);
        assert!(!returned(&from, false).contains_key("content-length"));
    }

    #[test]
    fn ids_are_checked() {
        let made = |pairs: &[(&'static str, &'static str)]| request_id(&map(pairs), || 5);
        assert_eq!(made(&[("x-request-id", "a-B_9.x")]), "a-B_9.x");
        for bad in ["", "a b", "a\"b", "alc_secret"] {
            assert_eq!(made(&[("x-request-id", bad)]), format!("{:032x}", 5).as_str(), "{bad}");
        }
        assert_eq!(made(&[]), format!("{:032x}", 5).as_str());
    }
}
