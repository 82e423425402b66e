//! The bytes of every kind and version of frame, committed: what an older or newer node sends.
//!
//! A file is never changed. A new kind or version adds one: `MILLPOND_WRITE_GOLDEN=1 cargo test -p
//! millpond-core --test it golden` writes those that are missing.

use std::fmt::Write;
use std::path::PathBuf;

use bytes::Bytes;
use millpond_core::Entry;
use millpond_core::wire::entry::{decode_entry, encode_entry};
use millpond_core::wire::{Decoder, encode, kind};

use crate::samples;

fn file(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(format!("{name}.hex"))
}

/// A kind in the version in which it is spoken.
fn versioned(name: &str) -> String {
    let is_second = matches!(name, "rows" | "pull_start" | "ack" | "digest");
    let version = if is_second { 2 } else { kind::VERSION };
    format!("{name}_v{version}")
}

/// One frame for each line.
pub fn golden(name: &str, frames: &[Bytes]) -> Vec<Bytes> {
    if std::env::var_os("MILLPOND_WRITE_GOLDEN").is_some() && !file(name).exists() {
        let mut text = String::new();
        for frame in frames {
            frame.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
            text.push('\n');
        }
        std::fs::create_dir_all(file(name).parent().unwrap()).unwrap();
        std::fs::write(file(name), text).unwrap();
    }
    read(&file(name))
}

fn read(file: &std::path::Path) -> Vec<Bytes> {
    let text = std::fs::read_to_string(file).unwrap();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}

#[test]
fn golden_frames_decode_and_encode_to_the_same_bytes() {
    for (name, message) in samples::messages() {
        let frames = encode(&message);
        let golden = golden(&versioned(name), &frames);
        let decoded = Decoder::new().decode(golden[0].clone()).unwrap();
        assert_eq!(decoded, Some(message), "{name}");
        assert_eq!(encode(&decoded.unwrap()), golden, "{name}");
        assert_eq!(frames, golden, "{name}");
    }
}

/// Backups hold such rows.
#[test]
fn golden_rows_of_the_first_version_are_read() {
    let samples = samples::messages();
    let (_, message) = samples.iter().find(|(name, _)| *name == "rows").unwrap();
    let golden = read(&file("rows").with_file_name("rows_v1.hex")).remove(0);
    let decoded = Decoder::new().decode(golden.clone()).unwrap();
    assert_eq!(decoded.as_ref(), Some(message));
    assert_eq!(encode(&decoded.unwrap()), [golden], "it travels on as it came");
}

#[test]
fn golden_fragments_decode_to_their_message() {
    let (_, message) = samples::messages().remove(0);
    let golden = golden(&versioned("fragment"), &samples::in_fragments(&message, 100));
    let mut decoder = Decoder::new();
    let decoded: Vec<_> =
        golden.into_iter().filter_map(|frame| decoder.decode(frame).unwrap()).collect();
    assert_eq!(decoded, [message]);
}

#[test]
fn a_golden_entry_decodes_and_encodes_to_the_same_bytes() {
    let entry = Entry::from_live(samples::live_dots());
    let mut bytes = Vec::new();
    encode_entry(&entry, &mut bytes);
    let bytes = Bytes::from(bytes);
    let golden = golden(&versioned("entry"), std::slice::from_ref(&bytes));
    assert_eq!(decode_entry(&golden[0]), Ok(entry));
    assert_eq!(golden, [bytes]);
}

#[test]
fn every_kind_has_golden_bytes() {
    let mut kinds: Vec<u16> =
        samples::messages().iter().map(|(_, message)| u16::from(encode(message)[0][0])).collect();
    kinds.push(kind::FRAGMENT);
    kinds.sort();
    let known: Vec<u16> =
        (0..=u16::MAX).filter(|&kind| kind::is_known(kind, kind::version(kind))).collect();
    assert_eq!(kinds, known);
}
