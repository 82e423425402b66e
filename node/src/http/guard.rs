//! Who may ask: the token, and the host that a request names.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::errors::code;
use crate::http::HttpError;
use crate::http::problem::Problem;

/// What requests are checked against.
pub(super) struct Guard {
    /// A hash of the token: hashes compare in constant time.
    token: blake3::Hash,
    address: SocketAddr,
    hosts: Vec<String>,
}

impl Guard {
    pub fn new(token: &str, address: SocketAddr, hosts: Vec<String>) -> Self {
        Self { token: blake3::hash(token.as_bytes()), address, hosts }
    }

    /// A page that a browser loaded from elsewhere may get its own name resolved to this machine (DNS
    /// rebinding). It cannot change the name in `Host`.
    fn is_own_host(&self, host: &str) -> bool {
        let name = without_port(host);
        let own_name = |own: &String| own.eq_ignore_ascii_case(name);
        if name.eq_ignore_ascii_case("localhost") || self.hosts.iter().any(own_name) {
            return true;
        }
        let unbracketed = name.trim_start_matches('[').trim_end_matches(']');
        unbracketed.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == self.address.ip())
    }

    fn admit(&self, request: &Request) -> Result<(), Problem> {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        if !host.is_some_and(|host| self.is_own_host(host)) {
            let detail = match host {
                Some(host) => format!("this node does not answer to the host name `{host}`"),
                None => "the request names no host".into(),
            };
            return Err(Problem::new(StatusCode::FORBIDDEN, "wrong_host", code::<912>(), detail));
        }
        let is_probe = matches!(request.uri().path(), "/livez" | "/readyz");
        let bearer = request.headers().get(header::AUTHORIZATION);
        let token = bearer.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        match token {
            _ if is_probe => Ok(()),
            Some(token) if blake3::hash(token) == self.token => Ok(()),
            Some(_) => Err(unauthorized("the token is not this node's")),
            None => Err(unauthorized("the request carries no token")),
        }
    }
}

/// Lets a request through, or answers why not.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    match guard.admit(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// The token in the file, which is made with a fresh one if it does not exist. Only its owner may read it.
pub(super) fn load_or_create_token(path: &Path) -> Result<String, HttpError> {
    let file_error = |source| HttpError::File { path: path.to_owned(), source };
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => {
            restrict(path).map_err(file_error)?;
            return Ok(text.trim().to_owned());
        }
        Ok(_) => std::fs::remove_file(path).map_err(file_error)?, // a crash left it empty
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(file_error(error)),
    }
    let token = fresh_token().map_err(file_error)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = |mut file: std::fs::File| file.write_all(token.as_bytes());
    options.open(path).and_then(write).map_err(file_error)?;
    Ok(token)
}

fn fresh_token() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Takes the file from other users, should a copy or a restore have opened it to them.
fn restrict(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mut permissions = std::fs::metadata(path)?.permissions();
        if permissions.mode() & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "the token was readable by others, now it is not");
            permissions.set_mode(0o600);
            std::fs::set_permissions(path, permissions)?;
        }
    }
    Ok(())
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", code::<911>(), detail)
}

/// `host` of `host:port`, where an IPv6 address is in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_names_are_its_own() {
        let address = "192.0.2.7:80".parse().unwrap();
        let guard = Guard::new("t", address, vec!["paris-1.example.com".into()]);
        for own in ["localhost", "LOCALHOST:8440", "127.0.0.1:1", "[::1]:8440", "[::1]"] {
            assert!(guard.is_own_host(own), "{own}");
        }
        assert!(guard.is_own_host("192.0.2.7:80") && guard.is_own_host("Paris-1.example.com:80"));
        for other in
            ["", "evil.example", "127.0.0.1.evil.example:80", "192.0.2.8", "localhost.evil"]
        {
            assert!(!guard.is_own_host(other), "{other}");
        }
    }

    #[test]
    fn a_token_is_made_once_and_kept_from_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("http.token");
        let token = load_or_create_token(&path).unwrap();
        assert_eq!(token.len(), 64);
        assert_eq!(load_or_create_token(&path).unwrap(), token);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(), 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            load_or_create_token(&path).unwrap();
            assert_eq!(mode(), 0o600);
        }
    }
}
