//! Joining a room, over HTTP.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::ChatError;
use super::socket::{cause, problem};
use crate::cli::client::ApiClient;
use crate::model::{RoomId, RoomName, UserId};

/// Joins a room. If there is none, creates one that is open to everybody, with the user as its admin.
pub async fn join(client: &ApiClient, user: &UserId, room: &RoomName) -> Result<(), ChatError> {
    let room = format!("/rooms/{}", RoomId::from(room.clone()).path_segment());
    let member = format!("{room}/members/{}", user.path_segment());
    let join = || send(client.request(Method::PUT, &member));
    match join().await {
        Err(ChatError::Rejected(problem)) if problem.code == "ROOM_NOT_FOUND" => (),
        outcome => return outcome,
    }
    let create = client
        .request(Method::PUT, &room)
        .json(&json!({"join": "open"}));
    match send(create.header("if-none-match", "*")).await {
        // A backend that creates a room is no member of it.
        Ok(()) => {
            let admin = json!({"role": "admin"});
            send(client.request(Method::PUT, &member).json(&admin)).await
        }
        // Another user has created it since.
        Err(ChatError::Rejected(problem)) if problem.code == "PRECONDITION_FAILED" => join().await,
        refused => refused,
    }
}

async fn send(request: RequestBuilder) -> Result<(), ChatError> {
    match request.send().await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(ChatError::Rejected(problem(response).await)),
        Err(error) => Err(ChatError::Unreachable(cause(error))),
    }
}
