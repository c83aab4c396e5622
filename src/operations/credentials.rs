//! The rate limit of rejected credentials.

use std::net::{IpAddr, Ipv6Addr};

use super::Operations;
use crate::auth::TOKEN_EXPIRED;
use crate::error::Error;
use crate::rate::RateLimitRequest;

impl Operations {
    /// Charges an address for a rejected credential. Returns the error to respond with: `RATE_LIMITED` after
    /// too many, otherwise, or if the store is unreachable, the rejection itself. After too many, an expired
    /// token still gets its rejection, with the time to wait. Keys are too long to be guessed; the limit
    /// bounds the cost of verifying and logging attempts.
    pub async fn charge_rejection(&self, address: IpAddr, rejection: Error) -> Error {
        let Some(policy) = self.settings.policies.failure else {
            return rejection;
        };
        let caller = charged_network(address);
        let charge = RateLimitRequest { policy, caller };
        match self.store.charge_rate(&charge).await {
            // The app refreshes its token on a 401. Others behind its address may have used up the limit.
            Err(Error { quota, .. }) if quota.is_some() && rejection.detail == TOKEN_EXPIRED => {
                Error { quota, ..rejection }
            }
            Err(limited) if limited.quota.is_some() => limited,
            _ => rejection,
        }
    }
}

/// The network that is charged for an address. IPv6 addresses are charged as their /64 network, which
/// usually belongs to one client.
fn charged_network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string() + "/64"
        }
    }
}
