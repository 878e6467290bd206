//! The rules of where a fetch may go, as tables.

use proptest::prelude::*;

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).expect("test URL should parse")
}

#[test]
fn urls_outside_the_rules_are_refused() {
    let policy = Policy::new(["hub.hub.svc", "10.0.0.7"]);
    for bad in [
        "file:///etc/passwd",
        "ftp://example.com/x",
        "http://example.com/x",
        "https://user:secret@example.com/x",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.8/x",
        "https://127.0.0.1/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://0177.0.0.1/x",
        "https://[::1]/x",
        "https://[::ffff:169.254.169.254]/x",
        "https://[64:ff9b::a9fe:a9fe]/x",
        "https://[2002:7f00:1::]/x",
        "https://[fe80::1]/x",
        "https://[fd00:ec2::254]/x",
        "https://kubernetes/api",
        "https://kubernetes.default.svc/api",
        "https://kubernetes.default.svc.cluster.local./api",
        "https://kubernetes.default.svc.example.org/api",
        "https://metadata.google.internal/x",
        "https://localhost/x",
        "https://hub.hub.svc.cluster.local/x",
    ] {
        let error = policy.vet_url(&url(bad)).expect_err(bad);
        assert_eq!(error.reason().as_str(), "SourceNotAllowed", "{bad}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn public_https_and_allowed_hosts_pass() {
    let policy = Policy::new(["hub.hub.svc", "10.0.0.7", "[::1]", "MIRROR"]);
    for good in [
        "https://huggingface.co/api",
        "https://93.184.215.14/x",
        "http://hub.hub.svc/api",
        "http://HUB.hub.svc:8080/api",
        "http://10.0.0.7/x",
        "http://[::1]:8080/x",
        "https://mirror/x",
    ] {
        policy.vet_url(&url(good)).expect(good);
    }
}

#[test]
fn resolved_addresses_are_judged_by_what_they_reach() {
    let policy = Policy::new(["hub.hub.svc"]);
    let vet = |host: &str, address: &str| policy.vet_address(host, address.parse().expect("address")).is_ok();
    assert!(vet("huggingface.co", "18.155.1.1"));
    assert!(!vet("huggingface.co", "10.96.0.1"), "a public name must not lead inside");
    assert!(!vet("huggingface.co", "::ffff:10.96.0.1"));
    assert!(!vet("huggingface.co", "100.64.0.1"));
    assert!(vet("hub.hub.svc", "10.96.0.1"));
    assert!(vet("hub.hub.svc", "127.0.0.1"));
    assert!(!vet("hub.hub.svc", "169.254.169.254"), "not even a named host may be the metadata service");
    assert!(!vet("hub.hub.svc", "fe80::1"));
    assert!(!vet("hub.hub.svc", "0.0.0.0"));
}

/// Every address that must not be reached, in the clothes in which a resolver may bring it.
#[test]
fn an_inside_address_is_refused_in_every_form() {
    let inside = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.0.1",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
    ];
    let policy = Policy::default();
    for text in inside {
        let v4: Ipv4Addr = text.parse().expect("address");
        let [a, b, c, d] = v4.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let forms = [
            IpAddr::V4(v4),
            v4.to_ipv6_mapped().into(),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low).into(),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into(),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into(),
        ];
        for form in forms {
            assert!(policy.vet_address("example.com", form).is_err(), "{form} reaches {text}");
            let literal = if form.is_ipv6() { format!("https://[{form}]/x") } else { format!("https://{form}/x") };
            assert!(policy.vet_url(&url(&literal)).is_err(), "{literal}");
        }
    }
    for text in
        ["::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "64:ff9b:1::1", "2001:db8::1"]
    {
        assert!(policy.vet_address("example.com", text.parse().expect("address")).is_err(), "{text}");
    }
    assert!(policy.vet_address("example.com", "2606:4700::1111".parse().expect("address")).is_ok());
}

#[test]
fn messages_say_what_to_write() {
    let error = Policy::default().vet_url(&url("https://hub.hub.svc/api?token=abc")).expect_err("internal");
    let text = error.to_string();
    assert!(text.contains("add 'hub.hub.svc' to sources.allowedHosts"), "{text}");
    assert!(!text.contains("abc"), "{text}");
}

proptest! {
    #[test]
    fn a_mapped_address_is_never_judged_milder(bits in any::<u32>()) {
        let v4 = Ipv4Addr::from_bits(bits);
        let policy = Policy::default();
        let plain = policy.vet_address("example.com", v4.into()).is_ok();
        prop_assert_eq!(plain, policy.vet_address("example.com", v4.to_ipv6_mapped().into()).is_ok());
        let [a, b, c, d] = v4.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
        prop_assert_eq!(plain, policy.vet_address("example.com", nat64.into()).is_ok());
    }
}
