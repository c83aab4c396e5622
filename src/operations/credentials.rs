//! A limit on showing credentials that are rejected.

use std::net::{IpAddr, Ipv6Addr};

use super::Operations;
use crate::error::Error;
use crate::rate::RateLimitRequest;

impl Operations {
    /// Charges an address for a rejected credential. Returns the error to answer with: the
    /// rejection itself, or `RATE_LIMITED` after too many. If the store cannot be reached, the
    /// rejection. Keys are too long to be guessed; the limit bounds the cost of trying, and of
    /// logging it.
    pub async fn charge_rejection(&self, address: IpAddr, rejection: Error) -> Error {
        let Some(policy) = self.settings.policies.failure else {
            return rejection;
        };
        let caller = charged_network(address);
        let charge = RateLimitRequest { policy, caller };
        match self.store.charge_rate(&charge).await {
            Err(limited) if limited.quota.is_some() => limited,
            _ => rejection,
        }
    }
}

/// What is charged for an address: with IPv6 its /64 network, since a client that has one address
/// has all of its network.
fn charged_network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string() + "/64"
        }
    }
}
