//! Property test: random sequences of actions of three users are applied to the service and to a model. A difference
//! is shrunk to the shortest sequence that shows it.

mod agreement;
mod archive;
mod changes;
mod messages;
mod reference;
mod steps;
mod time;
mod views;

use chrono::{DateTime, TimeDelta, Utc};
use duologue::model::Retention;
use reqwest::Method;

use crate::harness::archive::ArchivedApp;
use crate::harness::badges::BadgeLog;
use crate::harness::models::run_cases;
use crate::harness::{TestApp, spawn_app, spawn_app_with};
use reference::{Model, Perspective};
use steps::{Action, Page, Read, Step, scenarios};

/// Steps between two comparisons of the whole state.
const STEPS_BETWEEN_CHECKS: usize = 6;

/// Maximum number of messages that one change drops.
const DROPPED_BY_A_CHANGE: u64 = 16;

/// A service, and what it keeps. All have the same Redis, so a limit is lowered and raised from step to
/// step.
struct Service {
    app: TestApp,
    kept: Retention,
}

/// A sequence of steps, applied to the services and to the model.
struct Scenario<'a> {
    services: &'a [Service],
    /// The service that runs the current step.
    app: &'a TestApp,
    kept: Retention,
    /// When imported messages were sent, about.
    past: DateTime<Utc>,
    model: Model,
    /// The archive of the services, if they have one.
    archive: Option<&'a ArchivedApp>,
}

impl<'a> Scenario<'a> {
    fn of(services: &'a [Service], archive: Option<&'a ArchivedApp>, names: [String; 3]) -> Self {
        Self {
            services,
            app: &services[0].app,
            kept: services[0].kept,
            past: Utc::now() - TimeDelta::days(5),
            model: Model::of(names),
            archive,
        }
    }
}

impl Scenario<'_> {
    async fn apply(&mut self, step: &Step) {
        let who = Perspective {
            user: step.user,
            peer: step.peer,
        };
        let service = &self.services[step.service % self.services.len()];
        (self.app, self.kept) = (&service.app, service.kept);
        match step.action {
            Action::Send(draft) => self.send(who, draft).await,
            Action::Read(read) => self.read(who, read).await,
            Action::Import(count) => self.import(who, count).await,
            Action::Age(days) => self.age(days).await,
            Action::Edit { seq, metadata } => self.edit(who, seq, metadata).await,
            Action::Delete(seq) => self.delete(who, seq).await,
            Action::React { seq, emoji, on } => self.react(who, seq, emoji, on).await,
            Action::Change(change) => self.change(who, change).await,
        }
        self.archive_older().await;
    }

    fn names(&self, who: Perspective) -> [&str; 2] {
        [who.user, who.peer].map(|user| self.model.names[user].as_str())
    }

    /// Drops in the model what the service drops in the step.
    fn drop_old(&mut self, who: Perspective) -> u64 {
        self.model.drop_old(who, self.kept, DROPPED_BY_A_CHANGE)
    }

    async fn read(&mut self, who: Perspective, read: Read) {
        let limit = Some(format!("limit={}", read.limit));
        let unread_limit = read
            .unread_limit
            .map(|limit| format!("unread_limit={limit}"));
        let peek = read.peek.map(|peek| format!("peek={peek}"));
        let range = match read.page {
            Page::Newest => None,
            Page::Before(seq) => Some(format!("before={seq}")),
            Page::After(seq) => Some(format!("after={seq}")),
            Page::Around(seq) => Some(format!("around={seq}")),
            Page::AroundTime(seq) => Some(format!("around_time={}", self.model.time(who, seq))),
        };
        let query: Vec<_> = [limit, unread_limit, peek, range]
            .into_iter()
            .flatten()
            .collect();
        let query = query.join("&");
        let [user, peer] = self.names(who);
        let found = self.app.page(user, peer, &query).await;
        self.drop_old(who);
        let mut expected = self.model.page(who, read);
        self.archive_unread(who, &mut expected);
        assert_eq!(found, expected, "{query}");
        if read.marks() {
            let last = self.model.last(who);
            self.model.mark_read(who, last, false);
        }
    }
}

fn switch(on: bool) -> Method {
    if on { Method::PUT } else { Method::DELETE }
}

/// One without limits, one with a history limit, one that drops messages by age.
fn services() -> [Service; 3] {
    let app = spawn_app();
    let url = app.redis_url.clone();
    let with = |setting: &str, messages: u64, days: u32| Service {
        app: spawn_app_with(&[
            "--redis-url",
            &url,
            setting,
            &(messages + u64::from(days)).to_string(),
        ]),
        kept: Retention { messages, days },
    };
    let limited = [with("--history-limit", 6, 0), with("--history-days", 0, 30)];
    let [by_number, by_age] = limited;
    let kept = Retention::default();
    [Service { app, kept }, by_number, by_age]
}

#[test]
fn the_service_agrees_with_the_model() {
    let services = services();
    run_cases(60, &scenarios(), async |case, steps| {
        // The names sort differently from case to case, and some contain others.
        let names = ["u", "u.", "U"].map(|name| format!("{name}{case}"));
        let mut scenario = Scenario::of(&services, None, names);
        for steps in steps.chunks(STEPS_BETWEEN_CHECKS) {
            for step in steps {
                scenario.apply(step).await;
            }
            scenario.assert_agreement().await;
        }
    });
}

#[test]
fn badges_agree_with_the_totals_after_each_step() {
    run_cases(8, &scenarios(), async |case, steps| {
        // New ones, because after a minute they begin to drop old messages by themselves.
        let services = services();
        let app = &services[0].app;
        let names = ["u", "u.", "U"].map(|name| format!("{name}{case}"));
        let mut scenario = Scenario::of(&services, None, names.clone());
        let mut badges = BadgeLog::open(app, "push").await;
        for step in &steps {
            scenario.apply(step).await;
            scenario.inboxes_follow().await;
            badges.assert_agreement(app, &names).await;
        }
    });
}
