//! The handshake of a live connection: identifies the listener, checks the site of its page, registers the
//! connection, and opens the stream.
//!
//! A browser cannot set headers on a WebSocket or an event stream, so a ticket in the query or a
//! subprotocol can also carry a credential. CORS does not cover WebSockets, so the site of the page is
//! checked here.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use serde::Deserialize;
use utoipa::IntoParams;

use super::commands::CommandContext;
use super::driver::ConnectionDriver;
use crate::auth::{Authenticator, Caller, Identity};
use crate::error::{Code, Error};
use crate::http::extract::QueryParams;
use crate::http::middleware::{authenticate, site};
use crate::model::UserId;
use crate::operations::Operations;
use crate::protocol::{Cursor, StreamState};
use crate::rate::{RateLimitStatus, RateLimited};
use crate::realtime::{ConnectionGuard, Hub, Session};

/// The prefix of a subprotocol that carries a token.
const BEARER: &str = "bearer.";

/// The query of a live connection.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// The user whose stream to open. Required for backends and if the service is open.
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 255, pattern = "^(?!room:)(?!\\.{1,2}$)[A-Za-z0-9._~!$&'()*+;=:@|-]{1,255}$")]
    pub user: Option<UserId>,
    /// The last cursor that the client processed. By default the stream starts now.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9]{1,16}-[0-9]{1,16}(~1?[0-9]{1,19}-[0-9]{1,16}-[0-9]{1,16}-[0-9a-f]{8})?$")]
    pub cursor: Option<Cursor>,
    /// A ticket of `POST /tickets`, in place of a credential.
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 128)]
    #[expect(dead_code, reason = "`ticket` reads it")]
    ticket: Option<String>,
}

/// What a handshake depends on.
pub struct Handshake {
    pub operations: Data<Operations>,
    hub: Arc<Hub>,
    authenticator: Data<Authenticator>,
}

impl FromRequest for Handshake {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        fn data<T: 'static>(req: &HttpRequest) -> Result<Data<T>, Error> {
            // Always set by the application.
            req.app_data::<Data<T>>()
                .cloned()
                .ok_or(Code::Internal.into())
        }
        let handshake = || {
            Ok(Self {
                operations: data(req)?,
                hub: data::<Hub>(req)?.into_inner(),
                authenticator: data(req)?,
            })
        };
        ready(handshake())
    }
}

/// A client that may listen.
pub struct Listener {
    /// The user whose stream the client reads.
    pub user: UserId,
    /// The caller, and until when the credential is valid.
    pub identity: Identity,
    /// The ticket of the client, which is used up when its connection opens.
    ticket: Option<String>,
    /// The address of the client.
    address: Option<IpAddr>,
}

impl Handshake {
    /// Identifies the client, and refuses it if it may not listen.
    pub async fn admit(
        &self,
        req: &HttpRequest,
        user: impl FnOnce() -> Result<Option<UserId>, Error>,
    ) -> Result<Listener, Error> {
        let ticket = ticket(req);
        let mut identity = self.identify(req, ticket.as_deref()).await?;
        let user = self
            .operations
            .authorize_listener(&identity.caller, user()?)?;
        site::check_page(req)?;
        if self.authenticator.is_open() {
            // A ticket identifies a user, but an open service charges nobody.
            identity.caller = Caller::Anonymous;
        }
        Ok(Listener {
            user,
            identity,
            ticket,
            address: authenticate::client_address(req),
        })
    }

    /// Like [`Handshake::admit`], for a stream. Also returns the cursor from which it resumes.
    pub async fn admit_to_stream(
        &self,
        req: &HttpRequest,
        query: Result<QueryParams<StreamQuery>, Error>,
    ) -> Result<(Listener, Option<Cursor>), Error> {
        let mut cursor = None;
        let user = || {
            let QueryParams(query) = query?;
            cursor = query.cursor;
            Ok(query.user)
        };
        let listener = self.admit(req, user).await?;
        Ok((listener, cursor))
    }

    /// Opens the stream of a listener. If `notified`, registers its connection first, so that no event is
    /// missed between the two steps.
    pub async fn join(
        &self,
        listener: &Listener,
        notified: bool,
    ) -> Result<(Option<ConnectionGuard>, RateLimited<StreamState>), Error> {
        let Listener { user, identity, .. } = listener;
        let connection = if notified {
            Some(self.hub.join(user).await?)
        } else {
            None
        };
        let state = self.operations.open_stream(&identity.caller, user).await?;
        Ok((connection, state))
    }

    /// Uses up the ticket of a listener, if it has one.
    pub async fn redeem(&self, listener: &Listener) -> Result<(), Error> {
        match &listener.ticket {
            Some(ticket) => self.operations.redeem_ticket(ticket).await,
            None => Ok(()),
        }
    }

    /// Opens a session that resumes after a cursor. `direction` can make it one-way.
    pub async fn open(
        self,
        listener: Listener,
        resume: Option<Cursor>,
        direction: impl FnOnce(Session) -> Session,
    ) -> Result<(ConnectionDriver, Option<RateLimitStatus>), Error> {
        let (connection, RateLimited { value, quota }) = self.join(&listener, true).await?;
        let connection = connection.ok_or(Code::Internal)?;
        self.redeem(&listener).await?;
        connection.count_as_online();
        let Listener {
            user,
            identity,
            address,
            ..
        } = listener;
        let mut out = VecDeque::new();
        let (heartbeat_s, until) = (self.hub.heartbeat_s(), identity.until);
        let session = Session::open(&user, value, resume, heartbeat_s, until, &mut out);
        connection.until(until);
        let session = direction(session);
        let commands = CommandContext {
            caller: identity.caller,
            user,
            operations: self.operations,
            authenticator: self.authenticator,
            address,
        };
        let driver = ConnectionDriver::new(session, out, connection, commands.into());
        Ok((driver, quota))
    }

    /// Identifies the client by its ticket, its `Authorization` header, or the token among the
    /// subprotocols of its WebSocket.
    async fn identify(&self, req: &HttpRequest, ticket: Option<&str>) -> Result<Identity, Error> {
        if let Some(ticket) = ticket {
            return self.operations.find_ticket(ticket).await;
        }
        let token = protocols(req.headers()).find_map(|protocol| protocol.strip_prefix(BEARER));
        match token {
            Some(token)
                if !self.authenticator.is_open() && !req.headers().contains_key(AUTHORIZATION) =>
            {
                self.authenticator.identify(token)
            }
            _ => authenticate::identify(req),
        }
    }
}

/// The ticket in the query of a request, even if the rest of the query is invalid, because the credential is
/// checked first.
fn ticket(req: &HttpRequest) -> Option<String> {
    let mut query = form_urlencoded::parse(req.query_string().as_bytes());
    let ticket = query.find(|(name, _)| name == "ticket")?;
    Some(ticket.1.into_owned())
}

/// The subprotocols that a client offers.
pub fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let offers = headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    let offers = offers.filter_map(|offer| offer.to_str().ok());
    offers.flat_map(|offer| offer.split(',').map(str::trim))
}
