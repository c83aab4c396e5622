//! The routes and the OpenAPI document. Both are made from one list of handlers, so they have the same
//! operations.

use std::sync::LazyLock;

use actix_web::dev::ResourceDef;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, ResponseError};
use utoipa::openapi::path::PathItem;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use super::endpoints::docs::OpenApiText;
use super::endpoints::{
    conversations, docs, import, messages, page, presence, probes, receipts, settings, tickets,
    typing, users,
};
use super::extract;
use super::live::{poll, websocket};
use super::problem;
use crate::error::{Code, Error};
use crate::protocol::{self, NameVariants};

/// Whether each of the optional routes is served.
#[derive(Clone, Copy)]
pub struct Routes {
    /// Swagger UI and openapi.yaml.
    pub docs: bool,
    /// The messenger at `/`.
    pub page: bool,
    /// `/metrics`, for backends only.
    pub metrics: bool,
}

/// Adds the handler of every operation that is served.
fn operations(config: &mut ServiceConfig, routes: Routes) {
    config
        .service(messages::send_message)
        .service(import::import_messages)
        .service(messages::read_message)
        .service(messages::edit_message)
        .service(messages::delete_message)
        .service(messages::add_reaction)
        .service(messages::remove_reaction)
        .service(conversations::list_conversations)
        .service(conversations::count_unread)
        .service(conversations::list_unread)
        .service(conversations::read_conversation)
        .service(conversations::clear_conversation)
        .service(settings::update_conversation)
        .service(settings::block_peer)
        .service(settings::unblock_peer)
        .service(settings::list_blocks)
        .service(settings::mute_conversation)
        .service(settings::unmute_conversation)
        .service(receipts::mark_read)
        .service(receipts::mark_delivered)
        .service(receipts::mark_unread)
        .service(receipts::mark_all_read)
        .service(websocket::open_socket)
        .service(poll::read_events)
        .service(typing::announce_typing)
        .service(tickets::issue_ticket)
        .service(presence::read_presence)
        .service(presence::list_presences)
        .service(users::export_user)
        .service(users::erase_user)
        .service(probes::check_health)
        .service(probes::check_ready);
    if routes.metrics {
        config.service(probes::read_metrics);
    }
    if routes.docs {
        config
            .service(docs::read_openapi_yaml)
            .service(docs::read_openapi_json);
    }
}

/// The parts of openapi.yaml besides the operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Duologue",
        description = "One-to-one messaging for the backends of mobile apps.\n\n\
            Times are RFC 3339 in UTC. Lists are newest first; messages are ordered by `seq`. Every \
            response has an `X-Request-Id`, which the client may choose. Every error is a problem \
            document (RFC 9457) with a stable `code`. `HEAD` is answered like `GET` and marks nothing \
            as read. Unknown query parameters and unexpected bodies are refused; only the pages at `/` and \
            `/docs` ignore a query. Without configured \
            credentials the service answers requests to `localhost` only, and others with 421.",
        contact(name = "The developers of Duologue"),
        license(name = "MIT", identifier = "MIT")
    ),
    servers((url = "/", description = "This service")),
    security(()),
    tags(
        (name = "messages", description = "Send, edit, delete and react"),
        (name = "conversations", description = "Read, list and mark conversations"),
        (name = "live", description = "Events, presence and typing"),
        (name = "users", description = "Export and erase all data of a user"),
        (name = "operations", description = "Probes, metrics and this document")
    ),
    components(schemas(
        crate::model::Emoji, protocol::ClientMessage, protocol::Problem, protocol::ServerMessage
    )),
    modifiers(&Schemes)
)]
struct Contract;

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

static OPENAPI_TEXT: OpenApiText = OpenApiText {
    json: LazyLock::new(|| openapi().to_pretty_json().unwrap_or_default().into()),
    yaml: LazyLock::new(|| openapi_yaml().into()),
};

/// The OpenAPI document as YAML: the content of `openapi.yaml` in the repository.
///
/// # Panics
/// Never: the document is plain data.
#[allow(clippy::expect_used)]
pub fn openapi_yaml() -> String {
    openapi().to_yaml().expect("the document is plain data")
}

/// The OpenAPI document with all optional routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let all = Routes {
        docs: true,
        page: true,
        metrics: true,
    };
    let mut openapi = all.openapi();
    NameVariants.modify(&mut openapi);
    problem::SharedResponses.modify(&mut openapi);
    openapi
}

impl Routes {
    /// The OpenAPI document of these routes.
    fn openapi(self) -> utoipa::openapi::OpenApi {
        let app = App::new().into_utoipa_app().openapi(Contract::openapi());
        app.configure(|config| operations(config, self))
            .split_for_parts()
            .1
    }

    /// Serves the operations, Swagger UI and the messenger. Other requests get 404 or 405.
    pub fn configure(self, config: &mut web::ServiceConfig, allowed: &Data<AllowedMethods>) {
        operations(&mut ServiceConfig::new(config), self);
        if self.docs {
            config
                .app_data(Data::new(&OPENAPI_TEXT))
                .service(docs::to_swagger_ui)
                .service(docs::swagger_ui());
        }
        if self.page {
            page::configure(config);
        }
        config
            .app_data(allowed.clone())
            .default_service(web::to(reject_unrouted));
    }
}

/// The methods of each path, for the `Allow` header.
pub struct AllowedMethods(Vec<(ResourceDef, String)>);

impl AllowedMethods {
    /// Derives them from the OpenAPI document, once for all workers.
    pub fn new(routes: Routes) -> Data<Self> {
        let paths = routes.openapi().paths.paths;
        let operations = paths
            .iter()
            .map(|(path, item)| (ResourceDef::new(path.as_str()), methods(item)));
        // The document lists only operations.
        let docs = ResourceDef::new(["/docs", "/docs/{file:.*}"]);
        let page = ResourceDef::new(page::paths().collect::<Vec<_>>());
        let docs = routes.docs.then_some((docs, "GET, HEAD".to_owned()));
        let page = routes.page.then_some((page, "GET, HEAD".to_owned()));
        Data::new(Self(operations.chain(docs).chain(page).collect()))
    }
}

fn methods(item: &PathItem) -> String {
    let all = [
        (&item.get, "GET, HEAD"),
        (&item.post, "POST"),
        (&item.put, "PUT"),
        (&item.patch, "PATCH"),
        (&item.delete, "DELETE"),
    ];
    let some: Vec<_> = all
        .iter()
        .filter(|(op, _)| op.is_some())
        .map(|(_, name)| *name)
        .collect();
    some.join(", ")
}

/// Answers requests that match no route: 405 if the path exists for other methods, else 404.
async fn reject_unrouted(req: HttpRequest, allowed: Data<AllowedMethods>) -> HttpResponse {
    match allowed.0.iter().find(|(path, _)| path.is_match(req.path())) {
        Some((_, methods)) => {
            let mut response = Error::from(Code::MethodNotAllowed).error_response();
            if methods.contains("PATCH") {
                extract::insert_accept_patch(response.headers_mut());
            }
            if let Ok(methods) = HeaderValue::from_str(methods) {
                response.headers_mut().insert(ALLOW, methods);
            }
            response
        }
        None => Error::from(Code::NotFound).error_response(),
    }
}
