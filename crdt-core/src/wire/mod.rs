//! The wire format: messages as frames.
//!
//! [`encode`] turns a [`Message`](crate::message::Message) into frames, [`Decoder`] turns frames into
//! messages, one decoder for each lane. An [`Encoder`] for each lane also leaves out of vectors what both ends
//! know of closed incarnations. Rows and pushes stay encoded after decoding: [`RowsFrame`] and
//! [`PushFrame`] have been checked from end to end, and hand out their content piece by piece, so that
//! nothing is allocated for what a frame merely claims to hold. `docs/FORMAT.md` says it byte by byte.
//!
//! Evolution: a body never changes under its (kind, version). What is new gets a new version or kind, which
//! an older node skips; the structs behind the control messages are frozen, and golden bytes hold them.

mod closed_v1;
mod compare_v1;
mod control;
mod control_v1;
mod decode;
mod encode;
mod encoder;
pub mod entry;
mod error;
pub mod kind;
mod primitives;
mod push_frame;
mod recall_v1;
mod rows_frame;
mod running;
mod succession_v1;
mod survey_v1;
mod tables;
mod tree_v1;
mod vector;
mod words_v1;

pub use decode::Decoder;
pub use encode::encode;
pub use encoder::Encoder;
pub use error::DecodeError;
pub use push_frame::PushFrame;
pub use rows_frame::{RowsFrame, RowsWriter};
