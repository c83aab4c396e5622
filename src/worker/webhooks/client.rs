//! Sends webhooks: one request, without redirects, to permitted addresses only.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use tokio::net::lookup_host;
use url::{Host, Url};

use super::circuit::LONGEST_RETRY_AFTER_MS;
use super::signature::signatures;
use crate::model::{WebhookNetworks, WebhookSecret, WebhookUrl};

/// Bytes of an answer that are read, so that its connection can be used again.
const ANSWER_BYTES: usize = 16 * 1024;

/// How long a connection is kept without a request. Many servers close it after 5 s, and a request at that moment fails.
const IDLE: Duration = Duration::from_secs(4);

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeliveryOutcome {
    /// A 2xx.
    Taken,
    /// A 410.
    Gone,
    Failed(DeliveryFailure),
}

/// Why an event was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeliveryFailure {
    /// Its name in metrics.
    pub kind: &'static str,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long the endpoint asks to wait.
    pub retry_after: Option<Duration>,
}

impl DeliveryOutcome {
    /// Its name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Gone => "gone",
            Self::Failed(failure) => failure.kind,
        }
    }

    const fn without_answer(kind: &'static str) -> Self {
        Self::Failed(DeliveryFailure {
            kind,
            status: None,
            retry_after: None,
        })
    }
}

/// The clients for all webhooks.
#[derive(Clone)]
pub(super) struct WebhookClient {
    encrypted: Client,
    /// For `http`, which is permitted in networks of one's own only.
    plain: Client,
    networks: Arc<WebhookNetworks>,
}

impl WebhookClient {
    /// Clients with a limit for each request, a third of it to connect.
    pub(super) fn new(networks: WebhookNetworks, timeout: Duration) -> reqwest::Result<Self> {
        let networks = Arc::new(networks);
        let client = |is_encrypted| {
            Client::builder()
                .user_agent(concat!("duologue/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                // A proxy would resolve names by itself.
                .no_proxy()
                .dns_resolver(Arc::new(PermittedResolver {
                    networks: networks.clone(),
                    is_encrypted,
                }))
                .connect_timeout(timeout / 3)
                .pool_idle_timeout(IDLE)
                .timeout(timeout)
                .build()
        };
        Ok(Self {
            encrypted: client(true)?,
            plain: client(false)?,
            networks: networks.clone(),
        })
    }

    /// Sends an event.
    pub(super) async fn send(
        &self,
        url: &WebhookUrl,
        id: &str,
        body: String,
        secrets: &[WebhookSecret],
    ) -> DeliveryOutcome {
        let Some(url) = url.parsed().ok().filter(|url| self.permits(url)) else {
            return DeliveryOutcome::without_answer("forbidden");
        };
        let client = match url.scheme() {
            "https" => &self.encrypted,
            _ => &self.plain,
        };
        let timestamp = Utc::now().timestamp();
        let request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header(
                "webhook-signature",
                signatures(secrets, id, timestamp, &body),
            )
            .body(body);
        match request.send().await {
            Ok(answer) => {
                let outcome = outcome_of(answer.status(), answer.headers());
                discard(answer).await;
                outcome
            }
            // The error contains the URL, so it is not logged.
            Err(error) if error.is_timeout() => DeliveryOutcome::without_answer("timeout"),
            Err(_) => DeliveryOutcome::without_answer("unreachable"),
        }
    }

    /// Whether the address in a URL is permitted. The resolver never sees it.
    fn permits(&self, url: &Url) -> bool {
        let address: IpAddr = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain(_)) => return true,
            None => return false,
        };
        self.networks.permits(address, url.scheme() == "https")
    }
}

fn outcome_of(status: StatusCode, headers: &HeaderMap) -> DeliveryOutcome {
    if status.is_success() {
        return DeliveryOutcome::Taken;
    }
    if status == StatusCode::GONE {
        return DeliveryOutcome::Gone;
    }
    let may_wait = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let retry_after = may_wait.contains(&status).then(|| retry_after(headers));
    let retry_after = retry_after.flatten();
    DeliveryOutcome::Failed(DeliveryFailure {
        kind: if retry_after.is_some() {
            "limited"
        } else {
            "refused"
        },
        status: Some(status.as_u16()),
        retry_after,
    })
}

/// How long an endpoint asks to wait: in seconds, or until a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.parse().ok().map(Duration::from_secs);
    let wait = seconds.or_else(|| {
        let date = DateTime::parse_from_rfc2822(text).ok()?;
        Some((date.to_utc() - Utc::now()).to_std().unwrap_or_default())
    });
    wait.map(|wait| wait.min(Duration::from_millis(LONGEST_RETRY_AFTER_MS)))
}

/// Reads a short answer to its end. The connection of a longer one is closed.
async fn discard(mut answer: Response) {
    let mut left = ANSWER_BYTES;
    while let Ok(Some(chunk)) = answer.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Resolves names to permitted addresses only. A check before the connection is made could be evaded by a name that
/// has another address a moment later.
struct PermittedResolver {
    networks: Arc<WebhookNetworks>,
    is_encrypted: bool,
}

impl Resolve for PermittedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (networks, is_encrypted) = (self.networks.clone(), self.is_encrypted);
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<_> = found
                .filter(|address| networks.permits(address.ip(), is_encrypted))
                .collect();
            if permitted.is_empty() {
                return Err("the name has no permitted address".into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}
