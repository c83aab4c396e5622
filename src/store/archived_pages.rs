//! Pages that reach into the archive. The script returns what is in Redis and names the segments; this module reads them,
//! joins both, and counts the bytes of the page as `read_page` of `lua/lib/page.lua` does.

use std::collections::VecDeque;
use std::sync::Arc;

use redis::{FromRedisValue, ParsingError, Value};

use super::archived::{ATTEMPTS, MissingObject, SegmentPointer, next_part};
use super::{PAGE_SIZE, RateLimited, Store};
use crate::archive::Segment;
use crate::error::{Code, Error};
use crate::model::StoredMessage;
use crate::rate::RateLimitRequest;

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
        if parts.len() == 3 {
            return SegmentPointer::next_of(&mut parts).map(Self::Search);
        }
        let bounds = PageBounds {
            oldest: next_part(&mut parts)?,
            newest: next_part(&mut parts)?,
            start: next_part(&mut parts)?,
            low: next_part(&mut parts)?,
            high: next_part(&mut parts)?,
        };
        let mut segments = Vec::with_capacity(parts.len() / 2);
        while parts.len() > 0 {
            segments.push(SegmentPointer::next_of(&mut parts)?);
        }
        Ok(Self::Join(bounds, segments))
    }
}

impl Store {
    /// Reads a page. `read` runs the script with a rate limit to charge and its arguments: once, and again, without a
    /// charge, while the page needs something of the archive. Returns whether it needed any.
    pub(super) async fn read_page<'c, T>(
        &self,
        conversation: &str,
        (args, marks_read): ([String; 6], bool),
        charge: Option<&'c RateLimitRequest>,
        read: impl AsyncFn(
            Option<&'c RateLimitRequest>,
            [&str; 6],
        ) -> Result<RateLimited<(ReadPage, T)>, Error>,
    ) -> Result<(RateLimited<(ReadPage, T)>, bool), Error> {
        let read = async |charge, args: [&str; 6]| {
            let page = read(charge, args).await;
            // A peek writes nothing, so its outcome is never unknown.
            if marks_read {
                page
            } else {
                page.map_err(Error::as_read_error)
            }
        };
        let first = read(charge, args.each_ref().map(String::as_str)).await?;
        if first.value.0.archived.is_none() {
            return Ok((first, false));
        }
        let again = async |args: [&str; 6]| Ok(read(None, args).await?.value);
        let page = Box::pin(self.complete_page(conversation, args, first, again)).await?;
        Ok((page, true))
    }

    /// Completes a page. `again` reads it anew with the given arguments.
    async fn complete_page<T>(
        &self,
        conversation: &str,
        mut args: [String; 6],
        first: RateLimited<(ReadPage, T)>,
        again: impl AsyncFn([&str; 6]) -> Result<(ReadPage, T), Error>,
    ) -> Result<RateLimited<(ReadPage, T)>, Error> {
        let RateLimited {
            value: (mut page, mut rest),
            quota,
        } = first;
        let mut missing = MissingObject::default();
        for _ in 0..ATTEMPTS {
            let joined = match page.archived.take() {
                None => Some(page),
                Some(ArchivedPage::Join(mut bounds, segments)) => {
                    let segments =
                        self.read_segments(conversation, &mut bounds, &segments, &mut missing);
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
                return Ok(RateLimited { value, quota });
            }
            (page, rest) = again(args.each_ref().map(String::as_str)).await?;
        }
        Err(Code::ArchiveUnavailable.into())
    }

    /// The segments of a page that a script named, from its start to both ends. Those that lie beyond its maximum size are
    /// not read, and `bounds` become narrower. `None` if one does not exist.
    async fn read_segments(
        &self,
        conversation: &str,
        bounds: &mut PageBounds,
        pointers: &[SegmentPointer],
        missing: &mut MissingObject,
    ) -> Result<Option<Vec<Arc<Segment>>>, Error> {
        let start = bounds.start;
        let (older, newer) =
            pointers.split_at(pointers.partition_point(|pointer| pointer.low <= start));
        let (mut segments, mut size) = (VecDeque::new(), 0);
        for pointer in older.iter().rev() {
            if size > PAGE_SIZE {
                bounds.low = pointer.high + 1;
                break;
            }
            let Some(segment) = self.read_segment(conversation, pointer, missing).await? else {
                return Ok(None);
            };
            size += segment.size(&(bounds.low..=start));
            segments.push_front(segment);
        }
        let after_start = start + 1..=bounds.high;
        size = segments
            .back()
            .map_or(0, |segment: &Arc<Segment>| segment.size(&after_start));
        for pointer in newer {
            if size > PAGE_SIZE {
                bounds.high = pointer.low - 1;
                break;
            }
            let Some(segment) = self.read_segment(conversation, pointer, missing).await? else {
                return Ok(None);
            };
            size += segment.size(&after_start);
            segments.push_back(segment);
        }
        Ok(Some(segments.into()))
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
    let is_within = |message: &&str| StoredMessage::seq_of(message) <= Some(high);
    let hot = hot.iter().rev().map(String::as_str).filter(is_within);
    let page: Vec<_> = archived.chain(hot).collect();
    let start = usize::try_from(bounds.start - low).unwrap_or_default();
    let (older, newer) = page.split_at(page.len().min(start + 1));
    let share = if bounds.start == high { 1 } else { 2 };
    let (older_count, size) = fitting(older.iter().rev(), PAGE_SIZE / share);
    let (newer_count, _) = fitting(newer.iter(), PAGE_SIZE.saturating_sub(size));
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
pub(super) fn fitting<'a>(
    messages: impl Iterator<Item = &'a &'a str>,
    bytes: usize,
) -> (usize, usize) {
    let (mut count, mut size) = (0, 0);
    for message in messages {
        if count > 0 && size + message.len() > bytes {
            break;
        }
        (count, size) = (count + 1, size + message.len());
    }
    (count, size)
}
