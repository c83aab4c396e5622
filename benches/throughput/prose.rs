//! Messages that compress as those of people do: other words, ids and times in each.

use chrono::DateTime;
use duologue::model::rfc3339;
use uuid::Builder;

use crate::Outcome;
use crate::messages::BODY;

const WORDS: &str = "the be to of and a in that have it for not on with he as you do at this but his by from they we say \
    her she or an will my one all would there their what so up out if about who get which go me when make can like \
    time no just him know take people into year your good some could them see other than then now look only come its \
    over think also back after use two how our work first well way even new want because any these give day most us \
    dinner train tomorrow sorry thanks great photo meeting called street twenty minutes really birthday weekend";

/// When the first message was sent, in milliseconds since 1970: in September 2020.
const BEGIN_MS: u64 = 1_600_000_000_000;

/// A generator of messages, the same ones for the same seed.
pub struct Prose {
    random: u64,
    words: Vec<&'static str>,
}

impl Prose {
    pub fn new(seed: u64) -> Self {
        Self {
            random: seed,
            words: WORDS.split_whitespace().collect(),
        }
    }

    /// The next random number (splitmix64).
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A body of about as many bytes as those of other rows. The first words are more frequent.
    fn body(&mut self) -> String {
        let mut body = String::new();
        while body.len() < BODY {
            let end = self.below(self.words.len() as u64) + 1;
            let word = usize::try_from(self.below(end)).unwrap_or_default();
            body.push_str(self.words[word]);
            body.push(' ');
        }
        body
    }

    /// A message as it is stored, of one of two users, a minute after the one before.
    pub fn message(&mut self, ann: &str, ben: &str, seq: u32) -> Outcome<String> {
        let (from, to) = match self.below(2) {
            0 => (ann, ben),
            _ => (ben, ann),
        };
        let millis = BEGIN_MS + u64::from(seq) * 60_000 + self.below(60_000);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.next().to_le_bytes());
        random[8..].copy_from_slice(&self.next().to_le_bytes()[..2]);
        let id = Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        let sent_at = DateTime::from_timestamp_millis(millis.try_into()?).ok_or("no such time")?;
        let (sent_at, body) = (rfc3339(sent_at), self.body());
        Ok(format!(
            r#"{{"seq":{seq},"from":"{from}","to":"{to}","id":"{id}","sent_at":"{sent_at}","body":"{body}"}}"#
        ))
    }
}
