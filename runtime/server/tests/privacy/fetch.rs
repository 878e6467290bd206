//! The fetch Job: its token, passwords and signatures in addresses, and sources that send them back.

use std::fs;

use axum::{
    Router,
    http::{HeaderMap, HeaderName, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    canary::{CANARY, canary},
    serving::{assert_discreet, start, wait},
    tiny,
};

const REVISION: &str = "12fd25f77366fa6b3b4b768ec3050bf629380bac";

/// Sends back whatever it was shown, in the way that the first part of the path says.
fn answer(uri: &Uri, headers: &HeaderMap) -> Response {
    let shown = format!("{headers:?} {uri}");
    let header = |name, value: &str| [(HeaderName::from_static(name), value.to_owned())];
    let secret = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Of Basic, the password is what a source can decode.
    let secret = secret.strip_prefix("Bearer ").map_or_else(|| canary("password"), str::to_owned);
    match uri.path().trim_matches('/').split('/').next().unwrap_or_default() {
        "html" => (header("content-type", "text/html"), format!("<html>{shown}</html>")).into_response(),
        "denied" => (StatusCode::UNAUTHORIZED, header("www-authenticate", CANARY), shown).into_response(),
        "broken" => (StatusCode::BAD_REQUEST, json!({"error": shown}).to_string()).into_response(),
        "away" => (StatusCode::FOUND, header("location", &format!("http://{CANARY}:{CANARY}@[::1]:1/?key={CANARY}")))
            .into_response(),
        "within" => (StatusCode::FOUND, header("location", &format!("/html/?signature={CANARY}"))).into_response(),
        "to-host" => (StatusCode::FOUND, header("location", &format!("http://{secret}.invalid/"))).into_response(),
        "to-path" => (StatusCode::FOUND, header("location", &format!("/{secret}/"))).into_response(),
        "revision" => json!({"sha": secret, "siblings": []}).to_string().into_response(),
        "names" => json!({"sha": REVISION, "siblings": [{"rfilename": secret, "size": 5}]}).to_string().into_response(),
        "types" => json!({"sha": REVISION, "siblings": secret}).to_string().into_response(),
        _ => (header("etag", "\"tiny\""), tiny::gguf(1)).into_response(),
    }
}

async fn serve(server: &mut JoinSet<()>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(async |uri: Uri, headers: HeaderMap| answer(&uri, &headers));
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    base
}

/// Runs a fetch whose Secret holds canaries, and looks through all that it wrote.
fn fetch(source: &Value, secret: &[(&str, &str)], allowed: &[&str]) -> Option<i32> {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("credentials")).unwrap();
    for (key, value) in secret {
        fs::write(dir.path().join("credentials").join(key), value).unwrap();
    }
    let (into, credentials, source) = (path("weights"), path("credentials"), source.to_string());
    let mut arguments = vec!["fetch", "--source", &source, "--into", &into, "--credentials-dir", &credentials];
    arguments.extend(allowed.iter().flat_map(|host| ["--allow-host", host]));
    let code = wait(&mut start(dir.path(), &arguments));
    assert_discreet(dir.path(), &[]);
    code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_credential_of_a_source_is_written_down() {
    let mut server = JoinSet::new();
    let base = serve(&mut server).await;
    let (token, here) = (canary("token"), ["127.0.0.1"]);
    let token = [("token", token.as_str())];
    let (user, password) = (canary("user"), canary("password"));
    let basic = [("username", user.as_str()), ("password", password.as_str())];
    let http = |url: String| json!({"http": {"files": [{"url": url, "sha256": "0".repeat(64), "path": "tiny.gguf"}]}});
    for kind in
        ["html", "denied", "broken", "away", "within", "to-host", "to-path", "revision", "names", "types", "whole"]
    {
        let hub =
            json!({"huggingFace": {"endpoint": format!("{base}/{kind}"), "repo": "owner/name", "revision": REVISION}});
        let signed = http(format!("{base}/{kind}/tiny.gguf?signature={CANARY}"));
        for secret in [&token[..], &basic] {
            for source in [&hub, &signed] {
                assert_eq!(fetch(source, secret, &here), Some(1), "{kind}");
            }
        }
    }
    let host = base.trim_start_matches("http://");
    assert_eq!(fetch(&http(format!("http://{CANARY}:{CANARY}@{host}/tiny.gguf")), &token, &here), Some(1));
    assert_eq!(fetch(&http(format!("{base}/tiny.gguf?signature={CANARY}")), &token, &[]), Some(1), "a private address");
    assert_eq!(
        fetch(&http(format!("https://127.0.0.1:1/?signature={CANARY}")), &token, &here),
        Some(1),
        "nobody there"
    );
    for secret in [
        [("token", format!("{CANARY}\nx: y"))],
        [("token", format!("{CANARY}\u{7f}"))],
        [("password", CANARY.to_owned())],
    ] {
        let secret = secret.map(|(key, value)| (key, value.leak() as &str));
        assert_eq!(fetch(&http(format!("{base}/tiny.gguf")), &secret, &here), Some(1), "no token");
    }
}
