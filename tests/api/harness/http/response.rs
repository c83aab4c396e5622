//! A response of the service, from any client.

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::harness::contract::assert_answer_fits;

#[derive(Debug)]
pub struct ApiResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl ApiResponse {
    /// Reads a response, whose JSON must be as the contract declares it.
    pub async fn read(response: reqwest::Response) -> Self {
        Self::try_read(response).await.unwrap()
    }

    /// The same for a response whose connection may end before it is complete.
    pub async fn try_read(response: reqwest::Response) -> reqwest::Result<Self> {
        let path = response.url().path().to_owned();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // An event stream does not end.
        let is_stream = headers
            .get("content-type")
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let text = if is_stream {
            String::new()
        } else {
            response.text().await?
        };
        let response = Self {
            status,
            headers,
            text,
        };
        // The answer to HEAD has none.
        if !response.text.is_empty() {
            let media_type = response.header("content-type");
            assert_answer_fits(&path, status, media_type, &response.text);
        }
        Ok(response)
    }

    /// The value of a header; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The JSON body; the status must be this one.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_str(&self.text).unwrap()
    }

    /// The problem document; it must be complete and have this status and code.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let problem = self.any_problem();
        assert_eq!(problem["code"], code, "{self:?}");
        problem
    }

    /// The problem document, of any code.
    #[track_caller]
    pub fn any_problem(&self) -> Value {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let problem: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        for text in ["title", "detail", "code", "request_id"] {
            assert!(
                problem[text].as_str().is_some_and(|t| !t.is_empty()),
                "{text}: {self:?}"
            );
        }
        problem
    }

    /// The status and the body of a problem, without the id of its request.
    #[track_caller]
    pub fn problem_text(&self) -> String {
        let problem = self.any_problem();
        let id = problem["request_id"].as_str().unwrap();
        format!("{} {}", self.status, self.text.replace(id, ""))
    }

    /// The problem document; its first error must point at this field.
    #[track_caller]
    pub fn invalid_field(&self, pointer: &str) -> Value {
        let problem = self.any_problem();
        let blamed = &problem["errors"][0];
        assert_eq!(blamed["pointer"], pointer, "{self:?}");
        assert!(
            blamed["detail"].as_str().is_some_and(|d| !d.is_empty()),
            "{self:?}"
        );
        problem
    }
}
