//! A node as a process.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::client::Client;
use crate::host::Host;
use crate::wait::{DEADLINE, until};

/// A node in a folder of its own. Dropping it kills its process.
#[derive(Debug)]
pub struct Node {
    name: String,
    program: PathBuf,
    host: Host,
    /// Holds its data, its state and its log.
    folder: PathBuf,
    listen: SocketAddr,
    process: Option<Child>,
    client: Option<Client>,
}

impl Node {
    /// Founds a domain, or joins that of an invite, and starts. `settings` go on in
    /// `[replication]` of its configuration, and may begin further tables.
    ///
    /// # Errors
    /// A command fails, or the node does not start; the error shows what they said.
    pub fn start(
        program: &Path,
        host: &Host,
        folder: &Path,
        invite: Option<&str>,
        settings: &str,
    ) -> io::Result<Self> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        std::fs::create_dir_all(folder.join("state"))?;
        let mut node = Self {
            name,
            program: program.to_owned(),
            host: host.clone(),
            folder: folder.to_owned(),
            listen: host.free_port()?,
            process: None,
            client: None,
        };
        let listen = node.listen.to_string();
        let first = match invite {
            Some(invite) => vec!["join", invite],
            None => vec!["init"],
        };
        node.run(&[&first[..], &["--name", &node.name, "--listen", &listen]].concat())?;
        node.configure(settings)?;
        node.restart()?;
        Ok(node)
    }

    /// Writes its configuration, for the next start.
    ///
    /// # Errors
    /// The disk's.
    pub fn configure(&self, settings: &str) -> io::Result<()> {
        let (name, listen, state) = (&self.name, self.listen, self.folder.join("state"));
        let text = format!(
            "version = 1\nname = \"{name}\"\nstate_dir = \"{}\"\n\
             [http]\nbindaddress = \"127.0.0.1:0\"\n\
             [replication]\nbindaddress = \"{listen}\"\n{settings}\n",
            state.display()
        );
        std::fs::write(self.data().join("millpond.toml"), text)
    }

    /// Starts its process; waits until it is ready.
    ///
    /// # Errors
    /// It ends, or takes too long; the error shows its log.
    pub fn restart(&mut self) -> io::Result<()> {
        let mut process = self
            .command()
            .args(["run", "--log-format", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = process.stderr.take().expect("it is piped");
        self.process = Some(process);
        self.wait_until_ready(log)?;
        self.client = Some(Client::new(&self.host, &self.data())?);
        Ok(())
    }

    /// Kills its process, as a crash does.
    ///
    /// # Errors
    /// It was not running.
    pub fn kill(&mut self) -> io::Result<()> {
        let mut process = self.process.take().ok_or(io::ErrorKind::NotFound)?;
        process.kill()?;
        process.wait().map(drop)
    }

    /// Asks its process to end, and waits until it has.
    ///
    /// # Errors
    /// It was not running, or takes too long.
    pub fn stop(&mut self) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        let process = self.process.as_mut().ok_or(io::ErrorKind::NotFound)?;
        until("the node ends", || !matches!(process.try_wait(), Ok(None)))?;
        self.process = None;
        Ok(())
    }

    /// Stops its process in the middle of whatever it does; it notices nothing but the time.
    ///
    /// # Errors
    /// It was not running.
    pub fn freeze(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets its process go on after [`Node::freeze`].
    ///
    /// # Errors
    /// It was not running.
    pub fn thaw(&mut self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let process = self.process.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let id = Pid::from_raw(process.id().cast_signed()).expect("a process has an id above 0");
        Ok(kill_process(id, signal)?)
    }

    /// Runs a command for its folder, and tells what that printed.
    ///
    /// # Errors
    /// It fails; the error shows what it said.
    pub fn run(&self, arguments: &[&str]) -> io::Result<String> {
        let output = self.command().args(arguments).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("millpond {}: {said}", arguments.join(" "))));
        }
        String::from_utf8(output.stdout).map_err(io::Error::other)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it runs.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Where its log is.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log.jsonl")
    }

    /// Its API.
    ///
    /// # Panics
    /// It never ran.
    pub fn client(&self) -> &Client {
        self.client.as_ref().expect("it has been started")
    }

    /// Its status.
    ///
    /// # Errors
    /// It does not answer.
    pub fn status(&self) -> io::Result<Value> {
        self.client().get("/api/v1/status")
    }

    /// A hash over everything that it holds.
    ///
    /// # Errors
    /// It does not answer.
    pub fn digest(&self) -> io::Result<String> {
        let digest = self.client().get("/api/v1/digest")?;
        Ok(digest["digest"].as_str().unwrap_or_default().to_owned())
    }

    /// Writes a record of one field, a register; the node has it on disk then.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub fn put(&self, collection: &str, key: &str, value: u64) -> io::Result<()> {
        let path = format!("/api/v1/c/{collection}/{key}");
        self.client().send("PUT", &path, &format!("{{\"n\":{value}}}")).map(drop)
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self) -> Command {
        let mut command = self.host.command(&self.program);
        for variable in ["MILLPOND_LOG", "STATE_DIRECTORY", "NOTIFY_SOCKET"] {
            command.env_remove(variable);
        }
        command.env("MILLPOND_DIR", self.data()).env("XDG_STATE_HOME", self.folder.join("state"));
        command
    }

    /// Reads the log up to `ready`; it goes on into a file, so that the node can always write.
    fn wait_until_ready(&self, log: ChildStderr) -> io::Result<()> {
        let path = self.log();
        let mut file = File::options().create(true).append(true).open(&path)?;
        let (sender, ready) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                let _ = writeln!(file, "{line}");
                if line.contains(r#""message":"ready""#) {
                    let _ = sender.send(()); // of a second one nobody wants to hear
                }
            }
        });
        ready.recv_timeout(DEADLINE).map_err(|error| {
            let why = match error {
                RecvTimeoutError::Timeout => "is not ready",
                RecvTimeoutError::Disconnected => "has ended",
            };
            let said = std::fs::read_to_string(&path).unwrap_or_default();
            io::Error::other(format!("{} {why}: {said}", self.name))
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
