//! Readiness and metrics.

use super::Operations;
use crate::auth::Caller;
use crate::error::Error;
use crate::store::Health;

impl Operations {
    /// Fails unless Redis accepts writes. Requires no credential; only backends get the details of Redis.
    pub async fn check_ready(&self, caller: Option<&Caller>) -> Result<Option<Health>, Error> {
        let health = self.store.check_ready().await?;
        let may_see = caller.is_some_and(|caller| caller.require_backend().is_ok());
        Ok(may_see.then_some(health))
    }

    /// Returns all metrics in Prometheus' text format. For backends.
    pub fn read_metrics(&self, caller: &Caller) -> Result<String, Error> {
        caller.require_backend()?;
        Ok(self.metrics.render())
    }
}
