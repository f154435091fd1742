//! Which addresses this agent may connect to.
//!
//! An agent dials what its configuration says, and a name may lead anywhere: to the agent's own loopback, to the
//! network behind it, to the cloud's metadata service that hands out credentials. So every address is judged here
//! right before it is dialled, after names and odd spellings (`2130706433`, `0x7f.1`, `[::ffff:127.0.0.1]`) have
//! become plain numbers.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::IpNet;

/// Which addresses may be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Egress {
    /// Addresses of the public internet, and nothing of the IANA special-purpose registries.
    Public,
    /// The public internet, loopback, and private networks (RFC 1918, RFC 4193, RFC 6598). Still no link-local address,
    /// no metadata service, no multicast.
    Private,
    /// These networks and nothing else, whatever is in them.
    Only(Vec<IpNet>),
}

/// Why an address is not dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {what}, which --egress {egress} does not allow")]
pub struct EgressRefusal {
    /// The address.
    pub address: IpAddr,
    /// What is special about it.
    pub what: &'static str,
    /// The filter that refused it.
    pub egress: Egress,
}

/// Why a text is not an egress filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressParseError {
    /// There is no text, or nothing between two commas.
    #[error("names no network; wanted `public`, `private`, or networks such as 10.0.0.0/8,fd00::/8")]
    Empty,
    /// A word beside networks.
    #[error("`{0}` stands alone: it cannot be combined with networks")]
    Combined(String),
    /// Not an address or a network.
    #[error("`{0}` is neither `public`, `private`, an IP address, nor a network such as 10.0.0.0/8")]
    Network(String),
    /// A network with bits set behind its prefix: a slip, and an expensive one.
    #[error(
        "`{text}` is an address within {network}: write {network} for the network, or {address} for the one address"
    )]
    HostBits {
        /// What was written.
        text: String,
        /// The network it is in.
        network: IpNet,
        /// The address it is.
        address: IpAddr,
    },
}

impl Egress {
    /// Judges one address.
    ///
    /// # Errors
    /// [`EgressRefusal`] where it may not be dialled.
    pub fn check(&self, address: IpAddr) -> Result<(), EgressRefusal> {
        let refuse = |what| Err(EgressRefusal { address, what, egress: self.clone() });
        match (self, classify(address)) {
            (Self::Only(networks), _) => {
                let plain = address.to_canonical();
                if networks.iter().any(|network| network.contains(&plain)) {
                    return Ok(());
                }
                refuse("outside the networks named")
            }
            (Self::Public | Self::Private, Class::Public)
            | (Self::Private, Class::Private(_) | Class::Mapped) => Ok(()),
            (Self::Public | Self::Private, Class::Never(what)) | (Self::Public, Class::Private(what)) => {
                refuse(what)
            }
            (Self::Public, Class::Mapped) => refuse("an IPv4-mapped address"),
        }
    }
}

impl FromStr for Egress {
    type Err = EgressParseError;

    fn from_str(text: &str) -> Result<Self, EgressParseError> {
        match text.trim() {
            "public" => return Ok(Self::Public),
            "private" => return Ok(Self::Private),
            _ => {}
        }
        text.split(',').map(|part| network(part.trim())).collect::<Result<_, _>>().map(Self::Only)
    }
}

impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Private => f.write_str("private"),
            Self::Only(networks) => {
                for (index, network) in networks.iter().enumerate() {
                    write!(f, "{}{network}", if index == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

fn network(text: &str) -> Result<IpNet, EgressParseError> {
    match text {
        "" => return Err(EgressParseError::Empty),
        "public" | "private" => return Err(EgressParseError::Combined(text.to_owned())),
        _ => {}
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network = text.parse::<IpNet>().map_err(|_| EgressParseError::Network(text.to_owned()))?;
    if network.addr() != network.network() {
        return Err(EgressParseError::HostBits {
            text: text.to_owned(),
            network: network.trunc(),
            address: network.addr(),
        });
    }
    Ok(network)
}

/// What an address is for.
enum Class {
    Public,
    /// Allowed by `private`.
    Private(&'static str),
    /// `::ffff:a.b.c.d` of an address that `private` allows: the socket connects to `a.b.c.d`. No honest name of the
    /// public internet leads to such a spelling.
    Mapped,
    /// Allowed only by its network's name.
    Never(&'static str),
}

fn classify(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

/// The IANA IPv4 special-purpose registry, and the metadata services that stand at ordinary addresses.
fn classify_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [0, 0, 0, 0] => Class::Never("the unspecified address"),
        [0, ..] => Class::Never("\"this network\" (0.0.0.0/8)"),
        [255, 255, 255, 255] => Class::Never("the broadcast address"),
        [169, 254, 169, 254] | [100, 100, 100, 200] | [168, 63, 129, 16] => {
            Class::Never("a cloud's metadata service")
        }
        [169, 254, ..] => Class::Never("link-local"),
        [127, ..] => Class::Private("loopback"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private("private (RFC 1918)"),
        [100, 64..=127, ..] => Class::Private("carrier-grade NAT space (RFC 6598)"),
        [192, 0, 0, _] => Class::Never("reserved for protocols (192.0.0.0/24)"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Never("reserved for documentation"),
        [192, 88, 99, _] => Class::Never("a 6to4 relay"),
        [198, 18..=19, ..] => Class::Never("reserved for benchmarks"),
        [224..=239, ..] => Class::Never("multicast"),
        [240..=255, ..] => Class::Never("reserved (240.0.0.0/4)"),
        _ => Class::Public,
    }
}

/// Of IPv6 only 2000::/3 is in use on the public internet; what is special within it stands in IANA's registry.
fn classify_v6(address: Ipv6Addr) -> Class {
    if let Some(embedded) = address.to_ipv4_mapped() {
        return match classify_v4(embedded) {
            Class::Public | Class::Private(_) | Class::Mapped => Class::Mapped,
            Class::Never(what) => Class::Never(what),
        };
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Never("the unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Private("loopback"),
        [0, 0, 0, 0, 0, 0, _, _] => Class::Never("an IPv4-compatible address"),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => nat64(high, low),
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0x0ce, 0, 0, 0, 0, 0, 0x254] => {
            Class::Never("a cloud's metadata service")
        }
        [0xfc00..=0xfdff, ..] => Class::Private("private (RFC 4193)"),
        [0xfe80..=0xfebf, ..] => Class::Never("link-local"),
        [0xff00..=0xffff, ..] => Class::Never("multicast"),
        [0x2001, 0, ..] => Class::Never("a Teredo address"),
        [0x2001, 2, 0, ..] => Class::Never("reserved for benchmarks"),
        [0x2001, 0..=0x01ff, ..] => Class::Never("reserved for protocols (2001::/23)"),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Class::Never("reserved for documentation"),
        [0x2002, ..] => Class::Never("a 6to4 address"),
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Never("outside the public internet (2000::/3)"),
    }
}

/// 64:ff9b::/96 leads to the IPv4 address in its last bits (RFC 6052), which is how an agent without IPv4 reaches
/// servers that have nothing else. The gateway, not this host, dials it: only a public one is fair.
fn nat64(high: u16, low: u16) -> Class {
    match classify_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))) {
        Class::Public => Class::Public,
        Class::Private(_) | Class::Mapped | Class::Never(_) => {
            Class::Never("a NAT64 address of a special IPv4 address")
        }
    }
}

#[cfg(test)]
mod tests {
    use url::{Host, Url};

    use super::*;

    /// One address: what `public` and `private` say to it.
    #[test]
    fn every_special_range_is_known() {
        for (address, public, private) in [
            // The public internet, and the neighbours of special ranges.
            ("1.1.1.1", true, true),
            ("9.255.255.255", true, true),
            ("11.0.0.0", true, true),
            ("100.63.255.255", true, true),
            ("100.128.0.0", true, true),
            ("126.255.255.255", true, true),
            ("128.0.0.0", true, true),
            ("172.15.255.255", true, true),
            ("172.32.0.0", true, true),
            ("192.0.1.1", true, true),
            ("192.169.0.1", true, true),
            ("198.17.255.255", true, true),
            ("198.20.0.0", true, true),
            ("223.255.255.255", true, true),
            ("2606:4700::1111", true, true),
            ("2a00:1450:4001::200e", true, true),
            ("2001:200::1", true, true),
            ("64:ff9b::101:101", true, true),
            // What `private` adds.
            ("127.0.0.1", false, true),
            ("127.255.255.254", false, true),
            ("10.1.2.3", false, true),
            ("172.16.0.1", false, true),
            ("172.31.255.255", false, true),
            ("192.168.1.1", false, true),
            ("100.64.0.1", false, true),
            ("::1", false, true),
            ("fc00::1", false, true),
            ("fd12:3456::1", false, true),
            ("::ffff:127.0.0.1", false, true),
            ("::ffff:10.0.0.1", false, true),
            // What nothing but its own network's name allows.
            ("0.0.0.0", false, false),
            ("0.1.2.3", false, false),
            ("169.254.0.1", false, false),
            ("169.254.169.254", false, false),
            ("100.100.100.200", false, false),
            ("168.63.129.16", false, false),
            ("192.0.0.8", false, false),
            ("192.0.2.1", false, false),
            ("198.51.100.1", false, false),
            ("203.0.113.1", false, false),
            ("192.88.99.1", false, false),
            ("198.18.0.1", false, false),
            ("198.19.255.255", false, false),
            ("224.0.0.1", false, false),
            ("239.255.255.250", false, false),
            ("240.0.0.1", false, false),
            ("255.255.255.255", false, false),
            ("::", false, false),
            ("::7f00:1", false, false),
            ("::ffff:1.1.1.1", false, true),
            ("::ffff:169.254.169.254", false, false),
            ("64:ff9b::7f00:1", false, false),
            ("64:ff9b::a9fe:a9fe", false, false),
            ("64:ff9b:1::1", false, false),
            ("100::1", false, false),
            ("2001::1", false, false),
            ("2001:2::1", false, false),
            ("2001:20::1", false, false),
            ("2001:db8::1", false, false),
            ("3fff::1", false, false),
            ("2002:7f00:1::1", false, false),
            ("5f00::1", false, false),
            ("fd00:ec2::254", false, false),
            ("fd20:ce::254", false, false),
            ("fe80::1", false, false),
            ("fec0::1", false, false),
            ("ff02::1", false, false),
        ] {
            let ip: IpAddr = address.parse().unwrap();
            assert_eq!(Egress::Public.check(ip).is_ok(), public, "public {address}");
            assert_eq!(Egress::Private.check(ip).is_ok(), private, "private {address}");
        }
    }

    /// However a URL spells an address, the parsed number is what is judged.
    #[test]
    fn odd_spellings_become_plain_numbers() {
        for spelling in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "%31%32%37.0.0.1",
            "127。0。0。1",
        ] {
            let url: Url = format!("ws://{spelling}/").parse().unwrap();
            let address = match url.host().unwrap() {
                Host::Ipv4(address) => IpAddr::V4(address),
                Host::Ipv6(address) => IpAddr::V6(address),
                Host::Domain(name) => panic!("{spelling} is taken for the name {name}"),
            };
            assert!(Egress::Public.check(address).is_err(), "{spelling} is {address}");
        }
    }

    #[test]
    fn named_networks_are_all_there_is() {
        let egress: Egress = "10.0.0.0/8, 192.0.2.7,fd00::/8".parse().unwrap();
        for (address, allowed) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd00::5", true),
            ("::ffff:10.0.0.1", true),
            ("1.1.1.1", false),
            ("::1", false),
        ] {
            assert_eq!(egress.check(address.parse().unwrap()).is_ok(), allowed, "{address}");
        }
        assert_eq!(egress.to_string(), "10.0.0.0/8,192.0.2.7/32,fd00::/8");
        assert_eq!(egress.to_string().parse(), Ok(egress));
    }

    #[test]
    fn a_filter_is_read_strictly() {
        assert_eq!("public".parse(), Ok(Egress::Public));
        assert_eq!(" private ".parse(), Ok(Egress::Private));
        for (text, why) in [
            ("", "names no network"),
            ("10.0.0.0/8,", "names no network"),
            ("public,10.0.0.0/8", "`public` stands alone"),
            ("Public", "neither `public`"),
            ("10.0.0.0/33", "neither `public`"),
            ("example.org", "neither `public`"),
            ("10.0.0.5/8", "within 10.0.0.0/8: write 10.0.0.0/8"),
        ] {
            let error = text.parse::<Egress>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_refusal_says_what_and_why() {
        let refusal = Egress::Public.check("169.254.169.254".parse().unwrap()).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "169.254.169.254 is a cloud's metadata service, which --egress public does not allow"
        );
    }
}
