//! What is shown, as text.

use chrono::{DateTime, Local, Utc};

use super::frame::{Message, Receipts};
use super::transcript::Line;

/// How much of a message says which one is meant.
const QUOTED: usize = 40;

/// How far one's last message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryStatus {
    /// It is stored.
    Sent,
    /// A device of the peer has it.
    Delivered,
    /// The peer has read it.
    Read,
}

impl DeliveryStatus {
    /// That of a message, when the peer is so far.
    pub fn of(seq: u64, receipts: Receipts) -> Self {
        if receipts.peer_read_seq >= seq {
            DeliveryStatus::Read
        } else if receipts.peer_delivered_seq >= seq {
            DeliveryStatus::Delivered
        } else {
            DeliveryStatus::Sent
        }
    }

    /// The sign for it. The last two are told apart by colour, where there is one.
    pub const fn sign(self) -> &'static str {
        match self {
            DeliveryStatus::Sent => "✓",
            DeliveryStatus::Delivered | DeliveryStatus::Read => "✓✓",
        }
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            DeliveryStatus::Sent => "sent",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Read => "read",
        }
    }
}

/// Whose line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// One's own.
    Mine,
    /// The peer's.
    Theirs,
    /// What is said about others.
    Aside,
}

/// A line to show: whose it is, who and when, and what.
pub fn line(line: &Line, me: &str) -> (Tone, String, String) {
    match line {
        Line::Message(message) => {
            let tone = if message.from == me {
                Tone::Mine
            } else {
                Tone::Theirs
            };
            let head = format!("{} {}:", time(message.sent_at), message.from);
            (tone, head, text(message))
        }
        Line::Edited(message) => aside(&format!("{} edited:", message.from), text(message)),
        Line::Deleted(message) => aside(
            &format!("{} deleted:", message.from),
            quoted(&text(message)),
        ),
        Line::Reacted(message) => aside(
            &format!("reactions to {}:", quoted(&text(message))),
            reactions(message),
        ),
        Line::Omitted(count) => aside(
            &format!("{count} older unread messages are not shown"),
            String::new(),
        ),
    }
}

fn aside(head: &str, rest: String) -> (Tone, String, String) {
    (Tone::Aside, format!("  {head}"), rest)
}

fn reactions(message: &Message) -> String {
    let each = message.reactions.iter();
    let each: Vec<_> = each
        .map(|(emoji, users)| format!("{emoji} {}", users.join(", ")))
        .collect();
    safe(&each.join("  "))
}

/// The hour, and the day unless it is today.
fn time(sent_at: DateTime<Utc>) -> String {
    let (sent_at, today) = (sent_at.with_timezone(&Local), Local::now().date_naive());
    let form = if sent_at.date_naive() == today {
        "%H:%M"
    } else {
        "%Y-%m-%d %H:%M"
    };
    sent_at.format(form).to_string()
}

/// A message's text with its files, each further line set in.
fn text(message: &Message) -> String {
    if message.deleted_at.is_some() {
        return "(deleted)".to_owned();
    }
    let files = message
        .attachments
        .iter()
        .map(|file| format!("[{}]", file.url));
    let body = Some(message.body.clone()).filter(|body| !body.is_empty());
    let parts: Vec<_> = body.into_iter().chain(files).collect();
    safe(&parts.join(" ")).replace('\n', "\n      ")
}

/// The beginning of a text, which says which one is meant.
pub fn quoted(text: &str) -> String {
    let mut quoted: String = text.chars().take(QUOTED).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    format!("“{}”", safe(&quoted).replace('\n', " "))
}

/// Text that does nothing to a terminal but appear.
pub fn safe(text: &str) -> String {
    let harmless = |c: char| {
        if c == '\n' || !c.is_control() {
            c
        } else {
            char::REPLACEMENT_CHARACTER
        }
    };
    text.replace("\r\n", "\n")
        .replace('\t', "    ")
        .chars()
        .map(harmless)
        .collect()
}
