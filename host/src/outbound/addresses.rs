//! Which addresses a component may call: those of the internet, and no others unless the operator says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Networks of IPv4 that are not of the internet: those of the IANA IPv4 Special-Purpose Address Registry,
/// multicast, what is reserved, and the one address of a cloud's host that lies among public ones.
const NOT_PUBLIC: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([168, 63, 129, 16], 32),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];

/// All of IPv6 that is given out for the internet (RFC 4291, section 2.4).
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0], 3);

/// What of it is not public: protocols' own (Teredo among them), and documentation.
const NOT_PUBLIC_V6: [Ipv6Net; 3] =
    [v6([0x2001, 0, 0], 23), v6([0x2001, 0xdb8, 0], 32), v6([0x3fff, 0, 0], 20)];

/// Where IPv6 stands for IPv4 by way of a translator (RFC 6052, section 2.1).
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0], 96);

/// Where IPv6 is carried in IPv4 (RFC 3056).
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0], 16);

const fn v4(address: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = address;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

/// The first three segments of an address, and the length of its network.
const fn v6([first, second, third]: [u16; 3], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0), prefix)
}

/// Whether an address may be called: it is public, or lies in one of the networks that the operator opened.
pub(super) fn may_be_called(address: IpAddr, opened: &[IpNet]) -> bool {
    let reached = reached(address);
    let is_public = match reached {
        IpAddr::V4(address) => !NOT_PUBLIC.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_UNICAST.contains(&address)
                && !NOT_PUBLIC_V6.iter().any(|network| network.contains(&address))
        }
    };
    is_public || opened.iter().any(|network| network.contains(&reached))
}

/// Whom a packet to this address reaches in the end: the IPv4 address that one of IPv6 stands for.
fn reached(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address.to_canonical() else { return address.to_canonical() };
    let segments = six.segments();
    let (high, low) = if NAT64.contains(&six) {
        (segments[6], segments[7])
    } else if SIX_TO_FOUR.contains(&six) {
        (segments[1], segments[2])
    } else {
        return address;
    };
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into()
}
