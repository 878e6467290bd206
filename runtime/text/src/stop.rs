//! Stop strings, also where they lie across tokens.

/// One stream's search: holds text back while it may be the beginning of a stop string.
#[derive(Clone, Debug)]
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
}

/// What a piece of text led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopStep {
    /// Safe to send; may be empty.
    Text(String),
    /// The last text before a stop string; the sequence ends here.
    Stopped(String),
}

impl StopMatcher {
    /// Empty stop strings are ignored.
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops: stops.into_iter().filter(|stop| !stop.is_empty()).collect(), held: String::new() }
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, text: &str) -> StopStep {
        self.held.push_str(text);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.held.truncate(at);
            return StopStep::Stopped(std::mem::take(&mut self.held));
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        StopStep::Text(std::mem::replace(&mut self.held, rest))
    }

    /// What was held back, when the answer ends for another reason.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Length of the longest end of `text` that begins `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    (1..stop.len())
        .rev()
        .filter(|n| stop.is_char_boundary(*n))
        .find(|n| stop.get(..*n).is_some_and(|prefix| text.ends_with(prefix)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut matcher = StopMatcher::new(stops.iter().map(ToString::to_string).collect());
        let mut sent = String::new();
        for piece in pieces {
            match matcher.push(piece) {
                StopStep::Text(text) => sent.push_str(&text),
                StopStep::Stopped(text) => return (sent + &text, true),
            }
        }
        (sent + &matcher.finish(), false)
    }

    #[test]
    fn a_stop_string_across_pieces_is_found_and_never_sent() {
        assert_eq!(run(&["###"], &["one #", "#", "# two"]), ("one ".to_owned(), true));
        assert_eq!(run(&["###"], &["one #", "#", " two"]), ("one ## two".to_owned(), false));
        assert_eq!(run(&["\n\n", "END"], &["a\nE", "N", "D"]), ("a\n".to_owned(), true));
        assert_eq!(run(&["€uro"], &["12 €", "uro"]), ("12 ".to_owned(), true));
        assert_eq!(run(&[""], &["a"]), ("a".to_owned(), false));
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(text in "[ab€]{0,30}", stop in "[ab€]{1,4}", cuts in prop::collection::vec(1usize..4, 30)) {
            let characters: Vec<char> = text.chars().collect();
            let (mut pieces, mut at) = (Vec::new(), 0);
            for cut in cuts {
                let end = (at + cut).min(characters.len());
                pieces.push(characters[at..end].iter().collect::<String>());
                at = end;
            }
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let expected = match text.find(&stop) {
                Some(at) => (text[..at].to_owned(), true),
                None => (text.clone(), false),
            };
            prop_assert_eq!(run(&[&stop], &pieces), expected);
        }
    }
}
