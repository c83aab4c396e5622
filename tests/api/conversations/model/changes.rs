//! Steps that change the marks or settings of a user in a conversation.

use chrono::{TimeDelta, Utc};
use duologue::model::rfc3339;
use reqwest::Method;
use serde_json::{Value, json};

use super::reference::{Model, Perspective};
use super::steps::Change;
use super::views::metadata_of;
use super::{Scenario, switch};

impl Scenario<'_> {
    pub async fn change(&mut self, who: Perspective, change: Change) {
        self.drop_old(who);
        let (method, what, body) = make(change, who, &mut self.model);
        let [user, peer] = self.names(who);
        let path = format!("/conversations/{user}/{peer}{what}");
        let body = Some(&body).filter(|body| !body.is_null());
        let answer = self.app.call(method.as_str(), &path, &[], body).await;
        let state = self.model.state(who);
        assert_eq!(answer.json(200), state, "{method} {what} {body:?}");
    }
}

/// Makes a change in the model. Returns its request: the method, what follows the path of the conversation, and the
/// body.
fn make(change: Change, who: Perspective, model: &mut Model) -> (Method, &'static str, Value) {
    match change {
        Change::MarkRead { seq, private } => {
            model.mark_read(who, seq, private);
            let receipt = json!({"seq": seq, "private": private});
            (Method::PUT, "/read", receipt)
        }
        Change::MarkDelivered(seq) => {
            model.mark_delivered(who, seq);
            (Method::PUT, "/delivered", json!({"seq": seq}))
        }
        Change::MarkUnread(seq) => {
            model.mark_unread(who, seq);
            (Method::POST, "/unread", json!({"seq": seq}))
        }
        Change::Clear => {
            model.clear(who);
            (Method::DELETE, "", Value::Null)
        }
        Change::Block(on) => {
            model.side(who).blocked = on;
            (switch(on), "/block", Value::Null)
        }
        Change::Mute(days) => {
            let until = days.map(|days| rfc3339(Utc::now() + TimeDelta::days(days)));
            model.mute(who, until.as_deref());
            (Method::PUT, "/mute", json!({"until": until}))
        }
        Change::Unmute => {
            model.unmute(who);
            (Method::DELETE, "/mute", Value::Null)
        }
        Change::Set {
            archived,
            pinned,
            metadata,
        } => {
            model.set(who, archived, pinned, metadata);
            (Method::PATCH, "", patch(archived, pinned, metadata))
        }
    }
}

/// A patch with the settings that are not `None`.
fn patch(archived: Option<bool>, pinned: Option<bool>, metadata: Option<u8>) -> Value {
    let mut patch = json!({});
    if let Some(archived) = archived {
        patch["archived"] = json!(archived);
    }
    if let Some(pinned) = pinned {
        patch["pinned"] = json!(pinned);
    }
    if let Some(number) = metadata {
        patch["metadata"] = metadata_of(number);
    }
    patch
}
