//! Keeps the certificate of HTTPS up to date.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::tls::Certificate;

/// Interval between two checks of the modification times of the files.
const PERIOD: Duration = Duration::from_secs(2);

/// Reads the certificate again when its files change.
pub(super) struct CertificateWorker(pub(super) Arc<Certificate>);

impl Worker for CertificateWorker {
    const NAME: &'static str = "certificate";

    async fn run(&mut self, stop: &CancellationToken) {
        while stop.run_until_cancelled(sleep(PERIOD)).await.is_some() {
            match self.0.reload_if_changed() {
                Ok(true) => tracing::info!("the certificate was reloaded"),
                Ok(false) => (),
                Err(error) => tracing::warn!("{error}; the previous certificate stays in use"),
            }
        }
    }
}
