//! The steps of the property test.

use proptest::prelude::*;

/// An action of a user in a conversation. Users are numbers; each case names them.
#[derive(Clone, Debug)]
pub struct Step {
    pub user: usize,
    pub peer: usize,
    /// The service that runs the step. Each service has its own limits.
    pub service: usize,
    pub action: Action,
}

#[derive(Clone, Debug)]
pub enum Action {
    Send(Draft),
    Read(Read),
    Change(Change),
    Import(usize),
    /// Days pass.
    Age(u32),
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

/// A change of the user's marks or settings.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    MarkRead {
        seq: u64,
        private: bool,
    },
    MarkDelivered(u64),
    MarkUnread(u64),
    Clear,
    Block(bool),
    /// Mutes for so many days, or for good.
    Mute(Option<i64>),
    Unmute,
    /// Changes settings; `None` leaves one out, 0 removes the metadata.
    Set {
        archived: Option<bool>,
        pinned: Option<bool>,
        metadata: Option<u8>,
    },
}

/// A message to send.
#[derive(Clone, Copy, Debug)]
pub struct Draft {
    pub reply_to: Option<u64>,
    pub metadata: bool,
    /// Days after which the message expires.
    pub expires_in: Option<i64>,
}

/// The parameters of a page; `None` leaves one out.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub page: Page,
    pub limit: u64,
    pub unread_limit: Option<usize>,
    pub peek: Option<bool>,
}

impl Read {
    /// Everything that a conversation has, without marking it as read.
    pub const ALL: Self = Self {
        page: Page::Newest,
        limit: 200,
        unread_limit: None,
        peek: Some(true),
    };

    /// Whether the read marks the conversation as read.
    pub fn marks(&self) -> bool {
        let newest = matches!(self.page, Page::Newest) && self.limit > 0;
        self.peek.map_or(newest, |peek| !peek)
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Page {
    Newest,
    Before(u64),
    After(u64),
    Around(u64),
    /// Around the time of the message with this seq, or a time outside the conversation.
    AroundTime(u64),
}

pub fn scenarios() -> impl Strategy<Value = Vec<Step>> {
    let pair = (0..3_usize, 1..3_usize).prop_map(|(one, by)| (one, (one + by) % 3));
    let service = prop_oneof![3 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    let step = (pair, service, action()).prop_map(|((user, peer), service, action)| Step {
        user,
        peer,
        service,
        action,
    });
    prop::collection::vec(step, 1..80)
}

fn seq() -> impl Strategy<Value = u64> {
    0..9_u64
}

fn action() -> impl Strategy<Value = Action> {
    let edit = (seq(), any::<bool>()).prop_map(|(seq, metadata)| Action::Edit { seq, metadata });
    let emoji = prop_oneof![Just("👍"), Just("🎉")];
    let react = (seq(), emoji, prop::bool::weighted(0.7))
        .prop_map(|(seq, emoji, on)| Action::React { seq, emoji, on });
    prop_oneof![
        8 => draft().prop_map(Action::Send),
        4 => read().prop_map(Action::Read),
        11 => change().prop_map(Action::Change),
        1 => (1..4_usize).prop_map(Action::Import),
        1 => prop_oneof![Just(1_u32), Just(20)].prop_map(Action::Age),
        2 => edit,
        2 => seq().prop_map(Action::Delete),
        2 => react,
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let reply_to = prop::option::weighted(0.3, seq());
    let days = prop_oneof![Just(1_i64), Just(30)];
    let expires_in = prop::option::weighted(0.3, days);
    let draft = (reply_to, any::<bool>(), expires_in);
    draft.prop_map(|(reply_to, metadata, expires_in)| Draft {
        reply_to,
        metadata,
        expires_in,
    })
}

fn read() -> impl Strategy<Value = Read> {
    let page = prop_oneof![
        Just(Page::Newest),
        (0..14_u64).prop_map(Page::Before),
        (0..14_u64).prop_map(Page::After),
        (0..14_u64).prop_map(Page::Around),
        (0..14_u64).prop_map(Page::AroundTime),
    ];
    let unread_limit = prop::option::of(0..4_usize);
    let read = (page, 0..6_u64, unread_limit, any::<Option<bool>>());
    read.prop_map(|(page, limit, unread_limit, peek)| Read {
        page,
        limit,
        unread_limit,
        peek,
    })
}

fn change() -> impl Strategy<Value = Change> {
    let mark_read = (seq(), prop::bool::weighted(0.3))
        .prop_map(|(seq, private)| Change::MarkRead { seq, private });
    let flag = any::<Option<bool>>;
    let set = (flag(), flag(), prop::option::of(0..3_u8));
    let set = set.prop_map(|(archived, pinned, metadata)| Change::Set {
        archived,
        pinned,
        metadata,
    });
    prop_oneof![
        2 => mark_read,
        1 => seq().prop_map(Change::MarkDelivered),
        2 => seq().prop_map(Change::MarkUnread),
        1 => Just(Change::Clear),
        1 => prop::bool::weighted(0.4).prop_map(Change::Block),
        1 => prop::option::of(prop_oneof![Just(1_i64), Just(30)]).prop_map(Change::Mute),
        1 => Just(Change::Unmute),
        2 => set,
    ]
}
