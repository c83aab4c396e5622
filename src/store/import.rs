//! Imported messages, stored in Redis.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};

use redis::{FromRedisValue, ParsingError, Value};

use super::Store;
use super::archived::{ATTEMPTS, MissingObject, SegmentPointer};
use super::change::ConversationRequest;
use super::script::IMPORT_MESSAGES;
use crate::error::{Code, Error, FieldError, PartialImport};
use crate::model::{ImportResult, ImportedMessage, Seq};

/// Maximum number of messages that one script appends. Redis is busy with them for one or two
/// milliseconds, and Lua accepts only some thousands of arguments.
const STEP: usize = 500;
/// Approximate maximum size of the messages that one script appends, in bytes.
const STEP_BYTES: usize = 1024 * 1024;
/// Number of conversations that are imported concurrently.
const CONCURRENCY: usize = 32;
/// Seconds for which the messages of an import are recognized: 30 days.
const KNOWN_S: &str = "2592000";

/// What `lua/messages/import_messages.lua` did: the number of messages it appended, why it refused others, which one
/// caused that, and those that are not stored.
type ImportStep = (u64, String, usize, Vec<usize>);

/// The reply of that script.
enum ImportReply {
    Done(ImportStep),
    /// It needs the messages of a segment, to compare them.
    Read(SegmentPointer),
}

impl FromRedisValue for ImportReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Array(parts) if parts.len() == 3 => {
                let (low, high, object) = FromRedisValue::from_redis_value(Value::Array(parts))?;
                Ok(Self::Read(SegmentPointer { low, high, object }))
            }
            value => FromRedisValue::from_redis_value(value).map(Self::Done),
        }
    }
}

/// The outcome for the messages of one or more conversations.
#[derive(Default)]
struct ImportOutcome {
    imported: u64,
    refused: Vec<UnstoredMessage>,
}

/// A message that was not stored, and why.
struct UnstoredMessage {
    line: usize,
    code: Code,
    member: &'static str,
    detail: String,
}

impl Store {
    /// Appends messages to their conversations, in the order of their times, as read by both users. Skips
    /// messages that an earlier attempt appended. If a message cannot be stored, the messages after it in
    /// its conversation are not stored either; the error names all of them. Other conversations are not
    /// affected.
    pub async fn import_messages(
        &self,
        messages: Vec<ImportedMessage>,
    ) -> Result<ImportResult, Error> {
        let total = messages.len() as u64;
        let mut conversations: HashMap<String, Vec<ImportedMessage>> = HashMap::new();
        for message in messages {
            let pair = message.pair.as_str().to_owned();
            conversations.entry(pair).or_default().push(message);
        }
        for messages in conversations.values_mut() {
            messages.sort_by_key(|message| (message.place, message.sent_at));
        }
        let imports = conversations
            .into_values()
            .map(|messages| self.import_conversation(messages));
        let outcome = stream::iter(imports).buffer_unordered(CONCURRENCY);
        let outcome = outcome.try_fold(ImportOutcome::default(), async |mut sum, some| {
            sum.imported += some.imported;
            sum.refused.extend(some.refused);
            Ok(sum)
        });
        let outcome = outcome.await?;
        self.metrics.messages_sent.inc_by(outcome.imported);
        let import = ImportResult {
            imported: outcome.imported,
            skipped: total - outcome.imported - outcome.refused.len() as u64,
        };
        if outcome.refused.is_empty() {
            Ok(import)
        } else {
            Err(refusal(import, outcome.refused))
        }
    }

    async fn import_conversation(
        &self,
        messages: Vec<ImportedMessage>,
    ) -> Result<ImportOutcome, Error> {
        let mut outcome = ImportOutcome::default();
        let (mut rest, mut moves) = (messages.as_slice(), self.archive.is_some());
        while !rest.is_empty() {
            let (step, after) = rest.split_at(step_length(rest));
            let (imported, reason, culprit, unstored) = self.import_step(step).await?;
            outcome.imported += imported;
            if imported > 0 && moves {
                moves = self.move_imported(step[0].pair.as_str()).await?;
            }
            rest = after;
            if !unstored.is_empty() {
                let unstored = unstored.iter().filter_map(|number| step.get(number - 1));
                let culprit = culprit.checked_sub(1).and_then(|number| step.get(number));
                let refused = unstored.chain(rest);
                let refused = refused.map(|message| unstored_message(message, &reason, culprit));
                outcome.refused = refused.collect();
                break;
            }
        }
        Ok(outcome)
    }

