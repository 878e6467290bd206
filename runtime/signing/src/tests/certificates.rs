//! Signatures whose key a certificate vouches for.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use super::model;
use crate::{PrivateKey, Roots, SignatureError, Signer, Trust, directory, open, sign};

struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
    between: CertifiedIssuer<'static, KeyPair>,
}

fn issuer(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn authority() -> Authority {
    let root = CertifiedIssuer::self_signed(issuer("root"), KeyPair::generate().unwrap()).unwrap();
    let between = CertifiedIssuer::signed_by(issuer("between"), KeyPair::generate().unwrap(), &root).unwrap();
    Authority { root, between }
}

/// The text of a signature whose certificate was made with `change`.
fn signature(authority: &Authority, change: impl FnOnce(&mut CertificateParams)) -> String {
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["models.example".to_owned()]).unwrap();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    change(&mut params);
    let leaf = params.signed_by(&pair, &authority.between).unwrap();
    let chain = format!("{}{}", leaf.pem(), authority.between.pem());
    let key = PrivateKey::from_pem(&pair.serialize_pem()).unwrap();
    sign("m", &directory::hash(model().path()).unwrap(), &key, Some(&chain)).unwrap()
}

fn verify(authority: &Authority, text: &str, identity: Option<&str>) -> Result<Signer, SignatureError> {
    let roots = Roots::from_pem(&authority.root.pem(), identity).unwrap();
    open(text.as_bytes(), &Trust::Roots(roots), SystemTime::now()).map(|signed| signed.signer)
}

#[test]
fn a_chain_to_the_root_counts_for_its_identity() {
    let authority = authority();
    let text = signature(&authority, |_| {});
    let subject = Signer::Certificate { subject: "models.example".to_owned() };
    assert_eq!(verify(&authority, &text, None).unwrap(), subject);
    assert_eq!(verify(&authority, &text, Some("models.example")).unwrap(), subject);
    let error = verify(&authority, &text, Some("others.example")).unwrap_err().to_string();
    assert!(error.contains("of 'models.example', expected 'others.example'"), "{error}");
    let mail = signature(&authority, |params| {
        params.subject_alt_names = vec![rcgen::SanType::Rfc822Name("x@models.example".try_into().unwrap())];
    });
    verify(&authority, &mail, Some("x@models.example")).unwrap();
}

#[test]
fn another_root_is_not_trusted() {
    let text = signature(&authority(), |_| {});
    assert!(matches!(verify(&authority(), &text, None), Err(SignatureError::NotOfSigner { .. })));
}

#[test]
fn an_expired_and_a_future_certificate_prove_nothing() {
    let authority = authority();
    for (from, to) in [(2001, 2002), (2400, 2401)] {
        let text = signature(&authority, |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
        });
        let error = verify(&authority, &text, None).unwrap_err().to_string();
        assert!(error.contains("does not lead to the trusted roots"), "{error}");
    }
    // The same bundle, before and after its certificate ran out.
    let text = signature(&authority, |params| params.not_after = date_time_ymd(2030, 1, 1));
    let roots = Trust::Roots(Roots::from_pem(&authority.root.pem(), None).unwrap());
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    assert!(open(text.as_bytes(), &roots, at(1_893_000_000)).is_ok());
    assert!(open(text.as_bytes(), &roots, at(1_894_000_000)).is_err());
}

#[test]
fn a_certificate_for_something_else_does_not_sign() {
    let authority = authority();
    let server = signature(&authority, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert!(verify(&authority, &server, None).is_err(), "purpose serverAuth");
    let agreement = signature(&authority, |params| {
        params.extended_key_usages.clear();
        params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    });
    assert!(verify(&authority, &agreement, None).is_err(), "usage keyAgreement");
    let by_usage = signature(&authority, |params| params.extended_key_usages.clear());
    verify(&authority, &by_usage, None).unwrap();
}

#[test]
fn a_bare_key_is_no_certificate() {
    let text = sign("m", &directory::hash(model().path()).unwrap(), &super::key(1), None).unwrap();
    let error = verify(&authority(), &text, None).unwrap_err().to_string();
    assert!(error.contains("bare key"), "{error}");
}

#[test]
fn a_certificate_of_another_key_is_refused_at_signing() {
    let authority = authority();
    let files = directory::hash(model().path()).unwrap();
    let error = sign("m", &files, &super::key(1), Some(&authority.root.pem())).unwrap_err().to_string();
    assert!(error.contains("not that of the private key"), "{error}");
    assert!(Roots::from_pem("nothing", None).is_err());
}
