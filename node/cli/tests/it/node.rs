//! A node as a process, and commands against it.

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use tempfile::TempDir;

/// A node in a folder of its own. Dropping it kills it.
pub(crate) struct Node {
    dir: TempDir,
    process: Option<Child>,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

impl Done {
    /// Its output; it must have worked.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// Its errors; it must have failed with this code.
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.stderr
    }
}

/// The program, away from what the user who runs the tests has set and stored.
pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_millpond"));
    for variable in ["MILLPOND_DIR", "MILLPOND_LOG", "STATE_DIRECTORY", "NOTIFY_SOCKET"] {
        program.env_remove(variable);
    }
    program.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    program
}

/// Runs the program to its end.
pub(crate) fn millpond(arguments: &[&str], input: &[u8]) -> Done {
    let mut process = program()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = process.stdin.take().expect("it is piped");
    let _ = stdin.write_all(input); // it may have ended without reading
    drop(stdin);
    let output = process.wait_with_output().expect("it ends");
    Done {
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
        code: output.status.code(),
    }
}

impl Node {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut node = Self { dir, process: None };
        let data = node.data();
        let init = ["init", "--name", "paris-1", "--listen", "127.0.0.1:0", "--dir"];
        let text = millpond(&[&init[..], &[data.to_str().unwrap()]].concat(), b"").ok();
        assert!(text.contains("recovery key: ") && text.contains("next: millpond run"), "{text}");
        node.restart();
        node
    }

    /// A node with a lease and a port that stays, as one should have it.
    pub fn start_with_state() -> Self {
        let mut node = Self::start();
        assert_eq!(node.stop("TERM"), Some(0));
        node.settle_down();
        node.restart();
        node
    }

    /// A further member of this node's domain, with the same.
    pub fn join(&self, name: &str) -> Self {
        let invited: serde_json::Value =
            serde_json::from_str(&self.run(&["invite", "--json"]).ok()).expect("JSON");
        let mut node = Self { dir: tempfile::tempdir().expect("a folder"), process: None };
        let data = node.data();
        let invite = invited["invite"].as_str().expect("text");
        let options = ["--name", name, "--listen", "127.0.0.1:0", "--dir", data.to_str().unwrap()];
        millpond(&[&["join", invite][..], &options].concat(), b"").ok();
        node.settle_down();
        node.restart();
        node
    }

    fn settle_down(&self) {
        let file = self.data().join("millpond.toml");
        let text = std::fs::read_to_string(&file).expect("init and join write it");
        let state = self.dir().join("state");
        std::fs::create_dir(&state).expect("the folder is new");
        // Killed nodes cannot tell their next port, so it stays the same.
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let listen = socket.local_addr().expect("it is bound").to_string();
        let text = text.replacen("127.0.0.1:0", &listen, 1);
        let text = format!("state_dir = \"{}\"\n{text}", state.display());
        std::fs::write(&file, text).expect("it can be written");
    }

    /// Kills the process with SIGKILL.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it can be killed");
        process.wait().expect("it ends");
    }

    pub fn restart(&mut self) {
        let mut process = program()
            .args(["run", "--http", "127.0.0.1:0", "--log-format", "json", "--dir"])
            .arg(self.data())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        wait_until_ready(process.stderr.take().expect("it is piped"));
        self.process = Some(process);
    }

    /// The folder above the node's.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The node's folder.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("node")
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, b"")
    }

    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Done {
        let data = self.data();
        millpond(&[arguments, &["--dir", data.to_str().unwrap()]].concat(), input)
    }

    /// Sends a signal, waits for the end, and tells the exit code.
    pub fn stop(&mut self, signal: &str) -> Option<i32> {
        let mut process = self.process.take().expect("it runs");
        let mut kill = Command::new("kill");
        kill.args([format!("-{signal}"), process.id().to_string()]);
        assert!(kill.status().expect("kill exists").success());
        process.wait().expect("it ends").code()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Reads the log up to `ready`, then goes on in the background, so that the node can always write.
fn wait_until_ready(log: ChildStderr) {
    let mut log = BufReader::new(log);
    let mut text = String::new();
    while !text.contains(r#""message":"ready""#) {
        let read = log.read_line(&mut text).expect("the log is text");
        assert!(read > 0, "the node ended: {text}");
    }
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
}
