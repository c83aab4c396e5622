//! The property test with an archive, in which older messages are after each step.

use duologue::model::Retention;
use serde_json::Value;

use super::reference::Perspective;
use super::steps::{Draft, scenarios};
use super::time::older;
use super::{STEPS_BETWEEN_CHECKS, Scenario, Service};
use crate::harness::archive::{ArchivedApp, HOT, SEGMENT, pair, settings, spawn_archived, url_of};
use crate::harness::models::run_cases;
use crate::harness::spawn_app_with;

/// The pairs of users.
const PAIRS: [(usize, usize); 3] = [(0, 1), (0, 2), (1, 2)];

impl Scenario<'_> {
    /// Moves the older messages of all pairs to the archive.
    pub async fn archive_older(&self) {
        let Some(archive) = self.archive else {
            return;
        };
        for pair in self.pairs() {
            archive.archive(&pair).await;
        }
    }

    /// Lets days pass in the archive.
    pub fn age_archive(&self, days: u32) {
        let Some(archive) = self.archive else {
            return;
        };
        for pair in self.pairs() {
            archive.rewrite(&pair, |message| older(message, days));
        }
    }

    /// Removes the messages of the archive from the unread ones of a page, which are those in Redis.
    pub fn archive_unread(&self, who: Perspective, page: &mut Value) {
        if let Some(archive) = self.archive {
            let [user, peer] = self.names(who);
            archive.remove_archived(&pair(user, peer), &mut page["unread"], self.model.last(who));
        }
    }

    fn pairs(&self) -> [String; 3] {
        let names = &self.model.names;
        PAIRS.map(|(one, other)| pair(&names[one], &names[other]))
    }

    /// Sends so many messages in each conversation that the older ones are in the archive.
    async fn fill(&mut self) {
        for (user, peer) in PAIRS {
            for number in 0..HOT + u64::from(SEGMENT) + 2 {
                let who = Perspective { user, peer };
                let who = if number % 3 == 0 { who.other() } else { who };
                let draft = Draft {
                    reply_to: None,
                    metadata: number % 4 == 0,
                    expires_in: (number % 5 == 0).then_some(30),
                };
                self.send(who, draft).await;
            }
        }
        self.archive_older().await;
    }
}

/// One without limits, and one with a history limit.
fn services(archive: &ArchivedApp) -> [Service; 2] {
    let settings = settings(&url_of(archive.folder.path()));
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let on = ["--redis-url", archive.redis_url.as_str()];
    let with = |more: &[&str], messages: u64| Service {
        app: spawn_app_with(&[&settings[..], &on, more].concat()),
        kept: Retention { messages, days: 0 },
    };
    [with(&[], 0), with(&["--history-limit", "12"], 12)]
}

#[test]
fn the_service_agrees_with_the_model_across_the_archive() {
    run_cases(8, &scenarios(), async |case, steps| {
        // New ones, because after a minute they begin to drop old messages by themselves.
        let archive = spawn_archived();
        let services = services(&archive);
        let names = ["u", "u.", "U"].map(|name| format!("{name}{case}"));
        let mut scenario = Scenario::of(&services, Some(&archive), names);
        scenario.fill().await;
        for steps in steps.chunks(STEPS_BETWEEN_CHECKS) {
            for step in steps {
                scenario.apply(step).await;
            }
            scenario.assert_agreement().await;
        }
    });
}
