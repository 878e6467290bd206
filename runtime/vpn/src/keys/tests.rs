use super::*;

/// RFC 7748 section 6.1: Alice's pair.
const PRIVATE: &str = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
const PUBLIC: &str = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

#[test]
fn the_public_key_is_that_of_the_rfc() {
    let key: PrivateKey = PRIVATE.parse().unwrap();
    assert_eq!(key.public().to_string(), PUBLIC);
    assert_eq!(PUBLIC.parse::<PublicKey>().unwrap(), key.public());
}

#[test]
fn what_is_written_is_read_again() {
    let key = PrivateKey::generate().unwrap();
    let read: PrivateKey = format!("{}\n", *key.encode()).parse().unwrap();
    assert_eq!(read.public(), key.public());
    assert_eq!(read.encode(), key.encode());
}

#[test]
fn two_keys_differ() {
    assert_ne!(PrivateKey::generate().unwrap().public(), PrivateKey::generate().unwrap().public());
}

#[test]
fn what_is_no_key_is_refused_without_being_told() {
    for text in
        ["", "secret", "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LA==", "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo"]
    {
        let error = text.parse::<PrivateKey>().unwrap_err();
        assert_eq!(error, KeyError::NotAKey);
        assert!(text.is_empty() || !error.to_string().contains(text), "{error}");
    }
}

#[test]
fn a_public_key_that_anybody_could_answer_for_is_refused() {
    for first in [0_u8, 1] {
        let mut bytes = [0; BYTES];
        bytes[0] = first;
        assert_eq!(STANDARD.encode(bytes).parse::<PublicKey>(), Err(KeyError::LowOrder));
    }
}

#[test]
fn debug_hides_the_private_key() {
    let key: PrivateKey = PRIVATE.parse().unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(hidden)");
}
