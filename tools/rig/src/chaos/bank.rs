//! Transfers between accounts that everybody writes: counters, from zero, so that at each node and at any time all of
//! them add up to zero.

use serde_json::{Value, json};

use crate::random::Random;

/// A transfer, as one transaction.
pub(super) fn transfer(random: &mut Random) -> [Value; 2] {
    let amount = 1 + random.below(50) as i64;
    let from = random.below(ACCOUNTS_COUNT);
    let to = (from + 1 + random.below(ACCOUNTS_COUNT - 1)) % ACCOUNTS_COUNT;
    [(from, -amount), (to, amount)].map(|(account, delta)| {
        json!({
            "op": "count", "collection": ACCOUNTS, "key": format!("{KEY}-{account}"), "field": "n",
            "delta": delta,
        })
    })
}

/// Whether all accounts add up to zero; each is the field of a record.
pub(super) fn audit<'a>(accounts: impl IntoIterator<Item = &'a Value>) -> Result<(), String> {
    let balances: Vec<i64> =
        accounts.into_iter().map(|fields| fields["n"].as_i64().unwrap_or(0)).collect();
    match balances.iter().sum::<i64>() {
        0 => Ok(()),
        sum => Err(format!("{} accounts add up to {sum}: {balances:?}", balances.len())),
    }
}

pub(super) const ACCOUNTS: &str = "accounts";
/// What all keys begin with, so that one page holds all accounts.
pub(super) const KEY: &str = "a";
const ACCOUNTS_COUNT: u64 = 40;
