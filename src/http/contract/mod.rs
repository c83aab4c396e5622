//! The contract with clients: `openapi.yaml`, derived from the handlers and the types of their bodies, and
//! `asyncapi.yaml`, derived from the types of live messages.

mod asyncapi;
mod message_schemas;
mod plain_objects;
mod problem_responses;
mod unions;
mod unused;
mod webhooks;

use std::sync::LazyLock;

use actix_web::web::Bytes;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

pub use asyncapi::{asyncapi, asyncapi_yaml};
pub use problem_responses::responses as problem_responses;

use super::routes::Routes;
use crate::model;
use crate::protocol;

/// The parts of openapi.yaml besides the operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Duologue",
        description = "Messaging for the backends of mobile apps, one-to-one and in rooms.\n\n\
            Times are RFC 3339 in UTC. Lists are newest first; messages are ordered by `seq`. An \
            optional member without a value is absent in responses, a required one is null; in requests, null \
            for an optional member counts as absent, and in a `PATCH` it removes the value. Every \
            response has an `X-Request-Id`, which the client may choose. Every error is a problem \
            document (RFC 9457) with a stable `code`. `HEAD` is answered like `GET` and marks nothing \
            as read. Unknown query parameters and unexpected bodies are refused; only the pages at `/` and \
            `/docs` ignore a query. The messages of the WebSocket are in [asyncapi.yaml](/asyncapi.yaml). Without configured \
            credentials the service answers requests to `localhost` only, and others with 421.",
        contact(name = "The developers of Duologue"),
        license(name = "MIT", identifier = "MIT")
    ),
    servers((url = "/", description = "This service")),
    security(()),
    tags(
        (name = "messages", description = "Send, edit, delete and react"),
        (name = "conversations", description = "Read, list and mark conversations"),
        (name = "rooms", description = "Create rooms, and manage their members"),
        (name = "live", description = "Events, presence and typing"),
        (name = "subscriptions", description = "Everything that happens, for backends: in order, acknowledged"),
        (name = "users", description = "Export and erase all data of a user"),
        (name = "operations", description = "Probes, metrics, this document and `asyncapi.yaml`")
    ),
    components(schemas(
        model::Emoji, model::ExportLine, model::ImportLine, model::MemberInput, model::Mute,
        protocol::ClientMessage, protocol::Problem, protocol::RoomEvent, protocol::ServerMessage
    )),
    modifiers(&Schemes)
)]
pub struct Preamble;

/// Adds the security scheme. There is one for both kinds of credential: with two, generated clients send
/// two `Authorization` headers.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The token of a user (JWT, RFC 7519), signed by the host application, whose `sub` is the user \
                id; or the service key of a backend of the host application, which may act as any user. Each \
                operation names the roles that may call it: `user`, `backend`.",
            ));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    }
}

/// The documents as text. Rendered on the first request, because most processes never serve them.
pub struct ContractTexts {
    pub openapi_json: LazyLock<Bytes>,
    pub openapi_yaml: LazyLock<Bytes>,
    pub asyncapi_yaml: LazyLock<Bytes>,
}

pub static CONTRACT_TEXTS: ContractTexts = ContractTexts {
    openapi_json: LazyLock::new(|| openapi().to_pretty_json().unwrap_or_default().into()),
    openapi_yaml: LazyLock::new(|| openapi_yaml().into()),
    asyncapi_yaml: LazyLock::new(|| asyncapi_yaml().into()),
};

/// The OpenAPI document with all optional routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let all = Routes {
        docs: true,
        page: true,
        metrics: true,
    };
    let mut openapi = all.openapi();
    let modifiers: [&dyn Modify; 5] = [
        &plain_objects::PlainObjects,
        &unions::NamedVariants,
        &webhooks::Webhooks,
        &unused::WithoutUnused,
        &problem_responses::SharedResponses,
    ];
    for modifier in modifiers {
        modifier.modify(&mut openapi);
    }
    openapi
}

/// The OpenAPI document as YAML: the content of `openapi.yaml` in the repository.
///
/// # Panics
/// Never: the document is plain data.
#[allow(clippy::expect_used)]
pub fn openapi_yaml() -> String {
    openapi().to_yaml().expect("the document is plain data")
}
