//! Every setting of the service, as a flag and as an environment variable.

mod access;
mod live;
mod network;

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::model::{Retention, UserId};
use crate::store::Store;

pub use access::{Access, AccessError};
pub use live::Live;
pub use network::Network;

/// One-to-one messaging for the backends of mobile apps: one binary, one Redis.
///
/// Without a Redis of your own it starts a private one and keeps its data in a folder.
#[derive(Clone, Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Config {
    /// The address to serve on
    #[arg(long, env = "DUOLOGUE_BIND", value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    pub bind: SocketAddr,

    /// Where the private Redis keeps its data
    #[arg(
        long,
        env = "DUOLOGUE_DATA_DIR",
        value_name = "FOLDER",
        default_value = "./data"
    )]
    pub data_dir: PathBuf,

    /// A Redis of your own, 7.0 or later, instead of a private one: redis://, rediss:// or unix://
    #[arg(long, env = "DUOLOGUE_REDIS_URL", value_name = "URL", value_parser = redis_url, hide_env_values = true)]
    pub redis_url: Option<String>,

    /// When the private Redis flushes to disk: before a message is acknowledged, or every second
    #[arg(
        long,
        env = "DUOLOGUE_FSYNC",
        value_name = "WHEN",
        default_value = "always"
    )]
    pub fsync: Fsync,

    /// What to log: error, warn, info, debug, or per module as `RUST_LOG` does; debug logs every request
    #[arg(long, env = "DUOLOGUE_LOG", value_name = "FILTER", default_value = "info", value_parser = log_filter)]
    pub log: String,

    /// Worker threads; as many as there are cores unless set
    #[arg(long, env = "DUOLOGUE_WORKERS", value_name = "NUMBER")]
    pub workers: Option<NonZeroUsize>,

    /// Messages that are kept of each conversation; older ones are dropped; 0 keeps all
    #[arg(
        long,
        env = "DUOLOGUE_HISTORY_LIMIT",
        value_name = "NUMBER",
        default_value = "0"
    )]
    pub history_limit: u64,

    /// Days for which messages are kept; 0 keeps them for ever
    #[arg(long, env = "DUOLOGUE_HISTORY_DAYS", value_name = "DAYS", default_value = "0", value_parser = clap::value_parser!(u32).range(..=36500))]
    pub history_days: u32,

    /// Who may speak, and how much.
    #[command(flatten)]
    pub access: Access,

    /// How the service is reached.
    #[command(flatten)]
    pub network: Network,

    /// Who may listen.
    #[command(flatten)]
    pub live: Live,

    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the binary does beside serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make a user's token, for trying things out; signed with `DUOLOGUE_JWT_SECRET`
    Token {
        /// The user
        #[arg(long, value_name = "USER", value_parser = user)]
        sub: UserId,
        /// How long it is good for: 90s, 15m, 1h, 30d
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
        ttl: Duration,
    },
    /// Make a service key, for `DUOLOGUE_SERVICE_KEYS`
    Key,
    /// Send a file of messages from elsewhere to a running service; run it again if it breaks off
    Import {
        /// The file: a line a message, as `POST /messages/batch` takes them, oldest first
        file: PathBuf,
        /// The service
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
        url: Url,
        /// A service key, if the service asks for one
        #[arg(long, value_name = "KEY", env = "DUOLOGUE_KEY", hide_env_values = true)]
        key: Option<String>,
    },
    /// Talk to somebody, in the terminal; Ctrl-D ends it
    Chat {
        /// Who talks
        #[arg(long = "as", value_name = "USER", value_parser = user)]
        me: UserId,
        /// To whom
        #[arg(long = "with", value_name = "USER", value_parser = user)]
        peer: UserId,
        /// The service
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
        url: Url,
        /// The user's token, or a service key, if the service asks for one
        #[arg(
            long,
            value_name = "TOKEN",
            env = "DUOLOGUE_TOKEN",
            hide_env_values = true
        )]
        token: Option<String>,
    },
}

/// When the private Redis flushes its append-only file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fsync {
    /// Before a write is acknowledged; a 201 is on disk.
    Always,
    /// Once a second; faster, and a crash may lose acknowledged messages.
    Everysec,
}

impl Fsync {
    /// The word Redis has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fsync::Always => "always",
            Fsync::Everysec => "everysec",
        }
    }
}

impl Config {
    /// Reads flags and environment. What is wrong is told with the name of the variable, since
    /// that is what most people set.
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

    /// How long messages are kept.
    pub fn retention(&self) -> Retention {
        Retention {
            messages: self.history_limit,
            days: self.history_days,
        }
    }

    /// Worker threads.
    pub fn workers(&self) -> usize {
        let cores = std::thread::available_parallelism();
        self.workers.or(cores.ok()).map_or(1, NonZeroUsize::get)
    }
}

/// Adds the variable to an error that names only the flag.
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
    // A value that is hidden in the help may hold a password, and this ends up in logs.
    if arg.is_some_and(clap::Arg::is_hide_env_values_set) {
        let hidden = ContextValue::String("(not shown)".to_owned());
        error.insert(ContextKind::InvalidValue, hidden);
    }
    if let Some(variable) = arg.and_then(|arg| arg.get_env()) {
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
        .map_err(|e| format!("not a host:port: {e}"))?;
    found.next().ok_or_else(|| "no such host".to_owned())
}

fn user(text: &str) -> Result<UserId, &'static str> {
    UserId::try_from(text.to_owned())
}

fn redis_url(text: &str) -> Result<String, String> {
    match Store::check_url(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|e| e.to_string())
}
