//! Permissions in rooms: every operation on a room, and every operation on a conversation with a room as the peer, by
//! every kind of caller.

use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::auth::operations::{Operation, operations};
use crate::harness::auth::secured_app::spawn_secured_app;
use crate::harness::http::calls::By;
use crate::harness::http::response::ApiResponse;
use crate::harness::spawn_app;

/// What a user is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Admin,
    Member,
    Banned,
    Stranger,
}

use Standing::{Admin, Banned, Member, Stranger};

/// What an operation requires in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Reads: for members, and for strangers of an open room.
    Read,
    /// For members.
    Membership,
    /// For admins.
    Administration,
    /// Replaces the room: for admins. Nobody is told that an invited room exists.
    Replacement,
    /// For members, who are in the room already, and for strangers of an open room, who join.
    Join,
    /// For members, and for strangers of an open room, who are not in it already.
    Leave,
    /// No room has it.
    Refused,
}

/// What each operation needs.
const NEEDS: &[(&str, Need)] = &[
    ("send_message", Need::Membership),
    ("read_message", Need::Read),
    ("edit_message", Need::Membership),
    ("delete_message", Need::Membership),
    ("add_reaction", Need::Membership),
    ("remove_reaction", Need::Membership),
    ("read_conversation", Need::Read),
    ("clear_conversation", Need::Membership),
    ("update_conversation", Need::Membership),
    ("block_peer", Need::Refused),
    ("unblock_peer", Need::Refused),
    ("mute_conversation", Need::Membership),
    ("unmute_conversation", Need::Membership),
    ("mark_read", Need::Membership),
    ("mark_delivered", Need::Membership),
    ("mark_unread", Need::Membership),
    ("announce_typing", Need::Membership),
    ("set_room", Need::Replacement),
    ("read_room", Need::Read),
    ("delete_room", Need::Administration),
    ("list_members", Need::Read),
    ("set_member", Need::Join),
    ("remove_member", Need::Leave),
];

/// The answer that a user must get: a status, or the code of a problem.
fn expected(need: Need, standing: Standing, join: &str) -> &'static str {
    match (need, standing, join) {
        (Need::Refused, ..) => "INVALID_REQUEST",
        (Need::Replacement, Stranger, "invited")
        | (Need::Administration | Need::Replacement, Member, _) => "FORBIDDEN",
        (_, Stranger, "invited") => "ROOM_NOT_FOUND",
        (Need::Read | Need::Join | Need::Leave, Stranger, _) | (_, Admin | Member, _) => "",
        (_, Banned | Stranger, _) => "NOT_A_MEMBER",
    }
}

/// The same for any caller. Those who are no users may do everything to a room, but act for alice in a conversation.
fn expected_of(
    operation: &Operation,
    need: Need,
    by: By,
    standing: Standing,
    join: &str,
) -> &'static str {
    let is_for_user = matches!(by, By::User(_)) || !operation.path.starts_with("/rooms/");
    if is_for_user {
        expected(need, standing, join)
    } else {
        ""
    }
}

/// The operations on a room or a conversation, each with what it needs.
fn room_operations() -> Vec<(Operation, Need)> {
    let concerns_room = |operation: &Operation| {
        let path = &operation.path;
        path.starts_with("/rooms/")
            || path.starts_with("/conversations/alice/bob")
            || operation.id == "send_message"
    };
    let found = operations().into_iter().filter(concerns_room);
    let found: Vec<_> = found
        .map(|operation| {
            let need = NEEDS.iter().find(|(id, _)| *id == operation.id);
            let need = need.unwrap_or_else(|| panic!("{} is missing in NEEDS", operation.id));
            (operation, need.1)
        })
        .collect();
    assert_eq!(found.len(), NEEDS.len());
    found
}

