//! Who is at the other end.

use millpond_core::transport::DialError;

use crate::Broken;
use crate::broken::ensure;
use crate::nodes::Suite;

/// Each end knows the key of the other, who dialled, and an address to show.
pub(crate) async fn each_end_knows_its_peer(suite: &Suite) -> Result<(), Broken> {
    let pair = suite.linked().await?;
    ensure!(
        pair.dialed.peer() == pair.acceptor.key,
        "the dialler sees another key than the acceptor's"
    );
    ensure!(
        pair.accepted.peer() == pair.dialer.key,
        "the acceptor sees another key than the dialler's"
    );
    ensure!(pair.dialed.dialed(), "the dialler's end says that it was accepted");
    ensure!(!pair.accepted.dialed(), "the acceptor's end says that it was dialled");
    let shown = pair.dialed.remote_address();
    let address = pair.acceptor.address();
    ensure!(shown == address, "the dialler shows {shown:?} for the peer at {address:?}");
    let (dialed, accepted) = (pair.dialed.transport(), pair.accepted.transport());
    ensure!(dialed == accepted, "one end is {dialed:?}, and the other {accepted:?}");
    ensure!(!dialed.is_empty(), "the link does not say what it is");
    ensure!(
        !pair.accepted.remote_address().is_empty(),
        "the acceptor shows no address of its peer"
    );
    suite.carries(&*pair.dialed, &*pair.accepted).await
}

/// Whoever answers with another key than the expected one is no link, and the one who answered goes on.
pub(crate) async fn a_wrong_key_is_refused(suite: &Suite) -> Result<(), Broken> {
    let (dialer, acceptor, other) = (suite.node().await?, suite.node().await?, suite.node().await?);
    let address = acceptor.address();
    match suite.dial_in_vain(&dialer, &address, other.key).await? {
        DialError::WrongKey { address: named, expected, .. } => {
            ensure!(named == address, "the error names {named:?} where {address:?} was dialled");
            ensure!(expected == other.key, "the error names another key than the expected one");
        }
        error => return Err(Broken::new(format!("a wrong key is reported as: {error}"))),
    }
    let dialed = suite.dial(&dialer, &acceptor).await?;
    let accepted = suite.within("finding the good link", async {
        loop {
            let accepted = suite.accept(&acceptor).await?;
            ensure!(accepted.peer() == dialer.key, "a link came from nobody");
            // The refused one may have been taken for a link until its end came.
            if suite.carries(&*dialed, &*accepted).await.is_ok() {
                return Ok(());
            }
        }
    });
    accepted.await?
}

/// What is no address is told apart from what does not answer.
pub(crate) async fn text_that_is_no_address_is_refused(suite: &Suite) -> Result<(), Broken> {
    let node = suite.node().await?;
    for text in ["", "no address\n", "\0"] {
        match suite.dial_in_vain(&node, text, node.key).await? {
            DialError::Address { address, .. } => {
                ensure!(address == text, "the error names {address:?} where {text:?} was dialled");
            }
            error => {
                return Err(Broken::new(format!("the address {text:?} is reported as: {error}")));
            }
        }
    }
    Ok(())
}

/// Where nobody listens a dial ends with [`DialError::Unreachable`].
pub(crate) async fn an_address_where_nobody_is_is_unreachable(suite: &Suite) -> Result<(), Broken> {
    let (dialer, gone) = (suite.node().await?, suite.node().await?);
    let (address, key) = (gone.address(), gone.key);
    suite.within("closing", gone.transport.close()).await?;
    drop(gone);
    let error = suite.dial_in_vain(&dialer, &address, key).await?;
    ensure!(
        matches!(error, DialError::Unreachable { .. }),
        "an address without anybody is reported as: {error}"
    );
    Ok(())
}
