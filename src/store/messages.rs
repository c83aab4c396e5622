//! Messages in Redis.

use super::script::SEND_MESSAGE;
use super::{Charged, Store};
use crate::error::{Code, Error};
use crate::model::{Draft, Seq, StoredMessage};
use crate::rate::Charge;

impl Store {
    /// Appends a message to its conversation and counts it as unread for the recipient.
    pub async fn send_message(
        &self,
        draft: &Draft,
        charge: Option<&Charge>,
    ) -> Result<Charged<(Seq, StoredMessage)>, Error> {
        let pair = draft.pair();
        let keys = [
            self.keys.messages(&pair),
            self.keys.unread(&pair),
            self.keys.meta(&pair),
        ];
        let json = draft.json_after_seq()?;
        let reply_to = draft.reply_to().map(|seq| seq.get().to_string());
        let reply_to = reply_to.unwrap_or_default();
        let args = [draft.to().as_str(), &json, &reply_to].map(str::as_bytes);
        let sent = self
            .run_charged::<u64>(&SEND_MESSAGE, charge, &keys, &args)
            .await;
        let sent = sent.map_err(|error| match error.code {
            Code::ReplyToNotFound => Error::field(error.code, "/reply_to", error.detail),
            _ => error,
        })?;
        self.metrics.messages_sent.inc();
        sent.try_map(|seq| {
            let seq = Seq::try_from(seq).map_err(|why| Error::new(Code::Internal, why))?;
            let stored = [r#"{"seq":"#, &seq.get().to_string(), ",", &json].concat();
            Ok((seq, StoredMessage(stored)))
        })
    }
}
