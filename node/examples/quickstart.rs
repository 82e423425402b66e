//! Two terminals, one list: run it, then run in a second terminal the command that it prints. Ctrl-C ends it.

use millpond::{Collection, InviteOptions, Keys, Record, Replica};

#[derive(Debug, Record)]
struct Task {
    #[millpond(key)]
    id: u32,
    title: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut replica = Replica::builder_in_memory(); // `Replica::builder("folder")` keeps it on disk
    if let Some(invite) = std::env::args().nth(1) {
        replica = replica.join(invite.parse()?);
    }
    let db = replica.open().await?;
    db.joined().await?; // at once for the first one, which founds the domain and may invite others
    if let Ok(invite) = db.invite(InviteOptions::default()).await {
        println!("cargo run -p millpond --example quickstart -- {invite}");
    }
    db.write(|tx| tx.store(&Task { id: std::process::id(), title: "Buy milk".into() })).await?;
    let mut commits = db.committed();
    loop {
        println!("{:?}", Collection::<Task>::new(db.read()?).list(&Keys::all())?);
        commits.changed().await?;
    }
}
