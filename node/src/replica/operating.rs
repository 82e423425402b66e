//! What an operator does with a running replica.

use std::time::{SystemTime, UNIX_EPOCH};

use millpond_core::{NodeKey, Path};

use super::Replica;
use super::errors::{DelayError, InviteError, JoinError, PromoteError, ReleaseError};
use crate::folder;
use crate::membership::{Invite, InviteOptions, IssuedInvite, PendingMember};
use crate::replication::{Answer, DelayOrder, Request};
use crate::state::WriteError;
use crate::status::{RefreshError, RefreshReport, Survey, VerifyReport};
use crate::topology::settings::{Topology, TopologyError};

impl Replica {
    /// Issues an invite, to be redeemed at this node: once, or as often as the options say, each time by another
    /// node. Each use is on disk before the role is.
    ///
    /// # Errors
    /// [`InviteError`] when this node is no admin, or the invite cannot be recorded.
    pub async fn invite(&self, options: InviteOptions) -> Result<Invite, InviteError> {
        let request = Request::Invite { options, secret: folder::random() };
        match self.inner.engine.ask(request).await {
            Some(Answer::Invite(invite)) => invite,
            _ => Err(InviteError::Closed),
        }
    }

    /// The invites that this node has issued, until a day after they expired; those that expire first stand first. A
    /// closed replica knows of none.
    pub async fn invites(&self) -> Vec<IssuedInvite> {
        match self.inner.engine.ask(Request::Invites).await {
            Some(Answer::Invites(invites)) => invites,
            _ => Vec::new(),
        }
    }

    /// Lets a node in that waits for it: who came with an invite of [`InviteOptions::needs_approval`] has no rights
    /// before. It is named by the three words that it shows too (compare them by another way than the network), or by
    /// its key or the first 8 digits of that. It is a member some seconds later, when it asks again. Who waits,
    /// [`Status::pending`](crate::status::Status::pending) says.
    ///
    /// # Errors
    /// [`InviteError::NobodyWaits`], or any other [`InviteError`].
    pub async fn approve(&self, who: &str) -> Result<PendingMember, InviteError> {
        self.decide(who, true).await
    }

    /// Refuses a node that waits to be approved: it does not come in by that invite, which it does not use up.
    ///
    /// # Errors
    /// As [`Replica::approve`].
    pub async fn deny(&self, who: &str) -> Result<PendingMember, InviteError> {
        self.decide(who, false).await
    }

    async fn decide(&self, who: &str, is_approved: bool) -> Result<PendingMember, InviteError> {
        let request = Request::Decide { who: who.into(), is_approved };
        match self.inner.engine.ask(request).await {
            Some(Answer::Decided(decided)) => decided,
            _ => Err(InviteError::Closed),
        }
    }

    /// Revokes an invite of this node's, named by the first 8 digits of its id, or more, or by its text: nobody joins
    /// with it any more. Who has joined stays.
    ///
    /// # Errors
    /// [`InviteError::NoInvite`], or that it cannot be recorded: it is revoked then until this node's next start.
    pub async fn revoke_invite(&self, invite: &str) -> Result<IssuedInvite, InviteError> {
        match self.inner.engine.ask(Request::RevokeInvite(invite.into())).await {
            Some(Answer::InviteRevoked(revoked)) => revoked,
            _ => Err(InviteError::Closed),
        }
    }

    /// Redeems an invite while the replica runs, and returns once that is on disk; [`Replica::joined`] waits until it
    /// is a member. For a replica that has joined nothing yet, or founded a domain in which nothing was ever written
    /// and nobody else is: that one it leaves for good, its recovery key and its invites with it. Meanwhile it takes no
    /// writes. A restart goes on with it.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use millpond::{InviteOptions, Replica};
    ///
    /// let anna = Replica::builder_in_memory().open().await?;
    /// let ben = Replica::builder_in_memory().open().await?;
    /// ben.join(anna.invite(InviteOptions::default()).await?).await?;
    /// ben.joined().await?;
    /// # ben.close().await;
    /// # anna.close().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`JoinError::OtherDomain`] where something could be lost, and any other [`JoinError`]; then nothing has changed.
    pub async fn join(&self, invite: Invite) -> Result<(), JoinError> {
        let domain = invite.domain();
        match self.inner.engine.ask(Request::Join(invite)).await {
            Some(Answer::Joining(joining)) => joining?,
            _ => return Err(JoinError::Closed),
        }
        self.inner.keys.enter(domain);
        #[cfg(feature = "backup")]
        if let Some(backups) = &self.inner.backups {
            backups.enter(domain);
        }
        Ok(())
    }

    /// Makes a member the primary, which alone takes writes; the others are its backups, and refuse them with
    /// [`WriteError::NotPrimary`]. `None` ends that: everybody writes whose role allows it. It is recorded in the
    /// domain and holds from each node's next commit on, restarts included; of promotions at once the later one
    /// holds everywhere. What a former primary wrote and nobody has yet is merged when it returns.
    ///
    /// # Errors
    /// Any [`PromoteError`]; then nothing has changed.
    pub async fn promote(&self, primary: Option<NodeKey>) -> Result<(), PromoteError> {
        match self.inner.engine.ask(Request::Promote(primary)).await {
            Some(Answer::Promoted(promoted)) => promoted,
            _ => Err(PromoteError::Closed),
        }
    }

