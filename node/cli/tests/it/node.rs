//! A node as a process, and commands against it.

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A node in a folder of its own. Dropping it kills it.
pub(crate) struct Node {
    dir: TempDir,
    data: PathBuf,
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

/// A command that goes on. Dropping it kills it.
pub(crate) struct Follower {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Follower {
    /// Waits for a line that contains this, within a deadline.
    pub fn until(&self, expected: &str) {
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            if line.contains(expected) {
                return;
            }
            seen.push(line);
        }
        panic!("never {expected:?}: {seen:?}");
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended
        let _ = self.process.wait();
    }
}

/// The program, away from what the user who runs the tests has set and stored.
pub(crate) fn program() -> Command {
    away_from_the_user(env!("CARGO_BIN_EXE_millpond"))
}

/// The program, with an error instead of any file larger than so many bytes.
fn program_with_files_up_to(bytes: u64) -> Command {
    let mut shell = away_from_the_user("sh");
    // Without the trap the signal would end the process before it sees the error.
    shell.args(["-c", r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#, &(bytes / 512).to_string()]);
    shell.arg(env!("CARGO_BIN_EXE_millpond"));
    shell
}

fn away_from_the_user(program: &str) -> Command {
    let mut program = Command::new(program);
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
    /// The first node of a domain.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with variables in its environment.
    pub fn start_with(environment: &[(&str, &str)]) -> Self {
        let mut node = Self::nowhere();
        node.init();
        node.restart_as(program().envs(environment.iter().copied()));
        node
    }

    /// The same, with its data in a folder elsewhere.
    pub fn start_at(data: &Path) -> Self {
        let mut node = Self::nowhere();
        node.data = data.to_owned();
        node.init();
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
    pub fn join(&self, name: &str, role: &str) -> Self {
        let invite = self.run(&["invite", "--role", role]).ok();
        let mut node = Self::nowhere();
        let joined = node.run(&["join", invite.trim(), "--name", name, "--listen", "127.0.0.1:0"]);
        assert!(joined.ok().contains("is a member now, and has caught up"));
        node.settle_down();
        node.restart();
        node
    }

    /// A node that a command makes of what was put aside, started.
    pub fn restored(command: &[&str]) -> Self {
        let mut node = Self::nowhere();
        let data = node.data().to_str().expect("a path of letters").to_owned();
        let options = ["--data", &data, "--listen", "127.0.0.1:0", "--name", "tokyo-1"];
        millpond(&[command, &options].concat(), b"").ok();
        node.settle_down();
        node.restart();
        node
    }

    /// A copy of a node's folder, not started.
    pub fn copied(folder: &Path) -> Self {
        let node = Self::nowhere();
        crate::fence::copy_folder(folder, node.data());
        node
    }

    /// Gives a copied folder a state folder and a port of its own.
    pub fn settle_elsewhere(&self) {
        let file = self.data().join("millpond.toml");
        let text = std::fs::read_to_string(&file).expect("it was copied");
        let line = |line: &str| match line.split_once(" = ") {
            Some(("state_dir", _)) => {
                format!("state_dir = \"{}\"", self.dir().join("state").display())
            }
            Some(("bindaddress", _)) => "bindaddress = \"127.0.0.1:0\"".to_owned(),
            _ => line.to_owned(),
        };
        let text: Vec<String> = text.lines().map(line).collect();
        std::fs::write(&file, text.join("\n")).expect("it can be written");
    }

    fn nowhere() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let data = dir.path().join("node");
        Self { dir, data, process: None }
    }

    fn init(&self) {
        let text = self.run(&["init", "--name", "paris-1", "--listen", "127.0.0.1:0"]).ok();
        assert!(text.contains("recovery key: ") && text.contains("next: millpond run"), "{text}");
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

    /// Starts it again with something else in its configuration.
    pub fn reconfigure(&mut self, before: &str, after: &str) {
        assert_eq!(self.stop("TERM"), Some(0));
        let file = self.data().join("millpond.toml");
        let text = std::fs::read_to_string(&file).expect("init and join write it");
        assert!(text.contains(before), "{text}");
        std::fs::write(&file, text.replacen(before, after, 1)).expect("it can be written");
        self.restart();
    }

    /// Kills the process with SIGKILL.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it can be killed");
        process.wait().expect("it ends");
    }

    pub fn restart(&mut self) {
        self.restart_as(&mut program());
    }

    /// Restarts it where a file that would grow beyond so many bytes is an error.
    pub fn restart_with_files_up_to(&mut self, bytes: u64) {
        self.restart_as(&mut program_with_files_up_to(bytes));
    }

    fn restart_as(&mut self, program: &mut Command) {
        let mut process = program
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
    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, b"")
    }

    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Done {
        let data = self.data();
        millpond(&[arguments, &["--dir", data.to_str().unwrap()]].concat(), input)
    }

    /// Starts a command that goes on.
    pub fn follow(&self, arguments: &[&str]) -> Follower {
        let mut process = program()
            .args(arguments)
            .arg("--dir")
            .arg(self.data())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let (told, lines) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| told.send(line))
        });
        Follower { process, lines }
    }

    /// Runs a command again and again until what it prints contains this, within a deadline.
    pub fn until(&self, arguments: &[&str], expected: &str) {
        self.until_it(arguments, &format!("prints {expected:?}"), |out| out.contains(expected));
    }

    /// Runs a command until it does not print something any more.
    pub fn until_not(&self, arguments: &[&str], what: &str) {
        self.until_it(arguments, &format!("prints no {what:?}"), |out| !out.contains(what));
    }

    fn until_it(&self, arguments: &[&str], what: &str, is_wanted: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let done = self.run(arguments);
            if is_wanted(&done.stdout) {
                return;
            }
            assert!(Instant::now() < deadline, "never {what}: {done:?}");
        }
    }

    /// Sends a signal, waits for the end, and tells the exit code.
    pub fn stop(&mut self, signal: &str) -> Option<i32> {
        let mut process = self.process.take().expect("it runs");
        let mut kill = Command::new("kill");
        kill.args([format!("-{signal}"), process.id().to_string()]);
        assert!(kill.status().expect("kill exists").success());
        process.wait().expect("it ends").code()
    }

    /// Waits until it ends by itself, within a deadline, and tells the exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + DEADLINE;
        let process = self.process.as_mut().expect("it was started");
        loop {
            if let Some(status) = process.try_wait().expect("it is our child") {
                self.process = None;
                return status.code();
            }
            assert!(Instant::now() < deadline, "it goes on");
            std::thread::park_timeout(Duration::from_millis(10));
        }
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

/// No condition of these tests takes so long on a machine that works.
const DEADLINE: Duration = Duration::from_secs(60);
