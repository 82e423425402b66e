//! What every node must show in the end.

use std::collections::BTreeMap;

use serde_json::Value;

use super::bank::{self, ACCOUNTS};
use super::writer::{OWN, SHARED, SHARED_GROUPS, SHARED_MEMBERS, TALLIES, TOTAL, Written};

/// The records of a node: collection and key, and the fields.
pub(super) type Held = BTreeMap<(String, String), Value>;

/// What is wrong with what a node holds, in words.
pub(super) fn faults(mut held: Held, written: &[Written]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut take = |collection: &str, key: String| held.remove(&(collection.to_owned(), key));
    for (key, own) in written.iter().flat_map(|it| &it.own) {
        let shown: Vec<Option<u64>> = (0..own.members)
            .map(|member| take(OWN, format!("{key}-{member}")).and_then(|it| it["n"].as_u64()))
            .collect();
        if shown.iter().any(|it| *it != shown[0]) {
            faults.push(format!("half of a transaction: {OWN}/{key} shows {shown:?}"));
        } else if !own.may_show.contains(&shown[0]) {
            let what = match (shown[0], &own.may_show[..]) {
                (None, _) => "lost",
                (Some(_), [None]) => "returned",
                _ => "wrong",
            };
            let [shown, may_show] = [format!("{:?}", shown[0]), format!("{:?}", own.may_show)];
            faults.push(format!("{what}: {OWN}/{key} shows {shown}, not one of {may_show}"));
        }
    }
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for (key, tally) in written.iter().flat_map(|it| &it.tallies) {
        let number = key.split('-').next().unwrap_or_default();
        let sum = sums.entry(number.to_owned()).or_default();
        let shown = take(TALLIES, key.clone());
        match &shown {
            Some(fields) if fields["delta"].as_i64() == Some(tally.delta) => *sum += tally.delta,
            None if !tally.is_answered => {}
            None => faults.push(format!("lost: {TALLIES}/{key}, which adds {}", tally.delta)),
            Some(fields) => faults.push(format!("wrong: {TALLIES}/{key} shows {fields}")),
        }
    }
    for (number, sum) in sums {
        let total = take(TALLIES, format!("{number}-{TOTAL}"));
        let total = total.and_then(|fields| fields["n"].as_i64()).unwrap_or(0);
        if total != sum {
            faults.push(format!("the counter of tally {number} is {total}, its records are {sum}"));
        }
    }
    for group in 0..SHARED_GROUPS {
        let shown: Vec<Option<u64>> = (0..SHARED_MEMBERS)
            .map(|member| take(SHARED, format!("{group}-{member}")).and_then(|it| it["n"].as_u64()))
            .collect();
        if shown.iter().any(|it| *it != shown[0]) {
            faults.push(format!("half of a transaction: {SHARED}/{group} shows {shown:?}"));
        }
    }
    let is_account = |(collection, _): &(String, String)| collection == ACCOUNTS;
    if let Err(shown) = bank::audit(held.iter().filter(|(at, _)| is_account(at)).map(|it| it.1)) {
        faults.push(format!("half of a transaction: {shown}"));
    }
    held.retain(|at, _| !is_account(at));
    faults.extend(held.into_iter().map(|((collection, key), fields)| {
        format!("made up, or returned under a key that was left: {collection}/{key} shows {fields}")
    }));
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::writer::{Own, Tally};
    use super::*;

    fn written() -> Written {
        let own = |members, may_show: &[Option<u64>]| Own { members, may_show: may_show.to_vec() };
        let tally = |delta, is_answered| Tally { delta, is_answered };
        Written {
            own: [
                ("0-0".into(), own(3, &[Some(7)])),
                ("0-1".into(), own(1, &[None])),
                ("0-2".into(), own(1, &[Some(1), None])),
            ]
            .into(),
            tallies: [("4-0-9".into(), tally(5, true)), ("4-0-10".into(), tally(-2, false))].into(),
        }
    }

    fn held(records: &[(&str, &str, Value)]) -> Held {
        let record = |(collection, key, fields): &(&str, &str, Value)| {
            ((collection.to_string(), key.to_string()), fields.clone())
        };
        records.iter().map(record).collect()
    }

    fn whole() -> Vec<(&'static str, &'static str, Value)> {
        vec![
            ("own", "0-0-0", json!({"n": 7})),
            ("own", "0-0-1", json!({"n": 7})),
            ("own", "0-0-2", json!({"n": 7})),
            ("own", "0-2-0", json!({"n": 1})),
            ("tallies", "4-0-9", json!({"delta": 5})),
            ("tallies", "4-total", json!({"n": 5})),
            ("accounts", "a-1", json!({"n": -7})),
            ("accounts", "a-2", json!({"n": 7})),
        ]
    }

    fn faults_with(change: impl Fn(&mut Vec<(&'static str, &'static str, Value)>)) -> Vec<String> {
        let mut records = whole();
        change(&mut records);
        faults(held(&records), &[written()])
    }

    #[test]
    fn what_was_acknowledged_and_either_end_of_what_was_not_is_right() {
        assert_eq!(faults_with(|_| {}), [""; 0]);
        assert_eq!(faults_with(|it| drop(it.remove(3))), [""; 0], "a delete nobody answered");
        let late = |it: &mut Vec<_>| {
            it.push(("tallies", "4-0-10", json!({"delta": -2})));
            it[5].2 = json!({"n": 3});
        };
        assert_eq!(faults_with(late), [""; 0]);
    }

    #[test]
    fn what_is_lost_returned_half_or_made_up_is_said() {
        let one = |change: fn(&mut Vec<(&'static str, &'static str, Value)>), word: &str| {
            let faults = faults_with(change);
            assert!(faults.len() == 1 && faults[0].contains(word), "{faults:?}");
        };
        one(|it| drop(it.drain(0..3)), "lost: own/0-0");
        one(|it| drop(it.remove(1)), "half of a transaction: own/0-0");
        one(|it| it.push(("own", "0-1-0", json!({"n": 3}))), "returned: own/0-1");
        one(|it| it.push(("own", "0-9-0", json!({"n": 3}))), "made up");
        one(|it| it[5].2 = json!({"n": 3}), "counter of tally 4 is 3");
        one(|it| it.push(("shared", "0-0", json!({"n": 3}))), "half of a transaction: shared/0");
        one(|it| it[7].2 = json!({"n": 8}), "2 accounts add up to 1");
        let lost = faults_with(|it| drop(it.drain(4..6)));
        assert!(lost.len() == 1 && lost[0].contains("lost: tallies/4-0-9"), "{lost:?}");
    }
}
