//! A disk that is full.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::node::{Node, millpond};

#[test]
fn a_full_disk_refuses_writes_keeps_reading_and_goes_on_when_there_is_room() {
    let Some(device) = Device::mount("24m") else {
        // Past the capture: a test that did not happen must not look like one that passed.
        let _ = writeln!(std::io::stderr(), "SKIPPED: cannot mount a tmpfs here; run as root");
        return;
    };
    let filler = device.path().join("filler");
    std::fs::write(&filler, vec![0; 16 << 20]).unwrap();
    let mut node = Node::start_at(&device.path().join("node"));
    let other = node.join("london-1", "writer");

    let fields = format!(r#"{{"text":"{}"}}"#, "v".repeat(200_000));
    let mut stored = 0;
    let refused = loop {
        let put = node.run_with(&["put", &format!("large/{stored}"), "-"], fields.as_bytes());
        if put.code != Some(0) {
            break put.failed(1);
        }
        stored += 1;
        assert!(stored < 200, "the device is smaller than that");
    };
    assert!(stored > 3, "{stored}");
    assert!(refused.contains("(disk_full)"), "{refused}");
    assert!(refused.contains("do:  free some space"), "{refused}");

    // Everything but writing goes on, and what another node writes meanwhile is not lost.
    let listed = format!("{stored:>10}  large\n");
    assert_eq!(node.run(&["ls"]).ok(), listed);
    node.run(&["status"]).ok();
    let elsewhere = other.run_with(&["put", "large/elsewhere", "-"], fields.as_bytes());
    elsewhere.ok();
    other.until(&["ls"], &format!("{:>10}  large\n", stored + 1));
    node.run(&["get", "large/elsewhere"]).failed(1);

    std::fs::remove_file(&filler).unwrap();
    node.run_with(&["put", &format!("large/{stored}"), "-"], fields.as_bytes()).ok();
    let listed = format!("{:>10}  large\n", stored + 2);
    node.until(&["ls"], &listed);
    other.until(&["ls"], &listed);
    assert_eq!(node.run(&["digest"]).ok(), other.run(&["digest"]).ok());

    assert_eq!(node.stop("TERM"), Some(0));
    node.restart();
    assert_eq!(node.run(&["ls"]).ok(), listed, "nothing that was acknowledged is lost");
    assert_eq!(node.stop("TERM"), Some(0));
}

#[test]
fn a_restore_that_finds_no_room_leaves_nothing_and_works_when_there_is_some() {
    let Some(device) = Device::mount("12m") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: cannot mount a tmpfs here; run as root");
        return;
    };
    let node = Node::start();
    let fields = format!(r#"{{"text":"{}"}}"#, "v".repeat(200_000));
    for n in 0..20 {
        node.run_with(&["put", &format!("large/{n}"), "-"], fields.as_bytes()).ok();
    }
    let backup = node.dir().join("a.mpb");
    let backup = backup.to_str().unwrap();
    node.run(&["backup", "create", "--to", backup]).ok();
    let filler = device.path().join("filler");
    std::fs::write(&filler, vec![0; 8 << 20]).unwrap();
    let data = device.path().join("node");
    let restore = ["backup", "restore", backup, "--data", data.to_str().unwrap(), "--as-fork"];
    let refused = millpond(&restore, b"").failed(1);
    assert!(refused.contains("there is no room left for the store"), "{refused}");
    let left: Vec<_> =
        std::fs::read_dir(&data).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["millpond.lock"]);
    let to = filler.with_file_name("a.mpb");
    std::fs::write(device.path().join("more"), vec![0; 12 << 20]).unwrap_err();
    let refused = node.run(&["backup", "create", "--to", to.to_str().unwrap()]).failed(1);
    assert!(refused.contains("there is no room left on the device"), "{refused}");
    assert!(!to.exists());

    std::fs::remove_file(&filler).unwrap();
    std::fs::remove_file(device.path().join("more")).unwrap();
    millpond(&restore, b"").ok();
}

/// A small device of its own, mounted on a folder.
struct Device(TempDir);

impl Device {
    /// `None` without the right to mount.
    fn mount(size: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(folder.path());
        mount.output().ok().filter(|output| output.status.success()).map(|_| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Lazily: after a failure the node may still hold files.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
