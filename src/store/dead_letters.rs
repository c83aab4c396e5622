//! Dead letters: events that the webhooks of subscriptions did not take.

use super::Store;
use super::script::{
    ERASE_DEAD_LETTERS, FILE_DEAD_LETTER, LIST_DEAD_LETTERS, NOTE_ERASURE, RETRY_DEAD_LETTERS,
    SETTLE_DEAD_LETTER, TAKE_DEAD_LETTERS,
};
use super::stored_subscription::StoredSubscription;
use crate::error::{Code, Error};
use crate::model::{
    DeadLettersQuery, FeedEventId, RawDeadLetter, RawDeadLetters, RetriedDeadLetters,
    SubscriptionName, UserId,
};
use crate::rate::{RateLimitRequest, RateLimited};

/// Maximum number of dead letters of a subscription.
const LIMIT: u64 = 10_000;
/// Dead letters that one call marks, which takes Redis about a millisecond.
const MARKED: u64 = 1000;
/// Dead letters that are read to be sent again.
const TAKEN: &str = "16";
/// Seconds for which an event can still be sent: somewhat longer than feeds keep it, 72 hours.
const SENT_S: &str = "262800";

impl Store {
    /// Keeps an event that the endpoint of a subscription did not take, unless one of its users was erased since. Returns
    /// `false` if there is no space for it.
    pub async fn file_dead_letter(
        &self,
        stored: &StoredSubscription,
        letter: &RawDeadLetter,
    ) -> Result<bool, Error> {
        let [dead, dead_order] = self.keys.dead_letters(stored.name.as_str());
        let keys = [dead, dead_order, self.keys.erased()];
        let event = &letter.event;
        let args = [event.id.to_string(), letter.to_text(), LIMIT.to_string()];
        let args = args.iter().map(String::as_str);
        let args = args.chain(event.named_users()).map(str::as_bytes);
        let args: Vec<_> = args.collect();
        let done: u8 = self.run(&FILE_DEAD_LETTER, &keys, &args).await?;
        Ok(done == 1)
    }

    /// Drops the dead letters of all subscriptions that are about a user, and lets no event from before become one.
    pub async fn erase_dead_letters(&self, user: &UserId) -> Result<(), Error> {
        let subscriptions = self.read_subscriptions().await?;
        if !subscriptions.is_empty() {
            self.note_erasure(user).await?;
        }
        for stored in subscriptions {
            let keys = self.keys.dead_letters(stored.name.as_str());
            let mut cursor = "0".to_owned();
            loop {
                let args = [user.as_str(), &cursor].map(str::as_bytes);
                cursor = self.run(&ERASE_DEAD_LETTERS, &keys, &args).await?;
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Notes that a user was erased, so that no event from before becomes a dead letter.
    pub async fn note_erasure(&self, user: &UserId) -> Result<(), Error> {
        let keys = [self.keys.erased()];
        let args = [user.as_str(), SENT_S].map(str::as_bytes);
        self.run::<u8>(&NOTE_ERASURE, &keys, &args)
            .await
            .map(|_| ())
    }

    /// A page of the dead letters of a subscription.
    pub async fn list_dead_letters(
        &self,
        name: &SubscriptionName,
        query: &DeadLettersQuery,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<RawDeadLetters>, Error> {
        let quota = self.charge_several(charge).await?;
        self.find_subscription(name).await?;
        let keys = self.keys.dead_letters(name.as_str());
        let (after, limit) = (query.cursor.0.to_string(), query.limit().to_string());
        let args = [&after, &limit, super::PAGE_BYTES].map(str::as_bytes);
        let (found, more): (Vec<(String, u64, String)>, u8) =
            self.run(&LIST_DEAD_LETTERS, &keys, &args).await?;
        let rows = found
            .into_iter()
            .map(|(id, failed_us, text)| Ok((failed_us, parse(id, &text)?)));
        let rows = rows.collect::<Result<_, Error>>()?;
        let more = more == 1;
        let value = RawDeadLetters { rows, more };
        Ok(RateLimited { value, quota })
    }

    /// Marks dead letters of a subscription as to be sent again: all without ids.
    pub async fn retry_dead_letters(
        &self,
        name: &SubscriptionName,
        ids: &[FeedEventId],
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<RetriedDeadLetters>, Error> {
        let quota = self.charge_several(charge).await?;
        self.find_subscription(name).await?;
        let [_, dead_order] = self.keys.dead_letters(name.as_str());
        let keys = [dead_order];
        // What fails again meanwhile could be marked again without end.
        let calls = if ids.is_empty() { LIMIT / MARKED } else { 1 };
        let ids = ids.iter().map(ToString::to_string);
        let args: Vec<_> = [MARKED.to_string()].into_iter().chain(ids).collect();
        let args: Vec<_> = args.iter().map(String::as_bytes).collect();
        let mut value = RetriedDeadLetters { retried: 0 };
        for _ in 0..calls {
            let marked: u64 = self.run(&RETRY_DEAD_LETTERS, &keys, &args).await?;
            value.retried += marked;
            if marked < MARKED {
                break;
            }
        }
        Ok(RateLimited { value, quota })
    }

    /// Some dead letters of a subscription that are to be sent again.
    pub async fn take_dead_letters(
        &self,
        stored: &StoredSubscription,
    ) -> Result<Vec<RawDeadLetter>, Error> {
        let keys = self.keys.dead_letters(stored.name.as_str());
        let args = [TAKEN.as_bytes()];
        let found: Vec<(String, String)> = self.run(&TAKE_DEAD_LETTERS, &keys, &args).await?;
        let letters = found.into_iter().map(|(id, text)| parse(id, &text));
        letters.collect()
    }

    /// Decides what becomes of a dead letter that was sent again: without the letter after a failed attempt it is gone.
    pub async fn settle_dead_letter(
        &self,
        stored: &StoredSubscription,
        id: FeedEventId,
        failed: Option<&RawDeadLetter>,
    ) -> Result<bool, Error> {
        let keys = self.keys.dead_letters(stored.name.as_str());
        let text = failed.map(RawDeadLetter::to_text).unwrap_or_default();
        let args = [id.to_string(), text];
        let args = args.each_ref().map(String::as_bytes);
        let settled: u8 = self.run(&SETTLE_DEAD_LETTER, &keys, &args).await?;
        Ok(settled == 1)
    }
}

fn parse(id: String, text: &str) -> Result<RawDeadLetter, Error> {
    let letter = FeedEventId::try_from(id).ok();
    let letter = letter.and_then(|id| RawDeadLetter::parse(id, text));
    letter.ok_or_else(|| Error::new(Code::Internal, "A stored dead letter is malformed."))
}
