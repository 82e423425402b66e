//! # Cookbook
//!
//! Short answers, each a program that runs. Who is new here begins with the [tutorial](super::_tutorial).
//!
//! - [Write, and know who has it](#write-and-know-who-has-it)
//! - [Read your own writes on another replica](#read-your-own-writes-on-another-replica)
//! - [Follow changes, and go on elsewhere](#follow-changes-and-go-on-elsewhere)
//! - [Which merge rule](#which-merge-rule)
//! - [Which key](#which-key)
//! - [Find records by their values](#find-records-by-their-values)
//! - [Conflicts that you will meet](#conflicts-that-you-will-meet)
//! - [Errors, and trying again](#errors-and-trying-again)
//! - [Write only if nothing has changed](#write-only-if-nothing-has-changed)
//! - [A new version of a record](#a-new-version-of-a-record)
//! - [Members that only read](#members-that-only-read)
//! - [Read within async code](#read-within-async-code)
//! - [See who is there](#see-who-is-there)
//! - [Close](#close)
//! - [Test without a network](#test-without-a-network)
//!
//! Longer ones are in [the examples]: a chat, a todo list in browsers, notes that are written offline, a cart at two
//! servers, transfers between accounts, feature flags for a fleet, an application on a simulated cluster.
//!
//! [the examples]: https://github.com/millpond/millpond/tree/main/node/examples
//!
//! ## Write, and know who has it
//! An awaited write is on this node's disk, whatever the others do. With a [`Concern`](crate::Concern) it waits for
//! others' disks as well. Not in time does not mean undone: the write *is stored here, and stays*, and only who else
//! has it is unknown. So never write it again; wait longer with its receipt, tell the user, or go on.
//!
//! ```
//! use std::time::Duration;
//!
//! use millpond::{Concern, ConcernError, Record, Replica};
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
//! let milk = Task { id: "milk".into(), title: "Buy milk".into() };
//! let write = db.write(move |tx| tx.store(&milk)).concern(Concern::Replicas(1));
//! match write.timeout(Duration::from_millis(50)).await {
//!     Ok(((), receipt)) => println!("{}", receipt.acks), // who has it, by name
//!     Err(ConcernError::NotMet { unmet, .. }) => {
//!         println!("{unmet}"); // says who is late, and why
//!         let later = unmet.receipt.clone();
//!         tokio::spawn(async move {
//!             let waited = later.wait_for(Concern::Replicas(1)).timeout(Duration::from_secs(600));
//!             println!("in the end: {:?}", waited.await.map(|receipt| receipt.acks));
//!         });
//!     }
//!     Err(ConcernError::NotWritten(error)) => return Err(error.into()), // nothing was written
//! }
//! # assert!(millpond::Collection::<Task>::new(db.read()?).get("milk")?.is_some());
//! # db.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! | to have it on | ask for |
//! |---|---|
//! | this disk | nothing more |
//! | any two other disks | `Concern::Replicas(2)` |
//! | most of those that may write | `Concern::Majority` |
//! | these two | `Concern::named(["anna", "ben"])` |
//! | one more, in memory, which is quicker | `.concern(Concern::Replicas(1)).received()` |
//!
//! [`Write::min_connected`](crate::Write::min_connected) refuses beforehand, while too few are linked.
//!
//! ## Read your own writes on another replica
//! A user whose requests go to several replicas keeps one [`Bookmark`](crate::Bookmark): a short text, which fits in a
//! cookie or a header.
//!
//! ```
//! use std::time::Duration;
//!
//! use millpond::{AtLeastError, Bookmark, Collection, Record, Replica};
//!
//! # #[derive(Debug, Default, Record)]
//! # struct Task {
//! #     #[millpond(key)]
//! #     id: String,
//! #     title: String,
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let anna = Replica::builder_in_memory().offline().open().await?;
//! # let ben = anna.clone();
//! let milk = Task { id: "milk".into(), title: "Buy milk".into() };
//! let ((), receipt) = anna.write(move |tx| tx.store(&milk)).await?;
//! let mut session = Bookmark::default();
//! session.join(&receipt.bookmark());
//! let cookie = session.to_string();
//!
//! // The next request comes to Ben's replica, which fetches what it lacks, or says that it is behind.
//! let session: Bookmark = cookie.parse()?;
//! match ben.at_least(&session, Duration::from_secs(2)).await {
//!     Ok(view) => assert!(Collection::<Task>::new(view).get("milk")?.is_some()),
//!     Err(AtLeastError::Behind { missing, .. }) => println!("not yet: {missing} writes are missing"),
//!     Err(error) => return Err(error.into()),
//! }
//! # anna.close().await;
//! # Ok(())
//! # }
//! ```
//! `at_least(&Bookmark::default(), ..)` waits until a replica has caught up with the others: what a program does that
//! starts, shows something and ends. While nobody can be reached it fails with
//! [`Behind`](crate::AtLeastError::Behind), and [`Replica::read`](crate::Replica::read) shows what there is. With a
//! [`Config::state_dir`](crate::Config::state_dir) a restarted replica knows that its folder is no older one, and does
//! not wait.
//!
//! ## Follow changes, and go on elsewhere
//! A stream begins with the rows that there are, and goes on with each change. Whole transactions end with a *cut*,
//! whose token goes on from there, at any replica. Who keeps a copy, such as a search index, stores the token with it.
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
//! # db.write(|tx| tx.store(&Task { id: "milk".into(), ..Task::default() })).await?;
//! let mut copy = std::collections::BTreeMap::new();
//! let mut changes = Collection::<Task>::changes(&db); // with `.since(token)` from there on
//! while let Some(event) = changes.next().await {
//!     match event? {
//!         ChangeEvent::Change(change) => match change.after {
//!             Some(task) => drop(copy.insert(change.id, task)),
//!             None => drop(copy.remove(&change.id)),
//!         },
//!         ChangeEvent::Cut(token) => {
//!             println!("{} tasks; go on from {token}", copy.len()); // to be stored now, both at once
//! #           assert_eq!(copy.len(), 1);
//! #           break;
//!         }
//!         ChangeEvent::Resync => copy.clear(), // its deletes are forgotten: all rows come again
//!         ChangeEvent::Lagged { resume } => changes = Collection::<Task>::changes(&db).since(resume),
//!         _ => {}
//!     }
//! }
//! # db.close().await;
//! # Ok(())
//! # }
//! ```
//! An error of a single record, which another type wrote, does not end the stream; here `?` does.
//!
//! ## Which merge rule
//! Ask what is right when two people do it at once, each without knowing of the other one.
//!
//! | what it holds | type | because |
//! |---|---|---|
//! | a name, a date, a choice | `String`, `bool`, an enum, .. | one of the two is as good as the other one |
//! | a text that somebody has thought about | [`Multi<String>`](crate::Multi) | neither may be thrown away unseen |
//! | votes, stock, a balance | [`Counter`](crate::Counter) | a plain number would lose one of two additions |
//! | tags, members of a group | [`Set<K>`](crate::Set) | one adds, one removes another: both are meant |
//! | a ban list | `Set<K, RemoveWins>` or its opposite | when in doubt somebody must be out, or in |
//! | a switch that must stay off | [`Flag<DisableWins>`](crate::Flag) | off wins, whatever the clocks do |
//! | comments, a history | [`Log<T>`](crate::Log) | all stay, in one order everywhere |
//! | lines of an order, by product | [`Map<K, Counter>`](crate::Map) | each line merges for itself |
//! | an address of several parts | [`Nested<Address>`](crate::Nested), or a plain struct | part by part, or as a whole |
//!
//! A plain struct is one value: whoever changes its street replaces its city too. `Nested` merges part by part, and may
//! so come to a street of one and a city of the other.
//!
//! ```
//! use millpond::{Counter, Map, Multi, Nested, Record};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Default, Record)]
//! struct Order {
//!     #[millpond(key)]
//!     number: u64,
//!     lines: Map<String, Counter>,
//!     message: Multi<String>,
//!     ship_to: Address,           // replaced as a whole
//!     contact: Nested<Contact>,   // each part for itself
//! }
//!
//! #[derive(Debug, Default, Serialize, Deserialize)]
//! struct Address {
//!     street: String,
//!     city: String,
//! }
//!
//! #[derive(Debug, Default, Record)] // without a key: fields, to be nested
//! struct Contact {
//!     phone: String,
//!     mail: String,
//! }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = millpond::Replica::builder_in_memory().offline().open().await?;
//! # db.write(|tx| tx.store(&Order { number: 7, ..Order::default() })).await?;
//! db.write(|tx| {
//!     tx.edit::<Order, _>(7u64, |order| {
//!         if let Some(mut tea) = order.lines.entry("tea") {
//!             tea.add(2);
//!         }
//!         order.message.set("ring twice");
//!         order.ship_to.set(Address { street: "1 Mill Lane".into(), city: "Weir".into() });
//!         order.contact.phone.set("555-0100");
//!     })
//! })
//! .await?;
//! # let order = millpond::Collection::<Order>::new(db.read()?).get(7u64)?.expect("it is there");
//! # assert_eq!(order.lines.get("tea"), Some(&Counter::new(2)));
//! # assert_eq!((order.ship_to.city.as_str(), order.contact.phone.as_str()), ("Weir", "555-0100"));
//! # db.close().await;
//! # Ok(())
//! # }
//! ```
//! What spans several records merges record by record: no rule sees two of them. "At most ten in stock" and "this
//! name is taken" cannot be kept by replicas that do not talk. Let one replica decide, which is the
//! [primary](crate::Replica::promote), or give each replica its share beforehand.
//!
//! ## Which key
//! Two replicas that store a record under one key at once have written *one* record, whose fields merge. That is right
//! for what has a name of its own (a customer's cart, a day) and wrong for "the next number". What is new each time
//! takes a key that nobody else takes: a UUID, or this replica's key and a number that only it counts.
//!
//! Beware of plain fields in records that several replicas may be first to make: `store` writes all of them, defaults
//! too, and the later of two shows, over what the other one has set meanwhile. Counters, sets, maps and logs start by
//! themselves, and lose nothing. [`edit_or_create`](crate::WriteTx::edit_or_create) writes only what it touches, whether
//! the record is there or not: the way to count visits of a day, whichever replica is the first.
//!
//! Records are listed in the order of their keys. For a key of several parts implement [`Key`](crate::Key), with text
//! that sorts as the parts do:
//!
//! ```
//! use millpond::{Collection, Counter, Key, Keys, Record, Replica, records::RecordError};
//!
//! #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
//! struct DayOf {
//!     day: u32,
//!     shop: u16,
//! }
//!
//! impl Key for DayOf {
//!     fn to_text(&self) -> String {
//!         format!("{}/{}", self.day.to_text(), self.shop.to_text()) // all digits, so that they sort
//!     }
//!
//!     fn from_text(text: &str) -> Option<Self> {
//!         let (day, shop) = text.split_once('/')?;
//!         Some(Self { day: u32::from_text(day)?, shop: u16::from_text(shop)? })
//!     }
//! }
//!
//! #[derive(Debug, Record)]
//! struct Takings {
//!     #[millpond(key)]
//!     of: DayOf,
//!     cents: Counter,
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = Replica::builder_in_memory().offline().open().await?;
//! let today = DayOf { day: 20_000, shop: 7 };
//! db.write(move |tx| {
//!     if tx.load::<Takings>(today)?.is_none() {
//!         tx.store(&Takings { of: today, cents: Counter::default() })?;
//!     }
//!     tx.edit::<Takings, _>(today, |takings| takings.cents.add(250))?;
//!     Ok::<_, RecordError>(())
//! })
//! .await?;
//! let next_day = DayOf { day: 20_001, shop: 0 };
//! let days = Collection::<Takings>::new(db.read()?).list(&Keys::range(today..next_day))?;
//! assert_eq!(days[0].cents.value(), 250);
//! # db.close().await;
//! # Ok(())
//! # }
//! ```
//! A number that is written out as a key says its type: `tx.load::<Order>(7u64)`.
//!
//! ## Find records by their values
//! A collection is in the order of its keys. For another order declare an [`Index`](crate::Index) beside the fields, and
//! have the replica keep it: `register`. It is right after every commit, whoever wrote, here, in a transaction with what
//! that wrote so far, and in every view.
//!
//! ```
//! use millpond::{Collection, Multi, Record, Replica};
//!
//! #[derive(Debug, Default, Record)]
//! #[millpond(index(agenda(owner, due)))] // several fields, under a name
//! struct Task {
//!     #[millpond(key)]
//!     id: String,
//!     owner: Option<String>,
//!     #[millpond(index)]
//!     due: u32,
//!     #[millpond(index)]
//!     state: Multi<String>, // found by each of the values that were written at once
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let db = Replica::builder_in_memory().offline().register::<Task>().open().await?;
//! # let task = |id: &str, owner: &str, due| Task {
//! #     id: id.into(), owner: Some(owner.into()), due, state: Multi::new("open".into())
//! # };
//! # let all = [task("milk", "anna", 3), task("rent", "ben", 1), task("tax", "anna", 2)];
//! # db.write(move |tx| all.iter().try_for_each(|task| tx.store(task))).await?;
//! let tasks = Collection::<Task>::new(db.read()?);
//! let next = tasks.by(TaskIndex::due()).range(2..).limit(10).list()?;
//! let last = tasks.by(TaskIndex::due()).descending().one()?;
//! let open = tasks.by(TaskIndex::state()).equal("open").count()?;
//! let annas = tasks.by(TaskIndex::agenda()).first("anna".to_owned()).keys()?; // the next due first
//! # assert_eq!(next.iter().map(|task| &task.id[..]).collect::<Vec<_>>(), ["tax", "milk"]);
//! # assert_eq!((last.unwrap().id.as_str(), open), ("milk", 3));
//! # assert_eq!(annas, ["tax", "milk"]);
//! # db.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! A new index is built in the background, and goes on after a restart. Until it is there the answer is the same, by
//! reading all records: [`IndexQuery::state`](crate::IndexQuery::state) tells. An index is dropped when the replica is
//! opened by a program that does not register it, such as `millpond run` on an application's folder, and is built again
//! when the application is back.
//!
//! **Do not** take an index for a constraint: two nodes may store the same value at once, and both records are found.
//!
//! ## Conflicts that you will meet
//! Two values of a [`Multi`](crate::Multi) written at once both show, the latest first. Whoever writes the field having
//! seen both ends the conflict, everywhere. A plain field shows one; the other one is still there until the next
//! write of the field, and [`Replica::conflicts`](crate::Replica::conflicts) lists both, with who wrote what and who
//! has it. A plain field whose values can be decided between by a pure function declares it, by
//! `#[millpond(resolve = function)]`: [`Resolver`](crate::typed::Resolver). What ended a conflict is taken back by
//! [`Replica::undo_decision`](crate::Replica::undo_decision), on any replica, and
//! never what came later. [`Replica::explain`](crate::Replica::explain) says of any field why it shows what it shows.
//!
#![cfg_attr(feature = "quic", doc = "```")]
#![cfg_attr(not(feature = "quic"), doc = "```no_run")]
//! # use std::time::Duration;
//! use millpond::{Bookmark, Collection, Multi, Record, Replica};
//!
//! #[derive(Debug, Default, Record)]
//! struct Page {
//!     #[millpond(key)]
//!     name: String,
//!     text: Multi<String>,
//!     color: String,
//! }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let anna = Replica::builder_in_memory().open().await?;
//! # let invite = anna.invite(millpond::InviteOptions::default()).await?;
//! # let ben = Replica::builder_in_memory().join(invite).open().await?;
//! # let soon = Duration::from_secs(10);
//! # let page = Page { name: "home".into(), ..Page::default() };
//! # let ((), stored) = anna.write(move |tx| tx.store(&page)).await?;
//! # ben.at_least(&stored.bookmark(), soon).await?;
//! anna.pause(None).await; // the link is cut, and both write
//! let mut seen = Bookmark::default();
//! for (db, text, color) in [(&anna, "Hello", "red"), (&ben, "Welcome", "blue")] {
//!     let edit = db.write(move |tx| {
//!         tx.edit::<Page, _>("home", |page| {
//!             page.text.set(text);
//!             page.color.set(color);
//!         })
//!     });
//!     seen.join(&edit.await?.1.bookmark());
//! }
//! anna.resume(None).await; // and is back
//! let view = anna.at_least(&seen, soon).await?;
//! let page = Collection::<Page>::new(view).get("home")?.expect("it is there");
//! assert_eq!(page.text.values().len(), 2);
//!
//! // All fields of all records with more than one value, plain ones too.
//! for conflict in anna.conflicts(None).await? {
//!     for candidate in &conflict.candidates {
//!         let by = candidate.writer.as_ref().map_or("?", |writer| &writer.name);
//!         println!("{} {}: {:?} by {by}", conflict.id, conflict.field, candidate.value);
//!     }
//!     if conflict.field == "color" {
//!         conflict.keep(0).await?; // refused if somebody has written it meanwhile
//!     }
//! }
//!
//! // Any write that has seen both ends it as well.
//! let both = page.text.values().join(" / ");
//! anna.write(|tx| tx.edit::<Page, _>("home", |page| page.text.set(both))).await?;
//! # let page = Collection::<Page>::new(anna.read()?).get("home")?.expect("it is there");
//! assert!(!page.text.is_conflict());
//! # assert!(anna.conflicts(None).await?.is_empty());
//! # ben.close().await;
//! # anna.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! ## Errors, and trying again
//! The closure may fail with an error of your own, which needs `From<WriteError>`. Whatever it fails with, the
//! transaction has written nothing.
//!
//! ```
//! use millpond::records::RecordError;
//! use millpond::{Counter, Record, Replica, WriteError};
//!
//! #[derive(Debug, Default, Record)]
//! struct Shelf {
//!     #[millpond(key)]
//!     product: String,
//!     stock: Counter,
//! }
//!
//! #[derive(Debug, thiserror::Error)]
//! enum SellError {
//!     #[error("only {0} are left")]
//!     TooFew(i128),
//!     #[error(transparent)]
//!     Record(#[from] RecordError), // for `?` on records within
//!     #[error(transparent)]
//!     Write(#[from] WriteError),
//! }
//!
//! async fn sell(db: &Replica, product: String, count: i64) -> Result<(), SellError> {
//!     db.write(move |tx| {
//!         let left = tx.edit::<Shelf, _>(product, |shelf| {
//!             shelf.stock.add(-count);
//!             shelf.stock.value()
//!         })?;
//!         // The sale is taken back, as is all that the closure wrote.
//!         if left < 0 { Err(SellError::TooFew(left + i128::from(count))) } else { Ok(()) }
//!     })
//!     .await?;
//!     Ok(())
//! }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = Replica::builder_in_memory().offline().open().await?;
//! # let shelf = Shelf { product: "tea".into(), stock: Counter::new(3) };
//! # db.write(move |tx| tx.store(&shelf)).await?;
//! # sell(&db, "tea".into(), 2).await?;
//! assert!(matches!(sell(&db, "tea".into(), 2).await, Err(SellError::TooFew(1))));
//! # db.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Each error of this crate tells its stable [`code`](crate::WriteError::code), what to do by its
//! [`hint`](crate::WriteError::hint), and whether the same call may succeed later by
//! [`is_retryable`](crate::WriteError::is_retryable). `millpond explain CODE` says more of one.
//!
//! | error | try again? |
//! |---|---|
//! | your own, [`RecordError::Absent`](crate::records::RecordError::Absent) | once what it complains of has changed |
//! | [`TooFewConnected`](crate::WriteError::TooFewConnected), [`Behind`](crate::WriteError::Behind) | later; nothing was written |
//! | [`ReadOnly`](crate::WriteError::ReadOnly), [`NotPrimary`](crate::WriteError::NotPrimary), [`Delayed`](crate::WriteError::Delayed) | at another member |
//! | [`ValueTooLarge`](crate::WriteError::ValueTooLarge), [`TransactionTooLarge`](crate::WriteError::TransactionTooLarge) | in smaller parts |
//! | [`Fenced`](crate::WriteError::Fenced) | after a person has looked |
//! | [`Closed`](crate::WriteError::Closed), [`Store`](crate::WriteError::Store) | open it again, and read first: the write may have happened |
//! | [`ConcernError::NotMet`](crate::ConcernError::NotMet) | **no**: it is written; wait longer with its receipt |
//!
//! A write whose future was dropped, by a timeout around it or in a `select!`, may happen all the same. To be able to
//! repeat one that may have happened, make it one that can be: set a value, insert an element, or store a record
//! under a key that the caller has chosen, rather than count.
//!
//! ## Write only if nothing has changed
//! A transaction sees this replica as it is, and nobody writes here between its reads and its writes. So to check is to
//! read in the closure. It says nothing of other replicas, which may write the same at the same moment; then the
//! fields merge by their rules.
//!
//! ```
//! # use millpond::{Record, Replica};
//! use millpond::records::RecordError;
//!
//! # #[derive(Debug, Default, PartialEq, Record)]
//! # struct Task {
//! #     #[millpond(key)]
//! #     id: String,
//! #     title: String,
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = Replica::builder_in_memory().offline().open().await?;
//! # db.write(|tx| tx.store(&Task { id: "milk".into(), title: "Buy milk".into() })).await?;
//! let seen = "Buy milk"; // what the user saw when they began to type
//! let (is_changed, _) = db
//!     .write(move |tx| {
//!         let task = tx.load::<Task>("milk")?;
//!         if task.is_none_or(|task| task.title != seen) {
//!             return Ok(false);
//!         }
//!         tx.edit::<Task, _>("milk", |task| task.title.set("Buy oat milk"))?;
//!         Ok::<_, RecordError>(true)
//!     })
//!     .await?;
//! assert!(is_changed);
//! # db.close().await;
//! # Ok(())
//! # }
//! ```
//! [`records`](crate::records), the untyped access, has versions and preconditions for that, as HTTP has `ETag`.
//!
//! ## A new version of a record
//! Fields that a program does not know are kept when it stores the record, and fields that are not stored read as their
//! defaults. So add fields, and let old and new programs run beside each other. Never change what a stored name
//! holds: the old program would fail to read it. The struct's name is the collection's and a field's is its own, so
//! whoever calls them otherwise later says what they are stored as:
//!
//! ```
//! # use millpond::{Collection, Record, Replica};
//! #[derive(Debug, Default, Record)]
//! #[millpond(collection = "task")]
//! struct OldTask {
//!     #[millpond(key)]
//!     id: String,
//!     title: String,
//! }
//!
//! #[derive(Debug, Default, Record)]
//! struct Task {
//!     #[millpond(key)]
//!     id: String,
//!     #[millpond(rename = "title")]
//!     headline: String, // stored as before
//!     is_urgent: bool,  // new
//! }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = Replica::builder_in_memory().offline().open().await?;
//! let old = OldTask { id: "milk".into(), title: "Buy milk".into() };
//! db.write(move |tx| tx.store(&old)).await?;
//! let new = Collection::<Task>::new(db.read()?).get("milk")?.expect("it is there");
//! assert_eq!((new.headline.as_str(), new.is_urgent), ("Buy milk", false));
//! # db.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! ## Members that only read
//! The invite decides. A reader holds and passes on all data, and no member takes anything that it wrote.
//!
#![cfg_attr(feature = "quic", doc = "```")]
#![cfg_attr(not(feature = "quic"), doc = "```no_run")]
//! # use std::time::Duration;
//! use millpond::{InviteOptions, Replica, Role, WriteError};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let anna = Replica::builder_in_memory().open().await?;
//! let mut options = InviteOptions::default();
//! options.role = Role::Reader;
//! options.expires = Duration::from_secs(600);
//! let invite = anna.invite(options).await?;
//! let display = Replica::builder_in_memory().name("display").join(invite).open().await?;
//! display.joined().await?;
//! let refused = display.write(|_| Ok::<_, WriteError>(())).await;
//! assert!(matches!(refused, Err(WriteError::ReadOnly { .. })));
//! # display.close().await;
//! # anna.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! ## Read within async code
//! Reading is synchronous: it may wait for this node's disk, and for nothing else. Reading single records in an async
//! function is fine. For a long scan take a thread, as for any work that blocks: views, collections and clones of a
//! replica are free to move there (`tokio::task::spawn_blocking(move || tasks.count())`). A view that is kept keeps
//! what it shows on disk, so let go of views that are not needed.
//!
//! ## See who is there
//! [`Replica::presence`](crate::Replica::presence) tells how each other member is, and then whatever changes;
//! [`Replica::caught_up`](crate::Replica::caught_up) and [`Replica::synced_with`](crate::Replica::synced_with) wait.
//! [`Replica::status`](crate::Replica::status) is all that a node knows of itself and of the others, at once.
//!
#![cfg_attr(feature = "quic", doc = "```")]
#![cfg_attr(not(feature = "quic"), doc = "```no_run")]
//! use std::time::Duration;
//!
//! use millpond::{PresenceEvent, Replica};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let anna = Replica::builder_in_memory().open().await?;
//! # let invite = anna.invite(millpond::InviteOptions::default()).await?;
//! # let db = Replica::builder_in_memory().join(invite).open().await?;
//! # db.joined().await?;
//! let mut presence = db.presence();
//! while let Some(event) = presence.next().await {
//!     if let PresenceEvent::Peer(peer) = event {
//!         println!("{} is {:?}, and lacks {:?}", peer.name, peer.state, peer.they_lack);
//! #       assert_eq!(peer.key, anna.key());
//!         break;
//!     }
//! }
//! // It waits for as long as it takes, so say how long that may be.
//! tokio::time::timeout(Duration::from_secs(10), db.synced_with(anna.key())).await??;
//! println!("{:?}", db.status().await.verdict);
//! # db.close().await;
//! # anna.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! ## Close
//! `close().await` finishes the writes that it was given, tells the peers, and stops; all clones are one replica and
//! end together. It does not wait for others to have what was written: for that, write with a concern. The folder and
//! the port are free once the last clone is dropped, and what is called on one before that fails with `Closed`. A
//! process that is killed loses nothing that an `await` returned.
//!
//! ## Test without a network
//! A replica in memory that is offline needs no folder, no socket and no clean-up: each test has its own. For two that
//! converge, leave `offline()` out; they meet on loopback, and [`Replica::pause`](crate::Replica::pause) is a cut
//! cable. Wait with bookmarks, not by sleeping. What your records come to when nodes are cut off, crash and come back
//! from old backups, the test kit tries in virtual time: `millpond::sim::check` and `laws`, of the feature `sim`. So it
//! does with concerns and bookmarks: `Sim::write_for`, `Sim::at_least`.
//!
//! ```
//! # use millpond::{Collection, Record, Replica};
//! # #[derive(Debug, Default, PartialEq, Record)]
//! # struct Task {
//! #     #[millpond(key)]
//! #     id: String,
//! #     is_done: bool,
//! # }
//! # async fn finish(db: &Replica, id: &'static str) -> Result<(), millpond::records::RecordError> {
//! #     db.write(move |tx| tx.edit::<Task, _>(id, |task| task.is_done.set(true))).await.map(drop)
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // #[tokio::test]
//! // async fn a_task_is_finished() {
//! let db = Replica::builder_in_memory().offline().open().await?;
//! db.write(|tx| tx.store(&Task { id: "milk".into(), is_done: false })).await?;
//! finish(&db, "milk").await?; // the code under test
//! let task = Collection::<Task>::new(db.read()?).get("milk")?;
//! assert_eq!(task, Some(Task { id: "milk".into(), is_done: true }));
//! # db.close().await;
//! # Ok(())
//! # }
//! ```
