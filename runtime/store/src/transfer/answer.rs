//! Pure: what the head of an answer says about the file behind it.

use reqwest::{
    Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName},
};

/// What will come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Bytes from `start` on, of a file of `size` bytes.
    Part { start: u64, size: u64 },
    /// The file from its first byte.
    Whole { size: Option<u64> },
    /// The file is shorter than what was asked for.
    NoSuchRange { size: Option<u64> },
}

pub(super) fn read(response: &Response) -> Result<Answer, String> {
    judge(response.status(), response.headers())
}

fn judge(status: StatusCode, headers: &HeaderMap) -> Result<Answer, String> {
    let range = text(headers, &CONTENT_RANGE);
    match status.as_u16() {
        206 => match range.and_then(parse_range) {
            Some((start, size)) => Ok(Answer::Part { start, size }),
            None => Err("a partial answer (206) that does not say which bytes of how many it holds".to_owned()),
        },
        416 => Ok(Answer::NoSuchRange { size: range.and_then(|range| range.strip_prefix("bytes */")?.parse().ok()) }),
        _ => Ok(Answer::Whole { size: text(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok()) }),
    }
}

/// `bytes 0-99/1234`.
fn parse_range(text: &str) -> Option<(u64, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let (start, last, size) = (start.trim().parse().ok()?, last.trim().parse::<u64>().ok()?, size.trim().parse().ok()?);
    (start <= last && last < size).then_some((start, size))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

pub(super) fn etag(response: &Response) -> Option<String> {
    text(response.headers(), &ETAG).filter(|etag| etag.len() <= 256).map(str::to_owned)
}

/// Only a strong ETag promises equal bytes.
pub(super) fn is_strong(etag: &str) -> bool {
    etag.starts_with('"') && etag.ends_with('"') && etag.len() >= 2
}

pub(super) fn is_html(response: &Response) -> bool {
    text(response.headers(), &CONTENT_TYPE)
        .is_some_and(|kind| kind.trim_start().to_lowercase().starts_with("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, headers: &[(HeaderName, &str)], expected: Option<&Answer>) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("value"))).collect();
        assert_eq!(judge(StatusCode::from_u16(status).expect("status"), &headers).ok().as_ref(), expected);
    }

    #[test]
    fn heads_are_understood() {
        check(206, &[(CONTENT_RANGE, "bytes 5-9/10")], Some(&Answer::Part { start: 5, size: 10 }));
        for bad in ["bytes 5-9/*", "bytes 9-5/10", "bytes 5-10/10", "items 5-9/10", "bytes x-9/10", ""] {
            check(206, &[(CONTENT_RANGE, bad)], None);
        }
        check(206, &[], None);
        check(200, &[(CONTENT_LENGTH, "7")], Some(&Answer::Whole { size: Some(7) }));
        check(200, &[], Some(&Answer::Whole { size: None }));
        check(416, &[(CONTENT_RANGE, "bytes */0")], Some(&Answer::NoSuchRange { size: Some(0) }));
        check(416, &[], Some(&Answer::NoSuchRange { size: None }));
        assert!(is_strong("\"a\"") && !is_strong("W/\"a\"") && !is_strong("\""));
    }
}
