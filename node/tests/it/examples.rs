//! The examples, run as a user runs them: each asserts its own result, and ends well only then.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
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

#[cfg(feature = "quic")]
#[tokio::test]
async fn custom_transport() {
    ends_well("custom_transport").await;
}

#[tokio::test]
async fn feature_flags() {
    ends_well("feature_flags").await;
}

#[cfg(feature = "sim")]
#[tokio::test]
async fn simulating_your_app() {
    ends_well("simulating_your_app").await;
}

/// In the second terminal the command that the first one prints is run; then both show what both wrote.
#[tokio::test]
async fn quickstart() {
    let mut first = Terminal::of(&mut example("quickstart"));
    let invite = first.invite().await;
    let mut second = Terminal::of(example("quickstart").arg(invite));
    for terminal in [&mut first, &mut second] {
        terminal.until(|line| line.matches("Buy milk").count() == 2).await;
    }
}

#[tokio::test]
async fn chat() {
    let mut anna = Terminal::of(example("chat").arg("anna"));
    let invite = anna.invite().await;
    anna.say("hello").await;
    let mut ben = Terminal::of(example("chat").args(["ben", &invite]));
    ben.until(|line| line == "anna: hello").await;
    ben.say("hi").await;
    anna.until(|line| line == "ben: hi").await;
    for mut terminal in [ben, anna] {
        drop(terminal.child.stdin.take());
        assert!(within("the end", terminal.child.wait()).await.unwrap().success());
    }
}

#[cfg(feature = "http")]
#[tokio::test]
async fn todo_axum() {
    let mut first = Terminal::of(&mut example("todo_axum"));
    let one = first.until(|line| line.starts_with("http://")).await;
    let invite = first.invite().await;
    let mut second = Terminal::of(example("todo_axum").arg(invite));
    let other = second.until(|line| line.starts_with("http://")).await;
    for (here, there, method, path, shown) in [
        (&one, &other, "PUT", "/tasks/milk", r#""title":"Buy milk","is_done":false"#),
        (&other, &one, "POST", "/tasks/milk/done", r#""is_done":true"#),
    ] {
        let mut page = ask(there, "GET", "/events").await;
        let mut answer = ask(here, method, path).await;
        let status = within("an answer", answer.next_line()).await.unwrap().unwrap();
        assert!(status.contains("204"), "{status}");
        until(&mut page, |line| line.contains(shown)).await;
    }
}

/// An example that runs until it is dropped.
struct Terminal {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Terminal {
    fn of(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The last word of the command that it prints for the next terminal.
    async fn invite(&mut self) -> String {
        let command = self.until(|line| line.starts_with("cargo run -p millpond ")).await;
        command.split(' ').next_back().unwrap().to_owned()
    }

    async fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn until(&mut self, is_wanted: impl Fn(&str) -> bool) -> String {
        until(&mut self.lines, is_wanted).await
    }
}

async fn until(
    lines: &mut Lines<impl AsyncBufRead + Unpin>,
    is_wanted: impl Fn(&str) -> bool,
) -> String {
    let wanted = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it goes on until it is dropped");
            if is_wanted(&line) {
                return line;
            }
        }
    };
    within("a line", wanted).await
}

/// The lines of an answer. The body of a request is always the same.
#[cfg(feature = "http")]
async fn ask(url: &str, method: &str, path: &str) -> Lines<BufReader<tokio::net::TcpStream>> {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: todo\r\ncontent-length: 8\r\n\r\nBuy milk");
    stream.write_all(request.as_bytes()).await.unwrap();
    BufReader::new(stream).lines()
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
