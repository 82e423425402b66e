//! Peers and links that go wrong: what both sides say, and that nothing is lost.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use millpond::status::PeerState;
use millpond::{Config, Invite, InviteOptions, JoinError, Replica, Role, WriteError};
use millpond_core::message::{CloseCode, Hello, Message, Protocol};
use millpond_core::transport::{Lane, Link, LinkError, Transport};
use millpond_core::wire::{self, Decoder};
use millpond_core::{Boot, Domain};
use millpond_transport_quic::{Identity, Quic, QuicOptions};
use tokio::sync::mpsc;

use crate::cluster::{Cluster, path, put, put_in, until, value, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_heals_though_both_sides_have_written() {
    let cluster = Cluster::start(2).await;
    introduced(&cluster).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    put(anna, "before", "both").await;
    cluster.converged().await;
    anna.pause(None).await;
    until("the link is cut on both sides", async || {
        let status = [anna.status().await, ben.status().await];
        status.iter().all(|status| status.peers[0].link.is_none())
    })
    .await;
    assert_eq!(error_of(ben, "node-1").await, "node-1 paused the link");
    put(anna, "anna", "from anna").await;
    put(ben, "ben", "from ben").await;
    put(anna, "same", "from anna").await;
    put(ben, "same", "from ben").await;
    anna.resume(None).await;
    cluster.converged().await;
    assert_eq!(value(ben, "anna").as_deref(), Some("from anna"));
    assert_eq!(value(anna, "ben").as_deref(), Some("from ben"));
    assert_eq!(value(anna, "same"), value(ben, "same"));
    cluster.close().await;
}

/// While a member is away somebody else answers at its address: each side says whom it met there, keeps
/// trying, and finds the member when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn another_key_at_a_members_address_is_told_and_tried_again() {
    let mut cluster = Cluster::start_with(2, own_address).await;
    let addresses = fix_addresses(&mut cluster).await;
    close(cluster.nodes.pop().unwrap()).await;
    let anna = cluster.nodes.pop().unwrap();
    let stranger = Stranger::bind(addresses[1]).await;
    until("anna says that another key answers for ben", async || {
        let error = error_of(&anna, "node-2").await;
        error.contains("does not hold the expected key") && error.contains(&stranger.digits())
    })
    .await;
    assert_eq!(anna.status().await.peers[0].state, PeerState::Offline);
    put(&anna, "anna", "written meanwhile").await;
    close(anna).await;
    stranger.leave().await;

    let stranger = Stranger::bind(addresses[0]).await;
    let ben = reopen(&cluster.configs[1]).await;
    until("ben says that another key answers for anna", async || {
        error_of(&ben, "node-1").await.contains(&stranger.digits())
    })
    .await;
    put(&ben, "ben", "written meanwhile").await;
    stranger.leave().await;

    cluster.nodes = vec![reopen(&cluster.configs[0]).await, ben];
    cluster.converged().await;
    for (node, key) in cluster.nodes.iter().zip(["ben", "anna"]) {
        assert_eq!(value(node, key).as_deref(), Some("written meanwhile"));
    }
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_protocol_version_is_refused_on_both_sides() {
    let change = |hello: &mut Hello| hello.protocol = Protocol { oldest: 7, newest: 9 };
    let expected = "protocol versions 1..1 here and 7..9 there have none in common";
    member_comes_back_as(change, CloseCode::Incompatible, expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_domain_is_refused_on_both_sides() {
    let change = |hello: &mut Hello| hello.domain = Domain::from_bytes([7; 16]);
    let expected = "nothing was changed on either side";
    member_comes_back_as(change, CloseCode::OtherDomain, expected).await;
}

/// Two real domains: a node of one comes to the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dials_another_domain_changes_nothing_there_or_here() {
    let cluster = Cluster::start(1).await;
    let anna = &cluster.nodes[0];
    put(anna, "key", "value").await;
    let before = anna.seal().await.unwrap();

    // It believes to join one domain, and finds another at that address and key.
    let invite = anna.invite(InviteOptions::default()).await.unwrap();
    let domain = invite.domain();
    let elsewhere = rewritten(&invite, |content| {
        let at = content.windows(16).position(|bytes| bytes == domain.as_bytes()).unwrap();
        content[at] ^= 0xff;
    });
    let config = Config::new(cluster.folder.path().join("stray"));
    let error = refusal(&config, &elsewhere).await;
    assert!(error.contains(&format!("this node is of domain {domain:#}")), "{error}");
    assert!(error.contains("nothing was changed on either side"), "{error}");

    assert_eq!(anna.seal().await.unwrap(), before);
    assert_eq!(anna.status().await.peers.len(), 0, "it is no member");
    // Its folder is as good as empty: an invite to this domain is still worth something.
    Replica::prepare_join(&config, &invite).unwrap();
    let stray = Replica::open(config).await.unwrap();
    within("joined", stray.joined()).await.unwrap();
    stray.close().await;
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_that_is_used_expired_or_foreign_is_refused() {
    let cluster = Cluster::start(1).await;
    let anna = &cluster.nodes[0];
    let config = |name: &str| Config::new(cluster.folder.path().join(name));

    let used = anna.invite(InviteOptions::default()).await.unwrap();
    close(joined(&config("first"), &used).await).await;
    let error = refusal(&config("late"), &used).await;
    assert!(error.contains("was used by another node"), "{error}");

    let mut options = InviteOptions::default();
    options.expires = std::time::Duration::ZERO;
    let expired = anna.invite(options).await.unwrap();
    let error = refusal(&config("late"), &expired).await;
    assert!(error.contains("has expired"), "{error}");

    let foreign = rewritten(&used, |content| *content.last_mut().unwrap() ^= 0xff);
    let error = refusal(&config("late"), &foreign).await;
    assert!(error.contains("never issued"), "{error}");
    assert_eq!(anna.status().await.peers.len(), 1, "only the first is a member");

    // The folder that was refused three times takes a good invite.
    let good = anna.invite(InviteOptions::default()).await.unwrap();
    close(joined(&config("late"), &good).await).await;
    let again = Replica::prepare_join(&config("late"), &good).unwrap_err();
    assert!(again.to_string().contains("holds a replica already"), "{again}");
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_reads_and_may_not_write() {
    let cluster = Cluster::start(1).await;
    let anna = &cluster.nodes[0];
    put(anna, "key", "value").await;
    let mut options = InviteOptions::default();
    options.role = Role::Reader;
    let invite = anna.invite(options).await.unwrap();
    let reader = joined(&Config::new(cluster.folder.path().join("reader")), &invite).await;
    until("the reader has it", async || value(&reader, "key").as_deref() == Some("value")).await;
    let written = reader.write(|tx| put_in(tx, path("key"), "mine")).await;
    assert!(matches!(written, Err(WriteError::ReadOnly { .. })), "{written:?}");
    assert_eq!(reader.seal().await.unwrap(), anna.seal().await.unwrap());
    reader.close().await;
    cluster.close().await;
}

/// A member's key comes back with a hello that is changed. The member that it meets refuses it, says so in
/// its status and to the peer, and links to the real one when that returns.
async fn member_comes_back_as(change: fn(&mut Hello), code: CloseCode, expected: &str) {
    let mut cluster = Cluster::start_with(2, own_address).await;
    let addresses = fix_addresses(&mut cluster).await;
    let anna = cluster.nodes[0].clone();
    put(&anna, "key", "value").await;
    cluster.converged().await;
    let before = anna.seal().await.unwrap();
    close(cluster.nodes.pop().unwrap()).await;

    let key = std::fs::read(cluster.configs[1].dir.join("node.key")).unwrap();
    let impostor = bind(&Identity::from_pkcs8(&key).unwrap(), addresses[1]).await;
    let (told, mut refusals) = mpsc::channel(16);
    let answering = tokio::spawn(answer_hellos(impostor.clone(), change, told));
    let (closed_with, reason) = within("a refusal", refusals.recv()).await.unwrap();
    assert_eq!(CloseCode::from_number(closed_with), code, "{reason}");
    assert!(reason.contains(expected), "{reason}");
    until("anna's status says why", async || error_of(&anna, "node-2").await.contains(expected))
        .await;
    within("another try", refusals.recv()).await.unwrap();
    assert_eq!(anna.seal().await.unwrap(), before, "nothing changed");
    answering.abort();
    let _ = answering.await;
    impostor.close().await;
    drop(impostor);

    cluster.nodes.push(reopen(&cluster.configs[1]).await);
    cluster.linked().await;
    cluster.converged().await;
    cluster.close().await;
}

/// Answers each hello with the same one, changed, and tells how the link was closed.
async fn answer_hellos(
    transport: Arc<Quic>,
    change: fn(&mut Hello),
    told: mpsc::Sender<(u32, String)>,
) {
    while let Some(link) = transport.accept().await {
        let Some(mut hello) = first_hello(&*link).await else { continue };
        hello.boot = Boot { counter: 99, random: 99 };
        hello.incarnations.clear();
        change(&mut hello);
        for frame in wire::encode(&Message::Hello(hello)) {
            let _ = link.send(Lane::Control, frame).await; // it may be closed already
        }
        loop {
            match link.receive(Lane::Control).await {
                Ok(_) => {}
                Err(LinkError::Closed { code, reason }) => {
                    break drop(told.send((code, reason)).await);
                }
                Err(_) => break,
            }
        }
    }
}

async fn first_hello(link: &dyn Link) -> Option<Hello> {
    match Decoder::new().decode(link.receive(Lane::Control).await.ok()?) {
        Ok(Some(Message::Hello(hello))) => Some(hello),
        _ => None,
    }
}

/// Somebody with a key of its own, at a given address.
struct Stranger {
    identity: Identity,
    transport: Arc<Quic>,
}

impl Stranger {
    async fn bind(address: SocketAddr) -> Self {
        let identity = Identity::generate().unwrap();
        Self { transport: bind(&identity, address).await, identity }
    }

    /// The first digits of its key.
    fn digits(&self) -> String {
        self.identity.key().short().to_string()
    }

    async fn leave(self) {
        self.transport.close().await;
    }
}

/// Binds an address that somebody else may be about to leave.
async fn bind(identity: &Identity, address: SocketAddr) -> Arc<Quic> {
    let mut bound = None;
    until("the address is free", async || {
        bound = Quic::bind(identity, address, QuicOptions::default()).ok();
        bound.is_some()
    })
    .await;
    Arc::new(bound.unwrap())
}

async fn reopen(config: &Config) -> Replica {
    let mut opened = None;
    until("the replica opens", async || {
        opened = Replica::open(config.clone()).await.ok();
        opened.is_some()
    })
    .await;
    opened.unwrap()
}

/// Closes the only handle, and so frees the folder and the address.
async fn close(replica: Replica) {
    replica.close().await;
}

async fn joined(config: &Config, invite: &Invite) -> Replica {
    Replica::prepare_join(config, invite).unwrap();
    let replica = Replica::open(config.clone()).await.unwrap();
    within("joined", replica.joined()).await.unwrap();
    replica
}

/// What a join comes to that is refused.
async fn refusal(config: &Config, invite: &Invite) -> String {
    Replica::prepare_join(config, invite).unwrap();
    let replica = Replica::open(config.clone()).await.unwrap();
    let refused = within("refused", replica.joined()).await;
    replica.close().await;
    match refused {
        Err(JoinError::Refused { why }) => why,
        other => panic!("{other:?}"),
    }
}

/// Why there is no link to a member; empty while there is no reason.
async fn error_of(node: &Replica, peer: &str) -> String {
    let status = node.status().await;
    let peer = status.peers.into_iter().find(|it| it.name == peer).unwrap();
    peer.last_error.unwrap_or_default()
}

/// An invite with other content and a checksum that fits.
fn rewritten(invite: &Invite, change: impl FnOnce(&mut Vec<u8>)) -> Invite {
    let text = invite.to_string();
    let bytes = data_encoding::BASE32_NOPAD_NOCASE.decode(&text.as_bytes()["mp1".len()..]).unwrap();
    let mut content = bytes[..bytes.len() - 4].to_vec();
    change(&mut content);
    let sum = blake3::hash(&content);
    content.extend_from_slice(&sum.as_bytes()[..4]);
    let text = data_encoding::BASE32_NOPAD_NOCASE.encode(&content).to_lowercase();
    format!("mp1{text}").parse().unwrap()
}

/// A loopback address that no other test listens on, so that its port stays free while the node is away.
fn own_address(config: &mut Config) {
    use std::sync::atomic::{AtomicU8, Ordering};
    static NEXT: AtomicU8 = AtomicU8::new(1);
    if cfg!(target_os = "linux") {
        config.listen = ([127, 77, 0, NEXT.fetch_add(1, Ordering::Relaxed)], 0).into();
    }
}

/// Waits until each node knows the other's name and addresses.
async fn introduced(cluster: &Cluster) {
    for node in &cluster.nodes {
        until("names and addresses are known", async || {
            let peer = &node.status().await.peers[0];
            !peer.addresses.is_empty() && peer.name.starts_with("node-")
        })
        .await;
    }
}

/// From now on the nodes open where they are now, and where each knows the other to be.
async fn fix_addresses(cluster: &mut Cluster) -> Vec<SocketAddr> {
    introduced(cluster).await;
    let addresses = cluster.nodes.iter().map(|node| node.listen_socket().unwrap());
    let addresses: Vec<SocketAddr> = addresses.collect();
    for (config, address) in cluster.configs.iter_mut().zip(&addresses) {
        config.listen = *address;
    }
    addresses
}

#[test]
fn a_folder_with_missing_or_mixed_files_is_told_from_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| Config::new(folder.path().join(name)));
    Replica::init(&first).unwrap();
    Replica::init(&second).unwrap();
    let file = |config: &Config, name: &str| config.dir.join(name);
    let hidden = folder.path().join("hidden");
    let (key, store) = (file(&first, "node.key"), file(&first, "millpond.redb"));

    std::fs::rename(&key, &hidden).unwrap();
    expect(&first, "node.key: it is missing, though there is a store");
    let init = Replica::init(&first).unwrap_err().to_string();
    assert!(init.contains("holds a replica already"), "{init}");
    std::fs::write(&key, "no key at all").unwrap();
    expect(&first, "not an ed25519 key pair");
    std::fs::copy(file(&second, "node.key"), &key).unwrap();
    expect(&first, "files of two replicas were mixed");
    std::fs::rename(&hidden, &key).unwrap();

    std::fs::rename(&store, &hidden).unwrap();
    expect(&first, "millpond.redb is missing, though the folder has a key");
    assert!(!store.exists(), "nothing was made in its place");
    std::fs::rename(&hidden, &store).unwrap();

    expect(&Config::new(folder.path().join("empty")), "holds no replica");
    assert!(!folder.path().join("empty").exists(), "nothing was made");
    open_and_close(&first).unwrap();
}

fn expect(config: &Config, expected: &str) {
    let before = files(&config.dir);
    let error = open_and_close(config).unwrap_err();
    assert!(error.contains(expected), "{error}");
    assert_eq!(files(&config.dir), before);
}

fn open_and_close(config: &Config) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let replica = Replica::open(config.clone()).await.map_err(|error| error.to_string())?;
        replica.close().await;
        Ok(())
    })
}

/// Names and sizes.
fn files(dir: &Path) -> Vec<(String, u64)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let entries = entries.map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
        .collect();
    files.sort();
    files
}
