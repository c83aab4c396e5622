//! Reading JSON: request bodies, objects, integers.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use crate::error::{Code, Error};

/// Parses a JSON object. The error names the invalid field.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if let Ok(JsonObject(value)) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    // Tracking the path is slow, so only invalid JSON is parsed again to find where it is invalid.
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let malformed = |e: &serde_json::Error| {
        Error::new(
            Code::MalformedJson,
            format!("The body is not valid JSON: {e}."),
        )
    };
    match serde_path_to_error::deserialize(&mut json) {
        Ok(JsonObject(value)) => json.end().map_err(|e| malformed(&e)).map(|()| value),
        Err(e) if e.inner().classify() == Category::Data => Err(misplaced(&e)),
        Err(e) => Err(malformed(e.inner())),
    }
}

/// Converts parsed JSON like [`parse_json`].
pub fn parse_value<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(value)
        .map(|JsonObject(value)| value)
        .map_err(|e| misplaced(&e))
}

fn misplaced(e: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let message = e.inner().to_string();
    // The pointer replaces the position in the text.
    let why = message.split(" at line ").next().unwrap_or(&message);
    let pointer = pointer("", e.path(), why);
    Error::field(Code::InvalidRequest, pointer, why.to_owned())
}

/// The JSON Pointer (RFC 6901) of an invalid field. If a field is missing or given twice, serde's path
/// ends at its parent and only the message names the field, so it is taken from the message.
pub fn pointer(base: &str, path: &Path, why: &str) -> String {
    let mut pointer = base.to_owned();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => pointer.push_str(variant),
            Segment::Unknown => pointer.pop().map_or((), drop),
        }
    }
    let named = why
        .strip_prefix("missing field `")
        .or_else(|| why.strip_prefix("duplicate field `"))
        .and_then(|rest| rest.split('`').next());
    if let Some(field) = named {
        pointer.push('/');
        pointer.push_str(field);
    }
    pointer
}

/// A value that is read from a JSON object only. Serde alone also reads a struct from an array of its
/// fields, and would accept `["alice", "bob", "hi"]` as a message.
pub struct JsonObject<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for JsonObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = JsonObject<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(JsonObject)
    }
}

/// A non-negative integer. `7` and `7.0` are the same number in JSON, and both are an `integer` in JSON
/// Schema. The encoders of some languages write `7.0`.
pub(super) struct JsonInteger(pub(super) u64);

impl<'de> Deserialize<'de> for JsonInteger {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_u64(JsonIntegerVisitor)
    }
}

struct JsonIntegerVisitor;

impl Visitor<'_> for JsonIntegerVisitor {
    type Value = JsonInteger;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a non-negative integer")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<JsonInteger, E> {
        Ok(JsonInteger(number))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<JsonInteger, E> {
        // Doubles are exact for integers up to 2^53 - 1.
        const EXACT: f64 = 9_007_199_254_740_991.0;
        if (0.0..=EXACT).contains(&number) && number.fract() == 0.0 {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let whole = number as u64;
            Ok(JsonInteger(whole))
        } else {
            Err(E::invalid_type(Unexpected::Float(number), &self))
        }
    }
}

/// Reads an optional number of at most 2^32 - 1.
pub(super) fn optional_u32<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let number = Option::<JsonInteger>::deserialize(from)?;
    let fits = |JsonInteger(number)| {
        u32::try_from(number).map_err(|_| D::Error::custom("must be at most 4294967295"))
    };
    number.map(fits).transpose()
}

/// Reads a member where null stands for the default value.
pub(super) fn default_if_null<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// Reads a member of a patch where null stands for the default value. Without the member nothing changes.
pub(super) fn changed_or_default<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    default_if_null(from).map(Some)
}

/// A JSON object that the service does not interpret. Two are equal if they have the same members, in
/// any order, and their numbers have the same values.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OpaqueObject(pub(super) Map<String, Value>);

impl PartialEq for OpaqueObject {
    fn eq(&self, other: &Self) -> bool {
        let canonical = |object: &Self| canonical(Value::Object(object.0.clone()));
        self.0 == other.0 || canonical(self) == canonical(other)
    }
}

impl Eq for OpaqueObject {}

/// The body of a `PATCH`.
pub trait MergePatch {
    /// The same body as a JSON Merge Patch (RFC 7396), which merges objects at every depth.
    #[must_use]
    fn merging(self) -> Self;
}

/// What a `PATCH` changes of an [`OpaqueObject`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum ObjectChange {
    /// Nothing: the member is absent.
    #[default]
    Keep,
    /// Removes the object: the member is `null`.
    Remove,
    /// Replaces the object, or merges with it.
    Set(Map<String, Value>),
}

impl<'de> Deserialize<'de> for ObjectChange {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        let object = Option::<Map<String, Value>>::deserialize(value)?;
        Ok(object.map_or(Self::Remove, Self::Set))
    }
}

impl ObjectChange {
    /// The object after the change. If it `merges`, the change is a JSON Merge Patch (RFC 7396), and a missing
    /// object counts as empty.
    pub(super) fn apply(
        &self,
        old: Option<&OpaqueObject>,
        merges: bool,
    ) -> Option<Map<String, Value>> {
        let old = || old.map(|object| object.0.clone());
        match self {
            Self::Keep => old(),
            Self::Remove => None,
            Self::Set(object) if !merges => Some(object.clone()),
            Self::Set(patch) => {
                let mut merged = Value::Object(old().unwrap_or_default());
                json_patch::merge(&mut merged, &Value::Object(patch.clone()));
                merged.as_object_mut().map(std::mem::take)
            }
        }
    }
}

/// The canonical form of JSON: members of objects are sorted, and integers have neither a fraction nor
/// an exponent.
pub(super) fn canonical(mut value: Value) -> Value {
    value.sort_all_objects();
    unify_numbers(&mut value);
    value
}

fn unify_numbers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(unify_numbers),
        Value::Object(members) => members.values_mut().for_each(unify_numbers),
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|_| number.is_f64()).and_then(whole) {
                *value = whole;
            }
        }
        _ => {}
    }
}

/// The 64-bit integer that a double equals.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "in range and without a fraction"
)]
fn whole(number: f64) -> Option<Value> {
    const TWO_TO_THE_63: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() != 0.0 {
        None
    } else if (0.0..2.0 * TWO_TO_THE_63).contains(&number) {
        Some((number as u64).into())
    } else if (-TWO_TO_THE_63..0.0).contains(&number) {
        Some((number as i64).into())
    } else {
        None
    }
}
