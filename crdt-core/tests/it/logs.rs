//! Logs: one order everywhere, and each writer's own within it.

use millpond_core::types::log;
use millpond_core::wire::PushFrame;
use millpond_core::*;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::model::{Replica, Rules};

fn chat() -> Path {
    Path::new(["c", "k", "chat"]).unwrap()
}

/// Who appends, or who hears what of the others.
#[derive(Debug, Clone)]
enum Op {
    Append { at: usize },
    Pull { at: usize, supplier: usize },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (0..3_usize).prop_map(|at| Op::Append { at }),
        2 => (0..3_usize, 0..3_usize).prop_map(|(at, supplier)| Op::Pull { at, supplier }),
    ];
    vec(op, 0..40)
}

fn append(replica: &mut Replica, now_ms: u64, text: u8) -> PushFrame {
    let path = log::entry_path(&chat(), replica.next_dot()).unwrap();
    replica.write(now_ms, vec![(path, Some(log::payload(vec![text].into())))]).unwrap()
}

fn read(replica: &Replica) -> Vec<u8> {
    let within = replica.entries.iter().filter(|(path, _)| path.is_within(&chat()));
    let entries: Vec<Entry> = within.map(|(_, entry)| entry.clone()).collect();
    log::read(&entries).iter().map(|live| live.payload.bytes[0]).collect()
}

proptest! {
    #[test]
    fn all_read_the_same_and_writers_in_their_own_order(ops in ops()) {
        let mut replicas: Vec<_> = (1..=3).map(|id| Replica::new(id, Rules::ALL)).collect();
        let mut authors = Vec::new();
        for op in &ops {
            match *op {
                Op::Append { at } => {
                    // The clocks are apart, and stand still.
                    append(&mut replicas[at], 1_000 - 300 * at as u64, authors.len() as u8);
                    authors.push(at);
                }
                Op::Pull { at, supplier } => {
                    let batch = replicas[supplier].batch(&replicas[at].vv);
                    prop_assert!(replicas[at].take(&batch));
                }
            }
        }
        for (at, supplier) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
            let batch = replicas[supplier].batch(&replicas[at].vv);
            prop_assert!(replicas[at].take(&batch));
        }
        let all = read(&replicas[0]);
        prop_assert_eq!(all.len(), authors.len());
        for at in 0..3 {
            let own = all.iter().filter(|text| authors[usize::from(**text)] == at);
            prop_assert!(own.is_sorted());
        }
        prop_assert_eq!(&read(&replicas[1]), &all);
        prop_assert_eq!(&read(&replicas[2]), &all);
    }
}
