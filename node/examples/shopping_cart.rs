//! One cart, two shop servers that cannot reach each other for a while, and a customer whose requests go to both.
//! The types of the fields decide what becomes of it; one field asks a person.

use std::time::Duration;

use millpond::records::RecordError;
use millpond::{
    Bookmark, Collection, Counter, InviteOptions, Map, Multi, Record, Replica, Set, WriteTx,
};

#[derive(Debug, Default, PartialEq, Record)]
struct Cart {
    #[millpond(key)]
    customer: String,
    /// How many of each: additions sum up, and no click is lost.
    items: Map<String, Counter>,
    /// An element is added or removed for itself; an add wins over a removal that has not seen it.
    coupons: Set<String>,
    /// Where to send it: of two addresses written at once neither is thrown away.
    address: Multi<String>,
    /// The last one typed is as good as any: of two written at once the later shows.
    remark: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let east = Replica::builder_in_memory().name("east").open().await?;
    let invite = east.invite(InviteOptions::default()).await?;
    let west = Replica::builder_in_memory().name("west").join(invite).open().await?;

    let cart = Cart {
        customer: "cleo".into(),
        items: [("tea".to_owned(), Counter::new(1))].into_iter().collect(),
        coupons: ["SPRING".to_owned()].into(),
        address: Multi::new("1 Mill Lane".into()),
        ..Cart::default()
    };
    let ((), receipt) = east.write(move |tx| tx.store(&cart)).await?;
    west.at_least(&receipt.bookmark(), SOON).await?;

    // The link is cut, and both take orders.
    east.pause(None).await;
    let east_seen = edit(&east, |cart| {
        add(cart, "tea", 2);
        cart.coupons.remove("SPRING");
        cart.address.set("2 Pond Road");
    });
    let west_seen = edit(&west, |cart| {
        add(cart, "tea", 1);
        add(cart, "jam", 1);
        cart.coupons.insert("SPRING"); // again, not knowing that the other side takes it away
        cart.address.set("3 Weir Street");
        cart.remark.set("ring twice");
    });
    let (east_seen, west_seen) = (east_seen.await?, west_seen.await?);
    assert_eq!(cart_of(&east)?.items.get("tea"), Some(&Counter::new(3)));
    assert_eq!(cart_of(&west)?.items.get("tea"), Some(&Counter::new(2)));

    // It is back: both come to the same, and to all of it.
    east.resume(None).await;
    west.at_least(&east_seen, SOON).await?;
    east.at_least(&west_seen, SOON).await?;
    let cart = cart_of(&east)?;
    assert_eq!(cart, cart_of(&west)?);
    assert_eq!(cart.items.get("tea"), Some(&Counter::new(4)), "1, and 2, and 1");
    assert_eq!(cart.items.get("jam"), Some(&Counter::new(1)));
    assert!(cart.coupons.contains("SPRING"), "the add had not been seen by who removed");
    assert_eq!(cart.remark, "ring twice");
    assert!(cart.address.is_conflict());
    println!("merged: {cart:#?}");

    // A person chooses. Whoever writes has seen both, so one is left, everywhere.
    let choice = cart.address.values()[0].clone();
    let chosen = edit(&west, move |cart| cart.address.set(choice)).await?;
    east.at_least(&chosen, SOON).await?;
    assert_eq!(cart_of(&east)?.address.values(), &cart.address.values()[..1]);

    west.close().await;
    east.close().await;
    Ok(())
}

/// Changes the cart, and tells what a replica must have seen to show that.
async fn edit(
    shop: &Replica,
    change: impl FnOnce(&mut CartEdit<'_>) + Send + 'static,
) -> Result<Bookmark, RecordError> {
    let ((), receipt) =
        shop.write(|tx: &mut WriteTx<'_>| tx.edit::<Cart, _>("cleo", change)).await?;
    Ok(receipt.bookmark())
}

fn add(cart: &mut CartEdit<'_>, item: &str, count: i64) {
    if let Some(mut item) = cart.items.entry(item) {
        item.add(count);
    }
}

fn cart_of(shop: &Replica) -> Result<Cart, RecordError> {
    Ok(Collection::<Cart>::new(shop.read()?).get("cleo")?.expect("it was stored"))
}

const SOON: Duration = Duration::from_secs(30);
