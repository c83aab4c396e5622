//! Importing messages from another service.

use super::Operations;
use crate::auth::Caller;
use crate::error::Error;
use crate::model::{ImportResult, ImportedMessage};

impl Operations {
    /// Appends messages with their original times, counted as read by both users. For backends.
    /// `batch` is large, so it is read only once the caller is authorized.
    pub async fn import_messages(
        &self,
        caller: &Caller,
        batch: impl Future<Output = Result<Vec<ImportedMessage>, Error>>,
    ) -> Result<ImportResult, Error> {
        caller.require_backend()?;
        self.store.import_messages(batch.await?).await
    }
}
