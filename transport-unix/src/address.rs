//! Addresses: `unix:` and the whole path of a socket.

use std::path::{Path, PathBuf};

use millpond_core::transport::DialError;

/// What an address of this transport begins with.
const SCHEME: &str = "unix:";

/// Bytes of a path that fit into a socket's address: 108 on Linux and 104 on others, one of them zero.
pub(crate) const PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The address of a socket.
pub(crate) fn of(path: &Path) -> String {
    format!("{SCHEME}{}", path.display())
}

/// The path that an address names.
pub(crate) fn parse(address: &str) -> Result<PathBuf, DialError> {
    let refused = |reason: String| DialError::Address { address: address.to_owned(), reason };
    let path = address
        .strip_prefix(SCHEME)
        .ok_or_else(|| refused("write unix: and the path of a socket".into()))?;
    if !path.starts_with('/') {
        return Err(refused("write the whole path, from / on: others have other folders".into()));
    }
    if path.contains('\0') {
        return Err(refused("a path has no zero byte".into()));
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(refused(format!(
            "a socket's path has at most {PATH_BYTES_MAX} bytes, and this has {}",
            path.len()
        )));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_the_path_that_it_was_made_of() {
        let path = Path::new("/run/pond/anna.sock");
        assert_eq!(parse(&of(path)).unwrap(), path);
    }

    #[test]
    fn what_cannot_be_dialled_is_refused_with_its_reason() {
        let long = format!("unix:/{}", "a".repeat(PATH_BYTES_MAX));
        let cases = [
            ("", "write unix:"),
            ("127.0.0.1:1", "write unix:"),
            ("unix:", "the whole path"),
            ("unix:pond.sock", "the whole path"),
            ("unix:/a\0b", "zero byte"),
            (&long, "at most"),
        ];
        for (address, expected) in cases {
            let DialError::Address { reason, .. } = parse(address).unwrap_err() else { panic!() };
            assert!(reason.contains(expected), "{address:?}: {reason}");
        }
    }
}
