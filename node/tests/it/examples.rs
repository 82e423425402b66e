//! The examples, run as a user runs them: each asserts its own result, and ends well only then.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::cluster::within;

#[tokio::test]
async fn offline_notes() {
    ends_well("offline_notes").await;
}

#[tokio::test]
async fn shopping_cart() {
    ends_well("shopping_cart").await;
}

#[tokio::test]
async fn bank() {
    ends_well("bank").await;
}

#[tokio::test]
async fn feature_flags() {
    ends_well("feature_flags").await;
}

/// In the second terminal the command that the first one prints is run; then both show what both wrote.
#[tokio::test]
async fn quickstart() {
    let (first, mut lines) = started(example("quickstart"));
    let line = within("a command", lines.next_line()).await.unwrap().unwrap();
    let invite = line.strip_prefix("cargo run -p millpond --example quickstart -- ").unwrap();
    let mut second = example("quickstart");
    second.arg(invite);
    let (second, second_lines) = started(second);
    for mut lines in [lines, second_lines] {
        within("both tasks", async {
            let mut line = String::new();
            while line.matches("Buy milk").count() < 2 {
                line = lines.next_line().await.unwrap().expect("it runs until it is killed");
            }
        })
        .await;
    }
    drop((first, second));
}

fn started(mut command: Command) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

async fn ends_well(name: &str) {
    let output = within(name, example(name).output()).await.unwrap();
    let (out, error) = (&output.stdout, &output.stderr);
    let (out, error) = (String::from_utf8_lossy(out), String::from_utf8_lossy(error));
    assert!(output.status.success(), "{out}{error}");
}

/// `cargo test` builds the examples before it runs the tests, unless it is told which targets to test.
fn example(name: &str) -> Command {
    let deps = std::env::current_exe().unwrap();
    let target = deps.parent().and_then(|deps| deps.parent()).map(PathBuf::from).unwrap();
    let path = target.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.exists(), "{} is not there: cargo build --examples", path.display());
    let mut command = Command::new(path);
    command.kill_on_drop(true);
    command
}
