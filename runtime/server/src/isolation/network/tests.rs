//! Files as pods have them.

use proptest::prelude::*;

use super::*;

const ARP: &str = "IP address       HW type     Flags       HW address            Mask     Device
10.244.0.1       0x1         0x2         3e:5a:01:02:03:04     *        eth0
10.244.0.7       0x1         0x2         3e:5a:01:02:03:07     *        eth0
10.244.0.9       0x1         0x0         00:00:00:00:00:00     *        eth0
";
const IF_INET6: &str = "fe80000000000000f45a01fffe020309 02 40 20 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
";

fn hex(address: [u8; 4]) -> String {
    format!("{:08X}", u32::from_ne_bytes(address))
}

fn route(gateway: [u8; 4]) -> String {
    format!(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
         eth0\t00000000\t{}\t0003\t0\t0\t0\t00000000\n\
         eth0\t{}\t00000000\t0001\t0\t0\t0\t{}\n",
        hex(gateway),
        hex([10, 244, 0, 0]),
        hex([255, 255, 255, 0])
    )
}

#[test]
fn a_bridged_pod_finds_its_node_by_both_families() {
    let route = route([10, 244, 0, 1]);
    let resolv =
        "search a.svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\nnameserver fd00::a\nnameserver x\n";
    let network = parse(Files { route: &route, arp: ARP, if_inet6: IF_INET6, ipv6_route: "", resolv });
    assert_eq!(network.gateways, ["10.244.0.1:0".parse().unwrap()]);
    assert_eq!(network.link_local, ["[fe80::3c5a:1ff:fe02:304%2]:0".parse().unwrap()]);
    assert_eq!(network.resolvers, ["10.96.0.10".parse::<IpAddr>().unwrap(), "fd00::a".parse().unwrap()]);
}

#[test]
fn a_point_to_point_pod_finds_its_end_of_the_wire() {
    let route = route([169, 254, 1, 1]);
    let arp = "169.254.1.1 0x1 0x6 ee:ee:ee:ee:ee:ee * eth0\n";
    let network = parse(Files { route: &route, arp, if_inet6: IF_INET6, ..Files::default() });
    assert_eq!(network.link_local, ["[fe80::ecee:eeff:feee:eeee%2]:0".parse().unwrap()]);
}

#[test]
fn next_hops_of_ipv6_routes_count_too() {
    let zero = "0".repeat(32);
    let line =
        |next_hop: &str| format!("{zero} 00 {zero} 00 {next_hop} 00000400 00000003 00000000 00000003     eth0\n");
    let routes = [
        line("fe80000000000000aaaaaafffeaaaaaa"),
        line("fd000000000000000000000000000001"),
        line(&zero),
        line("fe80000000000000f45a01fffe020309"),
    ]
    .concat();
    let network = parse(Files { if_inet6: IF_INET6, ipv6_route: &routes, ..Files::default() });
    assert_eq!(network.gateways, ["[fd00::1]:0".parse().unwrap()]);
    assert_eq!(network.link_local, ["[fe80::aaaa:aaff:feaa:aaaa%2]:0".parse().unwrap()], "not the pod's own");
}

#[test]
fn an_address_that_is_not_usable_yet_is_told() {
    let with = |flags: &str| {
        let if_inet6 = format!("fe80000000000000f45a01fffe020309 02 40 20 {flags}     eth0\n");
        let route = route([10, 244, 0, 1]);
        let network = parse(Files { route: &route, arp: ARP, if_inet6: &if_inet6, ..Files::default() });
        (network.is_settling, network.link_local.len())
    };
    assert_eq!(with("80"), (false, 1));
    assert_eq!(with("c0"), (true, 1), "being checked");
    assert_eq!(with("c8"), (false, 0), "somebody else has it: it is never used");
}

#[test]
fn without_ipv6_there_is_nothing_link_local() {
    let route = route([10, 244, 0, 1]);
    let network = parse(Files { route: &route, arp: ARP, ..Files::default() });
    assert_eq!((network.gateways.len(), network.link_local.len()), (1, 0));
    assert_eq!(parse(Files::default()), Network::default());
}

#[test]
fn this_machine_can_be_read() {
    let network = read();
    assert!(network.gateways.len() <= MAX_HOSTS && network.link_local.len() <= MAX_HOSTS);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", lines in "([0-9a-fx:. ]{0,40}\n){0,8}") {
        for any in [&text, &lines] {
            let network = parse(Files { route: any, arp: any, if_inet6: any, ipv6_route: any, resolv: any });
            prop_assert!(network.gateways.len() <= MAX_HOSTS);
        }
    }
}
