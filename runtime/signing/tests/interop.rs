//! Both ways with the reference implementation, the PyPI tool `model_signing`: what it signs is verified here, what is
//! signed here is verified there, and both refuse the same changes. `tests/signing/run.sh` installs the tool.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use alcazar_signing::{PrivateKey, PublicKey, Roots, SIGNATURE_FILE, Signer, Trust, directory};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
};
use tempfile::TempDir;

/// The tool, where the script has installed it: a test that was asked for must not be skipped in silence.
fn tool() -> PathBuf {
    let path = std::env::var_os("ALCAZAR_MODEL_SIGNING");
    path.expect("ALCAZAR_MODEL_SIGNING should name the tool: run this by `make test-signing`").into()
}

fn run(tool: &Path, action: [&str; 2], model: &Path, flags: &[(&str, &Path)]) -> Result<(), String> {
    let mut command = Command::new(tool);
    command.args(action).arg(model).arg("--signature").arg(model.join(SIGNATURE_FILE));
    for (flag, value) in flags {
        command.arg(flag).arg(value);
    }
    let output = command.output().expect("the tool should run");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(told) }
}

fn model() -> TempDir {
    let dir = tempfile::tempdir().expect("tempdir");
    // The tool orders names by their components, which is not their order as texts.
    for (name, text) in
        [("a/b.txt", "1"), ("a-b/c.txt", "2"), ("a.txt", "3"), ("ü …/x y.json", "{}"), (".gitattributes", "*")]
    {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
        fs::write(path, text).expect("write");
    }
    fs::write(dir.path().join("model.safetensors"), vec![9; 3_000_000]).expect("write");
    dir
}

/// Private and public key in PEM, beside the model.
fn keys(pem: &str) -> (TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().expect("tempdir");
    let (private, public) = (dir.path().join("private.pem"), dir.path().join("public.pem"));
    fs::write(&private, pem).expect("write");
    let text = PrivateKey::from_pem(pem).and_then(|key| key.public().to_pem()).expect("public");
    fs::write(&public, text).expect("write");
    (dir, private, public)
}

fn pems() -> Vec<String> {
    let p521 = p521_pem();
    let pair = |algorithm| KeyPair::generate_for(algorithm).expect("key").serialize_pem();
    vec![pair(&PKCS_ECDSA_P256_SHA256), pair(&PKCS_ECDSA_P384_SHA384), p521]
}

/// `openssl ecparam -name secp521r1 -genkey`, which writes its parameters before the key.
fn p521_pem() -> String {
    let output = Command::new("openssl")
        .args(["ecparam", "-name", "secp521r1", "-genkey"])
        .output()
        .expect("openssl should run");
    String::from_utf8(output.stdout).expect("PEM")
}

#[test]
fn with_keys_of_every_curve() {
    let tool = tool();
    for pem in pems() {
        let (_keys, private, public) = keys(&pem);
        let key = PublicKey::from_pem(&fs::read_to_string(&public).expect("read")).expect("public");
        let (theirs, ours) = (model(), model());
        run(&tool, ["sign", "key"], theirs.path(), &[("--private_key", &private)]).expect("the tool signs");
        let trust = Trust::Key(key);
        let signed = directory::verify(theirs.path(), &trust, SystemTime::now()).expect("theirs is sound here");
        assert_eq!(signed.resources().len(), 5);
        directory::sign(ours.path(), &PrivateKey::from_pem(&pem).expect("key"), None).expect("sign");
        run(&tool, ["verify", "key"], ours.path(), &[("--public_key", &public)]).expect("ours is sound there");
        for dir in [theirs.path(), ours.path()] {
            fs::write(dir.join("added"), "x").expect("add");
            assert!(directory::verify(dir, &trust, SystemTime::now()).is_err());
            assert!(run(&tool, ["verify", "key"], dir, &[("--public_key", &public)]).is_err());
            fs::remove_file(dir.join("added")).expect("remove");
            fs::write(dir.join("a.txt"), "4").expect("change");
            assert!(directory::verify(dir, &trust, SystemTime::now()).is_err());
            assert!(run(&tool, ["verify", "key"], dir, &[("--public_key", &public)]).is_err());
        }
    }
}

#[test]
fn with_a_chain_of_certificates() {
    let tool = tool();
    let issuer = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params
    };
    let pair = || KeyPair::generate().expect("key");
    let root = CertifiedIssuer::self_signed(issuer("root"), pair()).expect("root");
    let between = CertifiedIssuer::signed_by(issuer("between"), pair(), &root).expect("between");
    let signer = pair();
    let mut params = CertificateParams::new(vec!["models.example".to_owned()]).expect("params");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params.not_before = rcgen::date_time_ymd(2021, 1, 1);
    let leaf = params.signed_by(&signer, &between).expect("leaf");

    let (files, private, _) = keys(&signer.serialize_pem());
    let write = |name: &str, text: String| {
        let path = files.path().join(name);
        fs::write(&path, text).expect("write");
        path
    };
    let (certificate, chain) = (write("leaf.pem", leaf.pem()), write("between.pem", between.pem()));
    let roots = write("root.pem", root.pem());
    let (theirs, ours) = (model(), model());
    let flags: [(&str, &Path); 3] =
        [("--private_key", &private), ("--signing_certificate", &certificate), ("--certificate_chain", &chain)];
    run(&tool, ["sign", "certificate"], theirs.path(), &flags).expect("the tool signs");
    let trust = Trust::Roots(Roots::from_pem(&root.pem(), Some("models.example")).expect("roots"));
    let proven = directory::verify(theirs.path(), &trust, SystemTime::now()).expect("theirs is sound here");
    assert_eq!(proven.signer, Signer::Certificate { subject: "models.example".to_owned() });
    let key = PrivateKey::from_pem(&signer.serialize_pem()).expect("key");
    let chain = format!("{}{}", leaf.pem(), between.pem());
    directory::sign(ours.path(), &key, Some(&chain)).expect("sign");
    run(&tool, ["verify", "certificate"], ours.path(), &[("--certificate_chain", &roots)]).expect("sound there");
}
