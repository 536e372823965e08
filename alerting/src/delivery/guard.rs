//! Which addresses a receiver may be reached at. A name that is made to point into the operator's own network, or at the
//! cloud's metadata service, must not turn keywatch into somebody's hand there: every address is looked at when it is
//! connected to, and it is that address that is connected to, so that a name that changes in between changes nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;

use crate::limits::RECEIVER_ADDRESSES_MAX;

/// A network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let wrong = || format!("`{text}` is not a network, e.g. 10.1.0.0/16 or fd00::/8");
        let (address, bits) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u32 = if bits.is_empty() { most } else { bits.parse().map_err(|_| wrong())? };
        if bits > most { Err(wrong()) } else { Ok(Network { address, bits }) }
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// What the operator lets receivers be reached at, beyond public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRules {
    /// Networks of the operator's own in which receivers stand.
    pub allow_networks: Vec<Network>,
    /// Lets `http` leave the machine. Whoever is in between can then read and drop pages.
    pub allow_plain_http: bool,
}

/// Why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl AddressRules {
    /// Whether `address`, which `host` stands for, may be connected to. This machine is, where it is named as such.
    ///
    /// # Errors
    /// Which kind of address it is, and what to write where it is meant.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let address = embedded(address);
        if self.allow_networks.iter().any(|network| network.contains(address)) {
            return Ok(());
        }
        let kind = match private(address) {
            Some("loopback") if names_this_machine(host) => None,
            kind => kind,
        };
        match kind {
            None => Ok(()),
            Some(kind) => Err(Refused(format!(
                "{host} is at {address}, which is {kind}; if a receiver stands there, name its network in allow_networks"
            ))),
        }
    }

    /// Whether a receiver may have this URL, as far as that can be said without asking for its addresses.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn check_url(&self, url: &Url) -> Result<(), String> {
        let Some(host) = url.host_str() else { return Err("the address has no host".to_owned()) };
        let host = bare(host);
        if let Ok(address) = host.parse() {
            self.check(host, address).map_err(|refused| refused.to_string())?;
        }
        match url.scheme() {
            _ if !url.username().is_empty() || url.password().is_some() => {
                Err("credentials do not belong into the address; put them into a file".to_owned())
            }
            "https" => Ok(()),
            "http" if names_this_machine(host) || self.allow_plain_http => Ok(()),
            "http" => Err("plain http leaves the machine unprotected; write https or set allow_plain_http".to_owned()),
            scheme => Err(format!("`{scheme}` is not https")),
        }
    }

    /// The addresses of `host` that may be connected to.
    ///
    /// # Errors
    /// The name is not known, or none of its addresses may be connected to.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, std::io::Error> {
        let host = bare(host);
        let (mut allowed, mut refused) = (Vec::new(), None);
        for address in lookup_host((host, port)).await?.take(RECEIVER_ADDRESSES_MAX) {
            match self.check(host, address.ip()) {
                Ok(()) => allowed.push(address),
                Err(problem) => refused = Some(problem),
            }
        }
        match refused {
            Some(problem) if allowed.is_empty() => Err(std::io::Error::other(problem)),
            _ if allowed.is_empty() => Err(std::io::Error::other(format!("{host} has no address"))),
            _ => Ok(allowed),
        }
    }
}

/// Gives reqwest the addresses that it may connect to, and no others.
#[derive(Debug)]
pub struct GuardedResolver(pub AddressRules);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.0.clone();
        Box::pin(async move {
            let addresses = rules.resolve(name.as_str(), 0).await?;
            Ok::<Addrs, Box<dyn std::error::Error + Send + Sync>>(Box::new(addresses.into_iter()))
        })
    }
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn names_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The IPv4 address that an IPv6 address carries to a translator, if it is one of those.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let bits = six.to_bits();
    let low = Ipv4Addr::from_bits(u32::try_from(bits & u128::from(u32::MAX)).expect("32 bits"));
    let nat64 = bits >> 32 == 0x0064_ff9b_0000_0000_0000_0000_u128;
    match six.segments()[0] {
        0x2002 => {
            let inner = (bits >> 80) & u128::from(u32::MAX);
            IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(inner).expect("32 bits")))
        }
        _ if nat64 || six.to_ipv4_mapped().is_some() => IpAddr::V4(low),
        _ => address,
    }
}

