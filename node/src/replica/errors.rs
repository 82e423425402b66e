//! Why an operation on a replica came to nothing.

/// Why no invite was issued or revoked, or nobody approved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// This node is no admin.
    #[error("only an admin may invite, and this node is none; run it on an admin's node")]
    NotAdmin,
    /// It is to let in nobody, or too many.
    #[error("an invite is for 1 to {} nodes", crate::InviteOptions::USES_MAX)]
    Uses,
    /// So many are open that no other is issued.
    #[error("128 invites of this node are open; revoke some, or wait until they expire")]
    TooMany,
    /// There is no such invite to revoke.
    #[error("this node has issued no such invite, or remembers it no more")]
    NoInvite,
    /// There is nobody to approve or deny by that name.
    #[error("nobody waits here who answers to that, or several do")]
    NobodyWaits,
    /// It could not be recorded.
    #[error("the invite was not recorded: {0}")]
    Store(String),
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}

/// Why no member was promoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PromoteError {
    /// This node is no admin.
    #[error("only an admin may promote, and this node is none; run it on an admin's node")]
    NotAdmin,
    /// There is no such member.
    #[error("there is no such member")]
    NoMember,
    /// That member's role does not allow writes.
    #[error("the member's role is {role}, which may not write")]
    MayNotWrite {
        /// Its role.
        role: String,
    },
    /// It could not be recorded.
    #[error("the promotion was not recorded: {0}")]
    NotRecorded(String),
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}

/// Why a delayed replica does not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DelayError {
    /// It is none.
    #[error("this node is no delayed replica")]
    NotDelayed,
    /// It shows more than that already.
    #[error("this node shows more than that already")]
    Past,
    /// That moment has not come yet.
    #[error("that moment has not come yet")]
    Future,
    /// It could not be recorded.
    #[error("the order was not recorded: {0}")]
    NotRecorded(String),
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}

/// A fence was not lifted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// There is none.
    #[error("this node is not fenced")]
    NotFenced,
    /// That it is lifted could not be recorded: it is, until the next start.
    #[error("that the fence is lifted was not recorded: {0}")]
    Store(String),
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}

/// Joining came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The inviter refused.
    #[error("the invite was refused: {why}")]
    Refused {
        /// The inviter's reason.
        why: String,
    },
    /// The node is of another domain, and something could be lost. Nothing has changed on either side.
    #[error("this node is of another domain, {domain}, {why}; nothing was changed")]
    OtherDomain {
        /// Its domain.
        domain: millpond_core::Domain,
        /// What is there.
        why: String,
    },
    /// It is a member already.
    #[error("this node is a member of that domain already")]
    AlreadyMember,
    /// The node cannot join as it is. Nothing has changed.
    #[error("the node cannot join now: {why}")]
    NotNow {
        /// How it is.
        why: String,
    },
    /// It could not be recorded. Nothing has changed.
    #[error("the join was not recorded: {0}")]
    NotRecorded(String),
    /// The replica was closed first.
    #[error("the replica was closed before it had joined")]
    Closed,
}
