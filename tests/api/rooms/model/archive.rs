//! The property test of rooms with an archive, in which older messages are after each step.

use serde_json::Value;

use super::steps::scenarios;
use super::{LIMIT, STEPS_BETWEEN_CHECKS, Scenario, begin};
use crate::harness::archive::{ArchivedApp, HOT, SEGMENT, settings, spawn_archived, url_of};
use crate::harness::models::run_cases;
use crate::harness::{TestApp, spawn_app_with};

impl Scenario<'_> {
    /// Moves the older messages of the room to the archive.
    pub async fn archive_older(&self) {
        if let Some(archive) = self.archive {
            archive.archive(&self.model.room).await;
        }
    }

    /// Removes the messages of the archive from the unread ones of a page, which are those in Redis.
    pub fn archive_unread(&self, page: &mut Value) {
        if let Some(archive) = self.archive {
            let model = &self.model;
            archive.remove_archived(&model.room, &mut page["unread"], model.last());
        }
    }
}

/// A service without limits, and one that keeps few messages.
fn services(archive: &ArchivedApp) -> [TestApp; 2] {
    let settings = settings(&url_of(archive.folder.path()));
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let on = ["--redis-url", archive.redis_url.as_str()];
    let limit = LIMIT.to_string();
    let limited = ["--history-limit", limit.as_str()];
    [&[][..], &limited].map(|more| spawn_app_with(&[&settings[..], &on, more].concat()))
}

#[test]
fn a_room_agrees_with_its_model_across_the_archive() {
    run_cases(8, &scenarios(), async |case, steps| {
        // New ones, because after a minute they begin to drop old messages by themselves.
        let archive = spawn_archived();
        let services = services(&archive);
        let mut scenario = begin(&services, Some(&archive), case).await;
        for number in 0..HOT + u64::from(SEGMENT) {
            scenario.send(usize::from(number % 3 == 0), 0).await;
        }
        for steps in steps.chunks(STEPS_BETWEEN_CHECKS) {
            for step in steps {
                scenario.apply(step).await;
            }
            scenario.assert_agreement().await;
        }
    });
}
