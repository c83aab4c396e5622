//! The address a request came from, where proxies stand in between.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{FORWARDED, HeaderMap, X_FORWARDED_FOR};
use ipnet::IpNet;

/// The proxies whose word on where a request came from is taken; from anybody else these headers
/// are what a client made up.
pub struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    /// The address of the client: the peer of the connection, or if that is a trusted proxy, the
    /// last address in the chain of `Forwarded` (RFC 7239) or `X-Forwarded-For` that is not one.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let chain = if headers.contains_key(FORWARDED) {
            hops(headers, &FORWARDED)
                .filter_map(forwarded_for)
                .collect::<Vec<_>>()
        } else {
            hops(headers, &X_FORWARDED_FOR).map(str::to_owned).collect()
        };
        let mut client = peer;
        for hop in chain.iter().rev() {
            // What cannot be read ends the chain: what stands before it is nobody's word.
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

/// The hops of a header, which may stand several times and holds a list each time.
fn hops<'a>(
    headers: &'a HeaderMap,
    name: &actix_web::http::header::HeaderName,
) -> impl Iterator<Item = &'a str> {
    let values = headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// The `for` of one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<String> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for")
            .then(|| value.trim_matches('"').to_owned())
    })
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

    fn client(peer: &str, header: (&'static str, &str)) -> String {
        let proxies = TrustedProxies(vec!["10.0.0.0/8".parse().expect("a network")]);
        let mut headers = HeaderMap::new();
        let value = header.1.parse().expect("a header's value");
        headers.insert(
            actix_web::http::header::HeaderName::from_static(header.0),
            value,
        );
        proxies
            .client(peer.parse().expect("an address"), &headers)
            .to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let cases = [
            // peer, header, value, client, why
            (
                "192.0.2.1",
                "x-forwarded-for",
                "198.51.100.7",
                "192.0.2.1",
                "a stranger says anything",
            ),
            (
                "10.0.0.1",
                "x-forwarded-for",
                "198.51.100.7",
                "198.51.100.7",
                "a proxy is believed",
            ),
            (
                "10.0.0.1",
                "x-forwarded-for",
                "1.1.1.1, 198.51.100.7",
                "198.51.100.7",
                "the client made up the first",
            ),
            (
                "10.0.0.1",
                "x-forwarded-for",
                "198.51.100.7, 10.0.0.2",
                "198.51.100.7",
                "two proxies",
            ),
            (
                "10.0.0.1",
                "x-forwarded-for",
                "198.51.100.7:4711",
                "198.51.100.7",
                "with a port",
            ),
            (
                "10.0.0.1",
                "x-forwarded-for",
                "1.1.1.1, unknown",
                "10.0.0.1",
                "nothing to go by",
            ),
            (
                "10.0.0.1",
                "forwarded",
                "for=198.51.100.7;proto=https",
                "198.51.100.7",
                "RFC 7239",
            ),
            (
                "10.0.0.1",
                "forwarded",
                "For=\"[2001:db8::1]:4711\"",
                "2001:db8::1",
                "RFC 7239, IPv6",
            ),
        ];
        for (peer, name, value, expected, why) in cases {
            assert_eq!(client(peer, (name, value)), expected, "{why}");
        }
    }
}
