//! Who may listen, and how it begins: the credential of a listener, which a browser cannot put into
//! a header; the origin of its page, which CORS (being about answers) does not look at for
//! WebSockets; its place among those who are connected; and the state of its stream.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{
    AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN, SEC_WEBSOCKET_PROTOCOL,
};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};

use super::commands::CommandContext;
use super::driver::ConnectionDriver;
use crate::auth::{Authenticator, Caller, Identity};
use crate::error::{Code, Error};
use crate::http::middleware::authenticate;
use crate::model::UserId;
use crate::operations::Operations;
use crate::protocol::{Cursor, StreamState};
use crate::rate::{RateLimitStatus, RateLimited};
use crate::realtime::{ConnectionGuard, Hub, Session};

/// What a token begins with that is offered as a subprotocol.
const BEARER: &str = "bearer.";

/// The settings of live connections.
pub struct LiveSettings {
    /// Origins whose pages may connect, besides the service's own.
    pub origins: Vec<String>,
}

/// What it takes to let somebody in.
pub struct Handshake {
    /// The operations.
    pub operations: Data<Operations>,
    hub: Arc<Hub>,
    authenticator: Data<Authenticator>,
    settings: Data<LiveSettings>,
}

impl FromRequest for Handshake {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        fn data<T: 'static>(req: &HttpRequest) -> Result<Data<T>, Error> {
            // Cannot be missing: the application was given all of it.
            req.app_data::<Data<T>>()
                .cloned()
                .ok_or(Code::Internal.into())
        }
        let entrance = || {
            Ok(Self {
                operations: data(req)?,
                hub: data::<Hub>(req)?.into_inner(),
                authenticator: data(req)?,
                settings: data(req)?,
            })
        };
        ready(entrance())
    }
}

/// Somebody who may listen.
pub struct Listener {
    /// To whose stream.
    pub user: UserId,
    /// The caller, and until when the credential is valid.
    pub identity: Identity,
}

impl Handshake {
    /// Tells who wants to listen, and whether it may.
    pub async fn admit(
        &self,
        req: &HttpRequest,
        ticket: Option<&str>,
        user: impl FnOnce() -> Result<Option<UserId>, Error>,
    ) -> Result<Listener, Error> {
        let mut identity = self.identify(req, ticket).await?;
        let user = self
            .operations
            .authorize_listener(&identity.caller, user()?)?;
        self.check_origin(req.headers())?;
        if self.authenticator.is_open() {
            // A ticket has said for whom; charged is nobody here.
            identity.caller = Caller::Anonymous;
        }
        Ok(Listener { user, identity })
    }

    /// Gives a listener a place, if it is to hear of what happens, and opens its stream. Heard
    /// first and opened then, so that nothing falls in between.
    pub async fn sit(
        &self,
        listener: &Listener,
        hears: bool,
    ) -> Result<(Option<ConnectionGuard>, RateLimited<StreamState>), Error> {
        let Listener { user, identity } = listener;
        let seat = if hears {
            Some(self.hub.join(user).await?)
        } else {
            None
        };
        let state = self.operations.open_stream(&identity.caller, user).await?;
        Ok((seat, state))
    }

    /// Begins a session, from where the listener was. `ways` says whether it speaks too.
    pub async fn open(
        self,
        listener: Listener,
        resume: Option<Cursor>,
        ways: impl FnOnce(Session) -> Session,
    ) -> Result<(ConnectionDriver, Option<RateLimitStatus>), Error> {
        let (seat, RateLimited { value, quota }) = self.sit(&listener, true).await?;
        let seat = seat.ok_or(Code::Internal)?;
        seat.count_as_online();
        let Listener { user, identity } = listener;
        let mut out = VecDeque::new();
        let session = Session::open(&user, value, resume, self.hub.heartbeat_s(), &mut out);
        seat.until(identity.until);
        let session = ways(session.until(identity.until));
        let commands = CommandContext {
            caller: identity.caller,
            user,
            operations: self.operations,
            authenticator: self.authenticator,
        };
        let line = ConnectionDriver::new(session, out, seat, commands.into());
        Ok((line, quota))
    }

    /// Who shows a ticket, or an `Authorization`, or a token among the subprotocols of a WebSocket.
    async fn identify(&self, req: &HttpRequest, ticket: Option<&str>) -> Result<Identity, Error> {
        if let Some(ticket) = ticket {
            return self.operations.redeem_ticket(ticket).await;
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

    /// Refuses pages of others: only the service's own origin and those that were named may
    /// connect.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Error> {
        let header = |name: HeaderName| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap_or_default())
        };
        // Only browsers send one.
        let Some(origin) = header(ORIGIN) else {
            return Ok(());
        };
        let own = origin.split_once("://").map(|(_, authority)| authority);
        let is_own = own
            .zip(header(HOST))
            .is_some_and(|(own, host)| own.eq_ignore_ascii_case(host));
        if is_own
            || self
                .settings
                .origins
                .iter()
                .any(|allowed| allowed == origin)
        {
            return Ok(());
        }
        let why = "pages of this origin may not connect";
        Err(Error::field(Code::Forbidden, "/header/origin", why))
    }
}

/// The subprotocols that a client offers.
pub fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let offers = headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    let offers = offers.filter_map(|offer| offer.to_str().ok());
    offers.flat_map(|offer| offer.split(',').map(str::trim))
}
