//! The rules of PostgreSQL's `synchronous_standby_names`, row by row. A standby is `name` while it is connected and
//! has not acknowledged, `name+` once it has, `-name` while it is not connected, `-name+` if it had acknowledged
//! before. Where ours differ, the row says so: PostgreSQL has no acks of standbys that are away, and we keep what
//! has been acknowledged, since the copy is there.

use millpond_core::NodeKey;

use super::{Concern, Other};
use crate::planted::without;

/// Standbys, what is asked for, and whether the commit returns.
const TABLE: &[(&str, &str, bool)] = &[
    // FIRST 1: the first one that is connected, and no other.
    ("a b c", "first:1:a,b,c", false),
    ("a+ b c", "first:1:a,b,c", true),
    ("a b+ c+", "first:1:a,b,c", false),
    ("-a b+ c", "first:1:a,b,c", true),
    ("-a b c+", "first:1:a,b,c", false),
    ("-a -b c+", "first:1:a,b,c", true),
    // An earlier one that comes back takes its place again.
    ("a b+", "first:1:a,b", false),
    // FIRST 2 of three: the third is a stand-in.
    ("a+ b c+", "first:2:a,b,c", false),
    ("a+ b+ c", "first:2:a,b,c", true),
    ("a+ -b c+", "first:2:a,b,c", true),
    ("a+ -b c", "first:2:a,b,c", false),
    // Too few are connected: it waits.
    ("a+ -b -c", "first:2:a,b,c", false),
    ("-a -b -c", "first:1:a,b,c", false),
    // The order is that of the list, not that of the standbys.
    ("a+ b", "first:1:b,a", false),
    ("a b+", "first:1:b,a", true),
    // Who is not in the list is asynchronous.
    ("a b x+", "first:1:a,b", false),
    ("x+ y+", "first:1:a,b", false),
    // An ack of one that is away is none: the next one is waited for.
    ("-a+ b", "first:1:a,b", false),
    ("-a+ b+", "first:1:a,b", true),
    // `*` is any.
    ("x+", "first:1:*", true),
    ("a x+", "first:1:a,*", false),
    ("-a x+", "first:1:a,*", true),
    // Standbys of one name stand in its place, all of them.
    ("a+ a+ b", "first:2:a,b", true),
    ("a+ a b+", "first:2:a,b", false),
    // One name twice is one place.
    ("a+ b", "first:2:a,a,b", false),
    ("a+ b+", "first:2:a,a,b", true),
    // ANY 1: whichever is quickest.
    ("a b c", "any:1:a,b,c", false),
    ("a b c+", "any:1:a,b,c", true),
    ("-a -b c+", "any:1:a,b,c", true),
    // ANY 2.
    ("a+ b c", "any:2:a,b,c", false),
    ("a+ b c+", "any:2:a,b,c", true),
    ("-a b+ c+", "any:2:a,b,c", true),
    ("-a -b c+", "any:2:a,b,c", false),
    // Who is not in the list does not count.
    ("a x+ y+", "any:1:a,b", false),
    ("x+", "any:1:*", true),
    // One name twice is one standby.
    ("a+ b", "any:2:a,a", false),
    // Ours: what was acknowledged is there, whether or not its holder is linked now.
    ("-a+ b", "any:1:a,b", true),
    // None is asked for.
    ("a b", "any:0:a,b", true),
    ("a b", "first:0:a,b", true),
];

fn is_met(standbys: &str, concern: &str) -> bool {
    let others: Vec<Other<'_>> = standbys
        .split(' ')
        .enumerate()
        .map(|(number, text)| Other {
            key: NodeKey::from_bytes([number as u8 + 1; 32]),
            name: text.trim_start_matches('-').trim_end_matches('+'),
            counts: true,
            is_linked: !text.starts_with('-'),
            is_voter: true,
            has_acked: text.ends_with('+'),
        })
        .collect();
    concern.parse::<Concern>().unwrap().is_met(&others, others.len() + 1, true)
}

fn wrong_rows() -> Vec<String> {
    let wrong = TABLE.iter().filter(|(standbys, concern, met)| is_met(standbys, concern) != *met);
    wrong.map(|(standbys, concern, met)| format!("{concern} of {standbys}: {met}")).collect()
}

#[test]
fn first_and_any_are_postgresqls() {
    assert_eq!(wrong_rows(), Vec::<String>::new());
}

#[test]
fn the_table_notices_what_is_taken_out() {
    let anybody = without(&["first is of those linked"], wrong_rows);
    let too_few = without(&["too few that are linked are waited for"], wrong_rows);
    assert!(!anybody.is_empty() && !too_few.is_empty(), "{anybody:?}, {too_few:?}");
}

/// Delayed replicas, and members that have yet to catch up, are evicted or fenced.
#[test]
fn who_does_not_count_is_not_counted() {
    let met = || {
        let other = Other {
            key: NodeKey::from_bytes([1; 32]),
            name: "a",
            counts: false,
            is_linked: true,
            is_voter: true,
            has_acked: true,
        };
        ["replicas:1", "first:1:a", "any:1:a", "majority", "all"]
            .map(|concern| concern.parse::<Concern>().unwrap().is_met(&[other], 2, true))
    };
    assert_eq!(met(), [false; 5]);
    let without = without(&["who does not count is not counted"], met);
    assert_eq!(
        without,
        [true, false, true, true, true],
        "the first are chosen of those that count"
    );
}
