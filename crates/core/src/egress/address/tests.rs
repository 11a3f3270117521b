//! Every block at both of its ends and just outside, the embedded forms, and the exceptions.

use proptest::prelude::*;

use super::blocks::Block;
use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn policy(allow: &[&str]) -> EgressPolicy {
    let networks: Vec<IpNet> = allow.iter().map(|network| network.parse().unwrap()).collect();
    EgressPolicy::new(&networks)
}

#[test]
fn every_block_is_written_as_it_is_matched_and_refused_from_end_to_end() {
    fn ends_of<N>(blocks: &[Block<N>], network: impl Fn(&N) -> IpNet) {
        for block in blocks {
            let network = network(&block.network);
            assert_eq!(network.to_string(), block.refusal.block);
            assert_eq!(network, network.trunc(), "{network} has bits past its prefix");
            for end in [network.addr(), network.broadcast()] {
                assert!(check_public(end).is_err(), "{end} of {network} was allowed");
            }
        }
    }
    ends_of(V4, |network| IpNet::V4(*network));
    ends_of(V6, |network| IpNet::V6(*network));
}

#[test]
fn the_narrowest_block_gives_its_name() {
    for (text, block, name) in [
        ("10.1.2.3", "10.0.0.0/8", "Private-Use"),
        ("169.254.169.254", "169.254.0.0/16", "Link Local"),
        ("0.0.0.0", "0.0.0.0/32", "This host on this network"),
        ("192.0.0.9", "192.0.0.9/32", "Port Control Protocol Anycast"),
        ("192.0.0.200", "192.0.0.0/24", "IETF Protocol Assignments"),
        ("255.255.255.255", "255.255.255.255/32", "Limited Broadcast"),
        ("255.255.255.254", "240.0.0.0/4", "Reserved"),
        ("::ffff:10.1.2.3", "10.0.0.0/8", "Private-Use"),
        ("64:ff9b::169.254.169.254", "169.254.0.0/16", "Link Local"),
        ("::1", "::1/128", "Loopback Address"),
        ("2001::1", "2001::/32", "TEREDO"),
        ("2001:100::1", "2001::/23", "IETF Protocol Assignments"),
        ("fd00:ec2::254", "fc00::/7", "Unique-Local"),
        ("4000::1", "everything outside 2000::/3", "Reserved by IETF"),
    ] {
        assert_eq!(check_public(address(text)), Err(AddressRefusal { block, name }), "{text}");
    }
    let refusal = check_public(address("10.1.2.3")).unwrap_err();
    assert_eq!(refusal.to_string(), "10.0.0.0/8 is not a public address (Private-Use)");
}

#[test]
fn the_public_internet_around_the_blocks_is_allowed() {
    for text in [
        "1.0.0.0",
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.31.195.255",
        "192.31.197.0",
        "192.52.192.255",
        "192.52.194.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "192.175.47.255",
        "192.175.49.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "2000::",
        "2001:200::1",
        "2001:db7:ffff::1",
        "2001:db9::1",
        "2003::1",
        "2606:4700:4700::1111",
        "2620:4f:7fff::1",
        "2620:4f:8001::1",
        "2a00:1450::1",
        "3ffe:ffff::1",
        "3fff:1000::1",
        "3fff:ffff::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ] {
        assert_eq!(check_public(address(text)), Ok(()), "{text}");
    }
}

#[test]
fn every_form_that_ends_at_a_private_ipv4_address_is_refused() {
    for text in [
        "::127.0.0.1",
        "::10.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:0:1::8.8.8.8",
        "2002:7f00:1::",
        "2002:0a00:0001::1",
        "2002:808:808::1",
        "2001:0:4136:e378::1",
        "fe80::5efe:192.168.0.1",
    ] {
        assert!(check_public(address(text)).is_err(), "{text} was allowed");
    }
}

