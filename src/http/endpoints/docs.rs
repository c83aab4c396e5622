//! `openapi.yaml` and Swagger UI, served from the binary.

use std::sync::LazyLock;

use actix_web::http::header::LOCATION;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, get};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::http::extract::NoInput;
use crate::http::{problem, routes};

problem::refusals!(ReadOpenapiErrors: ; InvalidRequest);

/// Rendered at the first request, because most processes are never asked for it.
static JSON: LazyLock<Bytes> = LazyLock::new(|| {
    let json = routes::openapi().to_pretty_json().unwrap_or_default();
    json.into()
});
static YAML: LazyLock<Bytes> = LazyLock::new(|| openapi_yaml().into());

/// The contract as YAML: what `openapi.yaml` at the top of the project must hold.
///
/// # Panics
/// Never: the document is made of plain data.
#[allow(clippy::expect_used)]
pub fn openapi_yaml() -> String {
    routes::openapi()
        .to_yaml()
        .expect("the contract is plain data")
}

/// This document as YAML
///
/// The same text as `openapi.yaml` in the repository. Anybody may read it.
#[utoipa::path(tag = "operations", security(()), responses(
    (status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/yaml",
        example = json!({"openapi": "3.1.0"})),
    ReadOpenapiErrors,
))]
#[get("/openapi.yaml")]
pub async fn read_openapi_yaml(_: NoInput) -> HttpResponse {
    // RFC 9512.
    HttpResponse::Ok()
        .content_type("application/yaml")
        .body(YAML.clone())
}

/// This document as JSON
///
/// The same document for tools that do not read YAML, like Swagger UI. Anybody may read it.
#[utoipa::path(tag = "operations", security(()), responses(
    (status = 200, description = "OpenAPI 3.1.", body = Object, example = json!({"openapi": "3.1.0"})),
    ReadOpenapiErrors,
))]
#[get("/openapi.json")]
pub async fn read_openapi_json(_: NoInput) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(JSON.clone())
}

/// The address people type. Swagger UI's own files are found relative to the one with a slash.
#[get("/docs")]
pub async fn to_swagger_ui() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .finish()
}

/// Swagger UI, whose files are part of the binary: it works without a network.
pub fn swagger_ui() -> SwaggerUi {
    // Without "none" the page sends the contract to a validator on the internet and shows its badge.
    let config = Config::new(["/openapi.json"])
        .try_it_out_enabled(true)
        .persist_authorization(true)
        .validator_url("none");
    SwaggerUi::new("/docs/{_:.*}").config(config)
}
