use clap::Parser as _;

use super::*;
use crate::cli::{Cli, Command, Output, Vpn};

const SERVER_KEY: &str = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

fn arguments(line: &str) -> AddPeer {
    let line = format!("alcazar vpn add {line}");
    let Command::Vpn(Vpn::Add(arguments)) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else {
        panic!("vpn add")
    };
    arguments
}

fn config_map() -> BTreeMap<String, String> {
    [
        ("publicKey", SERVER_KEY),
        ("endpoint", "vpn.example.com:51820"),
        ("cidr", "10.88.0.0/16"),
        ("gatewayAddress", "10.88.0.1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn add(line: &str, taken: &[[u8; 4]]) -> Result<(LlmVpnPeer, Zeroizing<String>), Error> {
    let server = server_of_config_map(&config_map()).unwrap();
    let taken = taken.iter().map(|address| (*address).into()).collect();
    peer(&arguments(line), &server, &taken, &PrivateKey::from_bytes(&[9; 32]), "2026-06-01T10:00:00Z".parse().unwrap())
}

#[test]
fn the_yaml_holds_the_public_half_and_the_file_the_private() {
    let (object, file) = add("ana --owner ana@example.com -n team-a --expires 2026-12-31", &[[10, 88, 0, 2]]).unwrap();
    let file = file.as_str();
    let key = PrivateKey::from_bytes(&[9; 32]);
    let yaml = manifest::text(&object, Output::Yaml);
    let expected = format!(
        "apiVersion: alcazar.dev/v1alpha1\nkind: LlmVpnPeer\nmetadata:\n  name: ana\n  namespace: team-a\nspec:\n  \
         publicKey: {}\n  address: 10.88.0.3\n  owner: ana@example.com\n  expiresAt: 2027-01-01T00:00:00Z\n  \
         state: Active\n",
        key.public()
    );
    assert_eq!(yaml, expected);
    assert!(!yaml.contains(key.encode().as_str()) && file.contains(key.encode().as_str()), "{file}");
    for line in ["Address = 10.88.0.3/32", "AllowedIPs = 10.88.0.1/32", "Endpoint = vpn.example.com:51820"] {
        assert!(file.lines().any(|found| found == line), "{line} in\n{file}");
    }
    let shown = shown_once(file, [10, 88, 0, 1].into(), None);
    assert!(shown.contains(file) && shown.contains("https://10.88.0.1"), "{shown}");
}

#[test]
fn a_server_is_known_from_flags_alone() {
    let flags = format!("--server-key {SERVER_KEY} --endpoint [2001:db8::1]:51820 --gateway-address 10.9.0.1");
    let all = arguments(&format!("ana --owner o --address 10.9.0.2 {flags}"));
    let server = server_of_flags(&all.server).unwrap().unwrap();
    let now = "2026-06-01T10:00:00Z".parse().unwrap();
    let (object, _) = peer(&all, &server, &BTreeSet::new(), &PrivateKey::from_bytes(&[9; 32]), now).unwrap();
    assert_eq!(object.spec.address, "10.9.0.2");
    assert_eq!(server_of_flags(&arguments("ana --owner o").server).unwrap(), None);
    for bad in [flags.replace(":51820", ""), flags.replace(SERVER_KEY, "x")] {
        let bad = arguments(&format!("ana --owner o --address 10.9.0.2 {bad}"));
        assert_eq!(server_of_flags(&bad.server).unwrap_err().exit_code(), 2);
    }
}

#[test]
fn a_config_map_that_is_not_whole_is_told() {
    for entry in ["publicKey", "endpoint", "cidr", "gatewayAddress"] {
        let mut data = config_map();
        data.remove(entry);
        assert!(server_of_config_map(&data).unwrap_err().contains(entry));
        data.insert(entry.to_owned(), "no\nsuch".to_owned());
        assert!(server_of_config_map(&data).unwrap_err().contains(entry));
    }
}

#[test]
fn refuses_what_cannot_be() {
    for line in ["ana --owner o --address 10.88.0.1", "ana --owner o --address 10.99.0.1", "a.b --owner o"] {
        assert_eq!(add(line, &[]).map(|_| ()).unwrap_err().exit_code(), 2, "{line}");
    }
    assert_eq!(add("ana --owner o --address 10.88.0.7", &[[10, 88, 0, 7]]).map(|_| ()).unwrap_err().exit_code(), 2);
}

#[test]
fn knows_endpoints() {
    for good in ["vpn.example.com:51820", "192.0.2.1:1", "[2001:db8::1]:51820"] {
        assert!(is_endpoint(good), "{good}");
    }
    for bad in ["", "vpn.example.com", ":51820", "a:0", "a:70000", "2001:db8::1:51820", "a b:1", "a\nPostUp = x:1"] {
        assert!(!is_endpoint(bad), "{bad}");
    }
}