#[test]
fn exceptions_allow_their_networks_and_nothing_else() {
    let policy = policy(&["10.1.0.0/16", "fd00:1::/32"]);
    assert!(policy.has_exceptions());
    for text in ["10.1.2.3", "::ffff:10.1.2.3", "fd00:1::7", "8.8.8.8"] {
        assert_eq!(policy.check(address(text)), Ok(()), "{text}");
    }
    for text in
        ["10.2.0.1", "::ffff:10.2.0.1", "64:ff9b::10.1.2.3", "::10.1.2.3", "2002:a01:203::1", "fd00:2::7", "127.0.0.1"]
    {
        assert!(policy.check(address(text)).is_err(), "{text} was allowed");
    }
    assert!(!EgressPolicy::default().has_exceptions());
    assert!(EgressPolicy::default().check(address("10.1.2.3")).is_err());
}

#[test]
fn a_mapped_network_is_the_ipv4_network_and_a_wide_ipv6_one_is_ipv6_only() {
    let mapped = policy(&["::ffff:10.1.0.0/112"]);
    assert_eq!(mapped, policy(&["10.1.0.0/16"]));
    assert_eq!(mapped.check(address("10.1.2.3")), Ok(()));
    let all_v6 = policy(&["::/0"]);
    assert_eq!(all_v6.check(address("fd00::1")), Ok(()));
    assert!(all_v6.check(address("::ffff:127.0.0.1")).is_err());
    assert!(all_v6.check(address("127.0.0.1")).is_err());
}

#[test]
fn plain_http_connects_to_exceptions_only() {
    let policy = policy(&["127.0.0.0/8"]);
    assert!(policy.allows_loopback());
    assert_eq!(policy.check_connect(address("127.0.0.1"), true), Ok(()));
    assert_eq!(policy.check_connect(address("::ffff:127.0.0.1"), true), Ok(()));
    assert_eq!(policy.check_connect(address("8.8.8.8"), false), Ok(()));
    assert_eq!(policy.check_connect(address("8.8.8.8"), true), Err(ConnectRefusal::PlainHttp));
    let refusal = check_public(address("10.0.0.1")).unwrap_err();
    assert_eq!(policy.check_connect(address("10.0.0.1"), true), Err(ConnectRefusal::Address(refusal)));
    assert!(!EgressPolicy::default().allows_loopback());
    assert!(!self::policy(&["10.0.0.0/8"]).allows_loopback());
}

proptest! {
    #[test]
    fn an_ipv4_address_is_judged_the_same_in_every_form_that_reaches_it(bits: u32) {
        let plain = Ipv4Addr::from_bits(bits);
        let verdict = check_public(plain.into());
        prop_assert_eq!(check_public(plain.to_ipv6_mapped().into()), verdict);
        let translated = Ipv6Addr::from_bits(0x0064_ff9b << 96 | u128::from(bits));
        prop_assert_eq!(check_public(translated.into()), verdict);
        prop_assert!(check_public(plain.to_ipv6_compatible().into()).is_err());
        let only_this = EgressPolicy::new(&[IpNet::from(IpAddr::from(plain))]);
        prop_assert_eq!(only_this.check(plain.to_ipv6_mapped().into()), Ok(()));
    }

    #[test]
    fn only_what_the_standard_library_does_not_know_as_special_is_public(bits: u128) {
        let v6 = Ipv6Addr::from_bits(bits);
        if v6.to_ipv4_mapped().is_none() && check_public(v6.into()).is_ok() && translated(v6).is_none() {
            prop_assert!(!v6.is_loopback() && !v6.is_unspecified() && !v6.is_multicast() && !v6.is_unique_local());
            prop_assert_eq!(bits >> 125, 1);
        }
        let v4 = Ipv4Addr::from_bits(v6.to_bits() as u32);
        let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()
            || v4.is_documentation() || v4.is_multicast() || v4.is_unspecified();
        prop_assert!(!special || check_public(v4.into()).is_err());
    }
}
