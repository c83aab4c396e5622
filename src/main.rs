//! The binary: settings, logging, signals, subcommands. The service itself is [`duologue::app`].

use std::future::pending;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use duologue::app::App;
use duologue::auth::{TokenRequest, generate_key};
use duologue::cli::chat;
use duologue::cli::client::ApiClient;
use duologue::cli::import;
use duologue::cli::listen;
use duologue::config::{CliCommand, Config, ListenArgs, ServiceArgs};
use duologue::model::{ImportResult, Peer, SubscriptionInput, UserId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use url::Url;

/// The status that shells report for a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// An error is printed as one sentence.
type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Requests make many small allocations; the system's allocator took nearly a quarter of the user
/// time of the service.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() -> ExitCode {
    let config = Config::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    tracing_subscriber::fmt()
        // The banner replaces what actix logs at start.
        .with_env_filter(EnvFilter::new(format!("actix_server=warn,{}", config.log)))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let outcome = match &config.command {
        Some(CliCommand::Token { sub, ttl }) => print_token(&config, sub.clone(), *ttl),
        Some(CliCommand::Key) => print_key(),
        Some(CliCommand::Import { file, service }) => import(file, service).await,
        Some(CliCommand::Listen(args)) => listen(args).await,
        Some(CliCommand::Chat {
            me,
            peer,
            room,
            url,
            token,
        }) => {
            let peer = peer.as_ref().or(room.as_ref());
            chat(me, peer, url.clone(), token.clone()).await
        }
        None => run(config).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("duologue: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Raises the limit of open files to what the system allows. Each connection takes a file
/// descriptor, and shells often allow only 1,024 by default.
fn raise_open_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// Whether the parent process, for example `nohup`, made this one ignore SIGHUP. A handler would undo that.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}

/// Serves until SIGINT, SIGTERM or SIGHUP. A SIGINT after that ends the process at once.
async fn run(config: Config) -> Outcome {
    raise_open_file_limit();
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let mut hangup = if ignores_hangup() {
        None
    } else {
        Some(signal(SignalKind::hangup())?)
    };
    let stop = async move {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => pending().await,
            }
        };
        tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => (), _ = hung_up => () }
        tokio::spawn(async move {
            interrupt.recv().await;
            std::process::exit(INTERRUPTED);
        });
    };
    let app = App::build(config).await?;
    println!("{}", app.banner());
    app.run_until_stopped(stop).await?;
    Ok(())
}

/// `duologue token`. Prints nothing but the token, so that a shell can capture it.
fn print_token(config: &Config, sub: UserId, ttl: Duration) -> Outcome {
    let secret = config.access.secret()?;
    let secret = secret.ok_or("signing a token requires a secret: set DUOLOGUE_JWT_SECRET")?;
    println!(
        "{}",
        TokenRequest { sub, ttl }.mint(&secret, &config.access.rules())?
    );
    Ok(())
}

/// The client of a backend's command.
fn client(ServiceArgs { url, key }: &ServiceArgs, timeout: Duration) -> reqwest::Result<ApiClient> {
    ApiClient::new(url.clone(), key.clone(), timeout)
}

/// `duologue import`.
async fn import(file: &Path, service: &ServiceArgs) -> Outcome {
    let client = client(service, import::TIMEOUT)?;
    let report = import::import(file, &client).await?;
    let ImportResult { imported, skipped } = report.done;
    println!("{imported} imported, {skipped} skipped");
    for line in &report.refused {
        eprintln!("{line}");
    }
    match report.refused.len() {
        0 => Ok(()),
        count => Err(format!("{count} lines were not imported").into()),
    }
}

/// `duologue listen`. Ends when it is interrupted; what was written and not acknowledged comes again.
async fn listen(args: &ListenArgs) -> Outcome {
    let client = client(&args.service, listen::TIMEOUT)?;
    let subscription = SubscriptionInput::new(&args.types, &args.room, args.from);
    let reader = listen::SubscriptionReader::new(client, &args.subscription, args.consumer.clone());
    Ok(reader.listen(&subscription).await?)
}

/// `duologue chat`.
async fn chat(me: &UserId, peer: Option<&Peer>, url: Url, token: Option<String>) -> Outcome {
    let peer = peer.ok_or("one of --with and --room is required")?;
    let client = ApiClient::new(url, token, chat::socket::TIMEOUT)?;
    Ok(chat::chat(client, me, peer).await?)
}

/// `duologue key`.
fn print_key() -> Outcome {
    println!("{}", generate_key()?);
    Ok(())
}
