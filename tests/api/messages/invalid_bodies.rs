//! Bodies that are not valid messages: each gets a problem document, and nothing is stored.

use std::time::{Duration, Instant};

use duologue::model::limits;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::harness::http::raw_connection::{RawConnection, exchange, post};
use crate::harness::spawn_app;
use crate::operations::invalid_requests::assert_unharmed;

const HEAD: &str =
    "POST /messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

#[tokio::test]
async fn a_body_that_is_not_json_is_a_problem() {
    let app = spawn_app();
    let nested = |open: &str, close: &str| {
        let (open, close) = (open.repeat(10_000), close.repeat(10_000));
        format!(r#"{{"from":"alice","to":"bob","body":"x","metadata":{{"a":{open}1{close}}}}}"#)
    };
    let cases: [(&str, Vec<u8>); 16] = [
        ("nothing", vec![]),
        ("blanks", b" \n\t".to_vec()),
        ("no JSON", b"from=alice&to=bob&body=hi".to_vec()),
        ("half an object", br#"{"from":"alice","to":"bob""#.to_vec()),
        ("half a string", br#"{"from":"ali"#.to_vec()),
        (
            "two objects",
            br#"{"from":"alice","to":"bob","body":"x"}{}"#.to_vec(),
        ),
        (
            "a comma too many",
            br#"{"from":"alice","to":"bob","body":"x",}"#.to_vec(),
        ),
        (
            "a comment",
            br#"{"from":"alice",/* hm */"to":"bob","body":"x"}"#.to_vec(),
        ),
        (
            "single quotes",
            b"{'from':'alice','to':'bob','body':'x'}".to_vec(),
        ),
        (
            "invalid UTF-8",
            b"{\"from\":\"alice\",\"to\":\"bob\",\"body\":\"\xff\xfe\"}".to_vec(),
        ),
        (
            "an overlong form of NUL",
            b"{\"from\":\"alice\",\"to\":\"bob\",\"body\":\"\xc0\x80\"}".to_vec(),
        ),
        (
            "a lone surrogate",
            br#"{"from":"alice","to":"bob","body":"\ud83e"}"#.to_vec(),
        ),
        (
            "a raw control character",
            b"{\"from\":\"alice\",\"to\":\"bob\",\"body\":\"a\x01b\"}".to_vec(),
        ),
        (
            "a number too large for a double",
            br#"{"from":"alice","to":"bob","body":"x","metadata":{"n":1e999}}"#.to_vec(),
        ),
        ("arrays ten thousand deep", nested("[", "]").into()),
        ("objects ten thousand deep", nested(r#"{"a":"#, "}").into()),
    ];
    for (reason, body) in cases {
        let answer = app.post_text(body).await;
        assert_eq!(answer.status, 400, "{reason}: {answer:?}");
        answer.problem(400, "MALFORMED_JSON");
    }
    assert_unharmed(&app).await;
}

#[tokio::test]
async fn json_that_is_not_an_object_is_a_problem() {
    let app = spawn_app();
    for body in [
        "null",
        "7",
        "\"hi\"",
        "true",
        "[]",
        r#"["alice","bob","hi"]"#,
        r#"[{"from":"alice"}]"#,
    ] {
        let problem = app.post_text(body).await.problem(400, "INVALID_REQUEST");
        assert_eq!(problem["errors"][0]["pointer"], "", "{body}");
        assert!(
            problem["errors"][0]["detail"]
                .to_string()
                .contains("object"),
            "{problem}"
        );
    }
    assert_unharmed(&app).await;
}

#[tokio::test]
async fn a_body_too_large_is_a_problem() {
    let app = spawn_app();
    let of_size = |bytes: usize| {
        let blanks = " ".repeat(bytes - 38);
        format!(r#"{{"from":"alice","to":"bob","body":"x"}}{blanks}"#)
    };
    assert_eq!(of_size(limits::REQUEST).len(), limits::REQUEST);
    let declared = |size| post(of_size(size));
    let chunked = |size| {
        let body = of_size(size);
        format!(
            "{HEAD}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        )
        .into_bytes()
    };
    for size in [limits::REQUEST + 1, 1_000_000, 5_000_000] {
        for request in [declared(size), chunked(size)] {
            let answer = exchange(&app.address, request);
            let problem = answer.problem(413, "PAYLOAD_TOO_LARGE");
            let limit = format!("The body exceeds {} KiB.", limits::REQUEST / 1024);
            assert_eq!(problem["detail"], limit);
        }
    }
    let promised = format!("{HEAD}content-length: 999999999999\r\n\r\n{{");
    exchange(&app.address, promised).problem(413, "PAYLOAD_TOO_LARGE");
    assert_unharmed(&app).await;
    for request in [declared(limits::REQUEST), chunked(limits::REQUEST)] {
        assert_eq!(exchange(&app.address, request).status, 201);
    }
}

#[tokio::test]
async fn a_slow_body_times_out_with_a_problem() {
    let app = spawn_app();
    let mut connection = RawConnection::open(&app.address);
    let begun = Instant::now();
    connection.write(format!("{HEAD}content-length: 500\r\n\r\n"));
    let mut bytes = r#"{"from":"alice","to":"bob","body":"#.chars().cycle();
    // At one byte every half second the body would take four minutes.
    while begun.elapsed() < Duration::from_millis(10_500) {
        connection.write(bytes.next().unwrap().to_string());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    connection.answer().unwrap().problem(408, "REQUEST_TIMEOUT");
    assert!(begun.elapsed() < Duration::from_secs(12));
    assert_unharmed(&app).await;
}

#[tokio::test]
async fn a_truncated_body_stores_nothing() {
    let app = spawn_app();
    let whole = r#"{"from":"alice","to":"bob","body":"x"}"#;
    for framing in [
        "content-length: 100\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n26\r\n",
    ] {
        let mut connection = RawConnection::open(&app.address);
        connection.write(format!("{HEAD}{framing}{whole}"));
        connection.finish();
        // A client that hung up needs no response; if there is one, it is a problem document.
        if let Some(answer) = connection.answer() {
            answer.problem(400, "MALFORMED_JSON");
        }
    }
    assert_unharmed(&app).await;
}

/// Random bytes, random JSON, and messages with something broken.
fn random_bodies() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("from"),
        Just("to"),
        Just("body"),
        Just("reply_to"),
        Just("attachments"),
        Just("metadata"),
        Just("url"),
        Just("size"),
        Just("__proto__"),
        Just("")
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}")),
        "[0-9]{1,40}",
        any::<String>().prop_map(|s| json!(s).to_string()),
        Just(r#""\ud800""#.to_owned()),
        Just(r#""\u0000""#.to_owned()),
        Just("\"alice\"".to_owned()),
    ];
    let json = leaf.prop_recursive(4, 24, 6, move |inner| {
        let member =
            (word.clone(), inner.clone()).prop_map(|(name, value)| format!("{name:?}:{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..6)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        json.clone().prop_map(String::into_bytes),
        // Refused at least for the unknown field.
        json.prop_map(|value| format!(
            r#"{{"from":"alice","to":"bob","body":"x","metadata":{value},"zz":1}}"#
        )
        .into()),
    ]
}

#[test]
fn random_bodies_are_refused_and_not_stored() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let app = spawn_app();
    let config = Config {
        cases: 600,
        failure_persistence: None,
        ..Config::default()
    };
    let tried = TestRunner::new(config).run(&random_bodies(), |body| {
        let answer = runtime.block_on(app.post_text(body));
        prop_assert_eq!(answer.status, 400, "{:?}", answer);
        let problem = answer.any_problem();
        if problem["code"] == "INVALID_REQUEST" {
            prop_assert!(problem["errors"][0]["pointer"].is_string(), "{}", problem);
        }
        Ok(())
    });
    tried.unwrap();
    runtime.block_on(assert_unharmed(&app));
}
