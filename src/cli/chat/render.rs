//! Lines of the conversation as text.

use chrono::{DateTime, Local, Utc};

use super::transcript::TranscriptLine;
use crate::model::{Message, UserId};

/// Maximum number of characters in a quote.
const QUOTE_CHARS: usize = 40;

/// Decides the colour of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineStyle {
    /// A message of the user.
    Own,
    /// A message of another user.
    Peer,
    /// A change to an earlier message, or a remark.
    Info,
}

/// A line as text. In a terminal only the head (time and author) is coloured.
#[derive(Debug)]
pub struct RenderedLine {
    pub style: LineStyle,
    pub head: String,
    pub text: String,
}

/// Renders a line for this user.
pub fn render(line: &TranscriptLine, user: &UserId) -> RenderedLine {
    match line {
        TranscriptLine::Message(message) => RenderedLine {
            style: if &message.from == user {
                LineStyle::Own
            } else {
                LineStyle::Peer
            },
            head: format!("{} {}:", local_time(message.sent_at), message.from),
            text: content(message),
        },
        TranscriptLine::Edited(message) => {
            info(&format!("{} edited:", message.from), content(message))
        }
        TranscriptLine::Deleted(message) => info(
            &format!("{} deleted:", message.from),
            quote(&content(message)),
        ),
        TranscriptLine::Reacted(message) => info(
            &format!("reactions to {}:", quote(&content(message))),
            reactions(message),
        ),
        TranscriptLine::Joined(user) => remark(format!("* {user} joined")),
        TranscriptLine::Left(user) => remark(format!("* {user} left")),
        TranscriptLine::Omitted(count) => {
            remark(format!("  {count} older unread messages are not shown"))
        }
    }
}

fn remark(head: String) -> RenderedLine {
    RenderedLine {
        style: LineStyle::Info,
        head,
        text: String::new(),
    }
}

fn info(head: &str, text: String) -> RenderedLine {
    RenderedLine {
        text,
        ..remark(format!("  {head}"))
    }
}

fn reactions(message: &Message) -> String {
    let reactions = message.reactions.iter();
    let reactions: Vec<_> = reactions
        .map(|(emoji, users)| {
            let users: Vec<_> = users.iter().map(UserId::as_str).collect();
            format!("{} {}", emoji.as_str(), users.join(", "))
        })
        .collect();
    sanitize(&reactions.join("  "))
}

/// Hour and minute in local time, with the date unless it is today.
fn local_time(sent_at: DateTime<Utc>) -> String {
    let (sent_at, today) = (sent_at.with_timezone(&Local), Local::now().date_naive());
    let format = if sent_at.date_naive() == today {
        "%H:%M"
    } else {
        "%Y-%m-%d %H:%M"
    };
    sent_at.format(format).to_string()
}

/// Body and attachments; every line but the first is indented.
fn content(message: &Message) -> String {
    if message.deleted_at.is_some() {
        return "(deleted)".to_owned();
    }
    let attachments = message
        .attachments
        .iter()
        .map(|attachment| format!("[{}]", attachment.url.as_str()));
    let body = Some(message.body.as_str().to_owned()).filter(|body| !body.is_empty());
    let parts: Vec<_> = body.into_iter().chain(attachments).collect();
    sanitize(&parts.join(" ")).replace('\n', "\n      ")
}

/// The beginning of a text in quotation marks, on one line.
pub fn quote(text: &str) -> String {
    let mut beginning: String = text.chars().take(QUOTE_CHARS).collect();
    if beginning.len() < text.len() {
        beginning.push('…');
    }
    format!("“{}”", sanitize(&beginning).replace('\n', " "))
}

/// Replaces control characters, so that received text cannot send commands to the terminal.
pub fn sanitize(text: &str) -> String {
    let replace = |c: char| {
        if c == '\n' || !c.is_control() {
            c
        } else {
            char::REPLACEMENT_CHARACTER
        }
    };
    text.replace("\r\n", "\n")
        .replace('\t', "    ")
        .chars()
        .map(replace)
        .collect()
}
