//! What users see of conversations in the model.

use duologue::model::rfc3339;
use serde_json::{Value, json};

use super::reference::{Model, Perspective};
use super::steps::{Page, Read};

impl Model {
    /// The peer's messages after the read mark, without deleted ones, newest first.
    fn unread(&self, who: Perspective) -> Vec<Value> {
        let read = self.side_of(who).read.max(self.gone(who));
        let peer = &self.names[who.peer];
        let all = self.all(who).iter().rev().filter(|message| {
            seq(message) > read && message["from"] == **peer && message.get("deleted_at").is_none()
        });
        all.cloned().collect()
    }

    /// When the message with this seq was sent; a time before or after all if there is none.
    pub fn time(&self, who: Perspective, place: u64) -> String {
        let message = self.all(who).iter().find(|message| seq(message) == place);
        let beyond = if place == 0 { "1999" } else { "9999" };
        let beyond = format!("{beyond}-12-31T23:59:59Z");
        message.map_or(beyond, |message| {
            message["sent_at"].as_str().unwrap().into()
        })
    }

    /// The messages of a page, newest first, and where the page lies if it has none: in front of
    /// the message with this seq.
    fn history(&self, who: Perspective, page: Page, limit: u64) -> (Vec<&Value>, u64) {
        let (first, next) = (self.gone(who) + 1, self.last(who) + 1);
        let (start, end) = match page {
            Page::Newest => (next.saturating_sub(limit), next),
            Page::Before(place) => {
                let end = place.clamp(first, next);
                (end.saturating_sub(limit), end)
            }
            Page::After(place) => {
                let start = (place + 1).clamp(first, next);
                (start, start + limit)
            }
            Page::Around(place) => {
                // Equally many on each side; with an even limit, one more before.
                let place = place.min(next - 1).max(first);
                let start = place.saturating_sub(limit / 2);
                (start, (place + limit).saturating_sub(limit / 2))
            }
            Page::AroundTime(place) => {
                let time = self.time(who, place);
                let mut shown = self.all(who).iter().filter(|message| seq(message) >= first);
                let since = shown.find(|message| message["sent_at"].as_str() >= Some(&time));
                return self.history(who, Page::Around(since.map_or(next, seq)), limit);
            }
        };
        let start = start.max(first);
        let within = |message: &&Value| (start..end).contains(&seq(message));
        let history = self.all(who).iter().rev().filter(within).collect();
        (history, start.min(end))
    }

    /// A conversation as `GET` returns it.
    pub fn page(&self, who: Perspective, read: Read) -> Value {
        let (history, place) = self.history(who, read.page, read.limit);
        let (first, last) = (self.gone(who) + 1, self.last(who));
        let oldest = history.last().map_or(place, |message| seq(message));
        let latest = history.first().map_or(place - 1, |message| seq(message));
        let shown = match read.page {
            Page::Newest => 100,
            _ => 0,
        };
        let shown = read.unread_limit.unwrap_or(shown);
        let unread = self.unread(who);
        let mut page = self.marks(who);
        page["user"] = json!(self.names[who.user]);
        page["history"] = json!(history);
        page["unread"] = json!(unread[..shown.min(unread.len())]);
        page["next_before"] = json!((oldest > first).then_some(oldest));
        page["next_after"] = json!((latest < last).then_some(latest));
        page
    }

    /// A conversation as a row of the inbox.
    pub fn state(&self, who: Perspective) -> Value {
        let last = self.all(who).last();
        let last = last.filter(|message| seq(message) > self.gone(who));
        let mut state = self.marks(who);
        state["last_message"] = json!(last);
        state["updated_at"] = json!(last.map(|message| &message["sent_at"]));
        state
    }

    /// What a conversation and its row have in common.
    fn marks(&self, who: Perspective) -> Value {
        let (side, other) = (self.side_of(who), self.side_of(who.other()));
        json!({
            "peer": self.names[who.peer], "unread_count": self.unread(who).len(), "last_seq": self.last(who),
            "read_seq": side.read, "peer_read_seq": other.told_read_seq,
            "peer_delivered_seq": other.delivered.max(other.told_read_seq),
            "muted": side.muted, "muted_until": side.muted_until.map(rfc3339), "blocked": side.blocked,
            "archived": side.archived, "pinned": side.pinned, "metadata": metadata_of(side.metadata),
        })
    }

    /// The whole inbox of a user.
    pub fn inbox(&self, user: usize) -> Value {
        let mut pairs: Vec<_> = self.activity.iter().collect();
        pairs.sort_by_key(|(_, activity)| std::cmp::Reverse(**activity));
        let mine = pairs
            .into_iter()
            .filter_map(|(&(one, other), _)| match user {
                _ if user == one => Some(Perspective { user, peer: other }),
                _ if user == other => Some(Perspective { user, peer: one }),
                _ => None,
            });
        let mut rows: Vec<_> = mine
            .filter(|who| self.last(*who) > self.side_of(*who).cleared_up_to)
            .map(|who| self.state(who))
            .collect();
        rows.sort_by_key(|row| row["pinned"] == false);
        let unread = |row: &&Value| row["unread_count"].as_u64().unwrap();
        let counted = || rows.iter().filter(|row| row["blocked"] == false);
        let muted = counted().filter(|row| row["muted"] == true);
        json!({
            "conversations": rows, "total_unread_count": counted().map(|row| unread(&row)).sum::<u64>(),
            "unread_conversations": counted().filter(|row| unread(row) > 0).count(),
            "muted_unread_count": muted.map(|row| unread(&row)).sum::<u64>(),
            "next_cursor": null,
        })
    }
}

/// The metadata with this member; null for 0.
pub fn metadata_of(number: u8) -> Value {
    match number {
        0 => Value::Null,
        _ => json!({"number": number}),
    }
}

fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().unwrap()
}
