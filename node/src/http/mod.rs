//! The local HTTP/JSON API of a node. `docs/API.md` describes every route and answer.
//!
//! It listens on loopback unless told otherwise. Requests carry the token of the file `http.token` in the
//! data folder, and a `Host` that names this machine: a page in a browser can neither read the file nor
//! choose that header. The address lies beside it in `http.addr`, so port 0 works.
//!
//! Handlers never wait for a disk on the runtime's threads: reads run on blocking threads over a snapshot,
//! writes on the replica's writer. What may be long is streamed, from one snapshot, at the client's pace.

mod backup;
mod bookmarks;
mod changes;
mod conflicts;
mod feed;
mod guard;
mod import;
mod invites;
mod join;
mod keys;
mod metrics;
mod node;
mod presence;
mod problem;
mod records;
mod server;
mod stream;
mod tx;
mod verify;
mod writing;

pub use server::{HttpError, HttpOptions, HttpServer, serve};