/// Creates a room in which `user` has a standing, with a message of the user, or of owen if the user has no say.
async fn prepare(app: &TestApp, by: By<'_>, room: &str, join: &str, standing: Standing) {
    let call = async |method, path: &str, body: &Value| app.by(by, method, path, Some(body)).await;
    let settings = json!({"join": join, "admins": ["owen"]});
    let created = call("PUT", &format!("/rooms/{room}"), &settings).await;
    assert_eq!(created.status, 201, "{created:?}");
    let role = match standing {
        Admin => "admin",
        Member => "member",
        Banned => "banned",
        Stranger => "",
    };
    if !role.is_empty() {
        let path = format!("/rooms/{room}/members/alice");
        let set = call("PUT", &path, &json!({"role": role})).await;
        assert_eq!(set.status, 201, "{set:?}");
    }
    let author = if [Admin, Member].contains(&standing) {
        "alice"
    } else {
        "owen"
    };
    let message = json!({"from": author, "to": format!("room:{room}"), "body": "hi"});
    let sent = call("POST", "/messages", &message).await;
    assert_eq!(sent.status, 201, "{sent:?}");
}

/// Performs an operation as alice in a room.
async fn perform(app: &TestApp, by: By<'_>, operation: &Operation, room: &str) -> ApiResponse {
    let path = operation
        .path
        .replace("/rooms/general", &format!("/rooms/{room}"));
    let path = path.replace(
        "/conversations/alice/bob",
        &format!("/conversations/alice/room:{room}"),
    );
    let mut body = operation.body.clone();
    if operation.id == "send_message" {
        body = Some(json!({"from": "alice", "to": format!("room:{room}"), "body": "hi"}));
    }
    app.by(by, &operation.method, &path, body.as_ref()).await
}

/// Asserts an answer: success if `code` is empty.
#[track_caller]
fn assert_answer(answer: &ApiResponse, code: &str, case: &str) {
    if code.is_empty() {
        assert!((200..300).contains(&answer.status), "{case}: {answer:?}");
    } else {
        assert!(answer.status >= 400, "{case}: {answer:?}");
        assert_eq!(answer.any_problem()["code"], code, "{case}: {answer:?}");
    }
}

#[tokio::test]
async fn every_operation_on_a_room_serves_who_may_use_it() {
    let app = spawn_secured_app();
    let operations = room_operations();
    let mut number = 0;
    for (operation, need) in &operations {
        for join in ["open", "invited"] {
            for standing in [Admin, Member, Banned, Stranger] {
                for by in [By::User("alice"), By::Backend] {
                    let mut attempt = async || {
                        number += 1;
                        let room = format!("r{number}");
                        prepare(&app, By::Backend, &room, join, standing).await;
                        perform(&app, by, operation, &room).await
                    };
                    let mut answer = attempt().await;
                    // A busy machine may ask to try again.
                    if answer.status >= 500 || [408, 429].contains(&answer.status) {
                        answer = attempt().await;
                    }
                    let code = expected_of(operation, *need, by, standing, join);
                    let case = format!("{} by {by:?}: {standing:?} of {join}", operation.id);
                    assert_answer(&answer, code, &case);
                }
            }
        }
    }
}

#[tokio::test]
async fn other_users_may_do_nothing_as_a_member() {
    let app = spawn_secured_app();
    for (operation, need) in &room_operations() {
        app.forget_everything();
        prepare(&app, By::Backend, "general", "open", Member).await;
        let mallory = By::User("mallory");
        let joined = app.by(mallory, "PUT", "/rooms/general/members/mallory", None);
        assert_eq!(joined.await.status, 201);
        let answer = perform(&app, mallory, operation, "general").await;
        let acts_for_alice = operation.path.contains("alice") || operation.id == "send_message";
        let code = match need {
            Need::Refused if !acts_for_alice => "INVALID_REQUEST",
            Need::Read if !acts_for_alice => "",
            _ => "FORBIDDEN",
        };
        // Whether the request or the caller is looked at first does not matter.
        let refused = answer.status == 400 && *need == Need::Refused;
        if !refused {
            assert_answer(&answer, code, &operation.id);
        }
    }
}

#[tokio::test]
async fn anonymous_callers_of_an_open_service_act_as_backends() {
    let (app, nobody) = (spawn_app(), By::Anonymous);
    let mut number = 0;
    for (operation, need) in &room_operations() {
        for standing in [Admin, Member, Banned, Stranger] {
            number += 1;
            let room = format!("r{number}");
            prepare(&app, nobody, &room, "invited", standing).await;
            let answer = perform(&app, nobody, operation, &room).await;
            let code = expected_of(operation, *need, nobody, standing, "invited");
            assert_answer(&answer, code, &format!("{}: {standing:?}", operation.id));
        }
    }
}
