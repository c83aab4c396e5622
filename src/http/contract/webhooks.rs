//! The webhooks of the OpenAPI document: what the service sends to the `url` of a subscription.

use utoipa::Modify;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{
    Content, HttpMethod, OpenApi, PathsBuilder, Ref, Required, Response, SecurityRequirement,
};

use crate::http::endpoints::examples;

/// The headers of Standard Webhooks.
const HEADERS: [(&str, &str, &str); 3] = [
    (
        "webhook-id",
        "The `id` of the event, the same each time that it is sent.",
        "17-1769860800000-0",
    ),
    (
        "webhook-timestamp",
        "When this request was sent, in seconds since 1970.",
        "1769860800",
    ),
    (
        "webhook-signature",
        "`v1,` and the HMAC-SHA256 of `webhook-id`, `webhook-timestamp` and the body, joined by dots, in base64; \
         several during the rotation of the secret, separated by blanks.",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
];

/// Adds the webhooks.
pub struct Webhooks;

impl Modify for Webhooks {
    fn modify(&self, openapi: &mut OpenApi) {
        let mut body = Content::new(Some(Ref::from_schema_name("FeedEvent")));
        body.example = Some(examples::feed_event());
        let body = RequestBodyBuilder::new()
            .description(Some("The event."))
            .content("application/json", body)
            .required(Some(Required::True));
        let operation = OperationBuilder::new()
            .operation_id(Some("receive_event"))
            .tag("subscriptions")
            .summary(Some("Receive an event"))
            .description(Some(
                "Sent to the `url` of a subscription, signed as Standard Webhooks 1.0, until it is answered with \
                 a 2xx; those of a conversation in order. An event can be sent more than once.",
            ))
            .parameters(Some(HEADERS.map(header)))
            .request_body(Some(body.build()))
            .response("204", Response::new("The event is taken, as with any other 2xx."))
            .response(
                "410",
                Response::new("Nothing is sent any more until the subscription is changed."),
            )
            .response(
                "429",
                Response::new("The event is sent again after `Retry-After`, as with 503."),
            )
            .response(
                "default",
                Response::new("The event is sent again, less and less often."),
            )
            .security(SecurityRequirement::default());
        let webhooks = PathsBuilder::new().path(
            "subscription_event",
            PathItem::new(HttpMethod::Post, operation),
        );
        openapi.webhooks = Some(webhooks.build());
    }
}

fn header((name, description, example): (&str, &str, &str)) -> Parameter {
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .description(Some(description))
        .required(Required::True)
        .example(Some(example.into()))
        .schema(Some(text))
        .build()
}
