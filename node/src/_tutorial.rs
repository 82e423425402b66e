//! # Tutorial: from an empty crate to two replicas that converge
//!
//! 1. [A new crate](#a-new-crate)
//! 2. [A record](#a-record)
//! 3. [Open, write, read](#open-write-read)
//! 4. [Change some fields](#change-some-fields)
//! 5. [A second replica](#a-second-replica)
//! 6. [Follow what comes in](#follow-what-comes-in)
//! 7. [On two machines, for good](#on-two-machines-for-good)
//!
//! Each part ends with a program that runs. What comes after it is in the [cookbook](super::_cookbook).
//!
//! ## A new crate
//! ```text
//! cargo new todo && cd todo
//! cargo add millpond
//! cargo add tokio --features full
//! cargo add serde --features derive    # for fields of types of your own
//! ```
//! Before the first release, name the folder of a checkout instead: `cargo add --path ../millpond/node`.
//!
//! Millpond runs on tokio's runtime, and starts its own tasks and threads when a replica is opened. Everything that
//! an application needs for a start is at the crate's root; errors of records are
//! [`records::RecordError`](crate::records::RecordError).
//!
//! ## A record
//! A record is a struct. One field is its key; each other one merges by the rule that its type tells: a plain value
//! keeps the later of two that were written at once, a [`Counter`](crate::Counter) sums all that was added, a
//! [`Set`](crate::Set) goes element by element. The [table of all rules](trait@crate::Record) is short, and the
//! cookbook helps to [choose](super::_cookbook#which-merge-rule).
//!
//! ```
//! use millpond::{Counter, Record, Set};
//!
//! #[derive(Debug, Default, Record)]
//! struct Task {
//!     #[millpond(key)]
//!     id: String,
//!     title: String,
//!     is_done: bool,
//!     votes: Counter,
//!     tags: Set<String>,
//! }
//! ```
//! Its records are stored in the collection `task`, by the struct's name. A plain field may be any type with serde's
//! `Serialize` and `Deserialize`, and `Default` for records that do not have it yet: numbers, `Option`, `Vec`, an enum.
//! The record itself needs no derive but `Record`. Its `Default` is convenient.
//!
//! ## Open, write, read
//! [`Replica::builder`](crate::Replica::builder) opens the replica in a folder, and makes one there the first time. A
//! write is a transaction: a short closure that runs on the writer's thread. All of it becomes visible at once, and is
//! on disk when the `await` returns. The closure outlives the call, so move into it what it needs.
//!
//! ```
//! use millpond::{Collection, Keys, Record, Replica};
//!
//! #[derive(Debug, Default, Record)]
//! struct Task {
//!     #[millpond(key)]
//!     id: String,
//!     title: String,
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let folder = "todo.millpond";
//! #   let temporary = tempfile::tempdir()?;
//! #   let folder = temporary.path().join(folder);
//!     let db = Replica::builder(folder).open().await?;
//!
//!     let milk = Task { id: "milk".into(), title: "Buy milk".into() };
//!     db.write(move |tx| tx.store(&milk)).await?;
//!
//!     // A view does not change under its reader. To see what came since, read again.
//!     let tasks = Collection::<Task>::new(db.read()?);
//!     assert_eq!(tasks.get("milk")?.expect("just stored").title, "Buy milk");
//!     for task in tasks.list(&Keys::all())? {
//!         println!("{task:?}");
//!     }
//!
//!     db.close().await; // finishes what is under way, and tells the peers
//!     Ok(())
//! }
//! ```
//!
//! ## Change some fields
//! [`store`](crate::WriteTx::store) writes every field, as if you meant all of them. [`edit`](crate::WriteTx::edit)
//! hands you a proxy with a field for each of the struct's (`TaskEdit`), and what you do not touch is not written. So
//! when one replica ticks a task off and another one changes its title, both stay. Store what is new; edit what is
//! there.
//!
//! ```
//! # use millpond::{Collection, Counter, Record, Replica, Set};
//! # #[derive(Debug, Default, Record)]
//! # struct Task {
//! #     #[millpond(key)]
//! #     id: String,
//! #     title: String,
//! #     is_done: bool,
//! #     votes: Counter,
//! #     tags: Set<String>,
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = Replica::builder_in_memory().offline().open().await?;
//! # db.write(|tx| tx.store(&Task { id: "milk".into(), ..Task::default() })).await?;
//! db.write(|tx| {
//!     tx.edit::<Task, _>("milk", |task| {
//!         task.is_done.set(true);
//!         task.votes.add(1);
//!         task.tags.insert("dairy");
//!     })
//! })
//! .await?;
//!
//! let milk = Collection::<Task>::new(db.read()?).get("milk")?.expect("it is there");
//! assert!(milk.is_done && milk.tags.contains(&"dairy".to_owned()));
//! assert_eq!(milk.votes.value(), 1);
//!
//! // Gone, with all its fields. Who edits it elsewhere at the same time keeps what they wrote.
//! db.write(|tx| tx.remove::<Task>("milk")).await?;
//! # assert!(Collection::<Task>::new(db.read()?).get("milk")?.is_none());
//! # db.close().await;
//! # Ok(())
//! # }
//! ```
//! Several operations in one closure need its error's type once, most easily at the end:
//! `Ok::<_, RecordError>(())`.
//!
//! ## A second replica
//! A replica that was made without an invite has founded a *domain*: the set of replicas that share the data. Members
//! join by an invite, a text to be passed on as a password is. It is good for one replica, within an hour unless
//! [`InviteOptions`](crate::InviteOptions) says otherwise, and redeemed at the replica that issued it, which has to
//! run then. Members find each other afterwards, and link again by themselves whenever the network lets them.
//!
//! Here both are in one process, to be easily tried; [the quick start] does the same in two terminals.
//!
//! [the quick start]: https://github.com/millpond/millpond/blob/main/node/examples/quickstart.rs
//!
#![cfg_attr(feature = "quic", doc = "```")]
#![cfg_attr(not(feature = "quic"), doc = "```no_run")]
//! use std::time::Duration;
//!
//! use millpond::{Collection, InviteOptions, Keys, Record, Replica};
//!
//! # #[derive(Debug, Default, Record)]
//! # struct Task {
//! #     #[millpond(key)]
//! #     id: String,
//! #     title: String,
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let anna = Replica::builder(folder.join("anna")).open().await?;
//! let invite = anna.invite(InviteOptions::default()).await?;
//! println!("pass this on: {invite}");
//!
//! // An invite that comes as text: `text.parse::<millpond::Invite>()?`.
//! let ben = Replica::builder(folder.join("ben")).join(invite).open().await?;
//! ben.joined().await?; // a member now, whose writes count
//!
//! // Both write at once, and neither waits for the other one.
//! let milk = Task { id: "milk".into(), title: "Buy milk".into() };
//! let bread = Task { id: "bread".into(), title: "Bake bread".into() };
//! let ((), by_anna) = anna.write(move |tx| tx.store(&milk)).await?;
//! let ((), by_ben) = ben.write(move |tx| tx.store(&bread)).await?;
//!
//! // A write's receipt has a bookmark. A replica that is at least there shows the write.
//! let soon = Duration::from_secs(10);
//! anna.at_least(&by_ben.bookmark(), soon).await?;
//! let view = ben.at_least(&by_anna.bookmark(), soon).await?;
//! assert_eq!(Collection::<Task>::new(view).list(&Keys::all())?.len(), 2);
//!
//! // The same data has the same digest.
//! assert_eq!(anna.seal().await?, ben.seal().await?);
//! # ben.close().await;
//! # anna.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! ## Follow what comes in
//! A stream tells the records that there are, and then each change as it comes, from here or from elsewhere, without a
//! gap:
//!
//! ```
//! use millpond::{ChangeEvent, Collection, Record, Replica};
//!
//! # #[derive(Debug, Default, Record)]
//! # struct Task {
//! #     #[millpond(key)]
//! #     id: String,
//! #     title: String,
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = Replica::builder_in_memory().offline().open().await?;
//! let mut changes = Collection::<Task>::changes(&db);
//! let writer = db.clone(); // cheap, and the same replica
//! tokio::spawn(async move {
//!     let milk = Task { id: "milk".into(), title: "Buy milk".into() };
//!     writer.write(move |tx| tx.store(&milk)).await
//! });
//! while let Some(event) = changes.next().await {
//!     if let ChangeEvent::Change(change) = event? {
//!         println!("{} is now {:?}", change.id, change.after); // None: it was removed
//! #       assert!(change.after.is_some());
//! #       break;
//!     }
//! }
//! # db.close().await;
//! # Ok(())
//! # }
//! ```
//! There is more to it: what it was [before](crate::Change::before), and [how to go on](
//! super::_cookbook#follow-changes-and-go-on-elsewhere) after a restart, or at another replica. To look at everything
//! again whenever something has changed, [`Replica::committed`](crate::Replica::committed) is enough.
//!
//! ## On two machines, for good
//! A replica listens on a free port of the loopback address unless it is told another one: enough for a try on one
//! machine, and of no use beyond it. For replicas that find each other again after a restart, say where each listens,
//! and where others reach it if that is another address:
//!
#![cfg_attr(feature = "quic", doc = "```")]
#![cfg_attr(not(feature = "quic"), doc = "```no_run")]
//! # use millpond::Replica;
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (folder, listen) = ("/var/lib/todo", "0.0.0.0:8444"); // UDP
//! # let temporary = tempfile::tempdir()?;
//! # let (folder, listen) = (temporary.path().join("todo"), "127.0.0.1:0");
//! let db = Replica::builder(folder)
//!     .name("kitchen")
//!     .listen(listen.parse()?)
//!     .configure(|config| config.advertise = vec!["kitchen.example.org:8444".into()])
//!     .open()
//!     .await?;
//! # db.close().await;
//! # Ok(())
//! # }
//! ```
//! - One process opens a folder at a time; a second one gets an error that says so.
//! - Peers prove by their keys who they are, and all that they say is encrypted. There are no certificates to keep.
//! - Of two members one has to be able to reach the other one. Who is reached by nobody else still gets everything
//!   over the links that it opens itself.
//! - A restored backup or a copied folder must not run under the same identity as its original:
//!   [OPERATING.md] says how it is done right, and [`Config::state_dir`](crate::Config::state_dir) makes restarts cheap.
//!
//! [OPERATING.md]: https://github.com/millpond/millpond/blob/main/docs/OPERATING.md
