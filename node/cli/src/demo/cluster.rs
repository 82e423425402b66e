//! The nodes' processes: started, watched, and ended by the ids that were given to them.

use std::fs::DirBuilder;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millpond::{Config, Invite, Replica};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::client::Client;
use crate::config::{self, File};
use crate::failure::{Cause, Failure};

/// The folder of the whole demo.
pub(super) struct Root {
    dir: PathBuf,
    is_temporary: bool,
}

/// The running nodes.
pub(super) struct Cluster {
    root: Root,
    pub(super) nodes: Vec<Node>,
}

/// One of them.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) client: Client,
    log: PathBuf,
    process: Child,
}

impl Root {
    /// The chosen folder, which must be empty, or a temporary one.
    pub(super) fn make(chosen: Option<&Path>) -> Result<Self, Failure> {
        let Some(chosen) = chosen else { return Self::temporary() };
        let failed = |why| {
            Failure::new(format!("cannot use the folder {}", chosen.display()))
                .cause(Cause::Demo)
                .why(why)
        };
        std::fs::create_dir_all(chosen).map_err(|error| failed(error.to_string()))?;
        let dir = chosen.canonicalize().map_err(|error| failed(error.to_string()))?;
        let mut files = dir.read_dir().map_err(|error| failed(error.to_string()))?;
        if files.next().is_some() {
            return Err(failed("it is not empty".into()).fix("choose a new --dir, or none"));
        }
        Ok(Self { dir, is_temporary: false })
    }

    fn temporary() -> Result<Self, Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("millpond-demo-{}-{:x}", std::process::id(), now.as_millis());
        let dir = std::env::temp_dir().join(name);
        // Made, never reused, and for nobody else: it holds the nodes' keys.
        let made = DirBuilder::new().mode(0o700).create(&dir);
        made.map_err(|error| {
            Failure::new(format!("cannot make {}", dir.display())).cause(Cause::Demo).why(error)
        })?;
        Ok(Self { dir, is_temporary: true })
    }
}

impl Cluster {
    pub(super) fn new(root: Root) -> Self {
        Self { root, nodes: Vec::new() }
    }

    /// Founds a domain with its first node, or joins another to it, and starts its process.
    pub(super) async fn add(&mut self, invite: Option<&Invite>) -> Result<(), Failure> {
        let name = format!("node-{}", self.nodes.len() + 1);
        let dir = self.root.dir.join(&name);
        let mut config = Config::new(&dir);
        config.name.clone_from(&name);
        let prepared = match invite {
            Some(invite) => Replica::prepare_join(&config, invite),
            None => Replica::init(&config).map(drop),
        };
        prepared.map_err(|error| Failure::open(&dir, &error))?;
        let log = self.root.dir.join(format!("{name}.log"));
        self.write_config(&name, &dir)?;
        let mut process = spawn(&dir, &log).map_err(|error| {
            Failure::new(format!("cannot start {name}")).cause(Cause::Demo).why(error)
        })?;
        let client = wait_until_up(&mut process, &dir).await;
        let client = client.map_err(|why| not_up(&name, &why, &log))?;
        self.nodes.push(Node { name, dir, client, log, process });
        Ok(())
    }

    fn write_config(&self, name: &str, dir: &Path) -> Result<(), Failure> {
        let mut file = File::default();
        file.name = Some(name.into());
        file.state_dir = Some(self.root.dir.join(format!("{name}.state")));
        file.replication.bindaddress = Some(ANY_PORT);
        file.http.bindaddress = ANY_PORT;
        config::write_first(dir, &file)
    }

    /// The demo's folder.
    pub(super) fn dir(&self) -> &Path {
        &self.root.dir
    }

    /// Lets the folder stay, so that the nodes' logs can be read.
    pub(super) fn keep(&mut self) {
        self.root.is_temporary = false;
    }

    /// Fails if a node has ended.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        for node in &mut self.nodes {
            if let Ok(Some(status)) = node.process.try_wait() {
                let why = format!("{status}; the end of its log:\n{}", tail(&node.log));
                let fix = format!("the whole log is {}", node.log.display());
                return Err(Failure::new(format!("{} has ended", node.name))
                    .cause(Cause::Demo)
                    .why(why)
                    .fix(fix));
            }
        }
        Ok(())
    }

    /// Ends the nodes in good order, and by force those that take too long.
    pub(super) async fn stop(&mut self) {
        for node in &self.nodes {
            // A child that was waited for has no id any more, so no stranger can be meant.
            let id = node.process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
            let _ = id.map(|id| kill_process(id, Signal::TERM));
        }
        let deadline = Instant::now() + STOP_DEADLINE;
        for node in &mut self.nodes {
            if tokio::time::timeout_at(deadline, node.process.wait()).await.is_err() {
                let _ = node.process.kill().await;
            }
        }
        self.nodes.clear();
        if self.root.is_temporary {
            let _ = std::fs::remove_dir_all(&self.root.dir);
        }
    }
}

/// Starts `millpond run`, this same program.
fn spawn(dir: &Path, log: &Path) -> std::io::Result<Child> {
    let log = std::fs::File::create(log)?;
    Command::new(std::env::current_exe()?)
        .args(["run", "--dir"])
        .arg(dir)
        .env_remove("MILLPOND_DIR")
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C is for the demo, which then ends its nodes.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Waits until the node's API answers; or says why it will not.
async fn wait_until_up(process: &mut Child, dir: &Path) -> Result<Client, String> {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        if let Ok(Some(status)) = process.try_wait() {
            return Err(format!("it ended with {status}"));
        }
        if let Ok(client) = Client::of_dir(dir) {
            let alive = timeout(START_DEADLINE, client.get::<Value>("/livez")).await;
            if let Ok(Ok(_)) = alive {
                return Ok(client);
            }
        }
        if Instant::now() > deadline {
            return Err("its API does not answer".into());
        }
        sleep(START_INTERVAL).await;
    }
}

fn not_up(name: &str, why: &str, log: &Path) -> Failure {
    Failure::new(format!("{name} did not start"))
        .cause(Cause::Demo)
        .why(format!("{why}; the end of its log:\n{}", tail(log)))
        .fix(format!("the whole log is {}", log.display()))
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// A free port of this machine alone.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How long a new process may take until its API answers.
const START_DEADLINE: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_millis(20);

/// How long a node may take to finish what it has begun.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// What fits on a screen.
const TAIL_LINES: usize = 15;
