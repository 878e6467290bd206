//! When something ends, as people write it. Pure; the clock is an argument.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use crate::error::Error;

/// Understands `90d`, `12h`, `2027-01-31` (to the end of that day in UTC) and `2027-01-31T12:00:00Z`.
///
/// # Errors
/// Text of another form, and times that are over.
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, Error> {
    let unclear = || Error::Expiry { text: text.to_owned() };
    let at = span(text)
        .and_then(|span| now.checked_add(span).ok())
        .or_else(|| text.parse::<Date>().ok().filter(|_| text.len() == "2027-01-31".len()).and_then(end_of))
        .or_else(|| text.parse::<Timestamp>().ok())
        .ok_or_else(unclear)?;
    if at <= now {
        return Err(Error::Past { text: text.to_owned() });
    }
    // Kubernetes' times have whole seconds.
    Timestamp::from_second(at.as_second()).map_err(|_| unclear())
}

fn span(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        _ => return None,
    };
    let number: u32 = number.parse().ok()?;
    i64::from(number).checked_mul(hours).map(SignedDuration::from_hours)
}

fn end_of(date: Date) -> Option<Timestamp> {
    let next = date.tomorrow().ok()?;
    next.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Result<String, String> {
        let now = "2026-06-01T10:00:00.7Z".parse().unwrap();
        parse(text, now).map(|at| at.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn understands_what_people_write() {
        for (text, expected) in [
            ("90d", "2026-08-30T10:00:00Z"),
            ("12h", "2026-06-01T22:00:00Z"),
            ("2026-06-01", "2026-06-02T00:00:00Z"),
            ("2027-12-31", "2028-01-01T00:00:00Z"),
            ("2027-01-31T12:00:00+02:00", "2027-01-31T10:00:00Z"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn says_what_it_would_understand() {
        for text in [
            "",
            "d",
            "90",
            "-1d",
            "90 d",
            "soon",
            "2027-13-01",
            "99999999999d",
            "2027-01-31T12:00:00",
            "é",
            "4000000000d",
        ] {
            assert!(at(text).unwrap_err().contains("such as 90d"), "{text}");
        }
        for text in ["2026-05-31", "2026-06-01T09:00:00Z", "0d"] {
            assert!(at(text).unwrap_err().contains("over already"), "{text}");
        }
    }
}
