//! A node for a test, and requests to its API.

use millpond::{Config, Replica};
use tempfile::TempDir;

/// An open replica in a fresh folder.
pub(crate) async fn replica() -> (TempDir, Replica) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = config(dir.path());
    Replica::init(&config).expect("an empty folder");
    let replica = Replica::open(config).await.expect("a fresh replica");
    (dir, replica)
}

pub(crate) fn config(dir: &std::path::Path) -> Config {
    let mut config = Config::new(dir);
    config.listen = "127.0.0.1:0".parse().expect("an address");
    config
}

#[cfg(feature = "http")]
pub(crate) use api::*;

#[cfg(feature = "http")]
mod api {
    use std::time::Duration;

    use bytes::Bytes;

    /// No condition of these tests takes so long on a machine that works.
    const DEADLINE: Duration = Duration::from_secs(30);

    use super::*;
    use http_body_util::{BodyExt, Full};
    use hyper::body::Incoming;
    use hyper::{Method, Request, Response};
    use hyper_util::rt::TokioIo;
    use millpond::http::{HttpOptions, HttpServer, serve};
    use serde_json::Value;
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    /// A replica with its API.
    pub(crate) struct Node {
        pub dir: TempDir,
        pub replica: Replica,
        pub server: HttpServer,
        pub token: String,
    }

    /// An answer, read whole.
    #[derive(Debug)]
    pub(crate) struct Answer {
        pub status: u16,
        pub headers: hyper::HeaderMap,
        pub text: String,
    }

    impl Answer {
        pub fn json(&self) -> Value {
            serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
        }

        pub fn etag(&self) -> &str {
            self.headers["etag"].to_str().unwrap()
        }

        /// The code of a problem, which must be one in form.
        pub fn problem(&self) -> String {
            assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text);
            let body = self.json();
            assert_eq!(body["status"], self.status);
            assert!(body["detail"].is_string() && body["hint"].is_string());
            let code: millpond::ErrorCode = body["error_code"].as_str().unwrap().parse().unwrap();
            assert!(body["retryable"].as_bool().unwrap() >= code.is_retryable(), "{}", self.text);
            body["code"].as_str().unwrap().to_owned()
        }
    }

    impl Node {
        pub async fn start() -> Self {
            let (dir, replica) = replica().await;
            Self::of(dir, replica).await
        }

        /// A replica that has been made already, with its API.
        pub async fn serve(dir: TempDir, config: Config) -> Self {
            Self::of(dir, Replica::open(config).await.unwrap()).await
        }

        async fn of(dir: TempDir, replica: Replica) -> Self {
            let options = HttpOptions::new(dir.path());
            let server = serve(replica.clone(), options).await.expect("a free port");
            let token = std::fs::read_to_string(dir.path().join("http.token")).unwrap();
            Self { dir, replica, server, token }
        }

        /// Sends a request with this node's token.
        pub async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
            self.ask_with(method, path, &[], body).await
        }

        pub async fn get(&self, path: &str) -> Answer {
            self.ask("GET", path, "").await
        }

        /// Sends a request with further headers, which replace the usual ones.
        pub async fn ask_with(
            &self,
            method: &str,
            path: &str,
            headers: &[(&str, &str)],
            body: &str,
        ) -> Answer {
            let response = self.open(method, path, headers, body.to_owned()).await;
            let (parts, body) = response.into_parts();
            let body = timeout(DEADLINE, body.collect()).await.expect("in time");
            let text =
                String::from_utf8(body.expect("a whole answer").to_bytes().to_vec()).unwrap();
            Answer { status: parts.status.as_u16(), headers: parts.headers, text }
        }

        /// Sends a request, and leaves the answer's body to the caller.
        pub async fn open(
            &self,
            method: &str,
            path: &str,
            headers: &[(&str, &str)],
            body: String,
        ) -> Response<Incoming> {
            let stream = TcpStream::connect(self.server.address()).await.expect("it listens");
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let mut request = Request::builder()
                .method(Method::from_bytes(method.as_bytes()).unwrap())
                .uri(path)
                .body(Full::new(Bytes::from(body)))
                .unwrap();
            let mut set = |name: &str, value: &str| {
                let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap();
                request.headers_mut().insert(name, value.parse().unwrap());
            };
            set("host", &self.server.address().to_string());
            set("authorization", &format!("Bearer {}", self.token));
            headers.iter().for_each(|(name, value)| set(name, value));
            timeout(DEADLINE, sender.send_request(request)).await.expect("in time").unwrap()
        }
    }

    /// Server-sent events, read one by one.
    pub(crate) struct Events {
        body: Incoming,
        text: String,
    }

    /// An event.
    #[derive(Debug)]
    pub(crate) struct Event {
        pub name: String,
        pub id: Option<String>,
        pub data: Value,
    }

    impl Events {
        pub async fn follow(node: &Node, path: &str, headers: &[(&str, &str)]) -> Self {
            let response = node.open("GET", path, headers, String::new()).await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["content-type"], "text/event-stream");
            Self { body: response.into_body(), text: String::new() }
        }

        /// The next event; `None` when the node ends the stream.
        pub async fn next(&mut self) -> Option<Event> {
            loop {
                if let Some(end) = self.text.find("\n\n") {
                    let block: String = self.text.drain(..end + 2).collect();
                    let field = |name: &str| {
                        block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                    };
                    let Some(name) = field("event: ") else { continue };
                    let data = serde_json::from_str(&field("data: ").unwrap()).unwrap();
                    return Some(Event { name, id: field("id: "), data });
                }
                let frame = timeout(DEADLINE, self.body.frame()).await.expect("in time")?;
                let data = frame.expect("a whole stream").into_data().unwrap();
                self.text.push_str(std::str::from_utf8(&data).unwrap());
            }
        }

        /// The changes up to the next cut, as `key`, and the cut's token.
        pub async fn cut(&mut self) -> (Vec<(String, Value)>, String) {
            let mut changes = Vec::new();
            loop {
                let event = self.next().await.expect("the stream goes on");
                if event.name == "cut" {
                    return (changes, event.id.expect("a cut has a token"));
                }
                assert_eq!(event.id, None, "only a cut may be resumed from");
                changes.push((event.data["key"].as_str().unwrap().to_owned(), event.data));
            }
        }
    }
}
