//! Every way in which an endpoint does not take an event.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::auth::certificate_authority::CertificateAuthority;
use crate::harness::metrics::metric;
use crate::harness::store::tcp_server::free_port;
use crate::harness::webhooks::{IMPATIENT, Reaction, Receiver};
use crate::harness::{TestApp, eventually, spawn_app_with};

async fn outcomes(app: &TestApp, outcome: &str) -> f64 {
    let labels = format!("{{outcome=\"{outcome}\",subscription=\"hook\"}}");
    metric(app, &format!("duologue_webhook_requests_total{labels}")).await
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again() {
    let elsewhere = Receiver::start();
    let location = elsewhere.url();
    let app = spawn_app_with(&["--webhook-wait", "20ms", "--webhook-timeout", "2s"]);
    for (reaction, outcome) in [
        (Reaction::Status(500), "refused"),
        (Reaction::Status(404), "refused"),
        (Reaction::With(302, "location", location.clone()), "refused"),
        (Reaction::With(307, "location", location.clone()), "refused"),
        (Reaction::Status(429), "refused"),
        (Reaction::Late(Duration::from_secs(5), 200), "timeout"),
        (Reaction::Cut, "unreachable"),
    ] {
        let receiver = Receiver::start();
        let mut failures = 2;
        let failing = reaction.clone();
        receiver.react(move |_| {
            failures -= i32::from(failures > 0);
            if failures > 0 {
                failing.clone()
            } else {
                Reaction::Status(204)
            }
        });
        app.subscribe_webhook("hook", &receiver).await;
        app.send("alice", "bob", "hi").await;
        app.wait_until_taken("hook").await;
        let requests = receiver.received();
        assert_eq!(requests.len(), 2, "{reaction:?}");
        let ids = requests
            .iter()
            .map(|request| request.headers["webhook-id"].clone());
        let ids: Vec<_> = ids.collect();
        assert_eq!(ids[0], ids[1], "{reaction:?}");
        let attempts = requests
            .iter()
            .map(|request| request.event()["attempt"].clone());
        assert_eq!(attempts.collect::<Vec<_>>(), [1, 2], "{reaction:?}");
        assert!(outcomes(&app, outcome).await > 0.5, "{reaction:?}");
        app.unsubscribe("hook").await;
    }
    assert_eq!(elsewhere.connections(), 0, "redirects are not followed");
}

#[tokio::test]
async fn an_endpoint_with_an_untrusted_certificate_receives_nothing() {
    let app = spawn_app_with(&IMPATIENT);
    let receiver = Receiver::start_tls(&CertificateAuthority::new(), "127.0.0.1");
    let url = receiver.url().replace("http:", "https:");
    app.subscribe("hook", &json!({"url": url})).await;
    app.send("alice", "bob", "hi").await;
    app.wait_for_state("hook", "failing").await;
    assert!(receiver.connections() > 0);
    assert_eq!(receiver.received().len(), 0);
    assert!(outcomes(&app, "unreachable").await > 4.5);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_tried_again() {
    let app = spawn_app_with(&IMPATIENT);
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/");
    app.subscribe("hook", &json!({"url": url})).await;
    app.send("alice", "bob", "hi").await;
    app.wait_for_state("hook", "failing").await;
    let state = app.subscription("hook").await;
    assert_eq!((&state["pending"], &state["dead"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn a_410_stops_until_the_subscription_is_changed() {
    let (app, receiver) = (spawn_app_with(&IMPATIENT), Receiver::start());
    receiver.answer(410);
    app.subscribe_webhook("hook", &receiver).await;
    app.send("alice", "bob", "one").await;
    app.wait_for_state("hook", "gone").await;
    app.send("alice", "bob", "two").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(receiver.texts(), ["one"]);
    receiver.answer(200);
    let settings = json!({"url": receiver.url(), "types": ["message.created"]});
    let path = "/subscriptions/hook";
    let changed = app.ask(reqwest::Method::PUT, path, &settings).await;
    assert_eq!(changed.json(200)["state"], "open");
    app.wait_until_taken("hook").await;
    assert_eq!(receiver.texts(), ["one", "one", "two"]);
}

#[tokio::test]
async fn an_endpoint_that_asks_to_wait_is_left_alone() {
    let (app, receiver) = (spawn_app_with(&IMPATIENT), Receiver::start());
    for status in [429, 503] {
        let mut is_first = true;
        receiver.react(move |_| {
            let reaction = Reaction::With(status, "retry-after", "2".to_owned());
            if std::mem::take(&mut is_first) {
                reaction
            } else {
                Reaction::Status(200)
            }
        });
        app.subscribe_webhook("hook", &receiver).await;
        let before = receiver.received().len();
        app.send("alice", "bob", "one").await;
        let first = receiver.wait_for(before + 1).await.pop().unwrap().at;
        app.send("carol", "dave", "two").await;
        app.wait_until_taken("hook").await;
        let requests = receiver.received().split_off(before);
        assert_eq!(requests.len(), 3);
        let waited = requests[1].at - first;
        assert!(waited > Duration::from_millis(1900), "{waited:?}");
        assert_eq!(requests[1].event()["attempt"], 1, "that was no attempt");
        app.unsubscribe("hook").await;
    }
    assert!(outcomes(&app, "limited").await > 0.5);
}

#[tokio::test]
async fn a_partition_that_fails_does_not_delay_others() {
    let (app, receiver) = (
        spawn_app_with(&["--webhook-wait", "500ms"]),
        Receiver::start(),
    );
    receiver.react(|request| Reaction::Status(if request.text() == "bad" { 500 } else { 200 }));
    app.subscribe_webhook("hook", &receiver).await;
    app.send("alice", "bob", "bad").await;
    receiver.wait_for(1).await;
    let begun = Instant::now();
    for n in 0..20 {
        app.send("carol", &format!("user-{n}"), "good").await;
    }
    let all = async || {
        receiver
            .texts()
            .iter()
            .filter(|text| *text == "good")
            .count()
            == 20
    };
    eventually("the others are taken", Duration::from_secs(20), all).await;
    let tried = receiver
        .texts()
        .iter()
        .filter(|text| *text == "bad")
        .count();
    let most = 2 + usize::try_from(begun.elapsed().as_millis() / 400).unwrap();
    assert!(tried <= most, "{tried} attempts");
    assert_eq!(app.subscription("hook").await["state"], "open");
}
