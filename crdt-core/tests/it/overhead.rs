//! What a row costs beside its key, field name and value.

use bytes::Bytes;
use millpond_core::wire::{RowsFrame, RowsWriter};
use millpond_core::*;

const ROWS: usize = 5_000;
const TERMINATORS: usize = 2;

/// A pseudo-random permutation step: keys in an order that has nothing to do with when they were written.
fn scatter(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}

fn row(components: &[&[u8]], seq: u64, hlc: Hlc, value: &[u8]) -> Row {
    let dot = Dot::new(Incarnation::from_bytes([0xab; 16]), Seq::new(seq).unwrap());
    let payload = Payload { kind: PayloadKind::LWW, bytes: Bytes::copy_from_slice(value) };
    let live = vec![RowDot { dot, content: Some((hlc, payload)) }];
    Row { path: Path::new(components).unwrap(), live, deletes: Vec::new() }
}

fn frame(rows: &[Row]) -> RowsFrame {
    let mut writer = RowsWriter::new(1);
    rows.iter().for_each(|row| writer.push(row));
    writer.finish()
}

fn per_row(rows: &[Row], payload_bytes: usize) -> f64 {
    (frame(rows).encoded_bytes() - payload_bytes) as f64 / rows.len() as f64
}

/// A million rows imported over a minute under 16-byte random keys, read in path order.
#[test]
fn a_row_with_a_fresh_key_costs_at_most_14_bytes() {
    let imported = |position: u64| {
        let written = scatter(position) % 1_000_000;
        (
            written + 1,
            Hlc::from_bits(((1_790_000_000_000 + written * 60 / 1_000) << 16) | (written % 17)),
        )
    };
    let mut with_field = Vec::new();
    let mut without_field = Vec::new();
    for position in 0..ROWS as u64 {
        // In path order the first bytes of random keys ascend slowly.
        let first = position << 50 | scatter(position) << 2;
        let key =
            [first.to_be_bytes(), scatter(position + 7).wrapping_mul(scatter(3)).to_be_bytes()];
        let key = key.concat();
        let (seq, hlc) = imported(position);
        with_field.push(row(&[b"places", &key, b"name"], seq, hlc, b"0123456789"));
        without_field.push(row(&[b"places", &key], seq, hlc, b"0123456789"));
    }
    let (with_field, without_field) =
        (per_row(&with_field, ROWS * (16 + 4 + 10)), per_row(&without_field, ROWS * (16 + 10)));
    println!("fresh key: {with_field:.2} bytes with a field, {without_field:.2} without");
    assert!(with_field <= 10.0, "{with_field:.2} bytes");
    assert!(without_field <= 14.0, "{without_field:.2} bytes");
}

/// Ten fields of one record after the other, written by one transaction.
#[test]
fn a_further_field_of_a_record_costs_at_most_12_bytes() {
    let mut fields = Vec::new();
    for record in 0..ROWS as u64 / 10 {
        for field in 0..10_u64 {
            let key = scatter(record).to_be_bytes();
            let name = [b'a' + field as u8; 5];
            let hlc =
                Hlc::from_bits(((1_790_000_000_000 + scatter(record) % 60_000) << 16) | field);
            let seq = scatter(record) % 100_000 * 10 + field + 1;
            fields.push(row(&[b"places", &key, &name], seq, hlc, b"0123456789"));
        }
    }
    let firsts: Vec<Row> = fields.iter().step_by(10).cloned().collect();
    let all = frame(&fields).encoded_bytes() - frame(&firsts).encoded_bytes();
    let further = fields.len() - firsts.len();
    let each = all as f64 / further as f64 - (5 + 10) as f64;
    println!("further field: {each:.2} bytes, of which {TERMINATORS} end the field's name");
    assert!(each <= 12.0, "{each:.2} bytes");
}

/// One write, sent live.
#[test]
fn a_push_of_one_write_costs_at_most_52_bytes_and_20_for_each_dependency() {
    let origin = Incarnation::from_bytes([0xab; 16]);
    let dep = Dot::new(Incarnation::from_bytes([0xcd; 16]), Seq::new(1_000_000).unwrap());
    let push = |deps| {
        let path = Path::new([&b"places"[..], &[7; 16], b"name"]).unwrap();
        let payload = Payload { kind: PayloadKind::LWW, bytes: Bytes::from_static(b"0123456789") };
        let write = PushWrite {
            path,
            hlc: Hlc::from_ms(1_790_000_000_000),
            payload: Some(payload),
            overwritten: vec![Dot::new(origin, Seq::new(999_000).unwrap())],
        };
        let push = Push {
            namespace: Namespace::MAIN,
            origin,
            first: Seq::new(1_000_000).unwrap(),
            deps,
            writes: vec![write],
        };
        wire::PushFrame::encode(&push).encoded_bytes() - (6 + 16 + 4 + 10)
    };
    let (alone, with_dep) = (push(VersionVector::new()), push(VersionVector::from_iter([dep])));
    println!("push: {alone} bytes, {with_dep} with one dependency");
    assert!(alone <= 52 && with_dep <= 72, "{alone} and {with_dep} bytes");
}
