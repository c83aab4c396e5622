//! The steps of the property test of rooms.

use proptest::prelude::*;

/// An action of a user, or one that concerns the user. Users are numbers; each case names them.
#[derive(Clone, Debug)]
pub struct Step {
    pub user: usize,
    /// The service that runs the step: 0 keeps everything, 1 only some messages.
    pub service: usize,
    pub action: Action,
}

#[derive(Clone, Debug)]
pub enum Action {
    Send,
    /// Sends to the next user, so that totals count more than the room.
    SendToUser,
    Read {
        limit: u64,
        peek: bool,
    },
    MarkRead(u64),
    MarkUnread(u64),
    Clear,
    Mute(bool),
    /// Changes settings; `None` leaves one out.
    Set {
        archived: Option<bool>,
        pinned: Option<bool>,
    },
    Edit(u64),
    React(u64),
    Delete(u64),
    /// A backend sets the role of the user.
    Join(Role),
    Leave,
    /// A backend changes the settings of the room.
    Change {
        open: bool,
        all: bool,
    },
    Export,
    Erase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Member,
    Admin,
    Banned,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Banned => "banned",
        }
    }
}

/// Number of users of a case.
pub const USERS: usize = 4;

pub fn scenarios() -> impl Strategy<Value = Vec<Step>> {
    let service = prop_oneof![3 => Just(0_usize), 1 => Just(1)];
    let step = (0..USERS, service, action());
    let step = step.prop_map(|(user, service, action)| Step {
        user,
        service,
        action,
    });
    prop::collection::vec(step, 1..70)
}

fn action() -> impl Strategy<Value = Action> {
    let seq = || 0..12_u64;
    let read = (0..6_u64, prop::bool::weighted(0.3));
    let read = read.prop_map(|(limit, peek)| Action::Read { limit, peek });
    let set = (any::<Option<bool>>(), any::<Option<bool>>());
    let set = set.prop_map(|(archived, pinned)| Action::Set { archived, pinned });
    let role = prop_oneof![
        6 => Just(Role::Member),
        2 => Just(Role::Admin),
        1 => Just(Role::Banned),
    ];
    let change = any::<(bool, bool)>().prop_map(|(open, all)| Action::Change { open, all });
    prop_oneof![
        9 => Just(Action::Send),
        1 => Just(Action::SendToUser),
        4 => read,
        2 => seq().prop_map(Action::MarkRead),
        2 => seq().prop_map(Action::MarkUnread),
        1 => Just(Action::Clear),
        1 => any::<bool>().prop_map(Action::Mute),
        2 => set,
        1 => seq().prop_map(Action::Edit),
        1 => seq().prop_map(Action::React),
        2 => seq().prop_map(Action::Delete),
        6 => role.prop_map(Action::Join),
        2 => Just(Action::Leave),
        1 => change,
        1 => Just(Action::Export),
        1 => Just(Action::Erase),
    ]
}
