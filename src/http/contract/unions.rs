//! Unions of messages in the OpenAPI document.

use utoipa::Modify;
use utoipa::openapi::schema::{AdditionalProperties, Discriminator, OneOf};
use utoipa::openapi::{OpenApi, Ref, RefOr, Schema};

/// The member that tells the messages of a union apart.
const TAG: &str = "type";

/// The unions of messages.
const UNIONS: [&str; 5] = [
    "Event",
    "FeedEvent",
    "RoomEvent",
    "ServerMessage",
    "ClientMessage",
];

/// Gives each message of a union a schema of its own, and the union a discriminator.
///
/// The schema that utoipa derives of a tagged enum lists its variants in place, where a
/// discriminator (OpenAPI 3.1, section 4.8.25) cannot point to them. Each variant moves to the
/// component that its title names. Variants without a title are not part of the contract.
pub struct NamedVariants;

impl Modify for NamedVariants {
    fn modify(&self, openapi: &mut OpenApi) {
        let Some(components) = &mut openapi.components else {
            return;
        };
        let mut named = Vec::new();
        for union in UNIONS {
            if let Some(RefOr::T(Schema::OneOf(variants))) = components.schemas.get_mut(union) {
                let is_closed = union == "ClientMessage";
                named.extend(name_variants(variants, is_closed));
            }
        }
        components.schemas.extend(named);
        // Every event is also a message of the service.
        let event = components.schemas.get("Event").cloned();
        if let Some(RefOr::T(Schema::OneOf(event))) = event
            && let Some(RefOr::T(Schema::OneOf(message))) =
                components.schemas.get_mut("ServerMessage")
        {
            include(message, event);
        }
    }
}

/// Replaces the variants of a union by references; returns them with their names. The variants of a closed
/// union have no other members than those declared.
fn name_variants(union: &mut OneOf, is_closed: bool) -> Vec<(String, RefOr<Schema>)> {
    let mut named = Vec::new();
    let mut discriminator = Discriminator::new(TAG);
    for mut variant in std::mem::take(&mut union.items) {
        let Some((tag, title)) = tag_and_title(&mut variant) else {
            continue;
        };
        let reference = Ref::from_schema_name(&title);
        discriminator
            .mapping
            .insert(tag, reference.ref_location.clone());
        union.items.push(reference.into());
        if let RefOr::T(Schema::Object(variant)) = &mut variant
            && is_closed
        {
            variant.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
        named.push((title, variant));
    }
    union.discriminator = Some(discriminator);
    named
}

/// The only value of a variant's tag, and its title, which is taken out.
fn tag_and_title(variant: &mut RefOr<Schema>) -> Option<(String, String)> {
    let RefOr::T(Schema::Object(variant)) = variant else {
        return None;
    };
    let RefOr::T(Schema::Object(tag)) = variant.properties.get(TAG)? else {
        return None;
    };
    let value = tag.enum_values.as_ref()?.first()?;
    Some((value.as_str()?.to_owned(), variant.title.take()?))
}

/// Adds the messages of one union to another.
fn include(union: &mut OneOf, other: OneOf) {
    union.items.extend(other.items);
    if let (Some(ours), Some(theirs)) = (&mut union.discriminator, other.discriminator) {
        ours.mapping.extend(theirs.mapping);
    }
}
