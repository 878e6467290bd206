//! The program itself: what goes to which stream, into which file, and how it ends.

#[cfg(test)]
mod process {
    use std::{
        os::unix::fs::PermissionsExt as _,
        path::Path,
        process::{Command, Output},
    };

    fn alcazar(line: &str, in_folder: &Path) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alcazar"));
        command.args(line.split_whitespace()).current_dir(in_folder).env("KUBECONFIG", "no-such-file");
        command.env_remove("KUBERNETES_SERVICE_HOST").output().unwrap()
    }

    fn texts(output: &Output) -> (String, String) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(&output.stdout), text(&output.stderr))
    }

    const OFFLINE: &str = "--address 10.88.0.2 --server-key hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo= \
                           --endpoint vpn.example.com:51820 --gateway-address 10.88.0.1";

    #[test]
    fn standard_output_is_fit_for_git() {
        let folder = tempfile::tempdir().unwrap();
        let output = alcazar("keys create ana --owner ana@example.com --expires 90d", folder.path());
        let (yaml, aside) = texts(&output);
        assert!(output.status.success() && yaml.starts_with("apiVersion: alcazar.dev/v1alpha1\nkind: LlmApiKey\n"));
        assert!(!yaml.contains("alc_"), "{yaml}");
        let key = aside.split_whitespace().find(|word| word.starts_with("alc_")).expect("the key should be shown");
        assert!(yaml.contains(&alcazar_cli::key_text::hash(key)), "{yaml}");
        let output = alcazar(&format!("vpn add ana --owner o {OFFLINE}"), folder.path());
        let (yaml, aside) = texts(&output);
        assert!(output.status.success() && yaml.contains("kind: LlmVpnPeer") && !yaml.contains("Private"), "{aside}");
        assert!(aside.contains("PrivateKey = ") && aside.contains('█'), "{aside}");
        let (_, plain) = texts(&alcazar(&format!("vpn add ana --owner o --no-qr {OFFLINE}"), folder.path()));
        assert!(!plain.contains('█'));
    }

    #[test]
    fn a_secret_in_a_file_is_for_its_owner_and_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for line in [
            "keys create ana --owner o --key-file secret-1".to_owned(),
            format!("vpn add ana --owner o --config-file secret-2 {OFFLINE}"),
        ] {
            let (yaml, aside) = texts(&alcazar(&line, folder.path()));
            assert!(yaml.contains("name: ana") && aside.is_empty(), "{aside}");
            let (nothing, refused) = texts(&alcazar(&line, folder.path()));
            assert!(nothing.is_empty() && refused.contains("secret-"), "{refused}");
        }
        for name in ["secret-1", "secret-2"] {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_model_is_signed_and_a_changed_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("model")).unwrap();
        std::fs::write(path("model/weights.gguf"), "weights").unwrap();
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(path("public.pem"), key.public_key_pem()).unwrap();
        assert!(alcazar("model sign model --key key.pem", folder.path()).status.success());
        let verify = || alcazar("model verify model --public-key public.pem", folder.path());
        let (said, why) = texts(&verify());
        assert!(said.contains("1 files are as"), "{said}{why}");
        std::fs::write(path("model/weights.gguf"), "Weights").unwrap();
        let output = verify();
        assert_eq!(output.status.code(), Some(1));
        assert!(texts(&output).1.contains("weights.gguf"), "{}", texts(&output).1);
    }

    #[test]
    fn an_audit_log_is_whole_or_not() {
        use alcazar_gateway::audit::{Chain, Record};
        let folder = tempfile::tempdir().unwrap();
        let mut chain = Chain::default();
        let lines: Vec<String> = (0..3).map(|_| chain.seal(&Record::default()).unwrap()).collect();
        std::fs::write(folder.path().join("whole"), lines.concat()).unwrap();
        std::fs::write(folder.path().join("cut"), [&*lines[0], &lines[2]].concat()).unwrap();
        let (said, why) = texts(&alcazar("audit verify whole", folder.path()));
        assert!(said.contains("3 lines are whole, from the beginning"), "{said}{why}");
        let output = alcazar("audit verify cut", folder.path());
        assert_eq!(output.status.code(), Some(1));
        assert!(texts(&output).1.contains("line 2"), "{}", texts(&output).1);
    }

    #[test]
    fn a_panic_of_the_program_is_told_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "x", "cluster": {"server": "http://localhost:1"}}], "users": [{"name": "x", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}]}"#;
        std::fs::write(folder.path().join("kubeconfig"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_alcazar"));
        command.args(["keys", "list"]).current_dir(folder.path()).env("KUBECONFIG", "kubeconfig");
        // More stack than there are addresses: the thread that looks up the name cannot start, and the async runtime panics.
        let output = command.env("RUST_MIN_STACK", "1000000000000000000").output().unwrap();
        let (_, said) = texts(&output);
        assert!(!output.status.success() && said.contains("a panic: a fault of the program"), "{said}");
        assert!(!said.contains("worker thread") && !said.contains("panicked at"), "{said}");
    }

    #[test]
    fn failures_say_what_helps() {
        let folder = tempfile::tempdir().unwrap();
        for (line, code, word) in [
            ("keys create Ana --owner o", 2, "lower-case"),
            ("keys create ana --owner o --expires soon", 2, "90d"),
            ("keys create ana", 2, "--owner"),
            ("keys list", 1, "KUBECONFIG"),
            ("vpn add ana --owner o", 1, "KUBECONFIG"),
        ] {
            let output = alcazar(line, folder.path());
            let (nothing, why) = texts(&output);
            assert_eq!((output.status.code(), nothing.as_str()), (Some(code), ""), "{line}: {why}");
            assert!(why.contains(word), "{line}: {why}");
        }
    }
}
