//! Whole numbers as JSON writes them.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// A whole number from 0 up. `7` and `7.0` are the same number to JSON and an `integer` both to
/// JSON Schema, and there are languages whose encoders write the latter.
pub(super) struct Whole(pub(super) u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_u64(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a whole number from 0")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
        Ok(Whole(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
        // Up to here a double holds every whole number exactly.
        const EXACT: f64 = 9_007_199_254_740_991.0;
        if (0.0..=EXACT).contains(&number) && number.fract() == 0.0 {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let whole = number as u64;
            Ok(Whole(whole))
        } else {
            Err(E::invalid_type(Unexpected::Float(number), &self))
        }
    }
}

/// Reads an optional number of at most 2^32 - 1.
pub(super) fn optional_u32<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let number = Option::<Whole>::deserialize(from)?;
    let fits = |Whole(number)| {
        u32::try_from(number).map_err(|_| D::Error::custom("the number is at most 4294967295"))
    };
    number.map(fits).transpose()
}
