//! Users, message bodies and the request that sends a message.

/// Bytes of a message body.
const BODY: usize = 100;

/// The user with this number.
pub fn user(number: u32) -> String {
    format!("user{number:05}")
}

/// A body without a number.
pub fn body() -> String {
    "x".repeat(BODY)
}

/// A body that begins with a number, which [`number_of`] reads back.
pub fn numbered_body(number: u32) -> String {
    format!("{number:x<BODY$}")
}

/// The number in a body of [`numbered_body`].
pub fn number_of(body: &str) -> Option<u32> {
    body.split('x').next()?.parse().ok()
}

/// `POST /messages` as bytes of HTTP/1.1.
pub fn send_request(address: &str, from: &str, to: &str, body: &str) -> String {
    let json = format!(r#"{{"from":"{from}","to":"{to}","body":"{body}"}}"#);
    format!(
        "POST /messages HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{json}",
        json.len()
    )
}
