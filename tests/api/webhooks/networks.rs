//! Where webhooks may be sent: not into private networks, whatever the URL or the name says.

use std::net::IpAddr;

use duologue::model::WebhookNetworks;
use reqwest::Method;
use serde_json::json;

use crate::harness::auth::secured_app::spawn_secured_app;
use crate::harness::http::calls::By;
use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, spawn_app};

#[test]
fn only_addresses_of_the_internet_are_permitted() {
    let networks = WebhookNetworks::default();
    let permits = |address: &str| networks.permits(address.parse().unwrap(), true);
    let refused = "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.8.8.8 169.254.169.254 \
        172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 \
        198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 \
        :: ::1 ::127.0.0.1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 64:ff9b::10.0.0.1 64:ff9b:1::1 100::1 2001::1 \
        2001:db8::1 2002:a00:1::1 3fff::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 4000::1";
    for address in refused.split_whitespace() {
        assert!(!permits(address), "{address}");
    }
    let permitted = "1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 198.17.0.1 \
        223.255.255.255 2606:4700::1111 2a00:1450::1 2001:4860::8888 ::ffff:8.8.8.8 64:ff9b::8.8.8.8";
    for address in permitted.split_whitespace() {
        assert!(permits(address), "{address}");
        let address: IpAddr = address.parse().unwrap();
        assert!(!networks.permits(address, false), "{address} without TLS");
    }
    let own = WebhookNetworks::new(vec!["10.0.0.0/8".parse().unwrap()], false);
    for (address, is_permitted) in [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("11.0.0.1", false),
    ] {
        let address = address.parse().unwrap();
        assert_eq!(own.permits(address, false), is_permitted, "{address}");
    }
}

async fn put(app: &TestApp, url: &str) -> ApiResponse {
    let settings = json!({"url": url});
    app.by(By::Backend, "PUT", "/subscriptions/hook", Some(&settings))
        .await
}

#[tokio::test]
async fn urls_into_private_networks_are_refused() {
    let app = spawn_secured_app();
    for url in [
        "http://backend.example.com/",
        "http://8.8.8.8/",
        "http://localhost/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::1]/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://10.0.0.1:8443/",
    ] {
        let answer = put(&app, url).await;
        assert_eq!(answer.status, 400, "{url}");
        answer.invalid_field("/url");
    }
    assert_eq!(put(&app, "https://8.8.8.8/").await.status, 201);
    assert_eq!(put(&app, "https://backend.example.com/").await.status, 200);
    let open = spawn_app();
    for (url, status) in [
        ("http://localhost:9/", 201),
        ("https://127.0.0.1:9/", 200),
        ("https://10.0.0.1/", 400),
        ("http://backend.example.com/", 400),
    ] {
        let settings = json!({"url": url});
        let answer = open
            .ask(Method::PUT, "/subscriptions/hook", &settings)
            .await;
        assert_eq!(answer.status, status, "{url}");
    }
}