/// What is special about an address that is no receiver of the public internet.
fn private(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(four) => private_four(four),
        IpAddr::V6(six) => private_six(six),
    }
}

fn private_four(address: Ipv4Addr) -> Option<&'static str> {
    let [first, second, third, _] = address.octets();
    Some(match (first, second, third) {
        _ if address.is_loopback() => "loopback",
        _ if address.is_link_local() => "link-local, where clouds have their metadata",
        _ if address.is_private() => "private",
        (100, 64..=127, _) => "shared address space, where some clouds have their metadata",
        (0, ..) | (192, 0, 0) | (198, 18..=19, _) => "reserved",
        _ if address.is_multicast() => "multicast",
        (240.., ..) => "reserved",
        _ => return None,
    })
}

fn private_six(address: Ipv6Addr) -> Option<&'static str> {
    let first = address.segments()[0];
    Some(match first {
        _ if address.is_loopback() => "loopback",
        _ if address.is_unspecified() => "reserved",
        0xfc00..=0xfdff => "private",
        0xfe80..=0xfebf => "link-local",
        0xfec0..=0xfeff => "site-local",
        0xff00.. => "multicast",
        // What is left of ::/16 means an IPv4 address in ways that nobody uses any more.
        0 => "reserved",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rules: &AddressRules, host: &str, address: &str) -> bool {
        rules.check(host, address.parse().unwrap()).is_ok()
    }

    #[test]
    fn public_addresses_are_allowed_and_all_others_are_not() {
        let rules = AddressRules::default();
        for address in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::"]
        {
            assert!(allowed(&rules, "hooks.example", address), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "2002:a9fe:a9fe::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!allowed(&rules, "hooks.example", address), "{address}");
        }
    }

    #[test]
    fn this_machine_has_to_be_named_and_a_network_has_to_be_allowed() {
        let rules = AddressRules::default();
        assert!(allowed(&rules, "localhost", "127.0.0.1") && allowed(&rules, "127.0.0.1", "127.0.0.1"));
        assert!(!allowed(&rules, "rebound.example", "127.0.0.1"));
        let networks = ["10.1.0.0/16", "fd00::/8", "192.168.7.7"].map(|text| text.parse().unwrap()).to_vec();
        let rules = AddressRules { allow_networks: networks, ..rules };
        for (address, expected) in [
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("fd12::1", true),
            ("192.168.7.7", true),
            ("192.168.7.8", false),
            ("::ffff:10.1.2.3", true),
        ] {
            assert_eq!(allowed(&rules, "siem.internal", address), expected, "{address}");
        }
        assert!("10.0.0.0/33".parse::<Network>().is_err() && "ten".parse::<Network>().is_err());
    }

    #[test]
    fn urls_are_https_or_this_machine() {
        for (address, plain, accepted) in [
            ("https://hooks.example/x", false, true),
            ("http://127.0.0.1:9/x", false, true),
            ("http://[::1]:9/x", false, true),
            ("http://localhost/x", false, true),
            ("http://hooks.example/x", false, false),
            ("http://hooks.example/x", true, true),
            ("http://127.0.0.1.example/x", false, false),
            ("https://169.254.169.254/latest", true, false),
            ("https://10.0.0.1/x", false, false),
            ("https://2852039166/latest", false, false),
            ("https://[::ffff:10.0.0.1]/x", false, false),
            ("https://user:pw@hooks.example/", false, false),
            ("ftp://hooks.example/", true, false),
        ] {
            let rules = AddressRules { allow_plain_http: plain, ..AddressRules::default() };
            assert_eq!(rules.check_url(&Url::parse(address).unwrap()).is_ok(), accepted, "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_that_points_at_this_machine_is_connected_to_only_where_that_is_meant() {
        let rules = AddressRules::default();
        assert!(rules.resolve("localhost", 9).await.unwrap().iter().all(|address| address.ip().is_loopback()));
        let refused = rules.resolve("10.0.0.1", 9).await.unwrap_err().to_string();
        assert!(refused.contains("private") && refused.contains("allow_networks"), "{refused}");
    }
}
