//! Transfers at three branches, at once. A transaction is visible whole or not at all, on every replica: however
//! often anybody adds up all accounts, anywhere, the sum is the same.
//!
//! What it cannot do: a branch knows what it has seen, and two of them can each pay out the last coin. Balances
//! may go below zero when branches are slow to hear of each other; the sum never changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millpond::records::RecordError;
use millpond::{Bookmark, Collection, Counter, InviteOptions, Keys, Record, Replica, WriteError};

#[derive(Debug, Default, Record)]
struct Account {
    #[millpond(key)]
    number: u32,
    balance: Counter, // what several branches add and take at once sums up
}

/// The transaction's own errors. Only `From<WriteError>` is needed; `RecordError` is for `?` on records.
#[derive(Debug, thiserror::Error)]
enum TransferError {
    #[error("account {0} has too little")]
    TooLittle(u32),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Takes from one account and gives to another; or fails, and then nothing has happened.
async fn transfer(
    db: &Replica,
    from: u32,
    to: u32,
    amount: i64,
) -> Result<Bookmark, TransferError> {
    let transaction = db.write(move |tx| {
        tx.edit::<Account, _>(from, |account| account.balance.add(-amount))?;
        tx.edit::<Account, _>(to, |account| account.balance.add(amount))?;
        // It reads what it wrote. Failing this late undoes both.
        let left = tx.load::<Account>(from)?.map_or(0, |account| account.balance.value());
        if left < 0 { Err(TransferError::TooLittle(from)) } else { Ok(()) }
    });
    let ((), receipt) = transaction.await?;
    Ok(receipt.bookmark())
}

fn sum(db: &Replica) -> Result<i128, RecordError> {
    let accounts = Collection::<Account>::new(db.read()?).list(&Keys::all())?;
    Ok(accounts.iter().map(|account| account.balance.value()).sum())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut branches = vec![Replica::builder_in_memory().name("branch-0").open().await?];
    let opening = branches[0].write(|tx| {
        (0..ACCOUNTS)
            .try_for_each(|number| tx.store(&Account { number, balance: Counter::new(100) }))
    });
    let ((), opened) = opening.await?;
    for number in 1..3 {
        let invite = branches[0].invite(InviteOptions::default()).await?;
        let branch = Replica::builder_in_memory().name(format!("branch-{number}")).join(invite);
        let branch = branch.open().await?;
        branch.at_least(&opened.bookmark(), SOON).await?;
        branches.push(branch);
    }

    let is_over = Arc::new(AtomicBool::new(false));
    let mut auditors = Vec::new();
    let mut tellers = Vec::new();
    for (number, branch) in (0..).zip(&branches) {
        let (db, is_over) = (branch.clone(), is_over.clone());
        auditors.push(tokio::task::spawn_blocking(move || {
            let mut audits = 0;
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(sum(&db).expect("a readable store"), TOTAL, "money came or went");
                audits += 1;
            }
            audits
        }));
        tellers.push(tokio::spawn(work(branch.clone(), number)));
    }
    let mut seen = Bookmark::default();
    for teller in tellers {
        seen.join(&teller.await??);
    }
    let refused = transfer(&branches[0], 0, 1, 1_000_000).await;
    assert!(matches!(refused, Err(TransferError::TooLittle(0))), "{refused:?}");

    // All branches have seen all transfers, and agree on every account.
    for branch in &branches {
        branch.at_least(&seen, SOON).await?;
        assert_eq!(branch.seal().await?, branches[0].seal().await?);
    }
    is_over.store(true, Ordering::Relaxed);
    for auditor in auditors {
        println!("{} audits, and each time the sum was {TOTAL}", auditor.await?);
    }
    for branch in &branches {
        branch.close().await;
    }
    Ok(())
}

/// One branch's transfers, around all accounts.
async fn work(db: Replica, branch: u32) -> Result<Bookmark, TransferError> {
    let mut seen = Bookmark::default();
    for round in 0..100 {
        let (from, to) = ((branch + round) % ACCOUNTS, (branch + 3 * round + 1) % ACCOUNTS);
        match transfer(&db, from, to, 7).await {
            Ok(bookmark) => seen.join(&bookmark),
            Err(TransferError::TooLittle(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(seen)
}

const ACCOUNTS: u32 = 10;
const TOTAL: i128 = 1_000;
const SOON: Duration = Duration::from_secs(30);
