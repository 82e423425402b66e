//! The rules of the tree, each with the bug that it prevents.

use millpond_core::Incarnation;

use super::tree::{Order, Tree, Way, Ways};
use crate::planted::without;
use crate::replication::LinkId;

const ORIGIN: Incarnation = Incarnation::from_bytes([1; 16]);
const OTHER: Incarnation = Incarnation::from_bytes([2; 16]);
const P: LinkId = LinkId(1);
const Q: LinkId = LinkId(2);
const R: LinkId = LinkId(3);

fn ways() -> Ways {
    let way = |round_trip_ms| Way { round_trip_ms, cost: 1 };
    [(P, way(100)), (Q, way(20)), (R, way(60))].into_iter().collect()
}

/// A tree at one node, and the time.
struct At {
    tree: Tree,
    now_ms: u64,
    ways: Ways,
}

impl At {
    /// A node that takes `ORIGIN` and `OTHER` from `P`, which has delivered often and in time.
    fn fed_by_p() -> Self {
        let mut at = Self { tree: Tree::default(), now_ms: 0, ways: ways() };
        for seq in 1..=30 {
            at.data(P, ORIGIN, seq);
            at.data(P, OTHER, seq);
            at.now_ms += 1_000;
        }
        at
    }

    fn data(&mut self, link: LinkId, origin: Incarnation, seq: u64) -> Vec<Order> {
        self.tree.arrived(self.now_ms, (link, origin), (seq, seq), true, &self.ways)
    }

    fn says(&mut self, link: LinkId, origin: Incarnation, seq: u64, have: u64) {
        self.tree.announced(self.now_ms, (link, origin), (seq, have), true, None);
    }

    fn patience(&self) -> Option<u64> {
        self.tree.deadline_ms(self.now_ms, ORIGIN)
    }

    fn wait(&mut self, ms: u64) -> Vec<Order> {
        self.now_ms += ms;
        self.tree.due(self.now_ms, &self.ways)
    }
}

fn graft(link: LinkId, origin: Incarnation, after: u64) -> Order {
    Order::Graft { link, origin, after }
}

/// The scenario holds, and without the rule it does not.
fn depends_on(rules: &'static [&'static str], holds: impl Fn() -> bool) {
    assert!(holds(), "{rules:?}");
    assert!(!without(rules, &holds), "{rules:?} taken out, and all goes well: proves nothing");
}

#[test]
fn what_the_source_does_not_bring_is_grafted_from_the_nearest_announcer() {
    let mut at = At::fed_by_p();
    at.says(R, ORIGIN, 31, 30);
    at.says(Q, ORIGIN, 31, 30);
    assert_eq!(at.wait(9), []);
    assert_eq!(at.wait(1), [graft(Q, ORIGIN, 30)]);
    assert_eq!(at.wait(34), []);
    assert_eq!(at.wait(1), [graft(R, ORIGIN, 30)]);
    let prune = |link| Order::Prune { link, origin: ORIGIN };
    assert_eq!(at.data(R, ORIGIN, 31), [prune(P), prune(Q)]);
    assert_eq!(at.tree.source(ORIGIN), Some(R));
}

#[test]
fn a_source_that_fails_one_origin_is_awaited_for_no_other() {
    depends_on(&["who misses a deadline is suspect"], || {
        let mut at = At::fed_by_p();
        at.says(Q, ORIGIN, 31, 30);
        at.now_ms += 9;
        at.says(Q, OTHER, 31, 30);
        let grafted = [at.wait(1), at.wait(0)].concat();
        grafted == [graft(Q, ORIGIN, 30), graft(Q, OTHER, 30)]
    });
}

#[test]
fn a_source_that_is_heard_again_is_awaited_again() {
    depends_on(&["suspicion ends with the next frame"], || {
        let mut at = At::fed_by_p();
        at.says(Q, ORIGIN, 31, 30);
        at.wait(10);
        at.tree.heard(P);
        at.says(Q, OTHER, 31, 30);
        at.wait(0).is_empty()
    });
}

#[test]
fn a_node_that_was_kept_from_running_reads_before_it_asks() {
    depends_on(&["who overslept looks again first"], || {
        let mut at = At::fed_by_p();
        at.says(Q, ORIGIN, 31, 30);
        let late = at.wait(500);
        late.is_empty() && at.wait(10) == [graft(Q, ORIGIN, 30)]
    });
}

#[test]
fn progress_restarts_the_deadline() {
    depends_on(&["progress restarts a deadline"], || {
        let mut at = At::fed_by_p();
        at.says(Q, ORIGIN, 40, 30);
        let mut grafted = Vec::new();
        for seq in 31..40 {
            grafted.extend(at.wait(8));
            at.data(P, ORIGIN, seq);
        }
        grafted.is_empty()
    });
}

