//! Notes on a laptop and a phone. The phone works in the train, without a network; what both wrote meanwhile is
//! there on both when it is back. Nothing in the program says "sync".

use std::path::Path;
use std::time::Duration;

use millpond::records::RecordError;
use millpond::{Bookmark, Collection, InviteOptions, Log, Record, Replica};

/// A note. What each field does with two changes at once stands in its type.
#[derive(Debug, Default, PartialEq, Record)]
struct Note {
    #[millpond(key)]
    id: String,
    title: String,      // the later one shows
    is_pinned: bool,    // the later one shows; a change of the title does not touch it
    lines: Log<String>, // all stay
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let laptop = Replica::builder(folder.path().join("laptop")).open().await?;
    let invite = laptop.invite(InviteOptions::default()).await?;
    let phone_dir = folder.path().join("phone");
    let phone = Replica::builder(&phone_dir).join(invite).open().await?;
    phone.joined().await?;

    // At home: the phone gets what the laptop writes.
    let trip = Note { id: "trip".into(), title: "Trip".into(), ..Note::default() };
    let ((), receipt) = laptop.write(move |tx| tx.store(&trip)).await?;
    phone.at_least(&receipt.bookmark(), SOON).await?;
    phone.close().await;
    drop(phone); // the folder is free once the last handle is gone

    // In the train: no socket is opened, and all else is as before.
    let on_phone = work_offline(&phone_dir).await?;
    let edit = |tx: &mut millpond::WriteTx<'_>| {
        tx.edit::<Note, _>("trip", |note| {
            note.title.set("Trip to the coast");
            note.lines.append(&"book a room".into());
        })
    };
    let ((), at_home) = laptop.write(edit).await?;
    assert_eq!(note(&laptop)?.lines.entries(), ["book a room"], "it knows nothing of the phone's");

    // Home again. The laptop kept its address, so the phone finds it; each gets what it lacks.
    let phone = Replica::builder(&phone_dir).open().await?;
    phone.at_least(&at_home.bookmark(), SOON).await?;
    laptop.at_least(&on_phone, SOON).await?;
    let merged = note(&laptop)?;
    assert_eq!(merged, note(&phone)?);
    assert_eq!((merged.title.as_str(), merged.is_pinned), ("Trip to the coast", true));
    assert_eq!(merged.lines.len(), 2);
    println!("on both: {merged:#?}");

    phone.close().await;
    laptop.close().await;
    Ok(())
}

/// Pins the note and adds a line; tells what a replica must have seen to show that.
async fn work_offline(dir: &Path) -> Result<Bookmark, Box<dyn std::error::Error>> {
    let phone = Replica::builder(dir).offline().open().await?;
    let edit = |tx: &mut millpond::WriteTx<'_>| {
        tx.edit::<Note, _>("trip", |note| {
            note.is_pinned.set(true);
            note.lines.append(&"pack a towel".into());
        })
    };
    let ((), receipt) = phone.write(edit).await?;
    let bookmark = receipt.bookmark();
    phone.close().await;
    Ok(bookmark)
}

fn note(replica: &Replica) -> Result<Note, RecordError> {
    let note = Collection::<Note>::new(replica.read()?).get("trip")?;
    Ok(note.expect("it was stored, and nobody removes it"))
}

const SOON: Duration = Duration::from_secs(30);
