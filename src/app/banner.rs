//! The text that the service prints when it starts.

use super::App;
use crate::store::Durability;

impl App {
    /// The address of the service, the location of its data, and who may use it.
    pub fn banner(&self) -> String {
        let address = self.address().unwrap_or(self.config.bind);
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        let data = match self.config.redis_url {
            Some(_) => "the Redis at DUOLOGUE_REDIS_URL".to_owned(),
            None => self.config.data_dir.display().to_string(),
        };
        let reports = self
            .health
            .masters
            .iter()
            .map(|master| master.report.as_ref());
        let report = reports.flatten().next();
        let redis = report.map_or("", |report| &report.version);
        let durability = durability(report.map(|report| &report.durability));
        let access = match (&self.authenticator.tokens, &self.authenticator.keys) {
            (None, None) => "everyone on this machine, because no secret is configured",
            (Some(_), None) => "users with a token",
            (None, Some(_)) => "backends with a service key",
            (Some(_), Some(_)) => "users with a token, backends with a service key",
        };
        format!(
            "Duologue {} on {scheme}://{address}\n  \
             page    {scheme}://{address}/ (a messenger)\n  \
             docs    {scheme}://{address}/docs (Swagger UI)\n  \
             data    {data} (Redis {redis}; {durability})\n  \
             access  {access}",
            env!("CARGO_PKG_VERSION"),
        )
    }
}

fn durability(durability: Option<&Durability>) -> &'static str {
    let flushed = durability.filter(|durability| durability.appendonly);
    match flushed.and_then(|durability| durability.appendfsync.as_deref()) {
        Some("always") => "messages are on disk before they are accepted",
        Some("everysec") => "messages are flushed to disk every second",
        _ => "messages may be lost; see /readyz",
    }
}
