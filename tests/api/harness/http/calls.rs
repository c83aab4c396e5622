//! Requests with headers and credentials.

use reqwest::Method;
use serde_json::Value;

use crate::harness::TestApp;
use crate::harness::auth::secured_app::{SERVICE_KEY, token};
use crate::harness::http::response::ApiResponse;

/// Who makes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By<'a> {
    User(&'a str),
    Backend,
    /// Somebody without a credential.
    Anonymous,
}

impl TestApp {
    /// Sends a request with the credential of a caller and an optional JSON body.
    pub async fn by(
        &self,
        caller: By<'_>,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> ApiResponse {
        match caller {
            By::User(user) => self.call_as(&token(user), method, path, body).await,
            By::Backend => self.call_as(SERVICE_KEY, method, path, body).await,
            By::Anonymous => self.call(method, path, &[], body).await,
        }
    }

    /// Sends a request with a bearer credential and an optional JSON body.
    pub async fn call_as(
        &self,
        credential: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> ApiResponse {
        let header = ("authorization", &*format!("Bearer {credential}"));
        self.call(method, path, &[header], body).await
    }

    /// Sends a request with headers and an optional JSON body.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> ApiResponse {
        let json = [("content-type", "application/json")];
        let typed = headers.iter().any(|(name, _)| *name == "content-type");
        let more: &[_] = if typed || body.is_none() { &[] } else { &json };
        let text = body.map(Value::to_string).unwrap_or_default();
        self.call_text(method, path, &[headers, more].concat(), text)
            .await
    }

    /// Sends a request with headers and any text as body.
    pub async fn call_text(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> ApiResponse {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.address);
        let mut request = self.client.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        ApiResponse::read(request.send().await.unwrap()).await
    }

    /// Sends a `GET` with a bearer credential.
    pub async fn get_as(&self, credential: &str, path: &str) -> ApiResponse {
        self.call_as(credential, "GET", path, None).await
    }

    /// Sends a `POST /messages` with a bearer credential.
    pub async fn post_as(&self, credential: &str, message: &Value) -> ApiResponse {
        self.call_as(credential, "POST", "/messages", Some(message))
            .await
    }
}
