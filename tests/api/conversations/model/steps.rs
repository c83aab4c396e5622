//! The steps of the property test.

use proptest::prelude::*;

/// An action of a user in a conversation. Users are numbers; each case names them.
#[derive(Clone, Debug)]
pub struct Step {
    pub user: usize,
    pub peer: usize,
    pub deed: Deed,
}

#[derive(Clone, Debug)]
pub enum Deed {
    Send {
        reply_to: Option<u64>,
        metadata: bool,
    },
    Read {
        peek: bool,
        page: Page,
        limit: u64,
    },
    MarkRead(u64),
    MarkDelivered(u64),
    MarkUnread(u64),
    Clear,
    Block(bool),
    Mute(bool),
    Edit {
        seq: u64,
        metadata: bool,
    },
    Delete(u64),
    React {
        seq: u64,
        emoji: &'static str,
        on: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub enum Page {
    Newest,
    Before(u64),
    After(u64),
    Around(u64),
}

pub fn stories() -> impl Strategy<Value = Vec<Step>> {
    let pair = (0..3_usize, 1..3_usize).prop_map(|(one, by)| (one, (one + by) % 3));
    let step = (pair, deed()).prop_map(|((user, peer), deed)| Step { user, peer, deed });
    prop::collection::vec(step, 1..80)
}

fn deed() -> impl Strategy<Value = Deed> {
    let seq = || 0..9_u64;
    let page = prop_oneof![
        Just(Page::Newest),
        (0..14_u64).prop_map(Page::Before),
        (0..14_u64).prop_map(Page::After),
        (0..14_u64).prop_map(Page::Around),
    ];
    let send = (prop::option::weighted(0.3, seq()), any::<bool>())
        .prop_map(|(reply_to, metadata)| Deed::Send { reply_to, metadata });
    let read = (any::<bool>(), page, 1..6_u64).prop_map(|(peek, page, limit)| Deed::Read {
        peek,
        page,
        limit,
    });
    let edit = (seq(), any::<bool>()).prop_map(|(seq, metadata)| Deed::Edit { seq, metadata });
    let emoji = prop_oneof![Just("👍"), Just("🎉")];
    let react = (seq(), emoji, prop::bool::weighted(0.7))
        .prop_map(|(seq, emoji, on)| Deed::React { seq, emoji, on });
    prop_oneof![
        8 => send,
        4 => read,
        2 => seq().prop_map(Deed::MarkRead),
        1 => seq().prop_map(Deed::MarkDelivered),
        2 => seq().prop_map(Deed::MarkUnread),
        1 => Just(Deed::Clear),
        1 => prop::bool::weighted(0.4).prop_map(Deed::Block),
        1 => any::<bool>().prop_map(Deed::Mute),
        2 => edit,
        2 => seq().prop_map(Deed::Delete),
        2 => react,
    ]
}
