//! Extractors of path parameters.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use utoipa::IntoParams;

use crate::error::{Code, Error};
use crate::model::{Emoji, Participants, Peer, RoomId, Seq, SubscriptionName, UserId};

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PathUser {
    /// The user.
    #[param(example = "bob")]
    pub user: UserId,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PathRoom {
    /// The id of the room, without `room:`.
    #[param(example = "general")]
    pub room: RoomId,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PathSeq {
    /// The position of the message in the conversation.
    #[param(example = 1)]
    pub seq: Seq,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PathEmoji {
    /// The reaction: one emoji of Unicode's list, percent-encoded, with or without U+FE0F. Responses
    /// contain its fully qualified form.
    #[param(example = "👍")]
    pub emoji: Emoji,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PathSubscription {
    /// The name of the subscription.
    #[param(example = "archive")]
    pub name: SubscriptionName,
}

macro_rules! extractor {
    ($name:ident, $parse:expr) => {
        impl FromRequest for $name {
            type Error = Error;
            type Future = Ready<Result<Self, Error>>;

            fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
                ready($parse(req))
            }
        }
    };
}

extractor!(PathUser, |req| {
    user(req, "user").map(|user| PathUser { user })
});
extractor!(PathRoom, |req| {
    let room = RoomId::try_from(segment(req, "room"));
    let room = room.map_err(|why| invalid("room", why));
    room.map(|room| PathRoom { room })
});
extractor!(PathSeq, |req| seq(req).map(|seq| PathSeq { seq }));
extractor!(PathEmoji, |req| emoji(req).map(|emoji| PathEmoji { emoji }));
extractor!(PathSubscription, |req| {
    let name = SubscriptionName::try_from(segment(req, "name"));
    let name = name.map_err(|why| invalid("name", why));
    name.map(|name| PathSubscription { name })
});
extractor!(Participants, participants);

fn user(req: &HttpRequest, name: &str) -> Result<UserId, Error> {
    UserId::try_from(segment(req, name)).map_err(|why| invalid(name, why))
}

/// A segment that contains an id. actix decodes everything except `%`, `/` and `+`, of which only `+` can be
/// part of an id.
fn segment(req: &HttpRequest, name: &str) -> String {
    match req.match_info().query(name) {
        encoded if encoded.contains('%') => encoded.replace("%2B", "+").replace("%2b", "+"),
        plain => plain.to_owned(),
    }
}

fn participants(req: &HttpRequest) -> Result<Participants, Error> {
    let peer = Peer::try_from(segment(req, "peer")).map_err(|why| invalid("peer", why));
    let (user, peer) = (user(req, "user")?, peer?);
    Participants::new(user, peer).map_err(|why| invalid("peer", why))
}

fn seq(req: &HttpRequest) -> Result<Seq, Error> {
    let seq = req.match_info().query("seq").parse::<u64>();
    let seq = seq.map_err(|_| "must be a non-negative integer");
    seq.and_then(Seq::try_from)
        .map_err(|why| invalid("seq", why))
}

fn emoji(req: &HttpRequest) -> Result<Emoji, Error> {
    let emoji = Emoji::try_from(req.match_info().query("emoji").to_owned());
    emoji.map_err(|why| invalid("emoji", why))
}

fn invalid(name: &str, why: &'static str) -> Error {
    Error::field(Code::InvalidRequest, format!("/path/{name}"), why)
}
