//! The API of a node, from wherever it listens.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::host::Host;

/// Asks a node.
#[derive(Debug, Clone)]
pub struct Client {
    host: Host,
    address: SocketAddr,
    token: String,
}

/// A connection that is kept for many requests.
#[derive(Debug)]
pub struct Connection {
    client: Client,
    stream: BufReader<TcpStream>,
}

impl Client {
    /// For the node on this host whose folder this is.
    ///
    /// # Errors
    /// It has not said where it listens.
    pub fn new(host: &Host, folder: &Path) -> io::Result<Self> {
        let read = |name: &str| std::fs::read_to_string(folder.join(name));
        let address = read("http.addr")?.trim().parse().map_err(io::Error::other)?;
        Ok(Self { host: host.clone(), address, token: read("http.token")?.trim().to_owned() })
    }

    /// A connection for many requests.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn connect(&self) -> io::Result<Connection> {
        let stream = self.host.connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
        Ok(Connection { client: self.clone(), stream: BufReader::new(stream) })
    }

    /// Asks for JSON, over a connection of its own.
    ///
    /// # Errors
    /// No answer, or one that is no success.
    pub fn get(&self, path: &str) -> io::Result<Value> {
        let text = self.connect()?.request("GET", path, "")?;
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    /// Sends a body, over a connection of its own, and tells the answer's.
    ///
    /// # Errors
    /// No answer, or one that is no success.
    pub fn send(&self, method: &str, path: &str, body: &str) -> io::Result<String> {
        self.connect()?.request(method, path, body)
    }

    /// Opens an answer without an end, as JSON Lines.
    ///
    /// # Errors
    /// No answer, or one that is no success.
    pub(crate) fn follow(&self, path: &str) -> io::Result<BufReader<TcpStream>> {
        let mut connection = self.connect()?;
        // Of this version, an answer has no form but its own.
        connection.write("GET", path, ("HTTP/1.0", "application/jsonl"), "")?;
        connection.head(path)?;
        connection.stream.get_ref().set_read_timeout(None)?;
        Ok(connection.stream)
    }
}

impl Connection {
    /// Sends a request, and tells the answer's body.
    ///
    /// # Errors
    /// No answer, or one that is no success; the error shows it.
    pub fn request(&mut self, method: &str, path: &str, body: &str) -> io::Result<String> {
        self.write(method, path, ("HTTP/1.1", "application/json"), body)?;
        let length = self.head(path)?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        String::from_utf8(body).map_err(io::Error::other)
    }

    fn write(
        &mut self,
        method: &str,
        path: &str,
        (version, accept): (&str, &str),
        body: &str,
    ) -> io::Result<()> {
        let Client { address, token, .. } = &self.client;
        let length = body.len();
        let request = format!(
            "{method} {path} {version}\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Accept: {accept}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes())
    }

    /// Reads an answer's head, and tells how long its body is.
    fn head(&mut self, path: &str) -> io::Result<usize> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
        });
        let length = length.unwrap_or(0);
        if head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')) {
            return Ok(length);
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body);
        let status = head.lines().next().unwrap_or_default();
        Err(io::Error::other(format!("{path}: {status}: {body}")))
    }
}

/// No node that works takes so long to answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);
