//! Rooms: conversations of many.

mod cluster;
mod comings;
mod conversations;
mod deletion;
mod erasure;
mod filing;
mod invalid_requests;
mod joining;
mod limits;
mod members;
mod membership_events;
mod messages;
mod model;
mod repairs;
mod retention;
mod settings;
mod watching;
mod watching_access;
mod watching_again;
mod watching_cluster;
mod watching_many;

use std::time::Duration;

use crate::harness::store::rooms::create_room;
use crate::harness::{TestApp, eventually, spawn_app};

/// How long the inboxes of members may take to follow a room.
pub const FILED: Duration = Duration::from_secs(10);

/// A service with the room `general` of alice, who is its admin, bob and carol.
pub fn spawn_with_room() -> TestApp {
    let app = spawn_app();
    create_room(&mut app.redis(), "general", &["alice", "bob", "carol"]);
    app
}

/// Waits until the badge of a user is this: unread messages, and conversations that have any.
pub async fn badge_becomes(app: &TestApp, user: &str, badge: [u64; 2]) {
    let what = format!("the badge of {user} is {badge:?}");
    eventually(&what, FILED, async || app.badge(user).await == badge).await;
}
