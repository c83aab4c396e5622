//! The URL of the store: one Redis, the sentinels of a master, or some nodes of a cluster.

use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisResult,
    TlsCertificates, TlsMode,
};

use super::connection::connection_info;

/// The port of a sentinel whose address has none.
const SENTINEL_PORT: &str = ":26379";

/// What `DUOLOGUE_REDIS_URL` names.
#[derive(Clone)]
pub(super) enum RedisUrl {
    /// One Redis: `redis://`, `rediss://` or `unix://`.
    Single(Box<ConnectionInfo>),
    /// The master that sentinels watch: `redis+sentinel://` or `rediss+sentinel://`.
    Sentinel(Box<Sentinels>),
    /// Some nodes of a cluster: `redis+cluster://` or `rediss+cluster://`.
    Cluster(Vec<ConnectionInfo>),
}

/// The sentinels, and what they need to find the master and the client to use it.
#[derive(Clone)]
pub(super) struct Sentinels {
    addresses: Vec<ConnectionAddr>,
    pub(super) service: String,
    /// The credentials and the database of the master. Its address is that of a sentinel and not used.
    pub(super) master: ConnectionInfo,
    user: Option<String>,
    password: Option<String>,
    certificates: Option<TlsCertificates>,
}

/// The parts of a URL with several hosts.
struct Parts<'a> {
    /// `redis` or `rediss`.
    scheme: &'static str,
    /// `user:password@`, or nothing.
    user: &'a str,
    hosts: Vec<&'a str>,
    path: &'a str,
    query: &'a str,
}

impl RedisUrl {
    /// Parses a URL. An error is a sentence that says what is wrong and contains no password.
    pub(super) fn parse(text: &str, certificates: Option<TlsCertificates>) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
        match scheme.replace('-', "+").as_str() {
            "redis+sentinel" => sentinels(&Parts::of("redis", rest), certificates),
            "rediss+sentinel" => sentinels(&Parts::of("rediss", rest), certificates),
            "redis+cluster" => cluster(&Parts::of("redis", rest), certificates.as_ref()),
            "rediss+cluster" => cluster(&Parts::of("rediss", rest), certificates.as_ref()),
            _ => {
                let info = with_certificates(text, certificates).map_err(|e| e.to_string())?;
                Ok(Self::Single(Box::new(connection_info(info))))
            }
        }
    }

    /// The number of the database.
    pub(super) fn database(&self) -> i64 {
        match self {
            Self::Single(info) => info.redis_settings().db(),
            Self::Sentinel(sentinels) => sentinels.master.redis_settings().db(),
            Self::Cluster(_) => 0,
        }
    }
}

impl<'a> Parts<'a> {
    fn of(scheme: &'static str, rest: &'a str) -> Self {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let at = authority.rfind('@').map_or(0, |at| at + 1);
        let (user, hosts) = authority.split_at(at);
        let path = path.trim_end_matches('/');
        Self {
            scheme,
            user,
            hosts: hosts.split(',').map(str::trim).collect(),
            path,
            query,
        }
    }

    /// The connection to each host.
    fn connections(
        &self,
        default_port: &str,
        database: &str,
        certificates: Option<&TlsCertificates>,
    ) -> Result<Vec<ConnectionInfo>, String> {
        let connections = self.hosts.iter().map(|host| {
            let port = if has_port(host) { "" } else { default_port };
            let url = format!("{}://{}{host}{port}/{database}", self.scheme, self.user);
            with_certificates(&url, certificates.cloned())
                .map(connection_info)
                .map_err(|_| format!("`{host}` is not a host with an optional port"))
        });
        connections.collect()
    }
}

/// Whether a host is followed by a port. An IPv6 address is in brackets.
fn has_port(host: &str) -> bool {
    host.rsplit_once(']')
        .map_or(host, |(_, port)| port)
        .contains(':')
}

fn with_certificates(
    url: &str,
    certificates: Option<TlsCertificates>,
) -> RedisResult<ConnectionInfo> {
    match certificates {
        None => url.into_connection_info(),
        Some(certificates) => {
            let client = Client::build_with_tls(url, certificates)?;
            Ok(client.get_connection_info().clone())
        }
    }
}

fn sentinels(parts: &Parts<'_>, certificates: Option<TlsCertificates>) -> Result<RedisUrl, String> {
    let (service, database) = parts.path.split_once('/').unwrap_or((parts.path, "0"));
    if service.is_empty() {
        return Err(
            "the name of the master is missing: redis+sentinel://HOST:PORT,HOST:PORT/SERVICE"
                .into(),
        );
    }
    if database.parse::<u32>().is_err() {
        return Err(format!(
            "`{database}` is not the number of a database: redis+sentinel://HOST:PORT/SERVICE/DATABASE"
        ));
    }
    let connections = parts.connections(SENTINEL_PORT, database, certificates.as_ref())?;
    let (mut user, mut password) = (None, None);
    for (name, value) in form_urlencoded::parse(parts.query.as_bytes()) {
        match &*name {
            "sentinel_username" => user = Some(value.into_owned()),
            "sentinel_password" => password = Some(value.into_owned()),
            _ => {
                return Err(format!(
                    "`{name}` is not a parameter of redis+sentinel://, which has sentinel_username and \
                     sentinel_password"
                ));
            }
        }
    }
    Ok(RedisUrl::Sentinel(Box::new(Sentinels {
        addresses: connections.iter().map(|info| info.addr().clone()).collect(),
        service: service.to_owned(),
        master: connections[0].clone(),
        user,
        password,
        certificates,
    })))
}

fn cluster(parts: &Parts<'_>, certificates: Option<&TlsCertificates>) -> Result<RedisUrl, String> {
    if !matches!(parts.path, "" | "0") {
        let path = parts.path;
        return Err(format!(
            "`/{path}` is not possible: a Redis Cluster has database 0 only"
        ));
    }
    if !parts.query.is_empty() {
        return Err("redis+cluster:// has no parameters".into());
    }
    let connections = parts.connections("", "", certificates)?;
    Ok(RedisUrl::Cluster(connections))
}

impl Sentinels {
    /// Asks the sentinels for the master, which must confirm that it is one.
    pub(super) async fn find_master(&self) -> RedisResult<Client> {
        let master = self.client()?.async_get_client().await?;
        Client::open(connection_info(master.get_connection_info().clone()))
    }

    /// A new client for each question, because a connection belongs to the runtime of the thread that opened
    /// it.
    fn client(&self) -> RedisResult<SentinelClient> {
        let master = self.master.redis_settings();
        let mut builder = SentinelClientBuilder::new(
            self.addresses.iter().cloned(),
            &self.service,
            SentinelServerType::Master,
        )?
        .set_client_to_redis_db(master.db())
        .set_client_to_redis_protocol(ProtocolVersion::RESP3)
        .set_client_to_redis_tcp_settings(self.master.tcp_settings().clone());
        if let ConnectionAddr::TcpTls { .. } = self.master.addr() {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            if let Some(certificates) = self.certificates.clone() {
                builder = builder.set_client_to_redis_certificates(certificates);
            }
        }
        if let Some(user) = master.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = master.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(user) = &self.user {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = &self.password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        builder.build()
    }
}
