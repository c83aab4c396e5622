//! Unions of messages in the OpenAPI document.

use utoipa::Modify;
use utoipa::openapi::schema::{AllOf, Discriminator, OneOf};
use utoipa::openapi::{OpenApi, Ref, RefOr, Schema};

/// The member that tells the messages of a union apart.
const TAG: &str = "type";

/// Gives each message of a union a schema of its own, and the union a discriminator.
///
/// The schema that utoipa derives of a tagged enum lists its variants in place, where a
/// discriminator (OpenAPI 3.1, section 4.8.25) cannot point to them. Each variant moves to the
/// component that its title names. Variants without a title are not part of the contract.
pub struct NameVariants;

impl Modify for NameVariants {
    fn modify(&self, openapi: &mut OpenApi) {
        let Some(components) = &mut openapi.components else {
            return;
        };
        let mut named = Vec::new();
        for union in ["Event", "ServerMessage", "Command"] {
            if let Some(RefOr::T(Schema::OneOf(union))) = components.schemas.get_mut(union) {
                named.extend(name_variants(union));
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

/// Replaces the variants of a union by references; returns them with their names.
fn name_variants(union: &mut OneOf) -> Vec<(String, RefOr<Schema>)> {
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
        named.push((title, variant));
    }
    union.discriminator = Some(discriminator);
    named
}

/// The value of a variant's tag, and its title, which is taken out.
fn tag_and_title(variant: &mut RefOr<Schema>) -> Option<(String, String)> {
    let RefOr::T(schema) = variant else {
        return None;
    };
    let title = match schema {
        Schema::Object(object) => object.title.take(),
        Schema::AllOf(all) => all.title.take().or_else(|| lift_title(all)),
        _ => None,
    };
    Some((tag(schema)?, title?))
}

/// Takes the title out of a part of a schema, and moves what describes the variant from there to the
/// whole: utoipa writes it into the part with the tag, if a variant has flattened members.
fn lift_title(all: &mut AllOf) -> Option<String> {
    let parts = all.items.iter_mut().filter_map(|item| match item {
        RefOr::T(Schema::Object(part)) => Some(part),
        _ => None,
    });
    let part = parts.into_iter().find(|part| part.title.is_some())?;
    all.description = part.description.take();
    all.example = part.example.take();
    part.title.take()
}

/// The only value that a schema allows for the tag.
fn tag(schema: &Schema) -> Option<String> {
    match schema {
        Schema::Object(object) => match object.properties.get(TAG)? {
            RefOr::T(Schema::Object(tag)) => {
                let value = tag.enum_values.as_ref()?.first()?;
                value.as_str().map(str::to_owned)
            }
            _ => None,
        },
        Schema::AllOf(all) => all.items.iter().find_map(|item| match item {
            RefOr::T(schema) => tag(schema),
            RefOr::Ref(_) => None,
        }),
        _ => None,
    }
}

/// Adds the messages of one union to another.
fn include(union: &mut OneOf, other: OneOf) {
    union.items.extend(other.items);
    if let (Some(ours), Some(theirs)) = (&mut union.discriminator, other.discriminator) {
        ours.mapping.extend(theirs.mapping);
    }
}
