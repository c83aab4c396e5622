//! The routes and the OpenAPI document. Both are made from one list of handlers, so they have the same
//! operations.

use actix_web::dev::ResourceDef;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, ResponseError};
use utoipa::OpenApi;
use utoipa::openapi::path::PathItem;
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use super::contract::{CONTRACT_TEXTS, Preamble};
use super::endpoints::{
    conversations, dead_letters, docs, import, messages, page, presence, probes, receipts, rooms,
    settings, subscriptions, tickets, typing, users,
};
use super::extract;
use super::live::{poll, sse, websocket};
use crate::error::{Code, Error};

/// Whether each of the optional routes is served.
#[derive(Clone, Copy)]
pub struct Routes {
    /// Swagger UI, openapi.yaml and asyncapi.yaml.
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
        .service(rooms::set_room)
        .service(rooms::read_room)
        .service(rooms::delete_room)
        .service(rooms::list_members)
        .service(rooms::set_member)
        .service(rooms::remove_member)
        .service(websocket::open_socket)
        .service(poll::read_events)
        .service(sse::stream_events)
        .service(typing::announce_typing)
        .service(tickets::issue_ticket)
        .service(presence::read_presence)
        .service(presence::list_presences)
        .service(users::export_user)
        .service(users::erase_user)
        .service(subscriptions::set_subscription)
        .service(subscriptions::list_subscriptions)
        .service(subscriptions::read_subscription)
        .service(subscriptions::delete_subscription)
        .service(subscriptions::take_events)
        .service(subscriptions::ack_events)
        .service(subscriptions::seek_subscription)
        .service(dead_letters::list_dead_letters)
        .service(dead_letters::retry_dead_letters)
        .service(probes::check_health)
        .service(probes::check_ready);
    if routes.metrics {
        config.service(probes::read_metrics);
    }
    if routes.docs {
        config
            .service(docs::read_openapi_yaml)
            .service(docs::read_openapi_json)
            .service(docs::read_asyncapi_yaml);
    }
}

impl Routes {
    /// The OpenAPI document of these routes.
    pub(super) fn openapi(self) -> utoipa::openapi::OpenApi {
        let app = App::new().into_utoipa_app().openapi(Preamble::openapi());
        app.configure(|config| operations(config, self))
            .split_for_parts()
            .1
    }

    /// Serves the operations, Swagger UI and the messenger. Other requests get 404 or 405.
    pub fn configure(self, config: &mut web::ServiceConfig, allowed: &Data<AllowedMethods>) {
        operations(&mut ServiceConfig::new(config), self);
        if self.docs {
            config
                .app_data(Data::new(&CONTRACT_TEXTS))
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
