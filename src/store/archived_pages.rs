//! Pages that reach into the archive. The script returns what is in Redis and names the segments; this module reads them,
//! joins both, and counts the bytes of the page as `read_page` of `lua/lib/page.lua` does.

use std::sync::Arc;

use redis::{FromRedisValue, ParsingError, Value};

use super::archived::{ATTEMPTS, MissingObject, SegmentPointer};
use super::{RateLimited, Store};
use crate::archive::Segment;
use crate::error::{Code, Error};
use crate::model::StoredMessage;

/// [`super::PAGE_BYTES`] as a number.
const BYTES: usize = 458_752;

/// The history of a page, newest first, with the positions of the pages next to it.
#[derive(Default)]
pub(super) struct ReadPage {
    pub history: Vec<String>,
    pub next_before: Option<u64>,
    pub next_after: Option<u64>,
    /// What the page needs of the archive.
    pub archived: Option<ArchivedPage>,
}

/// What a page needs of the archive, see `page_of` of `lua/lib/page.lua`.
pub(super) enum ArchivedPage {
    /// The first message that was sent at a time or later is in this segment, or the one after it.
    Search(SegmentPointer),
    Join(PageBounds, Vec<SegmentPointer>),
}

/// The seqs that a page has if its messages are small.
pub(super) struct PageBounds {
    /// The oldest message that the user can see, and the newest.
    oldest: u64,
    newest: u64,
    /// Where the page is read from, to both ends.
    start: u64,
    low: u64,
    high: u64,
}

impl FromRedisValue for ArchivedPage {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut parts = Vec::<Value>::from_redis_value(value)?.into_iter();
        let searches = parts.len() == 3;
        let number = |parts: &mut std::vec::IntoIter<Value>| {
            u64::from_redis_value(parts.next().unwrap_or(Value::Nil))
        };
        let segment = |parts: &mut std::vec::IntoIter<Value>| {
            Ok(SegmentPointer {
                low: number(parts)?,
                high: number(parts)?,
                object: String::from_redis_value(parts.next().unwrap_or(Value::Nil))?,
            })
        };
        if searches {
            return segment(&mut parts).map(Self::Search);
        }
        let bounds = PageBounds {
            oldest: number(&mut parts)?,
            newest: number(&mut parts)?,
            start: number(&mut parts)?,
            low: number(&mut parts)?,
            high: number(&mut parts)?,
        };
        let mut segments = Vec::with_capacity(parts.len() / 2);
        while parts.len() > 0 {
            segments.push(segment(&mut parts)?);
        }
        Ok(Self::Join(bounds, segments))
    }
}

impl Store {
    /// Completes a page. `again` reads it anew, without a charge, with the given arguments of a script that reads a
    /// page. Returns whether the archive was needed.
    pub(super) async fn complete_page<T>(
        &self,
        conversation: &str,
        mut args: [String; 6],
        first: RateLimited<(ReadPage, T)>,
        again: impl AsyncFn([&str; 6]) -> Result<(ReadPage, T), Error>,
    ) -> Result<(RateLimited<(ReadPage, T)>, bool), Error> {
        let RateLimited {
            value: (mut page, mut rest),
            quota,
        } = first;
        let (mut missing, is_needed) = (MissingObject::default(), page.archived.is_some());
        for _ in 0..ATTEMPTS {
            let joined = match page.archived.take() {
                None => Some(page),
                Some(ArchivedPage::Join(bounds, segments)) => {
                    let segments = self.read_segments(conversation, &segments, &mut missing);
                    let segments = segments.await?;
                    segments.map(|segments| join(&bounds, &segments, &page.history))
                }
                Some(ArchivedPage::Search(pointer)) => {
                    let segment = self.read_segment(conversation, &pointer, &mut missing);
                    if let Some(segment) = segment.await? {
                        let seq = first_sent_since(&segment, &args[2]);
                        (args[1], args[2]) = ("around".to_owned(), seq.to_string());
                    }
                    None
                }
            };
            if let Some(page) = joined {
                let value = (page, rest);
                return Ok((RateLimited { value, quota }, is_needed));
            }
            (page, rest) = again(args.each_ref().map(String::as_str)).await?;
        }
        Err(Code::ArchiveUnavailable.into())
    }

    /// The segments that a script named; `None` if one does not exist.
    async fn read_segments(
        &self,
        conversation: &str,
        pointers: &[SegmentPointer],
        missing: &mut MissingObject,
    ) -> Result<Option<Vec<Arc<Segment>>>, Error> {
        let mut segments = Vec::with_capacity(pointers.len());
        for pointer in pointers {
            match self.read_segment(conversation, pointer, missing).await? {
                Some(segment) => segments.push(segment),
                None => return Ok(None),
            }
        }
        Ok(Some(segments))
    }
}

/// The seq of the first message of a segment that was sent at a time or later; that after the last one if there is none.
fn first_sent_since(segment: &Segment, time: &str) -> u64 {
    let sent_before =
        |message: &&str| StoredMessage::sent_at_of(message).is_some_and(|sent_at| sent_at < time);
    segment.low() + segment.messages().take_while(sent_before).count() as u64
}

/// Joins what is in the archive with what is in Redis, newest first, and omits what exceeds the maximum size.
fn join(bounds: &PageBounds, segments: &[Arc<Segment>], hot: &[String]) -> ReadPage {
    let PageBounds { low, high, .. } = *bounds;
    let archived = segments
        .iter()
        .flat_map(|segment| (segment.low()..).zip(segment.messages()))
        .filter(|(seq, _)| (low..=high).contains(seq))
        .map(|(_, message)| message);
    let hot = hot.iter().rev().map(String::as_str);
    let page: Vec<_> = archived.chain(hot).collect();
    let start = usize::try_from(bounds.start - low).unwrap_or_default();
    let (older, newer) = page.split_at(page.len().min(start + 1));
    let share = if bounds.start == high { 1 } else { 2 };
    let (older_count, size) = fitting(older.iter().rev(), BYTES / share);
    let (newer_count, _) = fitting(newer.iter(), BYTES.saturating_sub(size));
    let (first, end) = (older.len() - older_count, older.len() + newer_count);
    let (oldest_shown, newest_shown) = (low + first as u64, low + end as u64 - 1);
    let history = page[first..end].iter().rev();
    ReadPage {
        history: history.map(|message| (*message).to_owned()).collect(),
        next_before: (oldest_shown > bounds.oldest).then_some(oldest_shown),
        next_after: (newest_shown < bounds.newest).then_some(newest_shown),
        archived: None,
    }
}

/// How many messages fit into a number of bytes, at least one if there are any, and their size.
fn fitting<'a>(messages: impl Iterator<Item = &'a &'a str>, bytes: usize) -> (usize, usize) {
    let (mut count, mut size) = (0, 0);
    for message in messages {
        if count > 0 && size + message.len() > bytes {
            break;
        }
        (count, size) = (count + 1, size + message.len());
    }
    (count, size)
}
