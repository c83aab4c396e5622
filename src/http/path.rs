//! What paths name, parsed into values of [`crate::model`] and refused by name.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use utoipa::IntoParams;

use crate::auth::Caller;
use crate::error::{Code, Error};
use crate::model::{Emoji, Seq, UserId};
use crate::rate::RateLimitRequest;
use crate::store::ConversationRequest;

/// The user whom a path is about.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PathUser {
    /// The user.
    #[param(example = "bob")]
    pub user: UserId,
}

/// The two users of a conversation. The first one acts.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PathUsers {
    /// The user who acts.
    #[param(example = "bob")]
    pub user: UserId,
    /// The other one.
    #[param(example = "alice")]
    pub peer: UserId,
}

impl PathUsers {
    /// What the caller does, as the user the path names; refuses a caller who is another.
    pub fn act<'a>(
        &'a self,
        caller: &Caller,
        charge: Option<&'a RateLimitRequest>,
    ) -> Result<ConversationRequest<'a>, Error> {
        caller.authorize(&self.user)?;
        Ok(ConversationRequest {
            user: &self.user,
            peer: &self.peer,
            charge,
        })
    }
}

/// A message of a conversation.
pub struct PathMessage {
    /// The conversation.
    pub users: PathUsers,
    /// Which message.
    pub seq: Seq,
}

impl PathMessage {
    /// See [`PathUsers::act`].
    pub fn act<'a>(
        &'a self,
        caller: &Caller,
        charge: Option<&'a RateLimitRequest>,
    ) -> Result<ConversationRequest<'a>, Error> {
        self.users.act(caller, charge)
    }
}

/// A reaction to a message.
pub struct PathReaction {
    /// The message.
    pub message: PathMessage,
    /// The reaction.
    pub emoji: Emoji,
}

/// What each kind of path is parsed with.
macro_rules! path {
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

path!(PathUser, one_user);
path!(PathUsers, users);
path!(PathMessage, message);
path!(PathReaction, reaction);

fn one_user(req: &HttpRequest) -> Result<PathUser, Error> {
    Ok(PathUser {
        user: user(req, "user")?,
    })
}

fn users(req: &HttpRequest) -> Result<PathUsers, Error> {
    let (user, peer) = (user(req, "user")?, user(req, "peer")?);
    if user == peer {
        return Err(refused("peer", "a conversation is with somebody else"));
    }
    Ok(PathUsers { user, peer })
}

fn message(req: &HttpRequest) -> Result<PathMessage, Error> {
    let users = users(req)?;
    let seq = req.match_info().query("seq").parse::<u64>();
    let seq = seq
        .map_err(|_| "a seq is a whole number")
        .and_then(Seq::try_from);
    Ok(PathMessage {
        users,
        seq: seq.map_err(|why| refused("seq", why))?,
    })
}

fn reaction(req: &HttpRequest) -> Result<PathReaction, Error> {
    let emoji = Emoji::try_from(req.match_info().query("emoji").to_owned());
    Ok(PathReaction {
        message: message(req)?,
        emoji: emoji.map_err(|why| refused("emoji", why))?,
    })
}

fn user(req: &HttpRequest, name: &str) -> Result<UserId, Error> {
    let user = UserId::try_from(req.match_info().query(name).to_owned());
    user.map_err(|why| refused(name, why))
}

fn refused(name: &str, why: &'static str) -> Error {
    Error::field(Code::InvalidRequest, format!("/path/{name}"), why)
}

/// How the contract describes the part of a path that names a message.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)]
struct SeqParam {
    /// The message's place in the conversation.
    #[param(example = 1)]
    seq: Seq,
}

/// How the contract describes the part of a path that names a reaction.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)]
struct EmojiParam {
    /// The reaction: one emoji, percent-encoded.
    #[param(example = "👍")]
    emoji: Emoji,
}

impl IntoParams for PathMessage {
    fn into_params(
        within: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
    ) -> Vec<utoipa::openapi::path::Parameter> {
        [
            PathUsers::into_params(&within),
            SeqParam::into_params(&within),
        ]
        .concat()
    }
}

impl IntoParams for PathReaction {
    fn into_params(
        within: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
    ) -> Vec<utoipa::openapi::path::Parameter> {
        [
            PathMessage::into_params(&within),
            EmojiParam::into_params(&within),
        ]
        .concat()
    }
}
