//! The listener: accepts connections, and limits their number and duration.

use std::fmt;
use std::future::{Future, ready};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Protocol, Request, Response};
use actix_service::ServiceFactoryExt;
use actix_tls::accept::TlsError as AcceptError;
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Server, Service, ServiceFactory, ServiceResponse, fn_service};
use actix_web::rt::net::TcpStream;
#[cfg(target_os = "linux")]
use rustix::net::sockopt;
use rustix::process::{Resource, getrlimit};

use super::connection::{ClientConnection, ClientConnections, ClientStream};
use crate::metrics::Metrics;
use crate::tls::{Certificate, TlsError};

/// Time limit for receiving the headers of a request. [`super::extract`] limits that of its body.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection stays open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a connection is still read while it is being closed.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum time that sent data may stay unacknowledged, or unsent because the client does not read
/// (`TCP_USER_TIMEOUT`, RFC 5482; Linux only). The limit is two heartbeats, or this if that is less. Then
/// the kernel closes the connection, which frees the buffers of clients that vanished.
#[cfg(target_os = "linux")]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// Seconds for requests in progress to finish when the service stops.
const STOP_TIMEOUT_S: u64 = 10;
/// Open files set aside for everything but clients: connections to Redis, listeners, logs.
const RESERVED_FILES: u64 = 128;
/// Number of connections that are accepted for probes while all others are busy.
const SURPLUS: usize = 32;
/// The name of the listener in the log of actix.
const NAME: &str = "http";

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Serves an application. `HttpServer` would not do: it leaves no place for [`ClientStream`] between the
/// connection and the protocol. At most `wanted` connections are open, or as many as the limit of open files
/// allows.
pub fn listen<S, B>(
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    workers: usize,
    wanted: usize,
    metrics: Arc<Metrics>,
    app: impl Fn() -> S + Send + Clone + 'static,
) -> Result<Server, ServeError>
where
    S: ServiceFactory<Request, Config = (), Response = ServiceResponse<B>> + 'static,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: fmt::Debug,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let limit = wanted.min(room_for_connections());
    let server = Server::build();
    let stop = server.graceful_shutdown_signal();
    let stopping = move || {
        let stop = stop.clone();
        async move { stop.notified().await }
    };
    let server = server
        .workers(workers)
        .disable_signals()
        .shutdown_timeout(STOP_TIMEOUT_S)
        .max_concurrent_connections((limit + SURPLUS).div_ceil(workers));
    let server = match certificate {
        Some(certificate) => {
            let mut tls = certificate.server_config()?;
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            server.listen(NAME, listener, move || {
                let admission = Admission::new(metrics.clone(), limit);
                let admit = move |stream: TlsStream<TcpStream>| {
                    let address = prepare(stream.get_ref().0);
                    ready(Ok((admission.admit(stream), Protocol::Http1, address)))
                };
                let service = http_service(app(), stopping.clone());
                Acceptor::new(tls.clone())
                    .map_err(AcceptError::into_service_error)
                    .and_then(fn_service(admit))
                    .and_then(service.map_err(AcceptError::Service))
            })?
        }
        None => server.listen(NAME, listener, move || {
            let admission = Admission::new(metrics.clone(), limit);
            let admit = move |stream: TcpStream| {
                let address = prepare(&stream);
                ready(Ok((admission.admit(stream), Protocol::Http1, address)))
            };
            fn_service(admit).and_then(http_service(app(), stopping.clone()))
        })?,
    };
    Ok(server.run())
}

/// The HTTP service of one worker thread.
fn http_service<T, S, B, F>(
    app: S,
    stopping: impl Fn() -> F + 'static,
) -> HttpService<ClientStream<T>, S, B>
where
    S: ServiceFactory<Request, Config = (), Response = ServiceResponse<B>> + 'static,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: fmt::Debug,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
    F: Future<Output = ()> + 'static,
{
    HttpService::build()
        .graceful_shutdown_signal(stopping)
        .keep_alive(IDLE_TIMEOUT)
        .client_request_timeout(HEADER_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .on_connect_ext(|stream: &ClientStream<T>, connection| {
            connection.insert(stream.connection().clone());
        })
        .finish(app)
}

/// Admits the connections of one worker thread.
#[derive(Clone)]
struct Admission {
    connections: ClientConnections,
    metrics: Arc<Metrics>,
    /// Maximum number of connections of the whole process.
    limit: usize,
}

impl Admission {
    fn new(metrics: Arc<Metrics>, limit: usize) -> Self {
        let connections = ClientConnections::default();
        actix_web::rt::spawn(connections.clone().cut_slow(HEADER_TIMEOUT));
        Self {
            connections,
            metrics,
            limit,
        }
    }

    /// Counts a connection until it is dropped. If there are too many, one that is idle makes room.
    fn admit<T>(&self, stream: T) -> ClientStream<T> {
        let open = usize::try_from(self.metrics.connections.get()).unwrap_or(0);
        let is_surplus = open >= self.limit && !self.connections.cut_idle();
        let connection = Rc::new(ClientConnection::new(self.metrics.clone(), is_surplus));
        self.connections.add(&connection);
        ClientStream::new(stream, connection)
    }
}

/// Sets the options of a connection. Returns the address of its client.
fn prepare(stream: &TcpStream) -> Option<SocketAddr> {
    // Nagle's algorithm would delay small events. Fails only for a connection that is closed.
    let _ = stream.set_nodelay(true);
    stream.peer_addr().ok()
}

/// Maximum number of client connections under the limit of open files.
fn room_for_connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let limit = files.saturating_sub(RESERVED_FILES + SURPLUS as u64);
    usize::try_from(limit.max(16)).unwrap_or(usize::MAX)
}

/// Sets [`TCP_USER_TIMEOUT`] on the listening socket, from which connections inherit it. Called before
/// the server starts, because the kernel accepts connections from then on.
#[cfg(target_os = "linux")]
pub fn set_tcp_user_timeout(listener: &TcpListener, heartbeat_s: u8) -> Result<(), ServeError> {
    let timeout = TCP_USER_TIMEOUT.min(2 * Duration::from_secs(heartbeat_s.into()));
    let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    Ok(sockopt::set_tcp_user_timeout(listener, timeout_ms).map_err(std::io::Error::from)?)
}