/// The source was pruned by its own source before it had 31: what it sends from 32 on does not bring that, and
/// would put off the graft for ever. Nor does it make the graft needless.
#[test]
fn what_comes_beyond_a_gap_does_not_restart_the_deadline() {
    depends_on(&["what comes beyond a gap is no progress"], || {
        let mut at = At::fed_by_p();
        at.says(Q, ORIGIN, 40, 30);
        let mut orders = Vec::new();
        for seq in 32..38 {
            orders.extend(at.wait(6));
            orders.extend(at.tree.arrived(at.now_ms, (P, ORIGIN), (seq, 30), true, &at.ways));
        }
        orders == [graft(Q, ORIGIN, 30)]
    });
}

/// Of a burst only the first row is late: the others, which come in the same moment, would teach this node that
/// nothing ever is.
#[test]
fn a_burst_that_is_late_is_late_once() {
    depends_on(&["a burst is one sample"], || {
        let mut at = At::fed_by_p();
        for burst in 0..20 {
            let first = 31 + 20 * burst;
            at.says(Q, ORIGIN, first, first - 1);
            at.now_ms += 60;
            (first..first + 20).for_each(|seq| drop(at.data(P, ORIGIN, seq)));
            at.now_ms += 60;
        }
        // What is remembered of single stalls is forgotten by then.
        at.now_ms += 30_000;
        at.patience().unwrap() > 40
    });
}

#[test]
fn an_announcer_that_is_ahead_again_and_again_is_asked_before_the_source_is_told() {
    depends_on(&["who is ahead becomes the source"], || {
        let mut at = At::fed_by_p();
        let mut orders = Vec::new();
        for seq in 31..=33 {
            at.now_ms += 300;
            at.says(Q, ORIGIN, seq, seq - 1);
            at.now_ms += 8;
            orders.extend(at.data(P, ORIGIN, seq));
            at.now_ms += 20;
        }
        // The old source goes on until the new one has delivered.
        let is_asked = orders == [graft(Q, ORIGIN, 33)] && at.tree.source(ORIGIN) == Some(P);
        let told = at.data(Q, ORIGIN, 34);
        is_asked && told == [Order::Prune { link: P, origin: ORIGIN }]
    });
}

/// Three deliveries behind one stalled message say no more than one.
#[test]
fn a_stall_is_no_reason_to_change_the_source() {
    depends_on(&["a stall counts once"], || {
        let mut at = At::fed_by_p();
        (31..=36).for_each(|seq| at.says(Q, ORIGIN, seq, 30));
        (31..=36).all(|seq| {
            at.now_ms += 25;
            at.data(P, ORIGIN, seq).is_empty()
        })
    });
}

/// Between its stalls the source is as fast as ever, and nobody else has anything to announce by then.
#[test]
fn three_stalls_in_a_minute_are_no_reason_either() {
    depends_on(&["whoever is behind once begins again"], || {
        let mut at = At::fed_by_p();
        (31..=90).all(|seq| {
            at.now_ms += 900;
            if seq % 15 == 0 {
                at.says(Q, ORIGIN, seq, seq - 1);
            }
            at.now_ms += 100;
            at.data(P, ORIGIN, seq).is_empty()
        })
    });
}

#[test]
fn a_cheaper_way_is_taken_if_it_is_no_slower_and_a_dearer_one_never() {
    let run = |cost| {
        let mut at = At::fed_by_p();
        at.ways.insert(Q, Way { round_trip_ms: 20, cost });
        let mut orders = Vec::new();
        for seq in 31..=33 {
            at.now_ms += 300;
            at.says(Q, ORIGIN, seq, seq - 1);
            at.now_ms += if cost > 1 { 8 } else { 0 };
            orders.extend(at.data(P, ORIGIN, seq));
            at.now_ms += 20;
        }
        orders
    };
    assert_eq!(run(2), []);
    depends_on(&["a cheaper way that is no slower is taken"], || run(0) == [graft(Q, ORIGIN, 33)]);
}