    /// Stops a delayed replica from showing more, until [`Replica::resume_delay`]. It goes on receiving.
    ///
    /// # Errors
    /// Any [`DelayError`].
    pub async fn pause_delay(&self) -> Result<(), DelayError> {
        self.order_delay(DelayOrder::Pause).await
    }

    /// Lets a delayed replica show again whatever is old enough.
    ///
    /// # Errors
    /// Any [`DelayError`].
    pub async fn resume_delay(&self) -> Result<(), DelayError> {
        self.order_delay(DelayOrder::Resume).await
    }

    /// Lets a delayed replica show, soon, exactly what had arrived by a moment on its wall clock, and then
    /// pauses it.
    ///
    /// # Errors
    /// Any [`DelayError`].
    pub async fn apply_until(&self, moment: SystemTime) -> Result<(), DelayError> {
        let since = moment.duration_since(UNIX_EPOCH).map_err(|_| DelayError::Past)?;
        self.order_delay(DelayOrder::ApplyUntil(since.as_millis() as u64)).await
    }

    /// Ends the delay: this replica shows all that it has received, and takes writes. It stays so until it is
    /// opened without [`Config::apply_after`](crate::Config::apply_after).
    ///
    /// # Errors
    /// Any [`DelayError`].
    pub async fn end_delay(&self) -> Result<(), DelayError> {
        self.order_delay(DelayOrder::Promote).await
    }

    async fn order_delay(&self, order: DelayOrder) -> Result<(), DelayError> {
        match self.inner.engine.ask(Request::Delay(order)).await {
            Some(Answer::Delay(ordered)) => ordered,
            _ => Err(DelayError::Closed),
        }
    }

    /// Closes the links to a peer, or to all, and keeps them closed until [`Replica::resume`]. Writes go on.
    pub async fn pause(&self, peer: Option<NodeKey>) {
        self.inner.engine.ask(Request::Pause(peer)).await;
    }

    /// Takes back [`Replica::pause`].
    pub async fn resume(&self, peer: Option<NodeKey>) {
        self.inner.engine.ask(Request::Resume(peer)).await;
    }

    /// Lifts the fence of a node whose key another live node holds, or held: once a person has stopped the
    /// other one. What this node wrote stands, and reaches the others. While the other one lives both are
    /// fenced again.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub async fn release(&self) -> Result<(), ReleaseError> {
        match self.inner.engine.ask(Request::Release).await {
            Some(Answer::Released(released)) => released,
            _ => Err(ReleaseError::Closed),
        }
    }

    /// Asks every node of the mesh how it is, and waits until all have told or two seconds have passed. A
    /// closed replica knows of nobody.
    pub async fn survey(&self) -> Survey {
        match self.inner.engine.ask(Request::Survey).await {
            Some(Answer::Survey(surveyed)) => surveyed.survey(),
            _ => Survey::default(),
        }
    }

    /// Compares this node with these peers, or with all members, and waits until that is done; what the log says
    /// that one of two has lost is mended on the way. A deep one reads the node's whole store first, and checks
    /// every value. Costs each node a scan, and the network a few kilobytes for each difference.
    ///
    /// A closed replica has verified nothing.
    pub async fn verify(&self, peers: Option<Vec<NodeKey>>, is_deep: bool) -> VerifyReport {
        match self.inner.engine.ask(Request::Verify { peers, is_deep }).await {
            Some(Answer::Verified(report)) => *report,
            _ => VerifyReport::default(),
        }
    }

    /// Refreshes with a peer, whether or not the two need it, and waits until that is done: what each holds is
    /// joined into the other, deletes that both have forgotten included. A dry one only tells what would come here, go,
    /// and stay.
    ///
    /// # Errors
    /// [`RefreshError`]; a refresh that has begun goes on all the same.
    pub async fn refresh(
        &self,
        peer: NodeKey,
        is_dry: bool,
    ) -> Result<RefreshReport, RefreshError> {
        match self.inner.engine.ask(Request::Refresh { peer, is_dry }).await {
            Some(Answer::Refreshed(result)) => result,
            _ => Err(RefreshError::Closed),
        }
    }

    /// Gives up what this node has lost and no peer has: deletes it, at and below a path, or everywhere. Says how
    /// many values that were. [`Replica::verify`] finds out what is lost.
    ///
    /// # Errors
    /// Any [`WriteError`]; then nothing was deleted that is not told lost any more.
    pub async fn accept_loss(&self, within: Option<Path>) -> Result<u64, WriteError> {
        match self.inner.engine.ask(Request::AcceptLoss(within)).await {
            Some(Answer::LossAccepted(result)) => result,
            _ => Err(WriteError::Closed),
        }
    }

    /// Takes part in the mesh in another way, until the replica is opened again with its own [`Config`](crate::Config).
    ///
    /// # Errors
    /// [`TopologyError`]; then nothing has changed.
    pub async fn set_topology(&self, topology: Topology) -> Result<(), TopologyError> {
        topology.check()?;
        self.inner.engine.ask(Request::SetTopology(topology)).await;
        Ok(())
    }
}
