//! Sockets and their files.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use millpond_core::transport::{DialError, Transport};
use millpond_transport_conformance::pkcs8;
use millpond_transport_unix::{BindError, Unix, UnixOptions};

fn bind(seed: u8, path: &Path) -> Result<Unix, BindError> {
    Unix::bind(&pkcs8([seed; 32]), path, UnixOptions::default())
}

#[tokio::test]
async fn only_this_user_may_use_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pond.sock");
    let _unix = bind(1, &path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_path_in_use_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pond.sock");
    let first = bind(1, &path).unwrap();
    let error = bind(2, &path).unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }));
    assert!(error.to_string().contains("choose another path"), "{error}");
    // Whoever was refused has broken nothing.
    let other = bind(3, &folder.path().join("other.sock")).unwrap();
    let address = first.local_address();
    let (dialed, _accepted) = tokio::join!(other.dial(&address, first.key()), first.accept());
    dialed.unwrap();
}

#[tokio::test]
async fn another_programs_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pond.sock");
    let _other = UnixListener::bind(&path).unwrap();
    assert!(matches!(bind(1, &path), Err(BindError::InUse { .. })));
    assert!(path.exists());
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pond.sock");
    drop(UnixListener::bind(&path).unwrap()); // leaves its file, as a process that was killed does
    let unix = bind(1, &path).unwrap();
    unix.close().await;
    assert!(!path.exists(), "a closed transport takes its file away");
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pond.sock");
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(bind(1, &path), Err(BindError::NoSocket { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_path_that_is_too_long_is_refused_with_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long".repeat(40));
    let error = bind(1, &path).unwrap_err();
    assert!(matches!(error, BindError::PathTooLong { bytes, .. } if bytes > 160), "{error}");
    assert!(error.to_string().contains("at most"), "{error}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error_with_its_path() {
    let error = bind(1, Path::new("/nowhere/at/all/pond.sock")).unwrap_err();
    assert!(
        matches!(error, BindError::Io { .. }) && error.to_string().contains("/nowhere"),
        "{error}"
    );
}

#[tokio::test]
async fn a_relative_path_has_a_whole_address() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = folder.path().join("pond.sock");
    let path = path.strip_prefix(std::env::current_dir().unwrap()).unwrap_or(&path).to_owned();
    if std::path::absolute(&path).unwrap().as_os_str().len() > 100 {
        return eprintln!("skipped: this folder's path is too long for a socket");
    }
    let unix = bind(1, &path).unwrap();
    assert!(unix.local_address().starts_with("unix:/"), "{}", unix.local_address());
}

#[test]
fn binding_outside_a_runtime_is_refused() {
    assert!(matches!(bind(1, Path::new("/tmp/never.sock")), Err(BindError::NoRuntime)));
}

#[tokio::test]
async fn bytes_that_are_no_key_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bound = Unix::bind(b"no key", folder.path().join("pond.sock"), UnixOptions::default());
    assert!(matches!(bound, Err(BindError::MalformedKey)));
}

#[tokio::test]
async fn a_program_of_another_kind_is_no_node() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.sock");
    let other = tokio::net::UnixListener::bind(&path).unwrap();
    let dialer = bind(1, &folder.path().join("pond.sock")).unwrap();
    let address = format!("unix:{}", path.display());
    let served = async {
        let (mut stream, _) = other.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400\r\n").await.unwrap();
        stream
    };
    let (dialed, _stream) = tokio::join!(dialer.dial(&address, dialer.key()), served);
    assert!(matches!(dialed.err(), Some(DialError::Incompatible { .. })));
}
