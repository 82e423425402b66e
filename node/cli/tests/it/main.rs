//! The program from outside: what it prints, and its exit codes.

mod backup;
mod concern;
mod conflicts;
mod delayed;
mod demo;
mod failed_disk;
mod fence;
mod full_disk;
mod keys;
mod kill;
mod kill_catch_up;
mod netns;
mod node;
mod ping;
mod primary;
mod removal;
mod service;

use std::io::Write;
use std::net::{TcpListener, UdpSocket};

use node::{Node, millpond};
use serde_json::{Value, json};

#[test]
fn records_are_put_shown_listed_counted_and_deleted() {
    let node = Node::start();
    let put = node.run(&["put", "tasks/milk", r#"{"title":"Buy milk","price":1.10}"#]);
    assert_eq!(put.ok(), "created tasks/milk\n");
    let merge = node.run(&["put", "tasks/milk", r#"{"done":true}"#, "--merge"]);
    assert_eq!(merge.ok(), "updated tasks/milk\n");
    let fields = r#"{"done":true,"price":1.10,"title":"Buy milk"}"#;
    assert_eq!(node.run(&["get", "tasks/milk", "--json"]).ok(), format!("{fields}\n"));
    assert!(node.run(&["get", "tasks/milk"]).ok().contains("title  \"Buy milk\"\n"));
    assert!(node.run(&["get", "tasks/milk"]).ok().contains("price  1.10\n"), "digits stay");
    assert_eq!(node.run(&["ls"]).ok(), "         1  tasks\n");
    assert_eq!(node.run(&["ls", "tasks/mi"]).ok(), format!("milk  {fields}\n"));
    assert_eq!(node.run(&["ls", "tasks/x"]).ok(), "");

    assert_eq!(node.run(&["count", "tasks/milk", "votes", "5"]).ok(), "5\n");
    assert_eq!(node.run(&["count", "tasks/milk", "votes", "-7"]).ok(), "-2\n");
    assert_eq!(node.run(&["count", "tasks/milk", "votes", "--json"]).ok(), "{\"value\":-2}\n");
    let refused = node.run(&["put", "tasks/milk", r#"{"votes":1}"#]).failed(1);
    assert!(refused.contains("error[E0511]: cannot write tasks/milk"), "{refused}");
    assert!(refused.contains("why: ") && refused.contains("do:  "), "{refused}");
    assert!(refused.contains("millpond count"), "{refused}");

    assert_eq!(node.run(&["rm", "tasks/milk"]).ok(), "deleted tasks/milk\n");
    let gone = node.run(&["get", "tasks/milk"]).failed(1);
    assert!(gone.contains("there is no record tasks/milk (not_found)"), "{gone}");
}

#[test]
fn a_write_may_depend_on_the_version() {
    let node = Node::start();
    node.run(&["put", "t/a", r#"{"n":1}"#, "--if-version", "absent"]).ok();
    let meta: Value =
        serde_json::from_str(&node.run(&["get", "t/a", "--json", "--meta"]).ok()).unwrap();
    let version = meta["version"].as_str().unwrap();
    node.run(&["put", "t/a", r#"{"n":2}"#, "--if-version", version]).ok();
    let late = node.run(&["put", "t/a", r#"{"n":3}"#, "--if-version", version]).failed(1);
    assert!(late.contains("t/a has changed"), "{late}");
}

#[test]
fn an_import_names_its_bad_lines_and_an_export_brings_it_all_back() {
    let node = Node::start();
    let file = node.dir().join("in.jsonl");
    std::fs::write(&file, "{\"id\":\"a\",\"n\":1}\n{\"id\":\n{\"id\":\"b\",\"n\":2}\n").unwrap();
    let file = file.to_str().unwrap();
    let options = ["--collection", "t", "--key-field", "id"];
    let dry = node.run(&[&["import", file, "--dry-run"][..], &options].concat()).failed(1);
    assert!(dry.contains("line 2: ") && dry.contains("(bad_json)"), "{dry}");
    assert_eq!(node.run(&["export"]).ok(), "");
    let import = node.run(&[&["import", file][..], &options].concat());
    assert_eq!(import.stdout, "imported 2 of 3 lines\n");
    assert!(import.failed(1).contains("1 of 3 lines were not imported"));

    let export = node.run(&["export"]).ok();
    assert_eq!(export.lines().count(), 2);
    let compressed = node.dir().join("out.jsonl.gz");
    node.run(&["export", "--output", compressed.to_str().unwrap()]).ok();
    let other = Node::start();
    other.run(&["import", compressed.to_str().unwrap()]).ok();
    assert_eq!(other.run(&["export"]).ok(), export);
    let report = other.run_with(&["import", "-", "--json"], export.as_bytes()).ok();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["imported"], &report["failed"]), (&json!(2), &json!(0)));
}

#[test]
fn a_watch_shows_what_changed_since_its_token() {
    let node = Node::start();
    node.run(&["put", "t/a", r#"{"n":1}"#]).ok();
    let all = node.run(&["watch", "--from", "1", "--once", "--json"]).ok();
    let lines: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["key"], &lines[1]["type"]), (&json!("a"), &json!("cut")));
    node.run(&["put", "t/b", r#"{"n":2}"#]).ok();
    node.run(&["rm", "t/a"]).ok();
    let token = lines[1]["token"].as_str().unwrap();
    let since = node.run(&["watch", "t", "--from", token, "--once"]).ok();
    assert_eq!(since, "- t/a\n+ t/b  {\"n\":2}\n");
    let bad = node.run(&["watch", "--from", "x"]).failed(1);
    assert!(bad.contains("not a token"), "{bad}");
}

#[test]
fn a_node_tells_how_it_is_in_words_and_json() {
    let node = Node::start();
    let status = node.run(&["status", "--check"]).ok();
    assert!(status.starts_with("OK  paris-1 ("), "{status}");
    assert!(status.contains("next: millpond invite"), "{status}");
    let status: Value = serde_json::from_str(&node.run(&["status", "--json"]).ok()).unwrap();
    assert_eq!(status["node"]["name"], "paris-1");
    let members = json!({"what": "members", "limit": 1024, "used": 1});
    assert_eq!(status["limits"][0], members);
    let details = node.run(&["status", "--details"]).ok();
    let shown = |what: &str, rest: &str| {
        details.lines().any(|line| line.starts_with(what) && line.ends_with(rest))
    };
    assert!(
        shown("members ", " 1     1024") && shown("quic: handshakes ", " -     256"),
        "{details}"
    );
    let digest: Value = serde_json::from_str(&node.run(&["digest", "--json"]).ok()).unwrap();
    assert_eq!(digest["rows"], 0);
    let topology = node.run(&["topology"]).ok();
    assert!(topology.starts_with("1 of 1 members have told paris-1\nfull-mesh"), "{topology}");
    assert!(node.run(&["topology", "--dot"]).ok().starts_with("digraph millpond {"));
    assert!(node.run(&["topology", "--mermaid"]).ok().starts_with("graph LR"));
    let nobody = node.run(&["topology", "--origin", "nobody"]).failed(1);
    assert!(nobody.contains("there is no member `nobody`"), "{nobody}");
    assert!(node.run(&["peers", "ls"]).ok().contains("no other member yet"));
    let nobody = node.run(&["peers", "pause", "nobody"]).failed(1);
    assert!(nobody.contains("there is no member `nobody`"), "{nobody}");
}

#[test]
fn the_topology_is_set_until_the_next_start() {
    let node = Node::start();
    let told = node.run(&["topology", "set", "--mode", "spanning-tree", "--fanout", "3"]).ok();
    assert_eq!(
        told,
        "now: spanning-tree of fanout 3, ripple adaptive\n\
         until the node starts again; to keep it, in millpond.toml:\n  \
         [topology]\n  mode = \"spanning-tree\"\n  fanout = 3\n  ripple = \"adaptive\"\n"
    );
    node.run(&["topology", "set", "--ripple", "hold-down"]).ok();
    let status: Value = serde_json::from_str(&node.run(&["status", "--json"]).ok()).unwrap();
    let settings = json!({"mode": "spanning-tree", "fanout": 3, "ripple": "hold-down", "link": []});
    assert_eq!(status["node"]["topology"], settings);
    let odd = node.run(&["topology", "set", "--mode", "full-mesh", "--fanout", "3"]).failed(2);
    assert!(odd.contains("only mode spanning-tree has a fanout"), "{odd}");
    let none = node.run(&["topology", "set", "--mode", "static"]).failed(2);
    assert!(none.contains("none is named"), "{none}");
    assert!(node.run(&["topology", "set"]).failed(2).contains("give --mode"));
}

#[test]
fn a_second_node_joins_by_an_invite() {
    let node = Node::start();
    let invited: Value =
        serde_json::from_str(&node.run(&["invite", "--role", "writer", "--json"]).ok()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("joiner");
    let folder = folder.to_str().unwrap();
    let invite = invited["invite"].as_str().unwrap();
    let options = ["--dir", folder, "--name", "london-1", "--listen", "127.0.0.1:0"];
    let joined = millpond(&[&["join", invite][..], &options].concat(), b"").ok();
    assert_eq!(
        joined,
        format!("london-1 is a member now, and has caught up\nnext: millpond run --dir {folder}\n")
    );
    let odd = millpond(&["join", "mq1nonsense", "--dir", folder], b"").failed(1);
    assert!(odd.contains("error[E0201]: that is no invite"), "{odd}");
}

#[test]
fn a_reader_is_told_where_to_write() {
    let node = Node::start();
    node.run(&["put", "t/a", r#"{"n":1}"#]).ok();
    let reader = node.join("london-1", "reader");
    assert_eq!(reader.run(&["get", "t/a"]).ok(), "n  1\n");
    let refused = reader.run(&["put", "t/a", r#"{"n":2}"#]).failed(1);
    assert!(refused.contains("(read_only)") && refused.contains("do:  write at"), "{refused}");
    let refused = reader.run(&["invite"]).failed(1);
    assert!(refused.contains("only an admin may invite"), "{refused}");
}

#[test]
fn a_join_with_a_used_invite_says_so_and_a_fresh_one_goes_on_in_the_same_folder() {
    let node = Node::start();
    let used = node.run(&["invite"]).ok();
    let dir = tempfile::tempdir().unwrap();
    let join = |name: &str, invite: &str| {
        let folder = dir.path().join(name);
        let options =
            ["--listen", "127.0.0.1:0", "--name", name, "--dir", folder.to_str().unwrap()];
        millpond(&[&["join", invite.trim()][..], &options].concat(), b"")
    };
    join("first", &used).ok();
    let refused = join("second", &used).failed(1);
    assert!(refused.contains("error[E0205]: the domain did not take this node in"), "{refused}");
    assert!(refused.contains("was used by another node"), "{refused}");
    assert!(refused.contains("do:  ask for a fresh invite"), "{refused}");
    join("second", &node.run(&["invite"]).ok()).ok();
    let again = join("second", &node.run(&["invite"]).ok()).failed(1);
    assert!(again.contains("holds a replica already"), "{again}");
}

#[test]
fn an_invite_is_for_so_many_is_listed_and_revoked() {
    let node = Node::start();
    let invite = node.run(&["invite", "--uses", "2"]).ok();
    let dir = tempfile::tempdir().unwrap();
    let join = |name: &str| {
        let folder = dir.path().join(name);
        let options =
            ["--listen", "127.0.0.1:0", "--name", name, "--dir", folder.to_str().unwrap()];
        millpond(&[&["join", invite.trim()][..], &options].concat(), b"")
    };
    join("first").ok();
    let list = node.run(&["invite", "list"]).ok();
    assert!(list.contains("writer  1 of 2  open for 9m"), "{list}");
    let id = list.lines().nth(1).unwrap().split(' ').next().unwrap();
    let revoked = node.run(&["invite", "revoke", id]).ok();
    assert_eq!(revoked, format!("revoked {id}; the one that has joined with it stays\n"));
    let refused = join("second").failed(1);
    assert!(refused.contains("revoked by an admin"), "{refused}");
    let unknown = node.run(&["invite", "revoke", "0000"]).failed(1);
    assert!(unknown.contains("error[E0209]: the invite was not revoked"), "{unknown}");
    let drawn = node.run(&["invite", "--qr"]).ok();
    assert!(drawn.contains('█') && drawn.lines().last().unwrap().starts_with("mp1"), "{drawn}");
}

#[test]
fn a_node_joins_while_it_runs_and_one_with_data_stays() {
    let (node, other, full) = (Node::start(), Node::start(), Node::start());
    node.run(&["put", "t/a", r#"{"n":1}"#]).ok();
    full.run(&["put", "t/b", r#"{"n":2}"#]).ok();
    let invite = node.run(&["invite", "--uses", "2"]).ok();
    let joined = other.run(&["join", invite.trim()]).ok();
    let next = format!("next: millpond status --dir {}", other.data().display());
    assert_eq!(joined, format!("paris-1 is a member now, and has caught up\n{next}\n"));
    assert_eq!(other.run(&["get", "t/a"]).ok(), "n  1\n");
    other.run(&["put", "t/c", r#"{"n":3}"#]).ok();
    node.until(&["get", "t/c"], "n  3");
    let again = other.run(&["join", invite.trim()]).failed(1);
    assert!(again.contains("error[E0204]") && again.contains("already"), "{again}");

    let digest = full.run(&["digest"]).ok();
    let refused = full.run(&["join", invite.trim()]).failed(1);
    assert!(refused.contains("error[E0203]: the node did not join"), "{refused}");
    assert!(refused.contains("data was written in it; nothing was changed"), "{refused}");
    assert!(refused.contains("do:  join in a new folder"), "{refused}");
    assert_eq!(full.run(&["digest"]).ok(), digest);
    assert_eq!(full.run(&["get", "t/b"]).ok(), "n  2\n");
    let named = other.run(&["join", invite.trim(), "--name", "x"]).failed(2);
    assert!(named.contains("leave the settings out"), "{named}");
}

#[test]
fn an_admin_approves_a_node_by_its_words() {
    let (node, other, third) = (Node::start(), Node::start(), Node::start());
    assert_eq!(node.run(&["peers", "pending"]).ok(), "nobody waits to be approved\n");
    let invite = node.run(&["invite", "--approve", "--uses", "2"]).ok();
    let follower = other.follow(&["join", invite.trim()]);
    node.until(&["peers", "pending"], "paris-1");
    let pending: Value =
        serde_json::from_str(&node.run(&["peers", "pending", "--json"]).ok()).unwrap();
    let words = pending["pending"][0]["words"].as_str().unwrap().to_owned();
    other.until(&["status"], &format!("its words are {words}"));
    assert!(node.run(&["status"]).ok().contains("compare the three words"));
    let nobody = node.run(&["peers", "approve", "paris-1"]).failed(1);
    assert!(nobody.contains("error[E0211]"), "{nobody}");
    let mut approve = vec!["peers", "approve"];
    approve.extend(words.split('-'));
    assert!(node.run(&approve).ok().starts_with("approved paris-1 ("));
    follower.until("paris-1 is a member now");

    let denied = third.follow(&["join", invite.trim()]);
    node.until(&["peers", "pending"], "WORDS");
    let pending: Value =
        serde_json::from_str(&node.run(&["peers", "pending", "--json"]).ok()).unwrap();
    let key = pending["pending"][0]["key"].as_str().unwrap().to_owned();
    assert!(node.run(&["peers", "deny", &key]).ok().starts_with("denied paris-1 ("));
    third.until(&["status"], "did not let this node in");
    drop(denied);
}

#[test]
fn a_state_folder_is_shown_and_never_in_the_data() {
    let node = Node::start();
    let data = node.data().to_str().unwrap().to_owned();
    let status: Value = serde_json::from_str(&node.run(&["status", "--json"]).ok()).unwrap();
    let state_dir = status["node"]["state_dir"].as_str().unwrap();
    assert!(state_dir.ends_with("/millpond") && !state_dir.starts_with(&data), "{state_dir}");
    let check = node.run(&["config", "check"]).ok();
    assert!(check.contains(&format!("state folder  {state_dir}\n")), "{check}");
    let check: Value =
        serde_json::from_str(&node.run(&["config", "check", "--json"]).ok()).unwrap();
    assert_eq!(check["state_dir"], state_dir);
    let within = format!("{data}/state");
    let refused = node.run(&["run", "--state-dir", &within]).failed(3);
    assert!(refused.contains("is in the data folder"), "{refused}");
}

#[test]
fn a_stop_by_signal_is_clean_and_frees_the_folder() {
    let mut node = Node::start();
    assert_eq!(node.stop("TERM"), Some(0));
    let asked = node.run(&["ls"]).failed(4);
    assert!(asked.contains("no node runs there") && asked.contains("millpond run"), "{asked}");
    node.restart();
    assert_eq!(node.stop("INT"), Some(0));
}

#[test]
fn a_folder_in_use_is_a_clear_error_and_the_node_goes_on() {
    let node = Node::start();
    let dir = node.data().to_str().unwrap().to_owned();
    let run = ["run", "--dir", &dir, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let second = millpond(&run, b"").failed(1);
    assert!(second.contains("in use already"), "{second}");
    assert!(second.contains("do:  ask the node that runs there: millpond status"), "{second}");
    node.run(&["put", "t/a", "{}"]).ok();
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    let mut node = Node::start();
    assert_eq!(node.stop("TERM"), Some(0));
    let dir = node.data().to_str().unwrap().to_owned();

    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let holder = TcpListener::bind(taken).unwrap();
    let run = ["run", "--dir", &dir, "--listen", "127.0.0.1:0", "--http", &taken.to_string()];
    let http = millpond(&run, b"").failed(1);
    assert!(http.contains(&format!("cannot serve HTTP on {taken}")), "{http}");
    assert!(http.contains("--http 127.0.0.1:0"), "{http}");
    drop(holder);

    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let run = ["run", "--dir", &dir, "--listen", &taken, "--http", "127.0.0.1:0"];
    let listen = millpond(&run, b"").failed(1);
    assert!(listen.contains(&taken) && listen.contains("--listen"), "{listen}");
    drop(holder);

    node.restart();
}

#[test]
fn an_unknown_config_key_is_refused_with_its_place_and_a_suggestion() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("millpond.toml");
    std::fs::File::create(&file)
        .unwrap()
        .write_all(b"version = 1\n[replication]\nbindadress = \"[::]:8444\"\n")
        .unwrap();
    let folder = dir.path().to_str().unwrap();
    for command in [&["config", "check"][..], &["run"]] {
        let refused = millpond(&[command, &["--dir", folder]].concat(), b"").failed(3);
        assert!(refused.contains("line 3, column 1: there is no key `bindadress`"), "{refused}");
        assert!(refused.contains("do:  did you mean `bindaddress`?"), "{refused}");
    }
    std::fs::write(&file, "version = 1\nname = \"a\"\n").unwrap();
    assert!(millpond(&["config", "check", "--dir", folder], b"").ok().contains("is valid"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was made");
}

#[test]
fn a_folder_without_a_node_says_how_to_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("none");
    let folder = folder.to_str().unwrap();
    let run = millpond(&["run", "--dir", folder], b"").failed(1);
    assert!(run.contains(&format!("millpond init --dir {folder}")), "{run}");
    millpond(&["init", "--dir", folder, "--name", "a"], b"").ok();
    let again = millpond(&["init", "--dir", folder], b"").failed(1);
    assert!(again.contains("error[E0102]: ") && again.contains("do:  "), "{again}");
    millpond(&["frobnicate"], b"").failed(2);
}

#[test]
fn explain_tells_codes_of_errors_from_records() {
    let page = millpond(&["explain", "E0412"], b"").ok();
    assert!(page.starts_with("E0412: the node is a backup"), "{page}");
    assert!(["why: ", "do: ", "retryable: no"].iter().all(|line| page.contains(line)), "{page}");
    let page: Value =
        serde_json::from_str(&millpond(&["explain", "e0302", "--json"], b"").ok()).unwrap();
    assert_eq!((&page["code"], &page["retryable"]), (&json!("E0302"), &json!(true)));

    let odd = millpond(&["explain", "E9999"], b"").failed(2);
    assert!(odd.contains("nor a record, as collection/key"), "{odd}");
    let odd = millpond(&["explain", "E0412", "title"], b"").failed(2);
    assert!(odd.contains("error[E1008]: E0412 is an error, and has no fields"), "{odd}");
    let odd = millpond(&["explain", "E0412/E0412"], b"").failed(2);
    assert!(odd.contains("which field of E0412/E0412?"), "{odd}");
    let node = Node::start();
    node.run(&["put", "E0412/E0412", r#"{"title":"a record"}"#]).ok();
    let value = node.run(&["explain", "E0412/E0412", "title"]).ok();
    assert!(value.starts_with("\"a record\"   (plain)"), "{value}");
}

#[test]
fn what_a_node_refuses_has_a_code_that_explain_knows() {
    let node = Node::start();
    let refused =
        node.run(&["conflicts", "resolve", "t/a", "n", "--set", "1", "--seen", "x"]).failed(1);
    let (_, code) = refused.split_once("error[").unwrap();
    let (code, _) = code.split_once(']').unwrap();
    millpond(&["explain", code], b"").ok();
    let dir = tempfile::tempdir().unwrap();
    let nobody = millpond(&["status", "--dir", dir.path().to_str().unwrap()], b"").failed(4);
    assert!(nobody.contains("error[E1001]: ") && nobody.contains("do:  millpond run"), "{nobody}");
}
