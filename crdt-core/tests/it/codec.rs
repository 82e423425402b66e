//! The wire format: what is encoded decodes to itself, and nothing else does any harm.

use bytes::Bytes;
use millpond_core::message::Message;
use millpond_core::wire::entry::{decode_entry, encode_entry};
use millpond_core::wire::{Decoder, PushFrame, RowsWriter, encode};
use millpond_core::*;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::arbitrary;

proptest! {
    #[test]
    fn a_message_decodes_to_itself_and_encodes_to_the_same_bytes(message in arbitrary::message()) {
        let frames = encode(&message);
        prop_assert_eq!(frames.len(), 1);
        let decoded = Decoder::new().decode(frames[0].clone()).unwrap().unwrap();
        prop_assert_eq!(&decoded, &message);
        prop_assert_eq!(encode(&decoded), frames);
    }

    #[test]
    fn rows_come_out_as_they_went_in(rows in vec(arbitrary::row(), 0..20)) {
        let mut writer = RowsWriter::new(3);
        rows.iter().for_each(|row| writer.push(row));
        let bytes = writer.encoded_bytes();
        let rows_frame = writer.finish();
        prop_assert_eq!((rows_frame.len(), rows_frame.transfer()), (rows.len(), 3));
        prop_assert_eq!(rows_frame.encoded_bytes(), bytes);
        prop_assert_eq!(encode(&Message::Rows(rows_frame.clone()))[0].len(), bytes);
        prop_assert_eq!(rows_frame.rows().collect::<Vec<_>>(), rows);
    }

    #[test]
    fn a_push_comes_out_as_it_went_in(push in arbitrary::push()) {
        let encoded = PushFrame::encode(&push);
        let frames = encode(&Message::Push(encoded.clone()));
        let decoded = Decoder::new().decode(frames[0].clone()).unwrap().unwrap();
        let Message::Push(decoded) = decoded else { panic!("a push") };
        for push_frame in [&encoded, &decoded] {
            prop_assert_eq!(push_frame.to_push(), push.clone());
            prop_assert_eq!(push_frame.len(), push.writes.len());
            prop_assert_eq!(push_frame.last(), push.last().seq);
            prop_assert_eq!(Some(push_frame.greatest_stamp()), push.writes.iter().map(|w| w.hlc).max());
            let payload = |w: &PushWrite| {
                w.path.as_bytes().len() + w.payload.as_ref().map_or(0, |p| p.bytes.len())
            };
            prop_assert_eq!(push_frame.payload_bytes(), push.writes.iter().map(payload).sum::<usize>());
            prop_assert_eq!(push_frame.encoded_bytes(), frames[0].len());
        }
    }

    #[test]
    fn an_entry_decodes_to_itself(entry in arbitrary::entry()) {
        let mut bytes = Vec::new();
        encode_entry(&entry, &mut bytes);
        prop_assert_eq!(decode_entry(&Bytes::from(bytes)), Ok(entry));
    }
}
