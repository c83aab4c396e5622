//! Rates in Redis, so that a limit holds across any number of processes.

use redis::FromRedisValue;

use super::script::RetrySafety;
use super::script::{CHARGE_RATE, Script};
use super::{RateLimited, Store};
use crate::error::{Code, Error};
use crate::rate::{RateLimitRequest, RateLimitStatus};

/// The reply of `lua/charge_rate.lua`.
type Reply = (u32, u64);

impl Store {
    /// Charges for something that is not done in Redis.
    pub async fn charge_rate(&self, charge: &RateLimitRequest) -> Result<RateLimitStatus, Error> {
        let interval = charge.policy.rate.interval_us().to_string();
        let burst = charge.policy.rate.burst().to_string();
        let args = [interval.as_bytes(), burst.as_bytes()];
        let keys = [self.keys.rate(charge)];
        let reply = self.run::<Reply>(&CHARGE_RATE, &keys, &args).await;
        reply
            .map(|left| quota(charge, left))
            .map_err(|e| refused(charge, e))
    }

    /// Runs a script, once unless it only reads, and charges somebody for it.
    pub(super) async fn run_charged<T: FromRedisValue>(
        &self,
        script: &'static Script,
        charge: Option<&RateLimitRequest>,
        keys: &[String],
        args: &[&[u8]],
    ) -> Result<RateLimited<T>, Error> {
        self.run_repeatable(script, script.repeat(), charge, keys, args)
            .await
    }

    /// Runs a script, perhaps more than once if that is harmless, and charges somebody for it, if
    /// anybody is to be charged, in one round trip.
    pub(super) async fn run_repeatable<T: FromRedisValue>(
        &self,
        script: &'static Script,
        repeat: RetrySafety,
        charge: Option<&RateLimitRequest>,
        keys: &[String],
        args: &[&[u8]],
    ) -> Result<RateLimited<T>, Error> {
        let Some(charge) = charge else {
            let value = self.call(script, &script.free, repeat, keys, args).await?;
            return Ok(RateLimited { value, quota: None });
        };
        let interval = charge.policy.rate.interval_us().to_string();
        let burst = charge.policy.rate.burst().to_string();
        let keys = [&[self.keys.rate(charge)], keys].concat();
        let args = [&[interval.as_bytes(), burst.as_bytes()], args].concat();
        let reply = self
            .call::<(Reply, T)>(script, &script.charged, repeat, &keys, &args)
            .await;
        let (left, value) = reply.map_err(|e| refused(charge, e))?;
        Ok(RateLimited {
            value,
            quota: Some(quota(charge, left)),
        })
    }
}

fn quota(charge: &RateLimitRequest, (remaining, wait_ms): Reply) -> RateLimitStatus {
    RateLimitStatus {
        policy: charge.policy,
        remaining,
        wait_ms,
    }
}

/// Gives a refusal the quota that explains it. The script says how many milliseconds to wait.
fn refused(charge: &RateLimitRequest, error: Error) -> Error {
    match error.code {
        Code::RateLimited => {
            let wait_ms = error.detail.parse().unwrap_or(1000);
            Error {
                quota: Some(quota(charge, (0, wait_ms))),
                ..error.code.into()
            }
        }
        _ => error,
    }
}
