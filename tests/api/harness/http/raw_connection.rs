//! Raw bytes on a socket, for requests that no HTTP client would send.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::harness::http::response::ApiResponse;

pub struct RawConnection(BufReader<TcpStream>);

impl RawConnection {
    /// Connects to `http://host:port`.
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self(BufReader::new(stream))
    }

    /// Writes bytes; false if the service has closed the connection.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// Closes the sending direction.
    pub fn finish(&self) {
        let _ = self.0.get_ref().shutdown(Shutdown::Write);
    }

    /// Reads a line without its line break; panics if the connection has ended.
    pub fn line(&mut self) -> String {
        line(&mut self.0).expect("a line")
    }

    /// Reads one response; `None` if the service closed the connection without one.
    pub fn answer(&mut self) -> Option<ApiResponse> {
        let mut response = self.head()?;
        let length = response.headers.get("content-length");
        let length = length.map_or(0, |length| length.to_str().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        response.text = String::from_utf8(body).unwrap();
        Some(response)
    }

    /// Reads the status and the headers of one response, which is all of the response to a `HEAD`.
    pub fn head(&mut self) -> Option<ApiResponse> {
        let status_line = line(&mut self.0)?;
        let status = status_line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = HeaderMap::new();
        while let Some((name, value)) = line(&mut self.0)?.split_once(": ") {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        Some(ApiResponse {
            status,
            headers,
            text: String::new(),
        })
    }
}

/// A line without its line break.
fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    match reader.read_line(&mut line) {
        Ok(length) if length > 0 => Some(line.trim_end().to_owned()),
        _ => None,
    }
}

/// Sends a request as it is and reads the response.
pub fn exchange(address: &str, request: impl AsRef<[u8]>) -> ApiResponse {
    let mut connection = RawConnection::open(address);
    connection.write(request);
    connection.answer().unwrap()
}

/// Sends many requests on one connection without waiting for responses (pipelining, RFC 9112,
/// section 9.3.2): the cheapest way to send many messages.
pub fn pipeline(address: &str, requests: &[Vec<u8>]) -> Vec<ApiResponse> {
    let mut connection = RawConnection::open(address);
    let mut writer = connection.0.get_ref().try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for request in requests {
                writer.write_all(request).unwrap();
            }
        });
        let answer = |_: &Vec<u8>| connection.answer().expect("an answer to each");
        requests.iter().map(answer).collect()
    })
}

/// A request with a body, declared as JSON.
pub fn request(method: &str, path: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A `POST /messages` with this body.
pub fn post(body: impl AsRef<[u8]>) -> Vec<u8> {
    request("POST", "/messages", body)
}
