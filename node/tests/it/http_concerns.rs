//! Concerns over HTTP.

use millpond::{InviteOptions, Replica};

use crate::client::{Node, config};
use crate::cluster::{until, within};

const MILK: &str = "/api/v1/c/tasks/milk";

#[tokio::test(flavor = "multi_thread")]
async fn a_write_waits_for_others_and_says_who_has_it() {
    let node = Node::start().await;
    let alone = node.ask("PUT", &format!("{MILK}?concern=replicas:1&timeout=50ms"), "{}").await;
    assert_eq!(alone.status, 202, "{}", alone.text);
    let receipt = &alone.json()["receipt"];
    assert_eq!(receipt["concern"]["is_met"], false);
    assert_eq!(receipt["concern"]["asked"], "replicas:1");
    let acks = format!("/api/v1/acks?dot={}&concern=replicas:1", receipt["dot"].as_str().unwrap());
    assert_eq!(node.get(&format!("{acks}&timeout=50ms")).await.status, 202);
    assert_eq!(node.get(MILK).await.status, 200, "it is written all the same");

    let folder = tempfile::tempdir().unwrap();
    let ben = config(&folder.path().join("ben"));
    let invite = node.replica.invite(InviteOptions::default()).await.unwrap();
    Replica::prepare_join(&ben, &invite).unwrap();
    let ben = Replica::open(ben).await.unwrap();
    within("joined", ben.joined()).await.unwrap();
    until("the two are linked", async || {
        node.get("/api/v1/status").await.json()["peers"][0]["link"].is_object()
    })
    .await;

    let now = node.get(&format!("{acks}&timeout=30s")).await;
    assert_eq!(now.status, 200, "{}", now.text);
    let ops = r#"{"ops":[{"op":"put","collection":"t","key":"a","fields":{"x":1}}]}"#;
    for (method, path, body, status) in [
        ("PUT", "/api/v1/c/tasks/bread", r#"{"n":1}"#, 201),
        ("PATCH", "/api/v1/c/tasks/bread", r#"{"n":2}"#, 200),
        ("POST", "/api/v1/c/tasks/bread/count", r#"{"field":"votes"}"#, 200),
        ("DELETE", "/api/v1/c/tasks/bread", "", 200),
        ("POST", "/api/v1/tx", ops, 200),
    ] {
        let query = "?concern=named:ben&level=applied&timeout=30s&min_connected=1";
        let written = node.ask(method, &format!("{path}{query}"), body).await;
        assert_eq!(written.status, status, "{}", written.text);
        let concern = &written.json()["receipt"]["concern"];
        assert_eq!(concern["is_met"], true);
        assert_eq!(concern["acked"][0]["name"], "ben");
    }
    ben.close().await;
}

#[tokio::test]
async fn what_is_asked_must_make_sense() {
    let node = Node::start().await;
    for query in
        ["concern=some", "concern=replicas:1&level=x", "concern=all&timeout=2", "timeout=2s"]
    {
        let refused = node.ask("PUT", &format!("{MILK}?{query}"), "{}").await;
        assert_eq!(refused.problem(), "bad_concern", "{query}");
    }
    let guarded = node.ask("PUT", &format!("{MILK}?min_connected=1"), "{}").await;
    assert_eq!((guarded.status, &guarded.problem()[..]), (503, "too_few_connected"));
    assert_eq!(node.get(MILK).await.status, 404, "nothing was written");
    assert_eq!(node.get("/api/v1/acks?dot=x&concern=all").await.problem(), "bad_dot");
    let unknown = "/api/v1/acks?dot=0000000000000000000000000000002a:7&concern=all";
    assert_eq!(node.get(unknown).await.problem(), "not_here");
}

/// A client writes at one node and reads at another, which has not got it yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_bookmark_is_followed_to_another_node() {
    let node = Node::start().await;
    let folder = tempfile::tempdir().unwrap();
    let ben = config(&folder.path().join("ben"));
    let invite = node.replica.invite(InviteOptions::default()).await.unwrap();
    Replica::prepare_join(&ben, &invite).unwrap();
    let ben = Node::serve(folder, ben).await;
    within("joined", ben.replica.joined()).await.unwrap();
    // Whoever has joined is of use to readers once it has caught up.
    let begun = [("millpond-bookmark", "b1"), ("prefer", "wait=30")];
    assert_eq!(within("caught up", ben.ask_with("GET", MILK, &begun, "")).await.status, 404);

    ben.replica.pause(None).await;
    let written = node.ask("PUT", MILK, r#"{"n":1}"#).await;
    let bookmark = written.headers["millpond-bookmark"].to_str().unwrap().to_owned();
    let seen = [("millpond-bookmark", &bookmark[..]), ("prefer", "wait=0")];
    assert_eq!(node.ask_with("GET", MILK, &seen, "").await.status, 200);
    let behind = ben.ask_with("GET", MILK, &seen, "").await;
    assert_eq!((behind.status, &behind.problem()[..]), (503, "behind"));
    assert!(behind.text.contains("1 writes are missing"), "{}", behind.text);

    let seen = [("millpond-bookmark", &bookmark[..]), ("prefer", "wait=30")];
    let (read, ()) = tokio::join!(ben.ask_with("GET", MILK, &seen, ""), ben.replica.resume(None));
    assert_eq!((read.status, &read.text[..]), (200, r#"{"n":1}"#));
    // What was read there can be followed back, and written over.
    let back = read.headers["millpond-bookmark"].to_str().unwrap();
    let patched = node.ask_with("PATCH", MILK, &[("millpond-bookmark", back)], r#"{"n":2}"#).await;
    assert_eq!(patched.status, 200);
    let odd = node.ask_with("GET", MILK, &[("millpond-bookmark", "1.x")], "").await;
    assert_eq!(odd.problem(), "bad_bookmark");
    ben.replica.close().await;
}
