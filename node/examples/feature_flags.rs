//! Feature flags for a fleet: an operator's two consoles write, the servers only read, each from its own memory.
//! A server that is cut off goes on with what it knows; a kill switch wins over whoever switches on at that moment.

use std::time::Duration;

use millpond::records::RecordError;
use millpond::{
    Bookmark, Collection, DisableWins, Flag, InviteOptions, Record, Replica, Role, Set, WriteTx,
};

#[derive(Debug, Default, Record)]
struct Feature {
    #[millpond(key)]
    name: String,
    /// Off wins over an on that has not seen it, whatever the clocks do. A `bool` would follow the later stamp.
    is_on: Flag<DisableWins>,
    /// For these alone; for everybody if there is none.
    regions: Set<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let console = Replica::builder_in_memory().name("console").open().await?;
    let on_call = join(&console, "on-call", Role::Writer).await?;
    let mut fleet = Vec::new();
    for region in ["eu", "us", "ap"] {
        fleet.push((region, join(&console, region, Role::Reader).await?));
    }

    let checkout = Feature {
        name: "checkout".into(),
        is_on: Flag::new(true),
        regions: ["eu".to_owned(), "us".to_owned()].into(),
    };
    let ((), receipt) = console.write(move |tx| tx.store(&checkout)).await?;
    for (region, server) in &fleet {
        server.at_least(&receipt.bookmark(), SOON).await?;
        assert_eq!(is_enabled(server, "checkout", region)?, *region != "ap");
    }
    // Servers read, and that is all.
    let refused = fleet[0].1.write(|tx| tx.store(&Feature::default())).await;
    println!("a server that writes: {}", refused.expect_err("a reader may not write"));

    // The consoles lose each other, and disagree: one rolls out further, the other one sees errors.
    on_call.pause(None).await;
    let wider = set(&console, |feature| {
        feature.is_on.set(true);
        feature.regions.insert("ap");
    });
    let wider = wider.await?;
    let killed = set(&on_call, |feature| feature.is_on.set(false)).await?;
    let (_, server) = &fleet[2];
    server.at_least(&wider, SOON).await?;
    assert!(is_enabled(server, "checkout", "ap")?, "it has not heard of the kill switch");

    on_call.resume(None).await;
    for (region, server) in &fleet {
        server.at_least(&killed, SOON).await?;
        assert!(!is_enabled(server, "checkout", region)?, "{region}: off wins");
    }
    // Switched on by somebody who knows that it was off, it is on, and where it was rolled out to meanwhile.
    console.at_least(&killed, SOON).await?;
    let mended = set(&console, |feature| feature.is_on.set(true)).await?;
    for (region, server) in &fleet {
        server.at_least(&mended, SOON).await?;
        assert!(is_enabled(server, "checkout", region)?);
        println!("{region}: checkout is on");
    }

    for (_, server) in &fleet {
        server.close().await;
    }
    on_call.close().await;
    console.close().await;
    Ok(())
}

/// What a server asks on each request: a read from memory, which never waits for anybody.
fn is_enabled(server: &Replica, feature: &str, region: &str) -> Result<bool, RecordError> {
    let feature = Collection::<Feature>::new(server.read()?).get(feature)?;
    Ok(feature.is_some_and(|feature| {
        let is_meant = feature.regions.is_empty() || feature.regions.contains(&region.to_owned());
        feature.is_on.is_on() && is_meant
    }))
}

async fn set(
    console: &Replica,
    change: impl FnOnce(&mut FeatureEdit<'_>) + Send + 'static,
) -> Result<Bookmark, RecordError> {
    let edit = |tx: &mut WriteTx<'_>| tx.edit::<Feature, _>("checkout", change);
    let ((), receipt) = console.write(edit).await?;
    Ok(receipt.bookmark())
}

async fn join(
    console: &Replica,
    name: &str,
    role: Role,
) -> Result<Replica, Box<dyn std::error::Error>> {
    let mut options = InviteOptions::default();
    options.role = role;
    let invite = console.invite(options).await?;
    let replica = Replica::builder_in_memory().name(name).join(invite).open().await?;
    replica.joined().await?;
    Ok(replica)
}

const SOON: Duration = Duration::from_secs(30);
