//! Looks for marks in text that comes in pieces.

/// What a search came to.
pub(super) enum Found<'a> {
    /// Text before a mark, and which mark it is.
    Mark(String, &'a str),
    /// Text without a mark; what may begin one is still held.
    Text(String),
}

/// Takes text up to the first of the marks out of `held`.
pub(super) fn take<'a>(held: &mut String, marks: &[&'a str]) -> Found<'a> {
    let first = marks.iter().filter_map(|mark| Some((held.find(mark)?, *mark))).min_by_key(|(at, _)| *at);
    if let Some((at, mark)) = first {
        let rest = held.split_off(at + mark.len());
        let mut before = std::mem::replace(held, rest);
        before.truncate(at);
        return Found::Mark(before, mark);
    }
    let keep = marks.iter().map(|mark| overlap(held, mark)).max().unwrap_or(0);
    let rest = held.split_off(held.len() - keep);
    Found::Text(std::mem::replace(held, rest))
}

/// Length of the longest end of `text` that begins `mark`.
fn overlap(text: &str, mark: &str) -> usize {
    let begins = |n: &usize| mark.get(..*n).is_some_and(|prefix| text.ends_with(prefix));
    (1..mark.len()).rev().find(begins).unwrap_or(0)
}
