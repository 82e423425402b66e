//! A chat in as many terminals as there are people: run `chat anna`, and in a second terminal the command that it
//! prints. What was said before you came is there; what you type goes to all. Ctrl-D ends it.

use std::io::BufRead;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millpond::records::RecordError;
use millpond::{ChangeEvent, Collection, Concern, InviteOptions, Receipt, Record, Replica};
use tokio::sync::mpsc;

#[derive(Debug, Record)]
struct Message {
    /// When, and who: nobody else takes this key, and keys sort by time.
    #[millpond(key)]
    id: String,
    author: String,
    text: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "anna".into());
    let mut replica = Replica::builder_in_memory().name(&name);
    if let Some(invite) = arguments.next() {
        replica = replica.join(invite.parse()?);
    }
    let db = replica.open().await?;
    db.joined().await?;
    if let Ok(invite) = db.invite(InviteOptions::default()).await {
        println!("cargo run -p millpond --example chat -- ben {invite}");
    }

    let mut typed = typed_lines();
    let mut last = None;
    // The rows that there are, then each change as it comes, and nothing falls between.
    let mut changes = Collection::<Message>::changes(&db);
    loop {
        tokio::select! {
            line = typed.recv() => match line {
                Some(line) => last = Some(say(&db, &name, line).await?),
                None => break,
            },
            event = changes.next() => match event.transpose()? {
                Some(ChangeEvent::Change(change)) => {
                    if let Some(message) = change.after {
                        println!("{}: {}", message.author, message.text);
                    }
                }
                // A terminal that was stopped for long goes on where it was.
                Some(ChangeEvent::Lagged { resume }) => {
                    changes = Collection::<Message>::changes(&db).since(resume);
                }
                Some(_) => {}
                None => break,
            },
        }
    }
    // Whoever leaves sees to it that somebody else has what they said.
    if let Some(receipt) = last {
        let kept = receipt.wait_for(Concern::Replicas(1)).timeout(Duration::from_secs(5)).await;
        if let Err(unmet) = kept {
            println!("{unmet}");
        }
    }
    db.close().await;
    Ok(())
}

async fn say(db: &Replica, author: &str, text: String) -> Result<Receipt, RecordError> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = format!("{:020}-{author}", since_1970.as_micros());
    let message = Message { id, author: author.into(), text };
    let ((), receipt) = db.write(move |tx| tx.store(&message)).await?;
    Ok(receipt)
}

/// Reading a terminal blocks, so a thread does it.
fn typed_lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}
