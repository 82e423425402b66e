//! What a figure was measured on.

use std::fs::read_to_string;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::folder::ScratchFolder;

/// The machine of a run. What cannot be found out is `unknown` or zero.
#[derive(Debug, Serialize)]
pub struct Machine {
    cores: usize,
    cpu: String,
    memory_bytes: u64,
    kernel: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    filesystem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
}

impl Machine {
    /// This machine, with the disk that holds `folder` if the scenario has one.
    pub fn here(folder: Option<&ScratchFolder>) -> Self {
        let cpu = field_of("/proc/cpuinfo", "model name");
        let memory_kib = field_of("/proc/meminfo", "MemTotal")
            .and_then(|total| total.split_whitespace().next()?.parse::<u64>().ok());
        let kernel = read_to_string("/proc/sys/kernel/osrelease").ok();
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: cpu.unwrap_or_else(unknown),
            memory_bytes: memory_kib.unwrap_or(0) * 1024,
            kernel: kernel.map_or_else(unknown, |kernel| kernel.trim().to_owned()),
            filesystem: folder.map(|folder| folder.filesystem().to_owned()),
            folder: folder.map(|folder| folder.path().display().to_string()),
        }
    }
}

/// How much memory of this process is resident, and the most that it was since.
pub struct Memory {
    before: u64,
}

impl Memory {
    /// From now on.
    pub fn measure() -> Self {
        // The kernel then forgets the most of before; where it does not, the growth is told too high.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self { before: status_bytes("VmRSS") }
    }

    /// How far it has grown at most.
    pub fn growth(&self) -> u64 {
        status_bytes("VmHWM").saturating_sub(self.before)
    }
}

fn status_bytes(name: &str) -> u64 {
    let kib = field_of("/proc/self/status", name);
    let kib = kib.and_then(|kib| kib.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// The commit that this program's source is at, `-dirty` if it has changes.
pub fn commit() -> String {
    let described = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"])
        .args(["--abbrev=40", "--exclude=*"])
        .output();
    match described {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => unknown(),
    }
}

/// The kind of the file system that holds a folder.
pub fn filesystem(folder: &Path) -> String {
    let Ok(folder) = folder.canonicalize() else { return unknown() };
    let mounts = read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (mount_point, kind) = (words.nth(1)?, words.next()?);
        folder.starts_with(mount_point).then_some((mount_point.len(), kind))
    });
    // Of those mounted at one place the last one counts.
    mounts.max_by_key(|(length, _)| *length).map_or_else(unknown, |(_, kind)| kind.to_owned())
}

fn field_of(file: &str, name: &str) -> Option<String> {
    let text = read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn unknown() -> String {
    "unknown".into()
}
