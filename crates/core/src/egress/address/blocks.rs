//! The blocks that are not public unicast: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), with
//! the multicast and deprecated blocks that other registries of IANA list. A block inside another stands before it.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::AddressRefusal;

/// A block of addresses and what is said when one of them is refused.
pub(super) struct Block<N> {
    pub(super) network: N,
    pub(super) refusal: AddressRefusal,
}

const fn v4(block: &'static str, address: [u8; 4], prefix: u8, name: &'static str) -> Block<Ipv4Net> {
    let [a, b, c, d] = address;
    let network = Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix);
    Block { network, refusal: AddressRefusal { block, name } }
}

const fn v6(block: &'static str, address: u128, prefix: u8, name: &'static str) -> Block<Ipv6Net> {
    let network = Ipv6Net::new_assert(Ipv6Addr::from_bits(address), prefix);
    Block { network, refusal: AddressRefusal { block, name } }
}

pub(super) const V4: &[Block<Ipv4Net>] = &[
    v4("0.0.0.0/32", [0, 0, 0, 0], 32, "This host on this network"),
    v4("0.0.0.0/8", [0, 0, 0, 0], 8, "This network"),
    v4("10.0.0.0/8", [10, 0, 0, 0], 8, "Private-Use"),
    v4("100.64.0.0/10", [100, 64, 0, 0], 10, "Shared Address Space"),
    v4("127.0.0.0/8", [127, 0, 0, 0], 8, "Loopback"),
    v4("169.254.0.0/16", [169, 254, 0, 0], 16, "Link Local"),
    v4("172.16.0.0/12", [172, 16, 0, 0], 12, "Private-Use"),
    v4("192.0.0.0/29", [192, 0, 0, 0], 29, "IPv4 Service Continuity Prefix"),
    v4("192.0.0.8/32", [192, 0, 0, 8], 32, "IPv4 dummy address"),
    v4("192.0.0.9/32", [192, 0, 0, 9], 32, "Port Control Protocol Anycast"),
    v4("192.0.0.10/32", [192, 0, 0, 10], 32, "Traversal Using Relays around NAT Anycast"),
    v4("192.0.0.170/31", [192, 0, 0, 170], 31, "NAT64/DNS64 Discovery"),
    v4("192.0.0.0/24", [192, 0, 0, 0], 24, "IETF Protocol Assignments"),
    v4("192.0.2.0/24", [192, 0, 2, 0], 24, "Documentation (TEST-NET-1)"),
    v4("192.31.196.0/24", [192, 31, 196, 0], 24, "AS112-v4"),
    v4("192.52.193.0/24", [192, 52, 193, 0], 24, "AMT"),
    v4("192.88.99.0/24", [192, 88, 99, 0], 24, "Deprecated (6to4 Relay Anycast)"),
    v4("192.168.0.0/16", [192, 168, 0, 0], 16, "Private-Use"),
    v4("192.175.48.0/24", [192, 175, 48, 0], 24, "Direct Delegation AS112 Service"),
    v4("198.18.0.0/15", [198, 18, 0, 0], 15, "Benchmarking"),
    v4("198.51.100.0/24", [198, 51, 100, 0], 24, "Documentation (TEST-NET-2)"),
    v4("203.0.113.0/24", [203, 0, 113, 0], 24, "Documentation (TEST-NET-3)"),
    v4("224.0.0.0/4", [224, 0, 0, 0], 4, "Multicast"),
    v4("255.255.255.255/32", [255, 255, 255, 255], 32, "Limited Broadcast"),
    v4("240.0.0.0/4", [240, 0, 0, 0], 4, "Reserved"),
];

/// Judged before this table, as the IPv4 addresses in them: `::ffff:0:0/96` (mapped) and [`TRANSLATED`].
///
/// 6to4 is deprecated (RFC 7526), so its addresses are refused whatever they embed, and so are IPv4-compatible ones.
pub(super) const V6: &[Block<Ipv6Net>] = &[
    v6("::/128", 0, 128, "Unspecified Address"),
    v6("::1/128", 1, 128, "Loopback Address"),
    v6("::/96", 0, 96, "IPv4-compatible Address, deprecated"),
    v6("64:ff9b:1::/48", 0x0064_ff9b_0001 << 80, 48, "IPv4-IPv6 Translation, local use"),
    v6("100::/64", 0x0100 << 112, 64, "Discard-Only Address Block"),
    v6("100:0:0:1::/64", 0x0100_0000_0000_0001 << 64, 64, "Dummy IPv6 Prefix"),
    v6("2001::/32", 0x2001 << 112, 32, "TEREDO"),
    v6("2001:1::1/128", 0x2001_0001 << 96 | 1, 128, "Port Control Protocol Anycast"),
    v6("2001:1::2/128", 0x2001_0001 << 96 | 2, 128, "Traversal Using Relays around NAT Anycast"),
    v6("2001:1::3/128", 0x2001_0001 << 96 | 3, 128, "DNS-SD Service Registration Protocol Anycast"),
    v6("2001:2::/48", 0x2001_0002 << 96, 48, "Benchmarking"),
    v6("2001:3::/32", 0x2001_0003 << 96, 32, "AMT"),
    v6("2001:4:112::/48", 0x2001_0004_0112 << 80, 48, "AS112-v6"),
    v6("2001:10::/28", 0x2001_0010 << 96, 28, "Deprecated (previously ORCHID)"),
    v6("2001:20::/28", 0x2001_0020 << 96, 28, "ORCHIDv2"),
    v6("2001:30::/28", 0x2001_0030 << 96, 28, "Drone Remote ID Protocol Entity Tags (DETs) Prefix"),
    v6("2001::/23", 0x2001 << 112, 23, "IETF Protocol Assignments"),
    v6("2001:db8::/32", 0x2001_0db8 << 96, 32, "Documentation"),
    v6("2002::/16", 0x2002 << 112, 16, "6to4"),
    v6("2620:4f:8000::/48", 0x2620_004f_8000 << 80, 48, "Direct Delegation AS112 Service"),
    v6("3fff::/20", 0x3fff << 112, 20, "Documentation"),
    v6("5f00::/16", 0x5f00 << 112, 16, "Segment Routing (SRv6) SIDs"),
    v6("fc00::/7", 0xfc00 << 112, 7, "Unique-Local"),
    v6("fe80::/10", 0xfe80 << 112, 10, "Link-Local Unicast"),
    v6("fec0::/10", 0xfec0 << 112, 10, "Site-Local Unicast, deprecated"),
    v6("ff00::/8", 0xff00 << 112, 8, "Multicast"),
];

/// What alone can be public IPv6: the space that IANA allots unicast networks from.
pub(super) const GLOBAL_UNICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::from_bits(0x2000 << 112), 3);

/// Why what lies outside [`GLOBAL_UNICAST`] and in no block is refused.
pub(super) const NOT_GLOBAL_UNICAST: AddressRefusal =
    AddressRefusal { block: "everything outside 2000::/3", name: "Reserved by IETF" };

/// The well-known prefix of NAT64 (RFC 6052): the last 32 bits are the IPv4 address that the packets end up at.
pub(super) const TRANSLATED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::from_bits(0x0064_ff9b << 96), 96);
