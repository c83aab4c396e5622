//! Every setting of the service, as a flag and as an environment variable.

mod access;
mod archive;
mod feed;
mod live;
mod network;
mod rooms;

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::error::{ContextKind, ContextValue};
use clap::{ArgGroup, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::model::{Peer, Retention, RoomId, UserId};
use crate::store::Store;

pub use access::{Access, AccessError};
pub use archive::ArchiveSettings;
pub use feed::{Feed, ListenArgs};
pub use live::Live;
pub use network::Network;
pub use rooms::{RoomCreators, Rooms};

/// Messaging for the backends of mobile apps, one-to-one and in rooms: one binary, one Redis.
///
/// Without --redis-url it starts a private Redis, whose data is in --data-dir.
/// Every option can also be set by its environment variable; the option takes precedence.
#[derive(Clone, Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Config {
    /// Address to listen on
    #[arg(long, env = "DUOLOGUE_BIND", value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    pub bind: SocketAddr,

    /// Directory of the private Redis: its data, log and socket
    #[arg(
        long,
        env = "DUOLOGUE_DATA_DIR",
        value_name = "DIR",
        default_value = "./data"
    )]
    pub data_dir: PathBuf,

    /// Redis to use instead of a private one, 7.0 or later: redis://HOST:PORT, unix://PATH,
    /// redis+sentinel://HOST:PORT,HOST:PORT/SERVICE or redis+cluster://HOST:PORT,HOST:PORT;
    /// rediss:// for TLS
    #[arg(long, env = "DUOLOGUE_REDIS_URL", value_name = "URL", value_parser = redis_url, hide_env_values = true)]
    pub redis_url: Option<String>,

    /// Replicas of Redis that must have a change before it is acknowledged, so that a failover cannot undo
    /// it: 0 or 1
    #[arg(long, env = "DUOLOGUE_REPLICAS", value_name = "NUMBER", default_value = "0", value_parser = clap::value_parser!(u8).range(..=1))]
    pub replicas: u8,

    /// When the private Redis flushes its append-only file to disk
    #[arg(
        long,
        env = "DUOLOGUE_FSYNC",
        value_name = "WHEN",
        default_value = "always"
    )]
    pub fsync: Fsync,

    /// Maximum memory of the private Redis, such as 2GiB; when full, sending fails with 507. 0 sets no limit
    /// [default: three quarters of the machine or container]
    #[arg(long, env = "DUOLOGUE_MAXMEMORY", value_name = "SIZE")]
    pub maxmemory: Option<ByteSize>,

    /// Log level (error, warn, info, debug) or RUST_LOG directives; debug logs every request
    #[arg(long, env = "DUOLOGUE_LOG", value_name = "FILTER", default_value = "info", value_parser = log_filter)]
    pub log: String,

    /// Number of worker threads [default: one per CPU core]
    #[arg(long, env = "DUOLOGUE_WORKERS", value_name = "NUMBER")]
    pub workers: Option<NonZeroUsize>,

    /// Messages kept per conversation; older ones are deleted. 0 keeps all
    #[arg(
        long,
        env = "DUOLOGUE_HISTORY_LIMIT",
        value_name = "NUMBER",
        default_value = "0"
    )]
    pub history_limit: u64,

    /// Days that messages are kept; older ones are deleted. 0 keeps them forever
    #[arg(long, env = "DUOLOGUE_HISTORY_DAYS", value_name = "DAYS", default_value = "0", value_parser = clap::value_parser!(u32).range(..=36500))]
    pub history_days: u32,

    /// Changes conversations and inboxes in two steps, as on a cluster. For tests on one Redis
    #[arg(long, hide = true)]
    pub two_steps: bool,

    #[command(flatten)]
    pub archive: ArchiveSettings,

    #[command(flatten)]
    pub access: Access,

    #[command(flatten)]
    pub network: Network,

    #[command(flatten)]
    pub rooms: Rooms,

    #[command(flatten)]
    pub live: Live,

    #[command(flatten)]
    pub feed: Feed,

    #[command(subcommand)]
    pub command: Option<CliCommand>,
}

