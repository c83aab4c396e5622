//! What users see of the room in the model.

use serde_json::{Value, json};

use super::reference::{Member, Model};
use super::steps::Role;

impl Model {
    fn summary(&self) -> Value {
        let members = self.members.values();
        let count = members.filter(|member| member.role != Role::Banned).count();
        json!({"title": null, "member_count": count})
    }

    /// The room as `GET` returns it.
    pub fn page(&self, user: usize, limit: u64) -> Value {
        let (hidden, last) = (self.hidden(user), self.last());
        let shown = limit.min(last - hidden.min(last));
        let newest = |count: u64| -> Vec<Value> {
            let newest = self
                .messages
                .iter()
                .rev()
                .take(usize::try_from(count).unwrap());
            newest.map(|stored| stored.message.clone()).collect()
        };
        let unread = self.unread(user);
        let mut page = self.marks(user);
        let oldest = last + 1 - shown;
        let members = json!({
            "user": self.names[user], "history": newest(shown), "unread": newest(unread.min(100)),
            "next_before": (oldest > hidden + 1).then_some(oldest), "next_after": null,
        });
        page.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        page
    }

    /// The room as a row of the inbox; `None` if the inbox does not list it.
    pub fn row(&mut self, user: usize) -> Option<Value> {
        let last = self.last();
        let member = *self.member(user)?;
        if member.cleared_up_to > 0 && member.cleared_up_to == last {
            return None;
        }
        Some(self.state(user))
    }

    /// The room as the response to a change has it.
    pub fn state(&self, user: usize) -> Value {
        let newest = self.messages.last().map(|stored| &stored.message);
        let newest = newest.filter(|_| self.hidden(user) < self.last());
        let mut state = self.marks(user);
        state["last_message"] = json!(newest);
        state["updated_at"] = json!(newest.map(|message| &message["sent_at"]));
        state
    }

    /// What the room, its state and its row have in common.
    fn marks(&self, user: usize) -> Value {
        let member = self.members.get(&user);
        let is_archived = |member: &Member| member.archived_at == Some(self.last());
        json!({
            "peer": self.room, "room": self.summary(), "unread_count": self.unread(user), "last_seq": self.last(),
            "read_seq": member.map_or(0, |member| member.read), "peer_read_seq": 0, "peer_delivered_seq": 0,
            "muted": member.is_some_and(|member| member.muted), "muted_until": null, "blocked": false,
            "archived": member.is_some_and(is_archived), "pinned": member.is_some_and(|member| member.pinned),
            "metadata": null,
        })
    }

    /// The members and the banned users, by name.
    pub fn members(&self) -> Value {
        let listed = self.members.iter().map(|(user, member)| {
            json!({"user": self.names[*user], "role": member.role.as_str(), "read_seq": member.read})
        });
        let mut listed: Vec<_> = listed.collect();
        listed.sort_by_key(|member| member["user"].as_str().unwrap().to_owned());
        json!(listed)
    }
}