    /// Appends some messages. Those of an export are compared with the ones at their seqs, wherever these are.
    async fn import_step(&self, step: &[ImportedMessage]) -> Result<ImportStep, Error> {
        let Some(last) = step.last() else {
            return Ok(ImportStep::default());
        };
        let (mut archived, mut missing) = (HashMap::new(), MissingObject::default());
        // A message is in one segment, and each call needs another one.
        for _ in 0..=step.len() + ATTEMPTS {
            let pointer = match self.append_imported(step, last, &archived).await? {
                ImportReply::Done(done) => return Ok(done),
                ImportReply::Read(pointer) => pointer,
            };
            let segment = self.read_segment(last.pair.as_str(), &pointer, &mut missing);
            if let Some(segment) = segment.await? {
                let texts = (pointer.low..).zip(segment.messages().map(str::to_owned));
                archived.extend(texts);
            }
        }
        Err(Code::MessageChanged.into())
    }

    /// Runs the script that appends messages, of which some are known to be in the archive, by their seqs.
    async fn append_imported(
        &self,
        step: &[ImportedMessage],
        last: &ImportedMessage,
        archived: &HashMap<u64, String>,
    ) -> Result<ImportReply, Error> {
        let request = ConversationRequest {
            user: &last.from,
            peer: &last.to,
            charge: None,
        };
        let mut args = vec![
            last.from.to_string(),
            last.to.to_string(),
            self.retention.script_arg(),
            KNOWN_S.to_owned(),
        ];
        for message in step {
            let number =
                |seq: Option<Seq>| seq.map(|seq| seq.get().to_string()).unwrap_or_default();
            let expires_ms = message.expires_at.map(|time| time.timestamp_millis());
            let stored = message.place.and_then(|place| archived.get(&place.get()));
            args.extend([
                message.key(),
                message.fingerprint.clone(),
                number(message.place),
                number(message.reply_to),
                message.sent_at.timestamp_micros().max(1).to_string(),
                expires_ms.map(|time| time.to_string()).unwrap_or_default(),
                message.json.clone(),
                stored.cloned().unwrap_or_default(),
            ]);
        }
        let mut keys = self.change_keys(&last.pair, request);
        keys.extend([
            self.keys.imported(&last.pair),
            self.keys.schedule(last.pair.as_str()),
        ]);
        let args = args.iter().map(String::as_bytes).collect();
        let safety = IMPORT_MESSAGES.retry;
        let imported = self.run_change(&IMPORT_MESSAGES, safety, request, keys, args, None);
        Ok(imported.await?.value)
    }
}

/// The number of messages that the next step appends.
fn step_length(messages: &[ImportedMessage]) -> usize {
    let mut bytes = 0;
    let fits = |message: &&ImportedMessage| {
        bytes += message.json.len();
        bytes <= STEP_BYTES
    };
    let count = messages.iter().take(STEP).take_while(fits).count();
    count.max(1)
}

/// Describes why a message was not stored: because of itself, or because of the culprit.
fn unstored_message(
    message: &ImportedMessage,
    reason: &str,
    culprit: Option<&ImportedMessage>,
) -> UnstoredMessage {
    let (word, why) = reason.split_once(' ').unwrap_or_default();
    let pair = message.pair.as_str();
    let own = culprit.is_none_or(|culprit| culprit.line == message.line);
    let detail = match culprit {
        Some(_) if !own => format!("{pair}: another message of the conversation was refused"),
        _ => format!("{pair}: {why}"),
    };
    let code = Code::from_word(word).unwrap_or(Code::ImportConflict);
    let blamed = culprit.is_some() && own && code == Code::ReplyToNotFound;
    UnstoredMessage {
        line: message.line,
        code,
        member: if blamed { "/reply_to" } else { "" },
        detail,
    }
}

/// The error of a batch of which some messages were not stored.
fn refusal(import: ImportResult, mut refused: Vec<UnstoredMessage>) -> Error {
    refused.sort_by_key(|refused| refused.line);
    let ImportResult { imported, skipped } = import;
    // All messages of a conversation have the same code.
    let code = refused.iter().map(|refused| refused.code);
    let code = code.reduce(|one, other| {
        if one == other {
            one
        } else {
            Code::ImportConflict
        }
    });
    let code = code.unwrap_or(Code::ImportConflict);
    let count = refused.len();
    let detail = format!(
        "{imported} messages were stored, {skipped} were already stored, and {count} were not stored; `errors` gives the reasons."
    );
    let fields = refused.into_iter().map(|refused| FieldError {
        pointer: format!("/{}{}", refused.line, refused.member),
        detail: refused.detail,
    });
    Error {
        fields: fields.collect(),
        stored: Some(Box::new(PartialImport { imported, skipped })),
        ..Error::new(code, detail)
    }
}
