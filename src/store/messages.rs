//! Messages in Redis.

use super::Store;
use super::script::SEND_MESSAGE;
use crate::error::{Code, Error};
use crate::model::{Draft, Seq, StoredMessage};

impl Store {
    /// Appends a message to its conversation and counts it as unread for the recipient.
    pub async fn send_message(&self, draft: &Draft) -> Result<(Seq, StoredMessage), Error> {
        let pair = draft.pair();
        let keys = [
            self.keys.messages(&pair),
            self.keys.unread(&pair),
            self.keys.meta(&pair),
        ];
        let json = draft.json_after_seq()?;
        let reply_to = draft
            .reply_to()
            .map(|seq| seq.get().to_string())
            .unwrap_or_default();
        let args = [
            draft.to().as_str().as_bytes(),
            json.as_bytes(),
            reply_to.as_bytes(),
        ];
        let sent = self.run::<u64>(&SEND_MESSAGE, &keys, &args).await;
        let seq = sent.map_err(|error| match error.code {
            Code::ReplyToNotFound => {
                Error::field(error.code, "/reply_to", "there is no such message")
            }
            _ => error,
        })?;
        self.metrics.messages_sent.inc();
        let seq = Seq::try_from(seq).map_err(|why| Error::new(Code::Internal, why))?;
        let stored = [r#"{"seq":"#, &seq.get().to_string(), ",", &json].concat();
        Ok((seq, StoredMessage(stored)))
    }
}
