//! The system's randomness. IO.

/// The system has none to give.
#[derive(Debug, thiserror::Error)]
#[error("failed to get {length} random bytes from the system: {source}")]
pub struct Error {
    length: usize,
    source: getrandom::Error,
}

/// Fresh random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|source| Error { length: N, source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_are_the_same() {
        assert_ne!(super::bytes::<32>().unwrap(), super::bytes::<32>().unwrap());
    }
}
