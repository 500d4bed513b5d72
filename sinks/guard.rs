//! The address guard: which addresses a configured URL may lead to.
//!
//! Targets are configuration, but names are answered by strangers. So every address is judged after
//! resolution and the connection goes to the very address that was judged; there is no second
//! look-up that could answer differently. Literals never reach a resolver and are judged by
//! [`Guard::judge_url`], at configuration time and before each request.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::{Host, Url};

/// Networks that are no place for a callback unless they are listed: private, loopback, link-local,
/// shared (100.64/10 holds Alibaba Cloud's metadata service, 100.100.100.200), documentation,
/// benchmark, multicast, reserved, and the IPv6 ranges that wrap IPv4 addresses.
///
/// Source: the union of what Svix's server (`webhook_http_client.rs`) and Stripe's smokescreen
/// (`smokescreen.go`) refuse; IANA's special-purpose registries name their purposes.
const REFUSED: [(&str, &str); 33] = [
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared address space"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarks"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::/96", "IPv4-compatible"),
    ("::ffff:0:0:0/96", "IPv4-translated"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discard"),
    ("2001::/32", "Teredo"),
    ("2001:2::/48", "benchmarks"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
    ("255.255.255.255/32", "broadcast"),
];

/// Decides which addresses may be connected to.
#[derive(Debug, Clone)]
pub struct Guard {
    refused: Vec<(IpNet, &'static str)>,
    allowed: Vec<IpNet>,
    everything: bool,
}

/// An address that the guard refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refused {
    address: IpAddr,
    purpose: &'static str,
    /// The name that resolved to it; `None` for a literal.
    name: Option<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} resolves to {}", self.address)?,
            None => write!(f, "{}", self.address)?,
        }
        write!(
            f,
            " ({}), where no callback goes; if it is meant, add it to `allow_addresses`",
            self.purpose
        )
    }
}

impl Guard {
    /// Refuses all but public addresses and those in `allowed`.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        let refused = REFUSED
            .iter()
            .filter_map(|(net, purpose)| Some((net.parse().ok()?, *purpose)))
            .collect();
        Self {
            refused,
            allowed,
            everything: false,
        }
    }

    /// Refuses nothing: for addresses that are the operator's own words, such as the host of a
    /// DingTalk robot's webhook.
    pub fn open() -> Self {
        Self {
            refused: Vec::new(),
            allowed: Vec::new(),
            everything: true,
        }
    }

    /// Whether `address` may be connected to.
    ///
    /// # Errors
    /// It may not; the error names the address and its purpose.
    pub fn judge(&self, address: IpAddr) -> Result<(), Refused> {
        if self.everything {
            return Ok(());
        }
        // `::ffff:10.0.0.1` is 10.0.0.1 to the kernel.
        let address = address.to_canonical();
        if self.allowed.iter().any(|net| net.contains(&address)) {
            return Ok(());
        }
        match self.refused.iter().find(|(net, _)| net.contains(&address)) {
            None => Ok(()),
            Some((_, purpose)) => Err(Refused {
                address,
                purpose,
                name: None,
            }),
        }
    }

    /// Keeps of `addresses`, what `name` resolved to, those that may be connected to.
    ///
    /// # Errors
    /// None is left; the error names the first.
    pub fn judge_all(
        &self,
        name: &str,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Refused> {
        let mut first = None;
        let mut kept = Vec::new();
        for address in addresses {
            match self.judge(address.ip()) {
                Ok(()) => kept.push(address),
                Err(refused) => {
                    first.get_or_insert(refused);
                }
            }
        }
        match first {
            Some(refused) if kept.is_empty() => Err(Refused {
                name: Some(name.to_owned()),
                ..refused
            }),
            _ => Ok(kept),
        }
    }

    /// Judges a URL whose host is an address literal. Decimal, hexadecimal and octal spellings were
    /// made plain by the URL parser, so its `host()` is judged and never the text.
    ///
    /// # Errors
    /// The literal may not be connected to.
    pub fn judge_url(&self, url: &Url) -> Result<(), Refused> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.judge(address.into()),
            Some(Host::Ipv6(address)) => self.judge(address.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    /// Whether plain `http://` to `url` stays on ground that the operator named: the host is this
    /// machine or a literal in `allow_addresses`.
    pub fn is_home(&self, url: &Url) -> bool {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                return name.eq_ignore_ascii_case("localhost");
            }
            None => return false,
        };
        let address = address.to_canonical();
        address.is_loopback() || self.allowed.iter().any(|net| net.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(host: &str) -> Result<(), Refused> {
        Guard::new(Vec::new()).judge_url(&Url::parse(&format!("http://{host}/")).unwrap())
    }

    #[test]
    fn the_table_of_networks_is_readable() {
        assert_eq!(Guard::new(Vec::new()).refused.len(), REFUSED.len());
    }

    #[test]
    fn every_refused_network_is_refused_at_both_ends() {
        for (net, purpose) in REFUSED {
            let net: IpNet = net.parse().unwrap();
            for address in [net.network(), net.broadcast()] {
                assert!(
                    Guard::new(Vec::new()).judge(address).is_err(),
                    "{address} ({purpose})"
                );
            }
        }
    }

    #[test]
    fn spellings_of_refused_literals() {
        // Measured spellings: the `url` crate turns each into an address.
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "127.1",
            "017700000001",
            "１２７.０.０.１",
            "127.0.0.1.",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "[fd00::1]",
            "0.0.0.0",
            "0",
            "[::]",
            "169.254.169.254",
            "100.100.100.200",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "255.255.255.255",
        ] {
            assert!(literal(host).is_err(), "{host} was let through");
        }
    }

    #[test]
    fn public_addresses_and_names_pass() {
        for host in [
            "8.8.8.8",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "[2400:3200::1]",
            "example.com",
            "localhost",
        ] {
            assert!(literal(host).is_ok(), "{host} was refused");
        }
    }

    #[test]
    fn a_listed_network_passes_however_it_is_written() {
        let guard = Guard::new(vec!["10.20.0.0/16".parse().unwrap()]);
        assert!(guard.judge("10.20.3.4".parse().unwrap()).is_ok());
        assert!(guard.judge("::ffff:10.20.3.4".parse().unwrap()).is_ok());
        assert!(guard.judge("10.21.0.1".parse().unwrap()).is_err());
    }

    #[test]
    fn refused_addresses_are_dropped_and_named_when_none_is_left() {
        let guard = Guard::new(Vec::new());
        let mixed = ["127.0.0.1:0", "8.8.8.8:0"].map(|text| text.parse().unwrap());
        assert_eq!(
            guard.judge_all("x.example", mixed).unwrap(),
            ["8.8.8.8:0".parse().unwrap()]
        );
        let error = guard
            .judge_all("x.example", ["100.100.100.200:0".parse().unwrap()])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "x.example resolves to 100.100.100.200 (shared address space), where no callback goes; \
             if it is meant, add it to `allow_addresses`"
        );
    }
}