/// What the binary does instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub enum CliCommand {
    /// Print a user token signed with DUOLOGUE_JWT_SECRET, for trying the API
    Token {
        /// User id, the sub claim of the token
        #[arg(long, value_name = "USER", value_parser = user)]
        sub: UserId,
        /// Lifetime: 90s, 15m, 1h, 30d
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
        ttl: Duration,
    },
    /// Print a new random key, for DUOLOGUE_SERVICE_KEYS or DUOLOGUE_JWT_SECRET
    Key,
    /// Import a file of messages into a running service; safe to run again
    Import {
        /// NDJSON file, oldest message first; each line is a message of POST /messages/batch
        file: PathBuf,
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// Write the events of a subscription to the standard output, a line of JSON each; Ctrl-C ends it
    Listen(ListenArgs),
    /// Chat with a user or in a room, in the terminal; Ctrl-D ends it
    #[command(group = ArgGroup::new("conversation").args(["peer", "room"]).required(true))]
    Chat {
        /// Your user id
        #[arg(long = "as", value_name = "USER", value_parser = user)]
        me: UserId,
        /// User id of the peer
        #[arg(long = "with", value_name = "USER", value_parser = peer)]
        peer: Option<Peer>,
        /// Id of the room to join; if there is none, it is created and open to everybody
        #[arg(long, value_name = "ROOM", value_parser = room)]
        room: Option<Peer>,
        /// URL of the service
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
        url: Url,
        /// Your user token, or a service key, if the service requires one
        #[arg(
            long,
            value_name = "TOKEN",
            env = "DUOLOGUE_TOKEN",
            hide_env_values = true
        )]
        token: Option<String>,
    },
}

/// The service that a backend's command calls.
#[derive(Args, Clone, Debug)]
pub struct ServiceArgs {
    /// URL of the service
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: Url,
    /// Service key, if the service requires one
    #[arg(long, value_name = "KEY", env = "DUOLOGUE_KEY", hide_env_values = true)]
    pub key: Option<String>,
}

/// When the private Redis flushes its append-only file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fsync {
    /// Before a write is acknowledged: a 201 is on disk.
    Always,
    /// Once a second: faster, but a crash can lose acknowledged messages.
    Everysec,
}

impl Fsync {
    /// The value of `appendfsync`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fsync::Always => "always",
            Fsync::Everysec => "everysec",
        }
    }
}

impl Config {
    /// Reads flags and environment. An error also names the variable, because most deployments use
    /// variables.
    pub fn read<I, T>(args: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let matches = Self::command().try_get_matches_from(args);
        matches
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(name_variable)
    }

    pub fn retention(&self) -> Retention {
        Retention {
            messages: self.history_limit,
            days: self.history_days,
        }
    }

    /// The URL of the archive; `None` if there is none.
    pub fn archive_url(&self) -> Option<String> {
        let beside_redis = || {
            let folder = std::path::absolute(self.data_dir.join("archive")).ok()?;
            Url::from_file_path(folder).ok().map(String::from)
        };
        let private = self.redis_url.is_none();
        let url = self.archive.archive.clone();
        url.or_else(|| private.then(beside_redis).flatten())
    }

    pub fn workers(&self) -> usize {
        let cores = std::thread::available_parallelism();
        self.workers.or(cores.ok()).map_or(1, NonZeroUsize::get)
    }
}

/// Adds the name of the variable to an error that names only the flag.
fn name_variable(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let flag = flag
        .trim_start_matches("--")
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    let command = Config::command();
    let arg = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(&flag));
    // A value that --help hides may hold a password, and this message ends up in logs.
    if arg.is_some_and(clap::Arg::is_hide_env_values_set) {
        let hidden = ContextValue::String("(not shown)".to_owned());
        error.insert(ContextKind::InvalidValue, hidden);
    }
    // A former name is hidden, and its error names the one to set.
    let shown = arg.filter(|arg| !arg.is_hide_set());
    if let Some(variable) = shown.and_then(|arg| arg.get_env()) {
        let tip = format!("set it with {} or --{flag}", variable.display());
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
    }
    error
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text
        .to_socket_addrs()
        .map_err(|e| format!("expected HOST:PORT: {e}"))?;
    found
        .next()
        .ok_or_else(|| "the host has no address".to_owned())
}

fn user(text: &str) -> Result<UserId, &'static str> {
    UserId::try_from(text.to_owned())
}

fn peer(text: &str) -> Result<Peer, &'static str> {
    user(text).map(Peer::User)
}

fn room(text: &str) -> Result<Peer, &'static str> {
    let id = RoomId::try_from(text.to_owned())?;
    Ok(Peer::Room(id.name().clone()))
}

fn redis_url(text: &str) -> Result<String, String> {
    Store::check_url(text).map(|()| text.to_owned())
}

fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|e| e.to_string())
}
