//! The address of the client of a request, behind trusted proxies.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR};
use ipnet::IpNet;

/// The proxies whose `Forwarded` and `X-Forwarded-For` headers are trusted. Anyone else can send these
/// headers with any content.
pub struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    /// The address of the client. If the peer of the connection is a trusted proxy, it is the last
    /// address of `Forwarded` (RFC 7239) or `X-Forwarded-For` that is not a trusted proxy; otherwise it
    /// is the peer.
    ///
    /// A proxy sets one of the two headers and forwards the other unchanged from the client. Which one is
    /// unknown, so if both are present and disagree, neither is used.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let by = |header: &HeaderName, read: fn(&str) -> &str| {
            let hops = hops(headers, header);
            self.last(peer, hops.iter().map(|hop| read(hop)))
        };
        let forwarded = by(&FORWARDED, forwarded_for);
        let x_forwarded = by(&X_FORWARDED_FOR, |hop| hop);
        match [&FORWARDED, &X_FORWARDED_FOR].map(|name| headers.contains_key(name)) {
            [true, false] => forwarded,
            [false, true] => x_forwarded,
            _ if forwarded == x_forwarded => forwarded,
            _ => peer,
        }
    }

    /// The last hop of a chain that is not a trusted proxy.
    fn last<'a>(&self, peer: IpAddr, chain: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
        let mut client = peer;
        for hop in chain.rev() {
            // Hops before an invalid one cannot be attributed to a trusted proxy.
            let Some(address) = parse(hop) else { break };
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The hops of a header, which may be repeated and contains a list each time. Invalid UTF-8 from a client
/// must not hide the hops that proxies appended.
fn hops(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name);
    let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let mut hops = Vec::new();
    for value in values {
        hops.extend(value.split(',').map(|hop| hop.trim().to_owned()));
    }
    hops
}

/// The `for` parameter of an element of `Forwarded`; empty, which is not an address, without one.
fn forwarded_for(element: &str) -> &str {
    let value = element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for")
            .then(|| value.trim_matches('"'))
    });
    value.unwrap_or_default()
}

/// An address with or without a port and brackets.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    let address = bare
        .parse()
        .or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const XFF: &str = "x-forwarded-for";

    /// The client of a request from this peer with these headers. 10.0.0.0/8 is trusted.
    fn client(peer: &str, headers: &[(&'static str, &[u8])]) -> String {
        let proxies = TrustedProxies(vec!["10.0.0.0/8".parse().expect("a network")]);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = actix_web::http::header::HeaderValue::from_bytes(value);
            map.append(
                HeaderName::from_static(name),
                value.expect("a header's value"),
            );
        }
        let peer = peer.parse().expect("an address");
        proxies.client(peer, &map).to_string()
    }

    #[test]
    fn only_headers_of_trusted_proxies_count() {
        let real = "198.51.100.7";
        let cases: [(&str, &'static str, &[u8], &str, &str); 11] = [
            // case, header, value, expected client, peer
            (
                "an untrusted peer",
                XFF,
                b"198.51.100.7",
                "192.0.2.1",
                "192.0.2.1",
            ),
            ("a trusted proxy", XFF, b"198.51.100.7", real, "10.0.0.1"),
            (
                "a trusted proxy with an IPv4-mapped address",
                XFF,
                b"198.51.100.7",
                real,
                "::ffff:10.0.0.1",
            ),
            (
                "a forged first hop",
                XFF,
                b"1.1.1.1, 198.51.100.7",
                real,
                "10.0.0.1",
            ),
            (
                "a forged first hop that is not UTF-8",
                XFF,
                b"\xff, 198.51.100.7",
                real,
                "10.0.0.1",
            ),
            (
                "two proxies",
                XFF,
                b"198.51.100.7, 10.0.0.2",
                real,
                "10.0.0.1",
            ),
            ("with a port", XFF, b"198.51.100.7:4711", real, "10.0.0.1"),
            (
                "an invalid last hop",
                XFF,
                b"1.1.1.1, unknown",
                "10.0.0.1",
                "10.0.0.1",
            ),
            (
                "RFC 7239",
                "forwarded",
                b"for=198.51.100.7;proto=https",
                real,
                "10.0.0.1",
            ),
            (
                "RFC 7239, IPv6",
                "forwarded",
                b"For=\"[2001:db8::1]:4711\"",
                "2001:db8::1",
                "10.0.0.1",
            ),
            (
                "RFC 7239, last hop without an address",
                "forwarded",
                b"for=1.1.1.1, proto=https",
                "10.0.0.1",
                "10.0.0.1",
            ),
        ];
        for (case, name, value, expected, peer) in cases {
            assert_eq!(client(peer, &[(name, value)]), expected, "{case}");
        }
    }

    #[test]
    fn headers_that_disagree_are_ignored() {
        let both: [(_, &[u8]); 2] = [(XFF, b"198.51.100.7"), ("forwarded", b"for=1.1.1.1")];
        assert_eq!(client("10.0.0.1", &both), "10.0.0.1");
        let agreed: [(_, &[u8]); 2] = [(XFF, b"198.51.100.7"), ("forwarded", b"for=198.51.100.7")];
        assert_eq!(client("10.0.0.1", &agreed), "198.51.100.7");
        let twice: [(_, &[u8]); 2] = [(XFF, b"1.1.1.1"), (XFF, b"198.51.100.7")];
        assert_eq!(
            client("10.0.0.1", &twice),
            "198.51.100.7",
            "the last of repeated headers counts"
        );
    }
}
