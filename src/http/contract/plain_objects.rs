//! Flattened structs and maps in the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::Modify;
use utoipa::openapi::schema::{AdditionalProperties, AllOf, Object, OneOf, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr, Schema};

/// Declares each flattened struct as one object with all its members.
///
/// utoipa declares it as `allOf` its parts. Many generators read only one of the parts, and a part with
/// `additionalProperties: false` refuses the members of the others.
pub struct PlainObjects;

type DeclaredSchemas = BTreeMap<String, RefOr<Schema>>;

impl Modify for PlainObjects {
    fn modify(&self, openapi: &mut OpenApi) {
        let Some(components) = &mut openapi.components else {
            return;
        };
        let declared = components.schemas.clone();
        for schema in components.schemas.values_mut() {
            make_plain(schema, &declared);
        }
    }
}

fn make_plain(schema: &mut RefOr<Schema>, declared: &DeclaredSchemas) {
    match schema {
        RefOr::T(Schema::AllOf(whole)) => *schema = flattened(whole, declared).into(),
        RefOr::T(Schema::OneOf(union)) => {
            for variant in &mut union.items {
                make_plain(variant, declared);
            }
        }
        RefOr::T(Schema::Object(object)) => {
            if is_free_map(object) {
                // Generators read the empty schema that utoipa declares as a pointer, or not at all.
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(true)));
                object.property_names = None;
            }
            object.properties.values_mut().for_each(lift_description);
        }
        _ => {}
    }
}

/// Moves the description of a nullable member from the reference to the member, where generators read it.
fn lift_description(member: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::OneOf(nullable)) = member
        && let Some(RefOr::Ref(reference)) = nullable.items.first_mut()
        && !reference.description.is_empty()
    {
        nullable.description = Some(std::mem::take(&mut reference.description));
    }
}

/// Whether an object has any members with any values.
fn is_free_map(object: &Object) -> bool {
    object
        .additional_properties
        .as_deref()
        .is_some_and(|values| {
            matches!(values, AdditionalProperties::RefOr(RefOr::T(Schema::Object(any)))
            if any.schema_type == SchemaType::AnyValue)
        })
}

/// The object with the members of all parts. If a part is a union, the union of these objects.
fn flattened(whole: &AllOf, declared: &DeclaredSchemas) -> Schema {
    let parts: Vec<_> = whole
        .items
        .iter()
        .filter_map(|part| resolved(part, declared))
        .collect();
    let union = parts.iter().find_map(|part| match part {
        Schema::OneOf(union) => Some(union),
        _ => None,
    });
    let Some(union) = union else {
        let mut object = merged(&parts, declared);
        describe(&mut object, whole);
        return object.into();
    };
    let variants = union.items.iter().filter_map(|variant| {
        let variant = resolved(variant, declared)?;
        let all = [&parts[..], &[variant]].concat();
        Some(RefOr::T(merged(&all, declared).into()))
    });
    OneOf {
        items: variants.collect(),
        description: whole.description.clone(),
        ..OneOf::default()
    }
    .into()
}

/// One object with the members of all parts that are objects.
fn merged(parts: &[&Schema], declared: &DeclaredSchemas) -> Object {
    let mut object = Object::with_type(Type::Object);
    for part in parts {
        match part {
            Schema::Object(part) => add(&mut object, part),
            Schema::AllOf(part) => {
                if let Schema::Object(part) = flattened(part, declared) {
                    add(&mut object, &part);
                }
            }
            _ => {}
        }
    }
    object
}

fn add(object: &mut Object, part: &Object) {
    object.properties.extend(part.properties.clone());
    object.required.extend(part.required.iter().cloned());
    if part.additional_properties.is_some() {
        object
            .additional_properties
            .clone_from(&part.additional_properties);
    }
    // The part with the tag of a union describes the variant.
    if part.title.is_some() {
        object.title.clone_from(&part.title);
        object.description.clone_from(&part.description);
        object.example.clone_from(&part.example);
    }
}

fn describe(object: &mut Object, whole: &AllOf) {
    if whole.title.is_some() {
        object.title.clone_from(&whole.title);
    }
    if whole.description.is_some() {
        object.description.clone_from(&whole.description);
    }
    if whole.example.is_some() {
        object.example.clone_from(&whole.example);
    }
}

fn resolved<'a>(schema: &'a RefOr<Schema>, declared: &'a DeclaredSchemas) -> Option<&'a Schema> {
    match schema {
        RefOr::T(schema) => Some(schema),
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next()?;
            match declared.get(name)? {
                RefOr::T(schema) => Some(schema),
                RefOr::Ref(_) => None,
            }
        }
    }
}
