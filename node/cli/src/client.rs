//! A client of the local HTTP API: one connection for each request.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::failure::{Cause, Exit, Failure};

/// A node's API.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    token: String,
    dir: PathBuf,
}

/// Why a request got no answer that it wanted.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// Nobody answers.
    Unreachable {
        /// The node's folder.
        dir: PathBuf,
        /// What happened.
        why: String,
    },
    /// The node refused.
    Refused(Refusal),
    /// The answer broke off, or is not what it should be.
    Broken(String),
}

/// The node's problem body.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    /// Stable, for programs.
    pub code: String,
    /// The same more exactly, as `E0412`; an older node says none.
    pub error_code: Option<String>,
    /// For people.
    pub detail: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Client {
    /// The API of the node that runs in this folder.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when the folder tells of no running node.
    pub fn of_dir(dir: &Path) -> Result<Self, ClientError> {
        let unreachable = |why: String| ClientError::Unreachable { dir: dir.to_owned(), why };
        let read = |name: &str| {
            std::fs::read_to_string(dir.join(name)).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => unreachable(format!(
                    "no node runs there: {} does not exist",
                    dir.join(name).display()
                )),
                _ => unreachable(format!("{}: {error}", dir.join(name).display())),
            })
        };
        let address = read("http.addr")?;
        let address = address
            .trim()
            .parse()
            .map_err(|_| unreachable(format!("http.addr holds no address: {address}")))?;
        let token = read("http.token")?.trim().to_owned();
        Ok(Self { address, token, dir: dir.to_owned() })
    }

    /// The value that `GET path` answers.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(Method::GET, path, &[], Outgoing::empty()).await?.json().await
    }

    /// The value that `POST path` answers to a JSON body.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, ClientError> {
        let body = Outgoing::text(body.to_string());
        self.send(Method::POST, path, &[], body).await?.json().await
    }

    /// The value that `PUT path` answers to a JSON body.
    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, ClientError> {
        let body = Outgoing::text(body.to_string());
        self.send(Method::PUT, path, &[], body).await?.json().await
    }

    /// The answer to a request, if it is a success.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Outgoing,
    ) -> Result<Answer, ClientError> {
        let unreachable = |why: String| ClientError::Unreachable { dir: self.dir.clone(), why };
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(|error| unreachable(format!("{}: {error}", self.address)))?;
        let _ = stream.set_nodelay(true); // only a matter of latency
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", self.token));
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|error| ClientError::Broken(error.to_string()))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| ClientError::Broken(format!("the connection broke: {error}")))?;
        Answer(response).success().await
    }
}

/// An answer under way.
#[derive(Debug)]
pub(crate) struct Answer(Response<Incoming>);

impl Answer {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The next bytes of the body; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match self.0.body_mut().frame().await {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(ClientError::Broken(format!("the answer broke off: {error}")));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body.
    pub async fn text(mut self) -> Result<String, ClientError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes).map_err(|_| ClientError::Broken("the answer is no text".into()))
    }

    /// The whole body as JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let text = self.text().await?;
        serde_json::from_str(&text)
            .map_err(|error| ClientError::Broken(format!("the answer is not as expected: {error}")))
    }

    async fn success(self) -> Result<Self, ClientError> {
        if self.status().is_success() {
            return Ok(self);
        }
        let status = self.status();
        let text = self.text().await?;
        Err(match serde_json::from_str(&text) {
            Ok(refusal) => ClientError::Refused(refusal),
            Err(_) => ClientError::Broken(format!("the node answered {status}")),
        })
    }
}

impl ClientError {
    /// The failure of a command that wanted to do `what`.
    pub fn at(self, what: impl Into<String>) -> Failure {
        let failure = Failure::new(what);
        match self {
            Self::Unreachable { dir, why } => failure
                .why(why)
                .fix(format!("millpond run --dir {}    or name another --dir", dir.display()))
                .cause(Cause::Unreachable)
                .exit(Exit::Unreachable),
            Self::Refused(refusal) => {
                let code = refusal.error_code.and_then(|code| code.parse().ok());
                let failure = failure.why(format!("{} ({})", refusal.detail, refusal.code));
                let failure = match code {
                    Some(code) => failure.code(code),
                    None => failure,
                };
                match refusal.hint {
                    Some(hint) => failure.fix(hint),
                    None => failure,
                }
            }
            Self::Broken(why) => failure.why(why).cause(Cause::Answer).exit(Exit::Unreachable),
        }
    }
}

/// Text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The body of a request.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// All of it at once; none when taken.
    Whole(Option<Bytes>),
    /// As it comes.
    Stream(mpsc::Receiver<io::Result<Bytes>>),
}

impl Outgoing {
    /// No body.
    pub fn empty() -> Self {
        Self::Whole(None)
    }

    /// This text.
    pub fn text(text: String) -> Self {
        Self::Whole(Some(text.into()))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(chunks) => {
                chunks.poll_recv(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => {
                hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Self::Stream(_) => hyper::body::SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_hides_what_a_path_would_split() {
        assert_eq!(segment("a/b?c%"), "a%2Fb%3Fc%25");
        assert_eq!(segment("über-1_~"), "%C3%BCber-1_~");
        assert_eq!(segment(".."), "%2E%2E");
    }
}
