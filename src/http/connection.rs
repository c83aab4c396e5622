//! The connections of clients, as the HTTP server reads and writes them.
//!
//! actix-http limits only the first request of a connection in time, does not tell a handler that the
//! client has disconnected, keeps a WebSocket open for a second after the closing handshake, and
//! closes a connection after a request to upgrade. [`ClientStream`], below it, corrects that.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use actix_http::ConnectionType;
use actix_web::HttpRequest;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::Version;
use actix_web::web::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::interval;

use super::http2_upgrade;
use crate::metrics::Metrics;

/// A TCP or TLS connection as actix-http reads and writes it.
pub struct ClientStream<T> {
    stream: T,
    connection: Rc<ClientConnection>,
    /// Whether to look for requests to upgrade to HTTP/2: until the first read that contains none.
    asks_for_http2: bool,
}

/// The state of a connection, which belongs to one thread. The metrics count it as open until this is
/// dropped.
pub struct ClientConnection {
    metrics: Arc<Metrics>,
    /// Number of requests whose response is not complete.
    requests: Cell<u32>,
    /// When the first byte of a request arrived, until its head is complete.
    head_since: Cell<Option<Instant>>,
    /// Whether the service closed it, because the client was slow or to make room.
    is_cut: Cell<bool>,
    has_client_closed: Cell<bool>,
    half_close: Cell<HalfClose>,
    /// Wakes the task that reads from the connection.
    reader: RefCell<Option<Waker>>,
    /// Whether there was no room for it. Then it is closed after one answer, which is an error for all
    /// requests but probes.
    is_surplus: bool,
}

/// Whether the service closes its sending direction once everything is sent.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum HalfClose {
    #[default]
    No,
    AfterFlush,
    Done,
}

impl ClientConnection {
    pub fn new(metrics: Arc<Metrics>, is_surplus: bool) -> Self {
        metrics.connections.inc();
        Self {
            metrics,
            requests: Cell::default(),
            head_since: Cell::default(),
            is_cut: Cell::default(),
            has_client_closed: Cell::default(),
            half_close: Cell::default(),
            reader: RefCell::default(),
            is_surplus,
        }
    }

    /// The connection of a request. It always has one.
    pub fn of(req: &HttpRequest) -> Option<&Rc<Self>> {
        req.conn_data()
    }

    /// Whether the client has closed the connection, or its sending direction.
    pub fn has_client_closed(&self) -> bool {
        self.has_client_closed.get()
    }

    /// Ends when the client closes the connection of a request, or its sending direction. The task that polls this
    /// also reads the connection, so it is woken.
    pub fn closed_by_client(req: &HttpRequest) -> impl Future<Output = ()> + use<> {
        let connection = Self::of(req).cloned();
        poll_fn(move |_| match &connection {
            Some(connection) if connection.has_client_closed() => Poll::Ready(()),
            _ => Poll::Pending,
        })
    }

    /// Closes the sending direction as soon as everything is sent. The other direction is still read for
    /// a moment, because otherwise the client may lose what was sent last (RFC 9112 section 9.6).
    pub fn half_close(&self) {
        if self.half_close.get() == HalfClose::No {
            self.half_close.set(HalfClose::AfterFlush);
        }
    }

    fn cut(&self) {
        self.is_cut.set(true);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn is_idle(&self) -> bool {
        self.requests.get() == 0 && !self.is_cut.get()
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

/// Counts a request until its response is complete.
pub struct RequestInProgress(Rc<ClientConnection>);

impl RequestInProgress {
    /// Begins when the head of the request is complete.
    pub fn of(req: &HttpRequest) -> Option<Self> {
        let connection = ClientConnection::of(req)?;
        connection.head_since.set(None);
        connection.requests.set(connection.requests.get() + 1);
        Some(Self(connection.clone()))
    }

    /// Whether there was no room for the connection of the request.
    pub fn is_surplus(&self) -> bool {
        self.0.is_surplus
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        self.0.requests.set(self.0.requests.get() - 1);
    }
}

/// The body of a response. The request counts until the body is dropped.
pub struct ResponseBody<B> {
    body: B,
    _request: Option<RequestInProgress>,
}

/// Ends the connection with the response where HTTP/1.0 or a lack of room requires it, and keeps the
/// request counted until its body is sent.
pub fn finish<B: MessageBody>(
    mut response: ServiceResponse<B>,
    request: Option<RequestInProgress>,
) -> ServiceResponse<ResponseBody<B>> {
    let is_stream = response.response().body().size() == BodySize::Stream;
    // HTTP/1.0 has no chunks: the end of the connection is the end of the body.
    let ends_body = is_stream && response.request().version() < Version::HTTP_11;
    let head = response.response_mut().head_mut();
    if ends_body {
        head.no_chunking(true);
    }
    if ends_body || request.as_ref().is_some_and(RequestInProgress::is_surplus) {
        head.set_connection_type(ConnectionType::Close);
    }
    response.map_body(|_, body| ResponseBody {
        body,
        _request: request,
    })
}

impl<B: MessageBody + Unpin> MessageBody for ResponseBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}

impl<T> ClientStream<T> {
    pub fn new(stream: T, connection: Rc<ClientConnection>) -> Self {
        Self {
            stream,
            connection,
            asks_for_http2: true,
        }
    }

    pub fn connection(&self) -> &Rc<ClientConnection> {
        &self.connection
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ClientStream<T> {
    /// Reports a connection that was cut as one that the client has closed.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let connection = &this.connection;
        if connection.is_cut.get() {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if read.is_pending() {
            let mut reader = connection.reader.borrow_mut();
            match &mut *reader {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        ready!(read)?;
        if buf.filled().len() == before {
            connection.has_client_closed.set(true);
        } else if connection.is_idle() && connection.head_since.get().is_none() {
            connection.head_since.set(Some(Instant::now()));
            if this.asks_for_http2 {
                this.asks_for_http2 = http2_upgrade::ignore(&mut buf.filled_mut()[before..]);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ClientStream<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        if this.connection.half_close.get() == HalfClose::AfterFlush {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.connection.half_close.set(HalfClose::Done);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The connections of one worker thread, oldest first.
#[derive(Clone, Default)]
pub struct ClientConnections(Rc<RefCell<Vec<Weak<ClientConnection>>>>);

impl ClientConnections {
    pub fn add(&self, connection: &Rc<ClientConnection>) {
        self.0.borrow_mut().push(Rc::downgrade(connection));
    }

    /// Cuts the oldest connection that waits for a request. Returns whether there was one.
    pub fn cut_idle(&self) -> bool {
        let connections = self.0.borrow();
        let mut open = connections.iter().filter_map(Weak::upgrade);
        let idle = open.find(|connection| connection.is_idle());
        idle.inspect(|connection| connection.cut()).is_some()
    }

    /// Looks every second for connections on which the head of a request takes too long, and cuts them.
    /// Never ends.
    pub async fn cut_slow(self, limit: Duration) {
        let mut second = interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            let now = Instant::now();
            self.0.borrow_mut().retain(|connection| {
                let Some(connection) = connection.upgrade() else {
                    return false;
                };
                let since = connection.head_since.get();
                if since.is_some_and(|since| now.duration_since(since) > limit) {
                    connection.cut();
                }
                true
            });
        }
    }
}
