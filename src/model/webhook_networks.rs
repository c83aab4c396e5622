//! The addresses to which webhooks may be sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::Host;

use super::WebhookUrl;

/// The addresses to which webhooks may be sent: those of the internet, and of some networks of one's own.
#[derive(Clone, Debug, Default)]
pub struct WebhookNetworks {
    own: Vec<IpNet>,
    /// Whether this machine may be called too, as by an open service.
    loopback: bool,
}

impl WebhookNetworks {
    pub fn new(own: Vec<IpNet>, loopback: bool) -> Self {
        Self { own, loopback }
    }

    /// Refuses a URL that leads to no permitted address. The addresses of a name are checked when it is resolved.
    pub fn check_url(&self, url: &WebhookUrl) -> Result<(), &'static str> {
        let url = url.parsed().map_err(|_| "must be a URL")?;
        let is_encrypted = url.scheme() == "https";
        let is_permitted = match url.host() {
            Some(Host::Ipv4(ip)) => self.permits(ip.into(), is_encrypted),
            Some(Host::Ipv6(ip)) => self.permits(ip.into(), is_encrypted),
            Some(Host::Domain(name)) => {
                is_encrypted || !self.own.is_empty() || self.loopback && name == "localhost"
            }
            None => false,
        };
        if is_permitted {
            return Ok(());
        }
        Err(
            "must be https, and lead into no private network that DUOLOGUE_WEBHOOK_NETWORKS does not contain",
        )
    }

    /// Whether webhooks may be sent to an address, with or without TLS.
    pub fn permits(&self, address: IpAddr, is_encrypted: bool) -> bool {
        let address = address.to_canonical();
        self.own.iter().any(|network| network.contains(&address))
            || self.loopback && address.is_loopback()
            || is_encrypted && is_public(address)
    }
}

/// Whether an address is one of the internet. The others are those of the registries of special addresses of IANA.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        // This network, private, loopback, and multicast, reserved and broadcast.
        [0 | 10 | 127 | 224.., ..]
            // Shared by carriers.
            | [100, 64..=127, ..]
            // Link-local, which includes the metadata of clouds.
            | [169, 254, ..]
            // Private.
            | [172, 16..=31, ..]
            | [192, 168, ..]
            // Protocols, documentation, relays, benchmarks.
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18..=19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // An IPv4 address behind a NAT64.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        // Protocols (among them Teredo), documentation, and 6to4, which contains an IPv4 address.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}
