//! Rate limits: how many requests a caller may make, and how many are left.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// A token bucket: `20:60` refills 20 tokens per second and holds 60.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens refilled per second.
    per_second: NonZeroU32,
    /// Tokens of a full bucket.
    burst: NonZeroU32,
}

impl Rate {
    /// Microseconds until one token is refilled.
    pub fn interval_us(self) -> u32 {
        (1_000_000 / self.per_second.get()).max(1)
    }

    /// Tokens of a full bucket.
    pub fn burst(self) -> u32 {
        self.burst.get()
    }

    /// Seconds in which an empty bucket fills.
    pub fn window_s(self) -> u32 {
        self.burst.get().div_ceil(self.per_second.get())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.per_second, self.burst)
    }
}

/// A rate, or no limit (`0`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit(pub Option<Rate>);

impl FromStr for RateLimit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "expected RATE:BURST, each from 1 to 1000000, or 0 for no limit";
        if text == "0" {
            return Ok(Self(None));
        }
        let number = |digits: &str| match digits.parse::<NonZeroU32>() {
            Ok(number) if number.get() <= 1_000_000 => Ok(number),
            _ => Err(FORM),
        };
        let (per_second, burst) = text.split_once(':').ok_or(FORM)?;
        let (per_second, burst) = (number(per_second)?, number(burst)?);
        Ok(Self(Some(Rate { per_second, burst })))
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(rate) => rate.fmt(f),
            None => f.write_str("0"),
        }
    }
}

/// The limit of one kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The name, in keys and headers.
    pub name: &'static str,
    /// The bucket of each caller.
    pub rate: Rate,
}

/// The policies in force. `None` sets no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policies {
    /// Those of each user.
    pub users: CallerPolicies,
    /// Those of each service key.
    pub keys: CallerPolicies,
    /// Rejected credentials, per address.
    pub failure: Option<Policy>,
}

/// The policies of a kind of callers, one for each kind of work.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallerPolicies {
    /// Messages: sending, editing, deleting, reacting.
    pub send: Option<Policy>,
    /// All other requests.
    pub request: Option<Policy>,
}

impl Policies {
    /// The policies for the configured rates.
    pub fn new(send: RateLimit, request: RateLimit, key: RateLimit, failure: RateLimit) -> Self {
        let policy = |name, RateLimit(rate): RateLimit| rate.map(|rate| Policy { name, rate });
        let of_callers = |send, request| CallerPolicies {
            send: policy("send", send),
            request: policy("request", request),
        };
        Self {
            users: of_callers(send, request),
            keys: of_callers(key, key),
            failure: policy("failure", failure),
        }
    }
}

/// Whom to charge for a request, and under which policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitRequest {
    pub policy: Policy,
    /// The caller's name in the key of the bucket, unique among all callers.
    pub caller: String,
}

impl RateLimitRequest {
    /// The arguments of scripts, besides the key of the bucket: microseconds until one token is refilled,
    /// and tokens of a full bucket.
    pub fn script_args(&self) -> (String, String) {
        let rate = self.policy.rate;
        (rate.interval_us().to_string(), rate.burst().to_string())
    }
}

/// A result, and the state of the rate limit that was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited<T> {
    pub value: T,
    /// The state of the rate limit; `None` if the caller was not charged.
    pub quota: Option<RateLimitStatus>,
}

impl<T> RateLimited<T> {
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> RateLimited<U> {
        RateLimited {
            value: convert(self.value),
            quota: self.quota,
        }
    }

    /// Converts the result, which may fail.
    pub fn try_map<U, E>(
        self,
        convert: impl FnOnce(T) -> Result<U, E>,
    ) -> Result<RateLimited<U>, E> {
        Ok(RateLimited {
            value: convert(self.value)?,
            quota: self.quota,
        })
    }
}

/// The state of a caller's rate limit after a request, for the headers `RateLimit-Policy` and `RateLimit`
/// (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    pub policy: Policy,
    /// Number of requests that would be accepted immediately.
    pub remaining: u32,
    /// Milliseconds until the bucket is full, or, in a refusal, until the next token.
    pub wait_ms: u64,
}

impl RateLimitStatus {
    /// The value of `RateLimit-Policy`: `"send";q=60;w=3`.
    pub fn policy_header(&self) -> String {
        let Policy { name, rate } = self.policy;
        format!("\"{name}\";q={};w={}", rate.burst(), rate.window_s())
    }

    /// The value of `RateLimit`: `"send";r=59;t=1`.
    pub fn header(&self) -> String {
        format!(
            "\"{}\";r={};t={}",
            self.policy.name,
            self.remaining,
            self.wait_s()
        )
    }

    /// The wait in seconds, rounded up.
    pub fn wait_s(&self) -> u64 {
        self.wait_ms.div_ceil(1000)
    }
}
