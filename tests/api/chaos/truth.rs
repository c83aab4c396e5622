//! What a user sees once nothing fails any more, and whether it is consistent.

use std::collections::{BTreeMap, BTreeSet};

use redis::Commands;
use reqwest::Method;
use serde_json::Value;

use super::report::Report;
use crate::harness::keys;
use crate::harness::live::client_state::{ClientState, StateReader, row, text};
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::store::direct_connection::DirectConnection;

pub struct Truth {
    user: String,
    pub state: ClientState,
    /// The peers in the order of the inbox.
    listed: Vec<String>,
    /// The rows by peer, as the conversations have them.
    rows: BTreeMap<String, Value>,
}

pub fn is_deleted(message: &Value) -> bool {
    message.get("deleted_at").is_some()
}

impl Truth {
    /// Reads the inbox and all conversations of a user.
    pub async fn read(address: &str, user: String) -> Self {
        let options = ConnectOptions::new(address);
        let reader = StateReader {
            options: &options,
            user: &user,
        };
        let get = async |path: String, query: &[(&str, &str)]| {
            let request = || options.call(Method::GET, &path, query);
            reader.ask(request).await
        };
        let state = reader.all().await;
        let inbox = get(format!("/conversations/{user}"), &[("limit", "200")]).await;
        let listed = inbox["conversations"].as_array().unwrap().iter();
        let listed: Vec<_> = listed.map(|state| text(state, "peer")).collect();
        let mut rows = BTreeMap::new();
        for peer in &listed {
            let path = format!("/conversations/{user}/{peer}");
            let of = get(path, &[("limit", "1"), ("peek", "true")]).await;
            rows.insert(peer.clone(), row(peer, &of, &of["history"][0]));
        }
        Self {
            user,
            state,
            listed,
            rows,
        }
    }

    pub fn compare(&self, redis: &mut DirectConnection, report: &mut Report) {
        self.compare_rows(report);
        self.compare_totals(report);
        self.compare_messages(report);
        self.compare_order(redis, report);
    }

    /// Compares the rows with what the conversations say, and with their messages.
    fn compare_rows(&self, report: &mut Report) {
        for (peer, row) in &self.state.rows {
            let messages = &self.state.messages[peer];
            let read = row["read_seq"].as_u64().unwrap();
            let is_unread =
                |m: &&Value| m["from"] == *peer && m["seq"].as_u64() > Some(read) && !is_deleted(m);
            let unread = messages.values().filter(is_unread).count() as u64;
            if row["unread_count"] != unread || Some(row) != self.rows.get(peer) {
                let (user, of) = (&self.user, self.rows.get(peer));
                let wrong = format!("{user} and {peer}: {unread} unread, {of:?}: {row}");
                report.wrong_rows.push(wrong);
            }
        }
    }

    /// Compares the totals with the sums of the rows.
    fn compare_totals(&self, report: &mut Report) {
        let counts = self.state.rows.values().map(|row| &row["unread_count"]);
        let counts = counts.map(|count| count.as_u64().unwrap());
        let sums = counts.fold([0, 0], |[total, conversations], count| {
            [total + count, conversations + u64::from(count > 0)]
        });
        if self.state.totals[..2] != sums {
            let (user, totals) = (&self.user, self.state.totals);
            let wrong = format!("{user}: {totals:?} in place of {sums:?}");
            report.wrong_totals.push(wrong);
        }
    }

    /// Looks for missing seqs, and for messages of the user that are stored twice. Every message has another body,
    /// to which an edit appends.
    fn compare_messages(&self, report: &mut Report) {
        let mut known = BTreeSet::new();
        for (peer, messages) in &self.state.messages {
            let mut wrong = messages.keys().copied().ne(1..=messages.len() as u64);
            for message in messages.values().filter(|m| m["from"] == *self.user) {
                wrong |= !known.insert(text(message, "id"));
                if !is_deleted(message) {
                    let body = text(message, "body");
                    wrong |= !known.insert(body.trim_end_matches('+').to_owned());
                }
            }
            if wrong {
                let seqs: Vec<_> = messages.keys().collect();
                let wrong = format!("{} and {peer}: {seqs:?}", self.user);
                report.wrong_seqs.push(wrong);
            }
        }
    }

    /// Compares the order of the inbox with that of the newest messages, as the conversations have it.
    fn compare_order(&self, redis: &mut DirectConnection, report: &mut Report) {
        let mut active_of = |peer: &String| {
            let [_, meta] = keys(&self.user, peer);
            let state: Option<String> = redis.hget(meta, "state").unwrap();
            let state = state.unwrap_or_default();
            let mut numbers = state.split('|').map(str::parse::<i64>);
            let (version, age) = (numbers.nth(1), numbers.next());
            version.unwrap().unwrap() - age.unwrap().unwrap()
        };
        let active: Vec<_> = self.listed.iter().map(&mut active_of).collect();
        if !active.is_sorted_by(|newer, older| newer >= older) {
            let wrong = format!("{}: {:?} with {active:?}", self.user, self.listed);
            report.wrong_orders.push(wrong);
        }
    }
}
