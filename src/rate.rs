//! Rates: how much a caller may ask for, and how much of it is left.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// A bucket of tokens that refills steadily: `20:60` gives 20 a second and holds 60.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that come back in a second.
    per_second: NonZeroU32,
    /// Tokens of a full bucket.
    burst: NonZeroU32,
}

impl Rate {
    /// Microseconds in which one token comes back.
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

/// A rate, or none: `0` sets no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Option<Rate>);

impl FromStr for Limit {
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

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(rate) => rate.fmt(f),
            None => f.write_str("0"),
        }
    }
}

/// What one kind of work is limited to: a name for it and the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The name, in keys and headers.
    pub name: &'static str,
    /// How much each caller may ask for.
    pub rate: Rate,
}

/// Whom to charge for a request, and by what policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitRequest {
    /// By what policy.
    pub policy: Policy,
    /// Whom: a word that is unique among all who are charged.
    pub caller: String,
}

/// What a caller has left after a request, as the headers `RateLimit-Policy` and `RateLimit` tell
/// it (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// By what policy.
    pub policy: Policy,
    /// Requests that may follow at once.
    pub remaining: u32,
    /// Milliseconds until the bucket is full again, or, of a refusal, until the next token.
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

    /// Whole seconds, rounded up.
    pub fn wait_s(&self) -> u64 {
        self.wait_ms.div_ceil(1000)
    }
}
