//! A declared network: a block of addresses, or an autonomous system.

use std::net::IpAddr;
use std::str::FromStr;

/// A CIDR block (RFC 4632, RFC 4291 §2.3) or an autonomous system (RFC 6793).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Addresses that begin with the same bits.
    Block {
        /// An address in it.
        address: IpAddr,
        /// How many bits are the same.
        bits: u32,
    },
    /// All addresses that one operator announces.
    System(i64),
}

impl Network {
    /// Whether a speaker with that address and autonomous system is in it. An IPv4 address written as IPv6
    /// (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2) is the IPv4 address.
    #[must_use]
    pub fn contains(&self, ip: Option<&str>, asn: Option<i64>) -> bool {
        match self {
            Network::System(number) => asn == Some(*number),
            Network::Block { address, bits } => {
                let ip = ip.and_then(|ip| ip.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical());
                match (ip, address) {
                    (Some(IpAddr::V4(ip)), IpAddr::V4(block)) => {
                        same_bits(ip.to_bits().into(), block.to_bits().into(), 32, *bits)
                    }
                    (Some(IpAddr::V6(ip)), IpAddr::V6(block)) => same_bits(ip.to_bits(), block.to_bits(), 128, *bits),
                    _ => false,
                }
            }
        }
    }
}

/// Whether the first `bits` of two numbers of `width` bits are the same.
fn same_bits(one: u128, other: u128, width: u32, bits: u32) -> bool {
    bits == 0 || (one ^ other) >> (width - bits) == 0
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        if let Some(number) = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")) {
            let number: u32 =
                number.parse().map_err(|_| format!("`{text}` is no autonomous system: AS and a number"))?;
            return Ok(Network::System(i64::from(number)));
        }
        let refuse = || format!("`{text}` is no network: 192.0.2.0/24, 2001:db8::/32 or AS64500");
        let (address, bits) = text.split_once('/').ok_or_else(refuse)?;
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let bits: u32 = bits.parse().map_err(|_| refuse())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        if bits > width { Err(refuse()) } else { Ok(Network::Block { address: address.to_canonical(), bits }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_knows_its_own() {
        for (network, ip, asn, inside) in [
            ("192.0.2.0/24", Some("192.0.2.255"), None, true),
            ("192.0.2.0/24", Some("192.0.3.0"), None, false),
            ("192.0.2.0/24", Some("::ffff:192.0.2.7"), None, true),
            ("192.0.2.7/32", Some("192.0.2.7"), None, true),
            ("0.0.0.0/0", Some("203.0.113.9"), None, true),
            ("0.0.0.0/0", Some("2001:db8::1"), None, false),
            ("2001:db8::/32", Some("2001:db8:ffff::1"), None, true),
            ("2001:db8::/32", Some("2001:db9::1"), None, false),
            ("AS64500", None, Some(64500), true),
            ("AS64500", Some("192.0.2.7"), Some(64501), false),
            ("192.0.2.0/24", Some("no address"), None, false),
            ("192.0.2.0/24", None, Some(64500), false),
        ] {
            assert_eq!(network.parse::<Network>().unwrap().contains(ip, asn), inside, "{network} {ip:?} {asn:?}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["192.0.2.0", "192.0.2.0/33", "2001:db8::/129", "x/8", "ASx", "AS4294967296", ""] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
