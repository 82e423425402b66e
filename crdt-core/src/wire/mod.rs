//! The wire format: messages as frames.
//!
//! [`encode`] turns a [`Message`] into frames, [`Decoder`] turns frames into messages, one decoder for each
//! lane. Rows and pushes stay encoded after decoding: [`RowsFrame`] and [`PushFrame`] have been checked from
//! end to end, and hand out their content piece by piece, so that nothing is allocated for what a frame
//! merely claims to hold.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::message::Message;

mod decode;
mod encode;
mod push_frame;
mod rows_frame;

pub use decode::{DecodeError, Decoder};
pub use encode::encode;
pub use push_frame::PushFrame;
pub use rows_frame::{RowsFrame, RowsWriter};
