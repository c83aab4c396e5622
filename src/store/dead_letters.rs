//! Dead letters: events that the webhooks of subscriptions did not take.

use super::Store;
use super::script::{
    ERASE_DEAD_LETTERS, FILE_DEAD_LETTER, LIST_DEAD_LETTERS, RETRY_DEAD_LETTERS,
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

impl Store {
    /// Keeps an event that the endpoint of a subscription did not take. Returns `false` if there is no space for it.
    pub async fn file_dead_letter(
        &self,
        stored: &StoredSubscription,
        letter: &RawDeadLetter,
    ) -> Result<bool, Error> {
        let keys = self.keys.dead_letters(stored.name.as_str());
        let args = [
            letter.event.id.to_string(),
            letter.to_text(),
            LIMIT.to_string(),
        ];
        let args = args.each_ref().map(String::as_bytes);
        let kept: u8 = self.run(&FILE_DEAD_LETTER, &keys, &args).await?;
        Ok(kept == 1)
    }

    /// Drops the dead letters of all subscriptions that are about a user.
    pub async fn erase_dead_letters(&self, user: &UserId) -> Result<(), Error> {
        for stored in self.read_subscriptions().await? {
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
