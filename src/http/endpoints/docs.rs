//! The contract: `openapi.yaml` and Swagger UI, served from the binary.

use actix_web::http::header::LOCATION;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, get};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::http::routes;

/// The contract, rendered once.
#[derive(Clone)]
pub struct Docs {
    yaml: Bytes,
    json: Bytes,
}

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

impl Docs {
    /// Renders the contract.
    pub fn new() -> Data<Self> {
        let json = routes::openapi().to_pretty_json().unwrap_or_default();
        Data::new(Self {
            yaml: openapi_yaml().into(),
            json: json.into(),
        })
    }
}

/// The contract as YAML
///
/// This document, as it is committed: for generators of clients and for people. Anybody may ask.
#[utoipa::path(tag = "operations", security(()), responses(
    (status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/yaml",
        example = json!({"openapi": "3.1.0"}))
))]
#[get("/openapi.yaml")]
pub async fn read_openapi_yaml(docs: Data<Docs>) -> HttpResponse {
    // RFC 9512.
    HttpResponse::Ok()
        .content_type("application/yaml")
        .body(docs.yaml.clone())
}

/// The contract as JSON
///
/// The same document for tools that read no YAML; Swagger UI is one. Anybody may ask.
#[utoipa::path(tag = "operations", security(()), responses(
    (status = 200, description = "OpenAPI 3.1.", body = Object, example = json!({"openapi": "3.1.0"}))
))]
#[get("/openapi.json")]
pub async fn read_openapi_json(docs: Data<Docs>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(docs.json.clone())
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