/// Finding 22: X has grafted Z1 and Z2. (o,9) comes from Z1 first, and Z2 is told to stop; (o,10), already on
/// its way from Z2, comes before Z1's.
#[test]
fn finding_22_whom_a_node_has_pruned_it_does_not_adopt() {
    depends_on(&["whom this node pruned is not adopted"], || {
        let mut at = At::fed_by_p();
        at.tree.link_down(at.now_ms, P);
        at.says(Q, ORIGIN, 31, 30);
        at.says(R, ORIGIN, 31, 30);
        let first = at.wait(0);
        let second = at.wait(35);
        let crossed = at.data(R, ORIGIN, 31);
        at.data(Q, ORIGIN, 32);
        // Q was told to stop, and is not heard again: R must still be the source.
        first == [graft(Q, ORIGIN, 30)]
            && second == [graft(R, ORIGIN, 30)]
            && crossed == [Order::Prune { link: Q, origin: ORIGIN }]
            && at.tree.source(ORIGIN) == Some(R)
    });
}

#[test]
fn of_two_that_send_the_same_one_is_told_to_stop_and_once() {
    depends_on(&["who sends twice is pruned"], || {
        let mut at = At::fed_by_p();
        let first = at.tree.came_twice(at.now_ms, Q, ORIGIN, true);
        first == Some(Order::Prune { link: Q, origin: ORIGIN })
            && at.tree.came_twice(at.now_ms, Q, ORIGIN, true).is_none()
            && at.tree.came_twice(at.now_ms, P, ORIGIN, true).is_none()
    });
}

#[test]
fn two_nodes_do_not_feed_each_other() {
    depends_on(&["who is fed is no source"], || {
        let mut at = At::fed_by_p();
        at.tree.feeds(P, ORIGIN);
        at.says(Q, ORIGIN, 31, 30);
        at.wait(0) == [graft(Q, ORIGIN, 30)]
    });
}

#[test]
fn a_source_is_one_for_as_long_as_its_link() {
    depends_on(&["sources are per connection"], || {
        let mut at = At::fed_by_p();
        at.tree.link_down(at.now_ms, P);
        at.says(Q, ORIGIN, 31, 30);
        at.wait(0) == [graft(Q, ORIGIN, 30)]
    });
}

#[test]
fn who_feeds_anew_has_forgotten_what_it_was_told() {
    let mut at = At::fed_by_p();
    at.tree.came_twice(at.now_ms, Q, ORIGIN, true);
    at.tree.refused(Q);
    at.data(Q, ORIGIN, 31);
    assert_eq!(at.tree.source(ORIGIN), Some(Q));
}

/// What comes from the old source after another one was grafted was on its way: next time it is awaited.
#[test]
fn a_source_that_was_only_late_is_given_more_time() {
    depends_on(&["a source that was only late is given more time"], || {
        let mut at = At::fed_by_p();
        at.says(Q, ORIGIN, 31, 30);
        at.wait(10);
        at.now_ms += 20;
        at.data(Q, ORIGIN, 31);
        at.now_ms += 60;
        at.tree.came_twice(at.now_ms, P, ORIGIN, true);
        at.patience().unwrap() > 80
    });
}

#[test]
fn a_source_that_is_often_late_is_given_more_time() {
    let mut at = At::fed_by_p();
    for seq in 31..=60 {
        at.says(R, ORIGIN, seq, seq - 1);
        at.now_ms += if seq % 2 == 0 { 3 } else { 4 };
        at.data(P, ORIGIN, seq);
    }
    let patience = at.patience().unwrap();
    assert!((10..=30).contains(&patience), "{patience} ms");
}

/// Announced by `Q`, and so much later here; then on time, 50 times in a second, for so long.
fn stalled_once(at: &mut At, late_ms: u64, then_ms: u64) {
    at.says(Q, ORIGIN, 31, 30);
    at.now_ms += late_ms;
    at.data(P, ORIGIN, 31);
    for seq in 32..32 + then_ms / 20 {
        at.now_ms += 20;
        at.data(P, ORIGIN, seq);
    }
}

/// One stall in some hundred deliveries shows neither in their mean nor in how much they vary.
#[test]
fn the_next_stall_of_a_source_is_awaited_as_long_as_the_last_one() {
    depends_on(&["a source that stalls now and then is awaited"], || {
        let mut at = At::fed_by_p();
        stalled_once(&mut at, 100, 9_000);
        let patience = at.patience().unwrap();
        (100..130).contains(&patience)
    });
}

#[test]
fn a_stall_is_not_remembered_for_ever() {
    depends_on(&["what was late once is forgotten in time"], || {
        let mut at = At::fed_by_p();
        stalled_once(&mut at, 100, 20_000);
        at.patience() == Some(10)
    });
}

/// A source that was away for longer than any patience will not be awaited for longer when it fails again.
#[test]
fn a_failure_is_no_stall() {
    let mut at = At::fed_by_p();
    stalled_once(&mut at, 400, 5_000);
    assert_eq!(at.patience(), Some(10));
}
