//! A walk through all conversations, for work in the background.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::store::{FoundConversation, Node, Store};

/// Pause between two steps, so that requests go first.
pub(super) const STEP_PAUSE: Duration = Duration::from_millis(5);

/// The walk: node by node, step by step. Some conversations may come twice.
pub(super) struct ConversationScan<'a> {
    store: &'a Store,
    /// The nodes that are left, the present one last.
    nodes: Vec<Node>,
    cursor: u64,
    has_begun: bool,
}

impl<'a> ConversationScan<'a> {
    /// A walk that begins with the nodes that there are now.
    pub(super) async fn begin(store: &'a Store) -> Result<Self, Error> {
        store.find_nodes().await?;
        Ok(Self {
            store,
            nodes: store.masters(),
            cursor: 0,
            has_begun: false,
        })
    }

    /// The conversations of the next step; `None` at the end, and when it is stopped.
    pub(super) async fn next(
        &mut self,
        stop: &CancellationToken,
    ) -> Result<Option<Vec<FoundConversation>>, Error> {
        let Some(node) = self.nodes.last() else {
            return Ok(None);
        };
        if self.has_begun {
            stop.run_until_cancelled(sleep(STEP_PAUSE)).await;
        }
        if stop.is_cancelled() {
            return Ok(None);
        }
        let (next, found) = self.store.scan_node(node, self.cursor).await?;
        (self.cursor, self.has_begun) = (next, true);
        if next == 0 {
            self.nodes.pop();
        }
        Ok(Some(found))
    }
}
