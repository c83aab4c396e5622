//! Emoji, for reactions to messages.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An emoji of Unicode's list (UTS 51, emoji-test.txt) in its fully qualified form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(min_length = 1, max_length = 64, example = "👍")]
pub struct Emoji(String);

/// The variation selector that requests emoji presentation. Keyboards differ in where they write it.
const PRESENTATION: char = '\u{fe0f}';

/// The emoji by their forms without [`PRESENTATION`]. `emojis::get` is not used, because it returns
/// another emoji for some of these forms (24 couples of one skin tone; digits become keycaps).
static LISTED: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let toned = |emoji: &'static emojis::Emoji| emoji.skin_tones().into_iter().flatten();
    let all = emojis::iter().flat_map(|emoji| toned(emoji).chain([emoji]));
    let all = all.map(emojis::Emoji::as_str);
    all.map(|emoji| (emoji.replace(PRESENTATION, ""), emoji))
        .collect()
});

impl Emoji {
    pub fn all() -> impl Iterator<Item = Self> {
        LISTED.values().map(|emoji| Self((*emoji).to_owned()))
    }

    /// An emoji of a stored message. It was checked when it was stored, possibly by a newer version with a
    /// longer list.
    pub(super) const fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Emoji {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let rest = text.strip_suffix(PRESENTATION).unwrap_or(&text);
        // Each selector must follow a character, and no two follow each other.
        let placed = rest.split(PRESENTATION).all(|part| !part.is_empty());
        let listed = LISTED.get(&text.replace(PRESENTATION, ""));
        let emoji = listed.filter(|_| placed);
        emoji
            .map(|emoji| Self((*emoji).to_owned()))
            .ok_or("must be one emoji of Unicode's list")
    }
}
