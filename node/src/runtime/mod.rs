//! The shell around the engine: tokio tasks, the writer, links, the lease.
//!
//! ```text
//! application --Request--> engine task --Commit--> writer --Shown, Committed--> engine task
//!                             |   ^
//!                        Send |   | Frame
//!                             v   |
//!                   per link: two senders, two receivers  <-->  transport
//! ```
//!
//! Nothing here decides anything: what to send, to commit or to dial is the engine's.

mod accepting;
mod engine_task;
mod ground;
mod inboxes;
mod lease;
mod link_task;
mod queue;
mod writer;

pub(crate) use accepting::accept;
pub(crate) use engine_task::{EngineHandle, EngineTask, Event, LeaseKeeper, Shell};
#[cfg(any(test, feature = "sim"))]
pub(crate) use ground::{Failed, StartWriter};
pub(crate) use ground::{Ground, WallClock, wall_ms};
pub(crate) use lease::{Lease, LeaseFile};
pub(crate) use writer::{Jobs, WriterHandle, WriterMessage};
