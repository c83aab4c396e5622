//! The binary: flags, logging, signals. What it starts is in [`duologue::app`].

use std::io::IsTerminal;
use std::process::ExitCode;

use duologue::app::App;
use duologue::config::Config;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A request makes many small allocations, on which the system's allocator spent nearly a quarter
/// of the service's time in user mode.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() -> ExitCode {
    let config = Config::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&config.log))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("duologue: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let stop = async move {
        tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
    };
    let app = App::build(config).await?;
    println!("{}", app.banner());
    app.run_until(stop).await?;
    Ok(())
}
