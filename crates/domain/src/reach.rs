//! Where a request may go.
//!
//! A host that a person typed may be private and plain http. A host that came from data (a next
//! link, a redirect) must be https, in the public network, and one that the connector names.
//! Link-local and metadata addresses are never called: what answers there gives away the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Who named an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// The connector, with what the user typed into its settings.
    Connector,
    /// The other side: an answer, a redirect.
    Data,
}

/// What a connection may call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// Hosts, lower case, without a port; those that the connector names, settings filled in.
    pub hosts: Vec<String>,
    /// Whether the user typed a host, so that it may be private and plain http.
    pub typed: bool,
    /// The one origin that is called without any of these rules: the sandbox, for its own
    /// connector.
    pub sandbox: Option<Url>,
    /// Ports of ours: never called on any host.
    pub own_ports: Vec<u16>,
}

/// Which addresses a name may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// Those of the public network alone.
    Public,
    /// Any but link-local and metadata.
    Any,
}

/// Why an address is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no http or https address, or carries a user's name or password.
    #[error("`{0}` is not an address that can be called")]
    Address(String),
    /// The connector does not name this host.
    #[error("{0} is not a host that this connector names")]
    Host(String),
    /// It is not encrypted, and nobody typed it.
    #[error("{0} would be called without encryption")]
    Plain(String),
    /// It is an address that is never called, or one of ours.
    #[error("{0} is never called")]
    Never(String),
}

impl Reach {
    /// Whether `url` may be called, and into which network its name may lead.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&self, url: &Url, named_by: NamedBy) -> Result<Network, Refused> {
        let (Some(host), "http" | "https") = (url.host(), url.scheme()) else {
            return Err(Refused::Address(url.scheme().into()));
        };
        let name = host.to_string().to_ascii_lowercase();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Address(name));
        }
        if self.sandbox.as_ref().is_some_and(|sandbox| sandbox.origin() == url.origin()) {
            return Ok(Network::Any);
        }
        if !self.hosts.contains(&name) {
            return Err(Refused::Host(name));
        }
        let network = match named_by {
            NamedBy::Connector if self.typed => Network::Any,
            NamedBy::Connector | NamedBy::Data => Network::Public,
        };
        if network == Network::Public && url.scheme() != "https" {
            return Err(Refused::Plain(name));
        }
        let own_port = url.port().is_some_and(|port| self.own_ports.contains(&port));
        let literal = match host {
            Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
            Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
            Host::Domain(_) => None,
        };
        if own_port || literal.is_some_and(|ip| !network.allows(ip)) {
            return Err(Refused::Never(name));
        }
        Ok(network)
    }
}

impl Network {
    /// Whether `ip` may be dialled.
    pub fn allows(self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        match self {
            Self::Public => is_public(ip),
            Self::Any => !is_link_local(ip),
        }
    }
}

/// Link-local, where metadata services answer, and those of them that answer elsewhere: at Alibaba,
/// Oracle, Azure and, over IPv6, Amazon. An IPv4 address may stand in an IPv6 address.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V6(outer) if let Some(inner) = embedded(outer) => is_link_local(inner.into()),
        IpAddr::V4(ip) => {
            ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || ip == Ipv4Addr::new(100, 100, 100, 200)
                || ip == Ipv4Addr::new(192, 0, 0, 192)
                || ip == Ipv4Addr::new(168, 63, 129, 16)
        }
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

/// The IPv4 address that an IPv6 address leads to by translation (RFC 6052, `64:ff9b::/96`) or is a
/// deprecated form of (RFC 4291, `::/96`).
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = ip.segments();
    let translated = (a, b, c, d, e, f) == (0x64, 0xff9b, 0, 0, 0, 0);
    let compatible = (a, b, c, d, e, f) == (0, 0, 0, 0, 0, 0) && high != 0;
    let [first, second] = high.to_be_bytes();
    let [third, fourth] = low.to_be_bytes();
    (translated || compatible).then(|| Ipv4Addr::new(first, second, third, fourth))
}

