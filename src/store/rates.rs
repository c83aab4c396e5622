//! Rate limits, stored in Redis so that all processes share them.

use redis::FromRedisValue;

use super::script::{CHARGE_RATE, RetrySafety, Script};
use super::{RateLimited, Store};
use crate::error::{Code, Error};
use crate::rate::{RateLimitRequest, RateLimitStatus};

/// The reply of `lua/admin/charge_rate.lua`.
type RateReply = (u32, u64);

impl Store {
    /// Charges a request that runs no script of its own.
    pub async fn charge_rate(&self, charge: &RateLimitRequest) -> Result<RateLimitStatus, Error> {
        let (interval_us, burst) = charge.script_args();
        let args = [interval_us.as_bytes(), burst.as_bytes()];
        let keys = [self.keys.rate(charge)];
        let reply = self.run::<RateReply>(&CHARGE_RATE, &keys, &args).await;
        reply
            .map(|reply| quota(charge, reply))
            .map_err(|e| refused(charge, e))
    }

    /// Charges a request that runs several scripts, if `charge` is given, before the first. Nothing was done yet, so
    /// a lost reply means that nothing was.
    pub async fn charge_several(
        &self,
        charge: Option<&RateLimitRequest>,
    ) -> Result<Option<RateLimitStatus>, Error> {
        let Some(charge) = charge else {
            return Ok(None);
        };
        let charged = self.charge_rate(charge).await;
        charged.map(Some).map_err(Error::as_read_error)
    }

    /// Runs a script and charges for it, if `charge` is given, in one round trip.
    pub(super) async fn run_charged<T: FromRedisValue>(
        &self,
        script: &'static Script,
        charge: Option<&RateLimitRequest>,
        keys: &[String],
        args: &[&[u8]],
    ) -> Result<RateLimited<T>, Error> {
        self.run_rate_limited(
            script,
            script.retry,
            charge,
            keys.to_vec(),
            args.to_vec(),
            None,
        )
        .await
    }

    /// Like [`Store::run_charged`], for a script whose retry safety depends on its arguments. `last` is a key
    /// and an argument after those of the charge.
    pub(super) async fn run_rate_limited<T: FromRedisValue>(
        &self,
        script: &'static Script,
        retry: RetrySafety,
        charge: Option<&RateLimitRequest>,
        mut keys: Vec<String>,
        mut args: Vec<&[u8]>,
        last: Option<(String, &[u8])>,
    ) -> Result<RateLimited<T>, Error> {
        let Some(charge) = charge else {
            if let Some((key, arg)) = last {
                // Without a charge: no interval, no burst, and any key of this slot as the bucket.
                let bucket = keys[0].clone();
                keys.extend([bucket, key]);
                args.extend([&[], &[], arg]);
            }
            let value = self.call(script, retry, &keys, &args).await?;
            return Ok(RateLimited { value, quota: None });
        };
        if self.two_steps {
            // The bucket is on another node.
            let quota = Box::pin(self.charge_several(Some(charge))).await?;
            let free = self.run_rate_limited(script, retry, None, keys, args, last);
            let RateLimited { value, .. } = Box::pin(free).await?;
            return Ok(RateLimited { value, quota });
        }
        let (interval_us, burst) = charge.script_args();
        keys.push(self.keys.rate(charge));
        args.extend([interval_us.as_bytes(), burst.as_bytes()]);
        if let Some((key, arg)) = last {
            keys.push(key);
            args.push(arg);
        }
        let reply = self
            .call::<(u32, u64, T)>(script, retry, &keys, &args)
            .await;
        let (remaining, full_ms, value) = reply.map_err(|e| refused(charge, e))?;
        Ok(RateLimited {
            value,
            quota: Some(quota(charge, (remaining, full_ms))),
        })
    }
}

fn quota(charge: &RateLimitRequest, (remaining, wait_ms): RateReply) -> RateLimitStatus {
    RateLimitStatus {
        policy: charge.policy,
        remaining,
        wait_ms,
    }
}

/// Adds the quota to a refusal for the rate limit, whose detail is the wait in milliseconds.
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
