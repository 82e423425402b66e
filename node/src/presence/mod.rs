//! Who is there, and how far each one is: to wait for, and to follow.

mod stream;
mod waiting;

pub use stream::{Presence, PresenceEvent, PresentPeer};
pub use waiting::SyncError;
