//! Extractors of path parameters.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use utoipa::IntoParams;

use crate::error::{Code, Error};
use crate::model::{Emoji, Participants, RoomId, Seq, SubscriptionName, UserId};

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
    id(req, "user").map(|user| PathUser { user })
});
extractor!(PathRoom, |req| {
    id(req, "room").map(|room| PathRoom { room })
});
extractor!(PathSeq, |req| seq(req).map(|seq| PathSeq { seq }));
extractor!(PathEmoji, |req| emoji(req).map(|emoji| PathEmoji { emoji }));
extractor!(PathSubscription, |req| {
    id(req, "name").map(|name| PathSubscription { name })
});
extractor!(Participants, participants);

/// A parameter that is an id or a name. actix decodes everything except `%`, `/` and `+`, of which only `+` can be
/// part of one.
fn id<T>(req: &HttpRequest, name: &str) -> Result<T, Error>
where
    T: TryFrom<String, Error = &'static str>,
{
    let id = match req.match_info().query(name) {
        encoded if encoded.contains('%') => encoded.replace("%2B", "+").replace("%2b", "+"),
        plain => plain.to_owned(),
    };
    T::try_from(id).map_err(|why| invalid(name, why))
}

fn participants(req: &HttpRequest) -> Result<Participants, Error> {
    let (user, peer) = (id(req, "user")?, id(req, "peer")?);
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
