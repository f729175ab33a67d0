//! Which addresses are of the public internet.
//!
//! What is not listed as public here is refused: the machine itself, the networks around it, the
//! metadata services of clouds, and every notation in which one of those hides inside an IPv6
//! address.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Decides which addresses may be connected to without the operator's word.
pub(super) trait Reachable: Send + Sync + 'static {
    /// Whether the address is one of the public internet.
    fn is_public(&self, address: IpAddr) -> bool;
}

/// The rule of production: the registries of special-purpose addresses (RFC 6890) decide.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicOnly;

impl Reachable for PublicOnly {
    fn is_public(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => !BLOCKED_V4.iter().any(|block| block.has(address)),
            IpAddr::V6(address) => {
                GLOBAL_UNICAST.has(address) && !BLOCKED_V6.iter().any(|block| block.has(address))
            }
        }
    }
}

/// Whether one peer answers there at all: what not even the operator's word makes reachable.
pub(super) fn is_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_unspecified() && !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast(),
    }
}

struct V4Block {
    first: Ipv4Addr,
    bits: u32,
}

impl V4Block {
    const fn new(a: u8, b: u8, c: u8, bits: u32) -> Self {
        Self {
            first: Ipv4Addr::new(a, b, c, 0),
            bits,
        }
    }

    fn has(&self, address: Ipv4Addr) -> bool {
        (self.first.to_bits() ^ address.to_bits()).leading_zeros() >= self.bits
    }
}

struct V6Block {
    first: Ipv6Addr,
    bits: u32,
}

impl V6Block {
    const fn new(a: u16, b: u16, c: u16, bits: u32) -> Self {
        Self {
            first: Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0),
            bits,
        }
    }

    fn has(&self, address: Ipv6Addr) -> bool {
        (self.first.to_bits() ^ address.to_bits()).leading_zeros() >= self.bits
    }
}

const BLOCKED_V4: [V4Block; 16] = [
    // This host on this network.
    V4Block::new(0, 0, 0, 8),
    // Private.
    V4Block::new(10, 0, 0, 8),
    // Shared by carriers; some clouds have their metadata here.
    V4Block::new(100, 64, 0, 10),
    // Loopback.
    V4Block::new(127, 0, 0, 8),
    // Link-local; the metadata of most clouds.
    V4Block::new(169, 254, 0, 16),
    // Private.
    V4Block::new(172, 16, 0, 12),
    // Protocol assignments.
    V4Block::new(192, 0, 0, 24),
    // Documentation.
    V4Block::new(192, 0, 2, 24),
    // Relays to IPv6, given up.
    V4Block::new(192, 88, 99, 24),
    // Private.
    V4Block::new(192, 168, 0, 16),
    // Benchmarks.
    V4Block::new(198, 18, 0, 15),
    // Documentation.
    V4Block::new(198, 51, 100, 24),
    V4Block::new(203, 0, 113, 24),
    // Multicast.
    V4Block::new(224, 0, 0, 4),
    // Reserved, with the broadcast address.
    V4Block::new(240, 0, 0, 4),
    // Azure's platform services, which answer only from inside.
    V4Block {
        first: Ipv4Addr::new(168, 63, 129, 16),
        bits: 32,
    },
];

/// All that is assigned to hosts. Outside of it are loopback, unspecified, IPv4-mapped and
/// -compatible addresses, NAT64 (`64:ff9b::/96`, `64:ff9b:1::/48`), discard-only (`100::/64`),
/// segment routing (`5f00::/16`), unique local (`fc00::/7`), link-local (`fe80::/10`), site-local
/// (`fec0::/10`) and multicast (`ff00::/8`).
const GLOBAL_UNICAST: V6Block = V6Block::new(0x2000, 0, 0, 3);

const BLOCKED_V6: [V6Block; 4] = [
    // Protocol assignments, Teredo and ORCHID with them.
    V6Block::new(0x2001, 0, 0, 23),
    // Documentation.
    V6Block::new(0x2001, 0x0db8, 0, 32),
    // 6to4: an IPv4 address in disguise.
    V6Block::new(0x2002, 0, 0, 16),
    // Documentation.
    V6Block::new(0x3fff, 0, 0, 20),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_is_refused_from_its_first_to_its_last_address() {
        let blocks = [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("168.63.129.16", "168.63.129.16"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
            // Unspecified, loopback, IPv4-compatible, IPv4-mapped, NAT64 and the rest up to
            // what is assigned.
            ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ];
        for (first, last) in blocks {
            for address in [first, last] {
                assert!(!is_public(address), "{address}");
            }
        }
    }

    #[test]
    fn what_people_fear_is_refused_by_name() {
        for address in [
            "127.0.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "fe80::1",
            "fec0::1",
            "fd00:ec2::254",
            "fc00::1",
            "ff02::1",
            "100::1",
        ] {
            assert!(!is_public(address), "{address}");
        }
    }

    #[test]
    fn neighbours_of_the_blocks_are_public() {
        for address in [
            "1.0.0.0",
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
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2003::",
            "2606:4700::6810:1",
            "3ffe:ffff::",
        ] {
            assert!(is_public(address), "{address}");
        }
    }

    #[test]
    fn nobodys_word_reaches_many_or_none() {
        for address in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1"] {
            assert!(!is_unicast(address.parse().unwrap()), "{address}");
        }
        for address in ["127.0.0.1", "10.1.2.3", "::1", "fd00::1"] {
            assert!(is_unicast(address.parse().unwrap()), "{address}");
        }
    }

    fn is_public(address: &str) -> bool {
        PublicOnly.is_public(address.parse().unwrap())
    }
}
