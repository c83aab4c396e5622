//! Steps that create or change messages.

use chrono::TimeDelta;
use duologue::model::rfc3339;
use serde_json::{Value, json};

use super::reference::{Perspective, Refusal};
use super::steps::Draft;
use super::{DROPPED_BY_A_CHANGE, Scenario, switch};
use crate::harness::http::response::ApiResponse;
use crate::harness::models;

impl Scenario<'_> {
    pub async fn import(&mut self, who: Perspective, count: usize) {
        let mut messages = Vec::new();
        for n in 0..count {
            let [from, to] = self.names(if n % 2 == 0 { who } else { who.other() });
            let (from, to) = (from.to_owned(), to.to_owned());
            let seconds = i64::try_from(self.model.tick()).unwrap();
            let sent_at = self.past + TimeDelta::seconds(seconds);
            let mut message =
                json!({"from": from, "to": to, "body": "old", "sent_at": rfc3339(sent_at)});
            // One does not expire, one will, one has expired.
            if let Some(days) = [None, Some(30), Some(1)][n % 3] {
                message["expires_at"] = json!(rfc3339(sent_at + TimeDelta::days(days)));
            }
            messages.push(message);
        }
        let lines: Vec<_> = messages.iter().map(Value::to_string).collect();
        let headers = [("content-type", "application/x-ndjson")];
        let answer = self
            .app
            .call_text("POST", "/messages/batch", &headers, lines.join("\n"));
        let answer = answer.await;
        if !self.model.is_importable(who) {
            answer.problem(409, "IMPORT_CONFLICT");
            return;
        }
        assert_eq!(answer.json(200)["imported"], count);
        let dropped = self.drop_old(who);
        let [user, peer] = self.names(who);
        // Read by a service without limits, as they are stored; those that are dropped again have
        // been stored too, but nobody sees what they are.
        let page = self.services[0].app.page(user, peer, "peek=true&limit=200");
        let stored = page.await["history"].as_array().unwrap().clone();
        let first = self.model.last(who) + 1;
        for (seq, message) in (first..).zip(&mut messages) {
            if let Some(stored) = stored.iter().find(|stored| stored["seq"] == seq) {
                assert_eq!(stored["sent_at"], message["sent_at"]);
                *message = stored.clone();
            }
            message["seq"] = json!(seq);
        }
        self.model.imported(who, messages);
        let most = DROPPED_BY_A_CHANGE - dropped;
        self.model.drop_old(who, self.kept, most);
    }

    pub async fn send(
        &mut self,
        who: Perspective,
        Draft {
            reply_to,
            metadata,
            expires_in,
        }: Draft,
    ) {
        let [user, peer] = self.names(who);
        let mut message = json!({"from": user, "to": peer, "body": "hi"});
        let lasts = expires_in.map(|days| TimeDelta::days(days).num_seconds());
        if let Some(seq) = reply_to {
            message["reply_to"] = json!(seq);
        }
        if metadata {
            message["metadata"] = json!({"from": peer, "deleted_at": "2026-01-31T12:00:00.000Z"});
        }
        let mut request = message.clone();
        request["expires_in"] = json!(lasts);
        let answer = self.app.post(&request).await;
        let before = *self.model.dropped(who);
        let dropped = self.drop_old(who);
        if let Some((status, code)) = self.model.refuses_send(who, reply_to) {
            answer.problem(status, code);
            *self.model.dropped(who) = before;
            return;
        }
        let sent = answer.json(201);
        assert_eq!(sent["seq"], self.model.last(who) + 1);
        for (name, value) in message.as_object().unwrap() {
            assert_eq!(&sent[name], value);
        }
        assert_eq!(sent.get("expires_at").is_some(), lasts.is_some());
        self.model.sent(who, sent);
        let most = DROPPED_BY_A_CHANGE - dropped;
        self.model.drop_old(who, self.kept, most);
    }

    pub async fn edit(&mut self, who: Perspective, seq: u64, metadata: bool) {
        let edit = if metadata {
            json!({"metadata": {"edited": seq}})
        } else {
            json!({"body": "edited"})
        };
        let [user, peer] = self.names(who);
        let answer = self.app.edit(user, peer, seq, &edit).await;
        let stored = self.model.message(who, seq);
        let differs = |stored: &mut Value| {
            let mut members = edit.as_object().unwrap().iter();
            members.any(|(name, value)| &stored[name] != value)
        };
        let adds = stored.is_none_or(differs);
        let Some(message) = self.expect_replaced(who, seq, &answer, true, adds) else {
            return;
        };
        // Only another text marks a message as edited.
        let is_marked = !metadata && message["body"] != edit["body"];
        for (name, value) in edit.as_object().unwrap() {
            message[name] = value.clone();
        }
        let edited = answer.json(200);
        if is_marked {
            assert!(edited["edited_at"].is_string(), "{edited}");
            message["edited_at"] = edited["edited_at"].clone();
        }
        assert_eq!(&edited, message);
    }

    pub async fn delete(&mut self, who: Perspective, seq: u64) {
        let [user, peer] = self.names(who);
        let answer = self.app.delete(user, peer, seq).await;
        let Some(message) = self.expect_deleted(who, seq, &answer) else {
            return;
        };
        let tombstone = answer.json(200);
        if message.get("deleted_at").is_none() {
            models::delete(message, &tombstone["deleted_at"]);
        }
        assert_eq!(&tombstone, message);
    }

    pub async fn react(&mut self, who: Perspective, seq: u64, emoji: &str, on: bool) {
        let [user, peer] = self.names(who);
        let answer = self.app.react(switch(on), [user, peer], seq, emoji).await;
        let user = json!(user);
        let reactions = self.model.message(who, seq);
        let users = reactions.map(|message| message["reactions"][emoji].clone());
        let there =
            users.is_some_and(|users| users.as_array().is_some_and(|all| all.contains(&user)));
        let adds = on && !there;
        let Some(message) = self.expect_replaced(who, seq, &answer, false, adds) else {
            return;
        };
        models::set_reaction(message, emoji, &user, on);
        assert_eq!(&answer.json(200), message);
    }

    /// The message that an edit or a reaction changes; `None` if it must be refused, and was. `adds` is
    /// something new to see, which neither a deleted message nor a peer who blocks takes.
    fn expect_replaced(
        &mut self,
        who: Perspective,
        seq: u64,
        answer: &ApiResponse,
        by_author: bool,
        adds: bool,
    ) -> Option<&mut Value> {
        let user = json!(self.model.names[who.user]);
        let blocked = self.model.side(who.other()).blocked;
        let before = *self.model.dropped(who);
        let mut refusal: Option<Refusal> = match self.model.message(who, seq) {
            None => Some((404, "MESSAGE_NOT_FOUND")),
            Some(message) if by_author && message["from"] != user => Some((403, "FORBIDDEN")),
            Some(message) if adds && message.get("deleted_at").is_some() => {
                Some((409, "MESSAGE_DELETED"))
            }
            Some(_) => None,
        };
        self.drop_old(who);
        if refusal.is_none() && self.model.message(who, seq).is_none() {
            refusal = Some((404, "MESSAGE_NOT_FOUND"));
        } else if refusal.is_none() && adds && blocked {
            refusal = Some((403, "BLOCKED"));
        }
        self.expect(who, seq, answer, refusal, before)
    }

    /// The message that is deleted; `None` if that must be refused, and was.
    fn expect_deleted(
        &mut self,
        who: Perspective,
        seq: u64,
        answer: &ApiResponse,
    ) -> Option<&mut Value> {
        let user = json!(self.model.names[who.user]);
        let before = *self.model.dropped(who);
        self.drop_old(who);
        let refusal = match self.model.message_to_delete(who, seq) {
            None => Some((404, "MESSAGE_NOT_FOUND")),
            Some(message) if message["from"] != user => Some((403, "FORBIDDEN")),
            Some(_) => None,
        };
        self.expect(who, seq, answer, refusal, before)
    }

    /// A refused step drops nothing either.
    fn expect(
        &mut self,
        who: Perspective,
        seq: u64,
        answer: &ApiResponse,
        refusal: Option<Refusal>,
        dropped_before: u64,
    ) -> Option<&mut Value> {
        if let Some((status, code)) = refusal {
            answer.problem(status, code);
            *self.model.dropped(who) = dropped_before;
            return None;
        }
        self.model.message_to_delete(who, seq)
    }
}
