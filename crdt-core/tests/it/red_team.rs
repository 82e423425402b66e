//! Interleavings that broke an earlier text of the design, each with its rule and without. A test here fails
//! when the rule goes, and when the model no longer shows why the rule is there.

use bytes::Bytes;
use millpond_core::wire::PushFrame;
use millpond_core::*;

use crate::model::{Replica, Rules};

fn path(components: &[&str]) -> Path {
    Path::new(components).unwrap()
}

fn put(replica: &mut Replica, path: &Path, value: &'static str) -> PushFrame {
    let payload = Payload { kind: PayloadKind::LWW, bytes: Bytes::from(value) };
    replica.write(1_000, vec![(path.clone(), Some(payload))]).unwrap()
}

fn delete(replica: &mut Replica, path: &Path) -> PushFrame {
    replica.write(1_000, vec![(path.clone(), None)]).unwrap()
}

/// Whether replicas of equal vectors show the same.
fn agree(a: &Replica, b: &Replica) -> bool {
    assert_eq!(a.vv, b.vv, "the interleaving ends at equal vectors");
    a.entries == b.entries
}

/// Finding 1. Q holds k, S deletes it, P never had it. P catches up from S, then Q from P: if P knows of
/// the delete only by its vector, Q keeps k for ever.
fn a_delete_passes_a_replica_that_never_had_the_key(rules: Rules) -> bool {
    let [mut q, mut s, mut p] = [1, 2, 3].map(|id| Replica::new(id, rules));
    let k = path(&["c", "k"]);
    s.receive(&put(&mut q, &k, "x"));
    delete(&mut s, &k);
    p.pull(&s);
    q.pull(&p);
    agree(&q, &p)
}

#[test]
fn finding_1_batches_carry_delete_dots() {
    assert!(a_delete_passes_a_replica_that_never_had_the_key(Rules::ALL));
    let without = Rules { deletes_in_batches: false, ..Rules::ALL };
    assert!(!a_delete_passes_a_replica_that_never_had_the_key(without));
}

/// Finding 2. S removes a record of two fields; P catches up.
fn a_removed_record_is_gone_after_catch_up(rules: Rules) -> bool {
    let [mut s, mut p] = [1, 2].map(|id| Replica::new(id, rules));
    let record = path(&["c", "k"]);
    for field in ["a", "b"] {
        p.receive(&put(&mut s, &record.child(field).unwrap(), "x"));
    }
    s.remove_below(1_000, &record).unwrap();
    p.pull(&s);
    agree(&s, &p)
}

#[test]
fn finding_2_a_remove_takes_a_dot_for_each_path() {
    assert!(a_removed_record_is_gone_after_catch_up(Rules::ALL));
    let without = Rules { dot_for_each_path: false, ..Rules::ALL };
    assert!(!a_removed_record_is_gone_after_catch_up(without));
}

/// Finding 3. A client reads x at Q and writes with that context at R, which lacks x. Only where nothing was
/// written is the push `None`.
fn a_client_writes_over_what_it_read_elsewhere(rules: Rules) -> (bool, Option<PushFrame>) {
    let [mut b, mut q, mut r] = [1, 2, 3].map(|id| Replica::new(id, rules));
    let k = path(&["c", "k"]);
    let x = put(&mut b, &k, "x");
    q.receive(&x);
    let seen = q.live_dots(&k);
    let w = Payload { kind: PayloadKind::LWW, bytes: Bytes::from_static(b"w") };
    let push = r.write_over(1_000, (k.clone(), Some(w)), seen);
    push.iter().for_each(|push| q.receive(push));
    r.receive(&x);
    (agree(&q, &r), push)
}

#[test]
fn finding_3_r12_a_write_overwrites_only_what_is_live_here() {
    let (agree, push) = a_client_writes_over_what_it_read_elsewhere(Rules::ALL);
    assert!(agree && push.is_none(), "R answers `Behind`");
    let without = Rules { overwrites_what_is_here: false, ..Rules::ALL };
    let (agree, push) = a_client_writes_over_what_it_read_elsewhere(without);
    assert!(!agree && push.is_some());
}

/// Finding 4. P says V1, S sends what lies beyond, P falls back to V0 and then commits.
fn a_batch_meets_a_replica_that_fell_back(rules: Rules) -> (bool, Replica, Replica) {
    let [mut s, mut durable] = [1, 2].map(|id| Replica::new(id, rules));
    put(&mut s, &path(&["c", "k"]), "lost");
    let mut p = durable.clone();
    p.pull(&s);
    put(&mut s, &path(&["c", "l"]), "sent");
    let batch = s.batch(&p.vv);
    let taken = durable.take(&batch);
    (taken, s, durable)
}

#[test]
fn finding_4_r4_a_batch_is_relative_to_a_base() {
    let (taken, s, mut p) = a_batch_meets_a_replica_that_fell_back(Rules::ALL);
    assert!(!taken && p.entries.is_empty());
    p.pull(&s);
    assert!(agree(&s, &p));
    let without = Rules { base_check: false, ..Rules::ALL };
    let (taken, s, p) = a_batch_meets_a_replica_that_fell_back(without);
    assert!(taken && !agree(&s, &p));
}

/// Finding 8 (b). Dropping the loser of a pair without a dot: who dropped it and who did not end apart.
#[test]
fn finding_8_r13_nothing_is_dropped_without_a_dot() {
    let k = path(&["c", "k"]);
    let run = |dropped: bool| {
        let [mut a, mut b, mut c] = [1, 2, 3].map(|id| Replica::new(id, Rules::ALL));
        let pushes = [put(&mut a, &k, "x"), put(&mut b, &k, "y")];
        for (replica, push) in [(&mut a, &pushes[1]), (&mut b, &pushes[0])] {
            replica.receive(push);
        }
        if dropped {
            // A prunes the loser, then overwrites what it still shows.
            let loser = a.live_dots(&k)[0];
            a.entries.get_mut(&k).unwrap().retain(|live| live.dot != loser);
        }
        let push = put(&mut a, &k, "z");
        b.receive(&push);
        c.pull(&a);
        agree(&a, &b) && agree(&a, &c)
    };
    assert!(run(false));
    assert!(!run(true));
}
