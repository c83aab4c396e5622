//! Settings of the archive.

use std::time::Duration;

use clap::Args;

use crate::archive::check_url;

/// Which messages move from Redis to an object store, and to which.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Archive")]
pub struct ArchiveSettings {
    /// Object store to which older messages move: file:///PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or
    /// az://CONTAINER/PREFIX, with the credentials in the variables of the provider [default: the folder archive in
    /// --data-dir, or none with --redis-url, where all messages stay in Redis]
    #[arg(long, env = "DUOLOGUE_ARCHIVE", value_name = "URL", value_parser = archive_url)]
    pub archive: Option<String>,

    /// Newest messages of each conversation that stay in Redis; older ones move to the archive. 0 keeps all in Redis
    #[arg(
        long,
        env = "DUOLOGUE_HOT_MESSAGES",
        value_name = "NUMBER",
        default_value = "1000"
    )]
    pub hot_messages: u64,

    /// How long an object of the archive is kept after a change of its messages replaced it, such as 30m, 2h or 7d. Set
    /// it longer than the age of the oldest backup of Redis that may be restored
    #[arg(long, env = "DUOLOGUE_ARCHIVE_GRACE", value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    pub archive_grace: Duration,

    /// Messages of a segment of the archive. For tests
    #[arg(long, hide = true, default_value = "500", value_parser = clap::value_parser!(u16).range(1..=500))]
    pub archive_segment: u16,
}

fn archive_url(text: &str) -> Result<String, &'static str> {
    check_url(text).map(|()| text.to_owned())
}