/// Whether an address is one of the public network: not in the registries of special-purpose
/// addresses (RFC 6890 and its successors).
fn is_public(ip: IpAddr) -> bool {
    if is_link_local(ip) {
        return false;
    }
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_documentation()
                || a == 0
                || a >= 240
                || a == 100 && (64..128).contains(&b)
                || (a, b) == (198, 18)
                || (a, b) == (198, 19)
                || (a, b, c) == (192, 0, 0)
                || (a, b, c) == (192, 88, 99))
        }
        IpAddr::V6(ip) => {
            let [a, b, ..] = ip.segments();
            let embeds_v4 = a == 0x64 && b == 0xff9b || a == 0x2002 || (a, b) == (0x2001, 0);
            // Of what is routed, 2000::/3, without documentation.
            a & 0xe000 == 0x2000 && (a, b) != (0x2001, 0xdb8) && a != 0x3fff && !embeds_v4
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reach(typed: bool) -> Reach {
        Reach {
            hosts: vec!["api.shop.example".into(), "127.0.0.1".into(), "169.254.169.254".into()],
            typed,
            sandbox: Some("http://127.0.0.1:7000".parse().unwrap()),
            own_ports: vec![4700],
        }
    }

    fn check(url: &str, typed: bool, named_by: NamedBy) -> Result<Network, &'static str> {
        reach(typed).check(&url.parse().unwrap(), named_by).map_err(|refused| match refused {
            Refused::Address(_) => "address",
            Refused::Host(_) => "host",
            Refused::Plain(_) => "plain",
            Refused::Never(_) => "never",
        })
    }

    #[test]
    fn a_connector_calls_its_own_hosts_in_the_public_network_with_encryption() {
        use NamedBy::Connector;
        assert_eq!(check("https://api.shop.example/x", false, Connector), Ok(Network::Public));
        assert_eq!(check("https://API.shop.example:8443/x", false, Connector), Ok(Network::Public));
        assert_eq!(check("http://api.shop.example/x", false, Connector), Err("plain"));
        assert_eq!(check("https://evil.example/x", false, Connector), Err("host"));
        assert_eq!(check("https://api.shop.example.evil.example/", false, Connector), Err("host"));
        assert_eq!(check("https://127.0.0.1/", false, Connector), Err("never"));
        assert_eq!(check("ftp://api.shop.example/", false, Connector), Err("address"));
        assert_eq!(check("https://user@api.shop.example/", false, Connector), Err("address"));
    }

    #[test]
    fn a_host_that_a_person_typed_may_be_private_and_plain() {
        use NamedBy::{Connector, Data};
        assert_eq!(check("http://127.0.0.1:8080/", true, Connector), Ok(Network::Any));
        assert_eq!(check("http://127.0.0.1:8080/", true, Data), Err("plain"));
        assert_eq!(check("https://127.0.0.1:8080/", true, Data), Err("never"));
        assert_eq!(check("http://169.254.169.254/", true, Connector), Err("never"));
        assert_eq!(check("http://127.0.0.1:4700/", true, Connector), Err("never"));
    }

    #[test]
    fn the_sandbox_is_called_at_its_own_origin_alone() {
        assert_eq!(check("http://127.0.0.1:7000/api", false, NamedBy::Data), Ok(Network::Any));
        assert_eq!(check("http://127.0.0.1:7001/api", false, NamedBy::Connector), Err("plain"));
    }

    #[test]
    fn special_addresses_are_not_public() {
        for ip in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "192.0.0.192",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
        ] {
            assert!(!Network::Public.allows(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["1.1.1.1", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(Network::Public.allows(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["10.0.0.1", "127.0.0.1", "::1", "fc00::1"] {
            assert!(Network::Any.allows(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "::169.254.169.254",
            "fd00:ec2::254",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
        ] {
            assert!(!Network::Any.allows(ip.parse().unwrap()), "{ip}");
        }
    }

    proptest! {
        #[test]
        fn what_data_names_is_public_or_refused(a: u32) {
            let ip = Ipv4Addr::from(a);
            let reach = Reach { hosts: vec![ip.to_string()], typed: true, ..Reach::default() };
            let url = format!("https://{ip}/").parse().unwrap();

            prop_assert_eq!(reach.check(&url, NamedBy::Data).is_ok(), is_public(ip.into()));
        }
    }
}
