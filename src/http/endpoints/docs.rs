//! `openapi.yaml`, `asyncapi.yaml` and Swagger UI, served from the binary.

use actix_web::Scope;
use actix_web::dev::HttpServiceFactory;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::http::contract::ContractTexts;
use crate::http::extract::NoInput;
use crate::http::problem;

/// The content security policy of Swagger UI, which sets styles of elements.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

problem::refusals!(ReadDocumentErrors: ; InvalidRequest);

/// This document as YAML
///
/// The same text as `openapi.yaml` in the repository. Requires no credential.
#[utoipa::path(tag = "operations", security(()), responses(
    (status = 200, description = "OpenAPI 3.1.", body = serde_json::Value, content_type = "application/yaml",
        example = json!({"openapi": "3.1.0"})),
    ReadDocumentErrors,
))]
#[get("/openapi.yaml")]
pub async fn read_openapi_yaml(_: NoInput, texts: Data<&'static ContractTexts>) -> HttpResponse {
    // RFC 9512.
    HttpResponse::Ok()
        .content_type("application/yaml")
        .body(texts.openapi_yaml.clone())
}

/// This document as JSON
///
/// The same document for tools that do not read YAML, such as Swagger UI. Requires no credential.
#[utoipa::path(tag = "operations", security(()), responses(
    (status = 200, description = "OpenAPI 3.1.", body = Object, example = json!({"openapi": "3.1.0"})),
    ReadDocumentErrors,
))]
#[get("/openapi.json")]
pub async fn read_openapi_json(_: NoInput, texts: Data<&'static ContractTexts>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(texts.openapi_json.clone())
}

/// The messages of the WebSocket
///
/// The same text as `asyncapi.yaml` in the repository. Requires no credential.
#[utoipa::path(tag = "operations", security(()), responses(
    (status = 200, description = "AsyncAPI 3.0.", body = serde_json::Value, content_type = "application/yaml",
        example = json!({"asyncapi": "3.0.0"})),
    ReadDocumentErrors,
))]
#[get("/asyncapi.yaml")]
pub async fn read_asyncapi_yaml(_: NoInput, texts: Data<&'static ContractTexts>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/yaml")
        .body(texts.asyncapi_yaml.clone())
}

/// Redirects to the path with a slash, which the relative links of Swagger UI require.
#[get("/docs")]
pub async fn to_swagger_ui() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .finish()
}

/// Swagger UI. Its files are part of the binary, so it works without a network.
pub fn swagger_ui() -> impl HttpServiceFactory {
    // By default the page sends the document to a validator on the internet. Credentials are not stored
    // in the browser.
    let config = Config::new(["/openapi.json"])
        .try_it_out_enabled(true)
        .persist_authorization(false)
        .validator_url("none");
    let headers = DefaultHeaders::new()
        .add((CONTENT_SECURITY_POLICY, POLICY))
        .add((REFERRER_POLICY, "no-referrer"));
    Scope::new("/docs")
        .wrap(headers)
        .service(SwaggerUi::new("/{_:.*}").config(config))
}
