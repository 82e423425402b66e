//! The HTTP API over real loopback connections.

use millpond::http::{HttpError, HttpOptions, serve};
use millpond::store::StoreError;
use millpond::{Config, LinkSettings, Mode, OpenError, Replica};
use serde_json::{Value, json};

use crate::client::{Events, Node, config};
use crate::cluster::within;

const MILK: &str = "/api/v1/c/tasks/milk";

#[tokio::test]
async fn a_record_is_written_read_and_deleted() {
    let node = Node::start().await;
    let created = node.ask("PUT", MILK, r#"{"title": "Buy milk", "price": 1.10}"#).await;
    assert_eq!(created.status, 201);
    assert!(created.json()["receipt"]["dot"].is_string());
    let read = node.get(MILK).await;
    assert_eq!(read.text, r#"{"price":1.10,"title":"Buy milk"}"#);
    assert_eq!(node.ask("PATCH", MILK, r#"{"price":null}"#).await.status, 200);
    assert_eq!(node.get(MILK).await.text, r#"{"title":"Buy milk"}"#);
    assert_eq!(node.ask("DELETE", MILK, "").await.status, 200);
    assert_eq!(node.get(MILK).await.problem(), "not_found");
    assert_eq!(node.ask("DELETE", MILK, "").await.problem(), "not_found");
}

#[tokio::test]
async fn keys_may_hold_any_text() {
    let node = Node::start().await;
    let path = "/api/v1/c/tasks/a%2Fb%3F%20%C3%BC";
    assert_eq!(node.ask("PUT", path, r#"{"x":1}"#).await.status, 201);
    assert_eq!(node.get("/api/v1/c/tasks").await.json()["records"][0]["key"], "a/b? ü");
    assert_eq!(node.get(path).await.text, r#"{"x":1}"#);
}

#[tokio::test]
async fn an_etag_guards_against_a_lost_update() {
    let node = Node::start().await;
    let absent = [("if-none-match", "*")];
    assert_eq!(node.ask_with("PUT", MILK, &absent, r#"{"n":1}"#).await.status, 201);
    assert_eq!(node.ask_with("PUT", MILK, &absent, r#"{"n":9}"#).await.status, 412);
    let etag = node.get(MILK).await.etag().to_owned();
    let same = [("if-match", etag.as_str())];
    assert_eq!(node.ask_with("PUT", MILK, &same, r#"{"n":2}"#).await.status, 200);
    assert_eq!(node.ask_with("PUT", MILK, &same, r#"{"n":3}"#).await.problem(), "changed");
    assert_eq!(node.get(MILK).await.text, r#"{"n":2}"#);
    let unchanged = [("if-none-match", node.get(MILK).await.etag().to_owned())];
    let unchanged = unchanged.each_ref().map(|(name, etag)| (*name, etag.as_str()));
    assert_eq!(node.ask_with("GET", MILK, &unchanged, "").await.status, 304);
}

#[tokio::test]
async fn counting_is_an_operation_of_its_own() {
    let node = Node::start().await;
    let count = "/api/v1/c/tasks/milk/count";
    let counted = node.ask("POST", count, r#"{"field":"votes","delta":3}"#).await;
    assert_eq!(counted.json()["value"], 3);
    assert_eq!(node.ask("POST", count, r#"{"field":"votes"}"#).await.json()["value"], 4);
    let refused = node.ask("PUT", MILK, r#"{"votes":5}"#).await;
    assert_eq!(refused.problem(), "is_counter");
    assert!(refused.json()["hint"].as_str().unwrap().contains("/count"), "{}", refused.text);
    assert_eq!(node.get(MILK).await.text, r#"{"votes":4}"#);
    let meta = node.get("/api/v1/c/tasks/milk?meta=1").await.json();
    assert_eq!(meta["written"]["votes"]["kind"], "counter");
    assert_eq!(meta["conflicts"], json!({}));
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let node = Node::start().await;
    let done = node
        .ask(
            "POST",
            "/api/v1/tx",
            r#"{"ops":[
                {"op":"put","collection":"t","key":"a","fields":{"x":1.50}},
                {"op":"patch","collection":"t","key":"a","fields":{"y":2}},
                {"op":"count","collection":"t","key":"a","field":"n","delta":-2},
                {"op":"multi","collection":"t","key":"b","field":"who","value":["anna"]},
                {"op":"delete","collection":"t","key":"none"}]}"#,
        )
        .await;
    assert_eq!(done.status, 200, "{}", done.text);
    let results = &done.json()["results"];
    assert_eq!(*results, json!([{}, {}, {"value": -2}, {}, {"existed": false}]));
    assert_eq!(node.get("/api/v1/c/t/a").await.text, r#"{"n":-2,"x":1.50,"y":2}"#);

    let half = r#"{"ops":[{"op":"delete","collection":"t","key":"a"},
        {"op":"put","collection":"t","key":"b","fields":{},"if":"absent"}]}"#;
    assert_eq!(node.ask("POST", "/api/v1/tx", half).await.problem(), "changed");
    assert_eq!(node.get("/api/v1/c/t/a").await.status, 200);

    let odd = r#"{"ops":[{"op":"delete","collection":"t","key":"a","delta":1}]}"#;
    assert_eq!(node.ask("POST", "/api/v1/tx", odd).await.problem(), "bad_op");
}

#[tokio::test]
async fn lists_come_in_pages_or_as_lines() {
    let node = Node::start().await;
    for key in ["a", "b1", "b2", "b3"] {
        node.ask("PUT", &format!("/api/v1/c/t/{key}"), r#"{"x":1}"#).await;
    }
    let page = node.get("/api/v1/c/t?prefix=b&limit=2").await.json();
    assert_eq!(page["records"][1]["key"], "b2");
    assert_eq!(page["next"], "b2");
    let rest = node.get("/api/v1/c/t?prefix=b&limit=2&after=b2").await.json();
    assert_eq!(rest, json!({"records": [{"key": "b3", "fields": {"x": 1}}]}));
    let lines = node.ask_with("GET", "/api/v1/c/t", &[("accept", "application/jsonl")], "").await;
    assert_eq!(lines.text.lines().count(), 4);
    assert_eq!(
        lines.text.lines().next().unwrap(),
        r#"{"collection":"t","key":"a","fields":{"x":1}}"#
    );
    let collections = node.get("/api/v1/c").await.json();
    assert_eq!(collections, json!({"collections": [{"collection": "t", "records": 4}]}));
}

#[tokio::test]
async fn an_import_reports_each_bad_line_and_keeps_the_good_ones() {
    let node = Node::start().await;
    let large = "x".repeat((1 << 20) + 1);
    let body = format!(
        "{}\n{}\n\n{}\n{}\n{}\n{}",
        r#"{"collection":"t","key":"a","fields":{"x":1}}"#,
        r#"{"collection":"t","key":"#,
        r#"{"collection":"t","key":"b","fields":{"x":1},"extra":1}"#,
        r#"{"collection":"t/u","key":"c","fields":{}}"#,
        format_args!(r#"{{"collection":"t","key":"d","fields":{{"x":"{large}"}}}}"#),
        r#"{"collection":"t","key":"e","fields":{"x":2}}"#,
    );
    let report = node.ask("POST", "/api/v1/import", &body).await.json();
    assert_eq!((&report["lines"], &report["imported"]), (&json!(6), &json!(2)));
    let errors: Vec<_> = report["errors"].as_array().unwrap().iter().collect();
    let found: Vec<_> = errors.iter().map(|error| (&error["line"], &error["code"])).collect();
    let wanted = [(2, "bad_json"), (4, "bad_json"), (5, "bad_name"), (6, "value_too_large")];
    let wanted = wanted.map(|(line, code)| (json!(line), json!(code)));
    assert_eq!(found, wanted.iter().map(|(line, code)| (line, code)).collect::<Vec<_>>());
    assert_eq!(node.get("/api/v1/c/t/e").await.text, r#"{"x":2}"#);
}

#[tokio::test]
async fn an_import_takes_records_as_they_are_in_order_and_all_of_them() {
    let node = Node::start().await;
    let mut body = String::new();
    for number in 0..1200 {
        body.push_str(&format!("{{\"id\":\"k{:04}\",\"n\":{number}}}\n", number % 1100));
    }
    let path = "/api/v1/import?collection=p&key_field=id";
    let dry = node.ask("POST", &format!("{path}&dry_run=true"), &body).await.json();
    assert_eq!((&dry["imported"], &dry["transactions"]), (&json!(1200), &json!(0)));
    assert_eq!(node.get("/api/v1/c").await.json(), json!({"collections": []}));
    let report = node.ask("POST", path, &body).await.json();
    assert_eq!((&report["imported"], &report["transactions"]), (&json!(1200), &json!(3)));
    // Lines of one record come in their order, though several batches are in flight.
    assert_eq!(node.get("/api/v1/c/p/k0099").await.text, r#"{"id":"k0099","n":1199}"#);

    let export = node.get("/api/v1/export").await.text;
    assert_eq!(export.lines().count(), 1100);
    let other = Node::start().await;
    let report = other.ask("POST", "/api/v1/import", &export).await.json();
    assert_eq!(report["imported"], 1100);
    assert_eq!(other.get("/api/v1/export").await.text, export);
}

#[tokio::test]
async fn one_refused_record_does_not_take_its_batch_along() {
    let node = Node::start().await;
    node.ask("POST", "/api/v1/c/t/b/count", r#"{"field":"n"}"#).await;
    let lines = ["a", "b", "c"]
        .map(|key| format!(r#"{{"collection":"t","key":"{key}","fields":{{"n":7}}}}"#));
    let report = node.ask("POST", "/api/v1/import", &lines.join("\n")).await.json();
    assert_eq!((&report["imported"], &report["failed"]), (&json!(2), &json!(1)));
    assert_eq!(report["errors"][0]["line"], 2);
    assert_eq!(report["errors"][0]["code"], "is_counter");
    assert_eq!(node.get("/api/v1/c/t/c").await.text, r#"{"n":7}"#);
}

#[tokio::test]
async fn changes_are_followed_and_resumed_without_a_gap() {
    let node = Node::start().await;
    node.ask("PUT", "/api/v1/c/t/a", r#"{"x":1}"#).await;
    let mut events = Events::follow(&node, "/api/v1/changes", &[]).await;
    let (changes, begin) = events.cut().await;
    assert!(changes.is_empty(), "it begins at the present: {changes:?}");
    node.ask("PUT", "/api/v1/c/t/b", r#"{"x":2}"#).await;
    let (changes, after_b) = events.cut().await;
    assert_eq!(changes[0].1["fields"], json!({"x": 2}));
    drop(events);

    node.ask("DELETE", "/api/v1/c/t/a", "").await;
    node.ask("PUT", "/api/v1/c/u/c", r#"{"x":3}"#).await;
    let keys = |changes: &[(String, Value)]| {
        changes.iter().map(|(key, data)| (key.clone(), data["deleted"] == true)).collect::<Vec<_>>()
    };
    let resume = [("last-event-id", after_b.as_str())];
    let mut events = Events::follow(&node, "/api/v1/changes?since=1", &resume).await;
    let (changes, _) = events.cut().await;
    assert_eq!(keys(&changes), [("a".into(), true), ("c".into(), false)]);

    let path = format!("/api/v1/changes?since={begin}&collection=t");
    let (changes, _) = Events::follow(&node, &path, &[]).await.cut().await;
    assert_eq!(keys(&changes), [("a".into(), true), ("b".into(), false)]);

    let (changes, _) = Events::follow(&node, "/api/v1/changes?since=1", &[]).await.cut().await;
    assert_eq!(keys(&changes), [("b".into(), false), ("c".into(), false)]);
    assert_eq!(node.get("/api/v1/changes?since=x").await.problem(), "bad_token");

    let path = "/api/v1/changes?collection=t&key=b&before=true";
    let mut events = Events::follow(&node, path, &[]).await;
    events.cut().await;
    node.ask("PUT", "/api/v1/c/t/b", r#"{"x":4}"#).await;
    let (changes, _) = events.cut().await;
    let change = &changes[0].1;
    assert_eq!((&change["before"], &change["fields"]), (&json!({"x": 2}), &json!({"x": 4})));
    assert_eq!(change["collapsed"], false);
    assert!(change["dot"].as_str().unwrap().starts_with(change["author"].as_str().unwrap()));
}

#[tokio::test]
async fn a_field_is_explained() {
    let node = Node::start().await;
    node.ask("PUT", MILK, r#"{"title":"Buy milk"}"#).await;
    let explained = node.get("/api/v1/explain/tasks/milk/title").await.json();
    assert_eq!((&explained["value"], &explained["kind"]), (&json!("Buy milk"), &json!("plain")));
    assert_eq!(explained["candidates"].as_array().unwrap().len(), 1);
    assert!(explained["candidates"][0]["writer"].is_string());
    assert_eq!(node.get("/api/v1/explain/tasks/milk/x").await.problem(), "no_such_field");
    assert_eq!(node.get("/api/v1/conflicts").await.json(), json!({"conflicts": []}));
    assert_eq!(node.get("/api/v1/conflicts?collection=a%2Fb").await.problem(), "bad_name");
}

#[tokio::test]
async fn a_shutdown_ends_streams_and_frees_the_port() {
    let node = Node::start().await;
    let mut events = Events::follow(&node, "/api/v1/changes", &[]).await;
    events.cut().await;
    let address = node.server.address();
    assert!(node.dir.path().join("http.addr").exists());
    node.server.shutdown().await;
    assert!(events.next().await.is_none());
    assert!(!node.dir.path().join("http.addr").exists());
    tokio::net::TcpListener::bind(address).await.expect("the port is free");
    node.replica.close().await;
}

#[tokio::test]
async fn a_request_needs_the_token_and_an_own_host() {
    let node = Node::start().await;
    let wrong = [("authorization", "Bearer 00")];
    assert_eq!(node.ask_with("PUT", MILK, &wrong, "{}").await.problem(), "unauthorized");
    let none = [("authorization", "")];
    assert_eq!(node.ask_with("GET", "/metrics", &none, "").await.status, 401);
    let rebound = [("host", "evil.example")];
    assert_eq!(node.ask_with("PUT", MILK, &rebound, "{}").await.problem(), "wrong_host");
    assert_eq!(node.ask_with("GET", "/livez", &rebound, "").await.status, 403);
    for probe in ["/livez", "/readyz"] {
        assert_eq!(node.ask_with("GET", probe, &none, "").await.status, 200);
    }
    assert_eq!(node.get(MILK).await.status, 404, "nothing was written");
}

#[tokio::test]
async fn what_is_malformed_or_too_large_is_refused_whole() {
    let node = Node::start().await;
    node.ask("PUT", MILK, r#"{"n":1}"#).await;
    assert_eq!(node.ask("PUT", MILK, r#"{"n":"#).await.problem(), "bad_json");
    assert_eq!(node.ask("PUT", MILK, r#"{"n":1,"n":2}"#).await.problem(), "bad_json");
    assert_eq!(node.ask("PUT", MILK, "[1]").await.problem(), "bad_json");
    assert_eq!(node.ask("PUT", MILK, r#"{"":1}"#).await.problem(), "bad_name");
    let large = format!(r#"{{"a":1,"n":"{}"}}"#, "x".repeat(1 << 20));
    let refused = node.ask("PUT", MILK, &large).await;
    assert_eq!((refused.status, refused.problem().as_str()), (413, "value_too_large"));
    let long = format!("/api/v1/c/tasks/{}", "k".repeat(1025));
    assert_eq!(node.ask("PUT", &long, "{}").await.problem(), "bad_name");
    assert_eq!(node.get("/api/v1/c/t?limit=none").await.problem(), "bad_query");
    assert_eq!(node.get("/api/v1/c/t?limti=1").await.problem(), "bad_query");
    assert_eq!(node.get("/api/v2/c").await.problem(), "no_such_route");
    assert_eq!(node.ask("POST", MILK, "").await.problem(), "method_not_allowed");
    assert_eq!(node.get(MILK).await.text, r#"{"n":1}"#);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read_to_its_end() {
    let node = Node::start().await;
    let body = format!(r#"{{"ops":[],"pad":"{}"}}"#, "x".repeat(32 << 20));
    let response = node.ask("POST", "/api/v1/tx", &body).await;
    assert_eq!((response.status, response.problem().as_str()), (413, "body_too_large"));
}

#[tokio::test]
async fn a_taken_port_or_folder_is_a_clear_error() {
    let node = Node::start().await;
    let other = Node::start().await;
    let mut options = HttpOptions::new(other.dir.path());
    options.listen = node.server.address();
    let error = serve(other.replica.clone(), options).await.unwrap_err();
    assert!(matches!(error, HttpError::Listen { .. }), "{error}");
    assert!(error.to_string().contains(&node.server.address().to_string()), "{error}");
    assert_eq!(other.get("/readyz").await.status, 200, "the first API still serves");

    let error = Replica::open(config(node.dir.path())).await.unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::InUse { .. })), "{error}");
    assert_eq!(node.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn the_node_tells_how_it_is() {
    let node = Node::start().await;
    node.ask("PUT", MILK, r#"{"n":1}"#).await;
    let status = node.get("/api/v1/status").await.json();
    assert_eq!(status["verdict"]["health"], "ok");
    assert_eq!(status["peers"], json!([]));
    let main = status["namespaces"].as_array().unwrap().iter();
    let main = main.clone().find(|namespace| namespace["namespace"] == "main").unwrap();
    assert_eq!(main["dots"], 1);
    assert_eq!(node.get("/api/v1/digest").await.json()["rows"], 1);
    let topology = node.get("/api/v1/topology").await.json();
    assert_eq!(topology["nodes"][0]["is_this_node"], true);
    let (survey, name) = (&topology["survey"], &status["node"]["name"]);
    assert_eq!((&survey["nodes"][0]["name"], &survey["trees"][0]["origin"]), (name, name));
    let own = node.get(&format!("/api/v1/topology?origin={}", name.as_str().unwrap())).await.json();
    assert_eq!(own["survey"]["trees"], survey["trees"]);
    assert_eq!(node.get("/api/v1/topology?origin=nobody").await.problem(), "no_such_peer");
    assert_eq!(node.get("/api/v1/topology?peer=x").await.problem(), "bad_query");
    assert_eq!(node.get("/livez").await.json(), json!({"live": true}));
    let metrics = node.get("/metrics").await;
    assert!(metrics.text.contains("millpond_build_info{version="), "{}", metrics.text);
    assert!(metrics.text.contains("millpond_transactions_total 1"), "{}", metrics.text);
    let pause = node.ask("POST", "/api/v1/peers/pause", r#"{"peer":"nobody"}"#).await;
    assert_eq!(pause.problem(), "no_such_peer");
    assert_eq!(node.ask("POST", "/api/v1/peers/resume", "").await.json(), json!({"peers": []}));
    let invited = node.ask("POST", "/api/v1/invites", r#"{"role":"reader"}"#).await;
    assert_eq!(invited.status, 201);
    assert!(invited.json()["invite"].as_str().unwrap().starts_with("mp1"));
    let odd = node.ask("POST", "/api/v1/invites", r#"{"role":"king"}"#).await;
    assert_eq!(odd.problem(), "bad_role");
}

#[tokio::test]
async fn a_node_joins_over_http() {
    let (node, other, full) = (Node::start().await, Node::start().await, Node::start().await);
    full.ask("PUT", "/api/v1/c/t/a", r#"{"n":1}"#).await;
    let path = "/api/v1/join";
    let joined = json!({"state": "joined", "why": null, "words": null});
    assert_eq!(node.get(path).await.json(), joined);
    let invited = node.ask("POST", "/api/v1/invites", "").await.json();
    let body = json!({"invite": invited["invite"]}).to_string();
    assert_eq!(full.ask("POST", path, &body).await.problem(), "other_domain");
    assert_eq!(full.get("/api/v1/c/t/a").await.json(), json!({"n": 1}));
    let begun = other.ask("POST", path, &body).await;
    assert_eq!((begun.status, &begun.json()["state"]), (202, &json!("joining")));
    within("it is a member", other.replica.joined()).await.unwrap();
    assert_eq!(other.get(path).await.json()["state"], "joined");
    assert_eq!(other.ask("POST", path, &body).await.problem(), "already_member");
    assert_eq!(other.ask("POST", path, r#"{"invite":"mp1"}"#).await.problem(), "bad_invite");
}

#[tokio::test]
async fn invites_are_listed_and_revoked() {
    let node = Node::start().await;
    let path = "/api/v1/invites";
    let invited = node.ask("POST", path, r#"{"uses":2}"#).await.json();
    let (id, text) = (invited["id"].as_str().unwrap(), invited["invite"].as_str().unwrap());
    assert_eq!(invited["uses"], 2);
    let listed = node.get(path).await.json()["invites"].clone();
    assert_eq!(listed[0]["id"], id);
    assert_eq!((&listed[0]["state"], &listed[0]["used_by"]), (&json!("open"), &json!([])));
    assert!(!listed.to_string().contains(text), "a list tells no secrets");
    let revoke = async |invite: &str| {
        node.ask("POST", "/api/v1/invites/revoke", &json!({"invite": invite}).to_string()).await
    };
    assert_eq!(revoke("0000").await.problem(), "no_such_invite");
    assert_eq!(revoke(text).await.json()["state"], "revoked");
    assert_eq!(revoke(id).await.json()["state"], "revoked", "twice is no error");
    assert_eq!(node.ask("POST", path, r#"{"uses":0}"#).await.problem(), "bad_uses");
}

#[tokio::test]
async fn the_topology_of_a_running_node_is_changed_whole_or_not_at_all() {
    let node = Node::start().await;
    let path = "/api/v1/topology";
    let settings = async || node.get(path).await.json()["settings"].clone();
    assert_eq!(settings().await, json!({"mode": "full-mesh", "ripple": "adaptive", "link": []}));
    let tree = json!({"mode": "spanning-tree", "fanout": 3, "ripple": "hold-down",
        "link": [{"peer": "nobody", "direction": "pull", "dial": false}]});
    assert_eq!(node.ask("PUT", path, &tree.to_string()).await.json(), json!({"settings": tree}));
    assert_eq!(settings().await, tree);
    assert_eq!(node.get(path).await.json()["mode"], "spanning-tree");
    let status = node.replica.status().await;
    assert_eq!(
        status.warnings.last().unwrap(),
        "the topology names \"nobody\", which is no other member"
    );

    for bad in [r#"{"mode":"static"}"#, r#"{"fanout":3}"#, r#"{"mode":"mesh"}"#, r#"{"link":1}"#] {
        assert_eq!(node.ask("PUT", path, bad).await.problem(), "bad_topology", "{bad}");
    }
    assert_eq!(node.ask("PUT", path, "{").await.problem(), "bad_json");
    assert_eq!(settings().await, tree);
    assert_eq!(node.ask("PUT", path, "{}").await.status, 200);
    assert!(node.replica.status().await.warnings.iter().all(|it| !it.contains("nobody")));
}

#[tokio::test]
async fn a_replica_with_settings_that_make_no_sense_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    Replica::init(&config).unwrap();
    config.region = Some(String::new());
    assert!(matches!(Replica::open(config.clone()).await, Err(OpenError::Region)));
    config.region = Some("x".repeat(Config::REGION_BYTES_MAX + 1));
    assert!(matches!(Replica::open(config.clone()).await, Err(OpenError::Region)));
    config.region = Some("x".repeat(Config::REGION_BYTES_MAX));
    config.topology.mode = Mode::Static;
    assert!(matches!(Replica::open(config.clone()).await, Err(OpenError::Topology(_))));
    config.topology.links.push(LinkSettings::new("*"));
    Replica::open(config).await.unwrap().close().await;
}
