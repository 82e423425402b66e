//! The rare cases worth reaching.

macro_rules! probes {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// A rare case that a full run of the simulator must reach.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Probe {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Probe {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// What it stands for.
            #[allow(dead_code, reason = "the simulator's")]
            pub(crate) fn about(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

probes! {
    // Indexes.
    /// An index is built to its end.
    IndexBuilt,
    /// A slice of an index leaves some records for the next one.
    IndexBuiltInPart,
    /// A restart goes on with building an index.
    IndexBuildGoesOn,
    /// A record changes that an index, while it is built, lists already.
    IndexFollowsWhileBuilt,
    /// An index begins anew.
    IndexRenewed,
    /// Readers see another namespace than the one that indexes are of.
    IndexMovesOn,
    /// Rows lie hidden in the tables while there are indexes.
    IndexMeetsHiddenRows,
    /// An index is asked that is not built to its end.
    IndexReadWhileBuilt,
    /// An index is asked while a cut is visible and not in the tables.
    IndexReadWhileFolding,
    /// The disk has no room for a slice of an index.
    IndexFindsNoRoom,
    // Concerns.
    /// Too few members are linked for a write that wants some to be.
    TooFewConnected,
    /// A link opens while somebody waits for acks.
    NewLinkHurried,
    /// Acks do not come in time.
    ConcernTimesOut,
    // Bookmarks.
    /// A reader waits for what it has seen elsewhere.
    ReaderWaits,
    /// What it waits for does not come in time.
    ReaderTimesOut,
    /// What it waits for is pulled at once.
    MissingFetched,
    // Closed incarnations.
    /// A node is told of a table of closed incarnations that it does not know, and asks for it.
    ClosedTableWanted,
    /// It knows nothing of what its peer has, and gets the whole table.
    ClosedTableSaidWhole,
    /// It gets what differs from its own.
    ClosedTableSaidByDifference,
    /// A closed incarnation turns out to have gone on, and is closed again.
    ReopenedIsClosedAgain,
    /// A member is removed.
    MemberRemoved,
    // Keys that change.
    /// A member records its next key.
    KeyAnnounced,
    /// It shows it, since all members know it.
    KnownKeyShown,
    /// It shows it at once, though some member does not know it.
    UnknownKeyShown,
    /// The links of a node are made anew under its next key.
    KeyShown,
    /// A peer that has not heard of a member's next key is told by the hello.
    SuccessionTold,
    /// An old key is retired.
    KeyRetired,
    // Verify and scrub.
    /// A refresh waits for the operator.
    RefreshWaits,
    /// A refresh is visible.
    RefreshFlipped,
    /// A peer that is damaged itself tells a part of what it holds.
    ToldInPart,
    /// A catch-up that met damage starts anew.
    DamagedCutDropped,
    /// A peer needs what is lost here.
    LostWanted,
    /// What was lost a peer gives back.
    LostGivenBack,
    /// Two that are compared hold the same.
    VerifiedEqual,
    /// Two that are compared differ, by what is on its way.
    DifferenceExplained,
    /// A read or a commit meets a damaged value.
    DamageMet,
    /// A value of the entries is damaged.
    EntryDamaged,
    /// An entry misses what the log says that it holds.
    EntryLost,
    /// What the store has lost is put back.
    Mended,
    /// A folder comes back as what a backup holds, under a store of its own.
    RestoredFromBackup,
    // Delay.
    /// A delayed replica shows exactly what had arrived by a moment.
    AppliedUntil,
    /// An order about the delay comes between what is due and its being shown.
    ShowOvertaken,
    // Primary and backup.
    /// A backup is asked to write.
    BackupRefusesWrite,
    // Rehab.
    /// A node that joined with nothing has caught up.
    FreshCaughtUp,
    /// A node is so far behind that it is not ready.
    TooFarBehind,
    // The tree.
    /// Something is announced of an origin that has no source, or one that does not deliver.
    AnnouncedWithoutSource,
    /// A deadline is looked at so late that what is missed may have come.
    Overslept,
    /// A peer grafts to whom this node is grafted.
    CycleBroken,
    /// A source did not bring in time what others had.
    SourceSuspected,
    /// A peer that was told to send no more delivers something new.
    PrunedDelivers,
    /// Another peer delivers first and becomes the source.
    SourceReplaced,
    /// An announcer that was ahead of the source again and again is asked to feed.
    AnnouncerPreferred,
    /// A graft brought nothing in time, and the next announcer is asked.
    NextAnnouncerAsked,
    /// A source that another peer has overtaken delivers all the same.
    SourceOnlyLate,
    /// Something comes, and what was written before it is still lacking.
    BeyondGap,
    /// A peer was grafted, and another one delivered first.
    GraftNeedless,
    /// What was to be announced the peer has by then.
    AnnouncementNeedless,
    /// Something is late, and is grafted.
    Grafted,
    /// A peer grafts that is not fed: it must pull.
    GraftedWithoutFeed,
    /// A graft asks for what the ring has no more.
    GraftBeyondRing,
    /// What was held for a peer is grafted by it.
    HeldIsGrafted,
    /// A peer that was grafted has another source.
    ChildPrunes,
    /// What was grafted waits for room.
    GraftWindowFull,
    /// What was grafted leaves the ring while it waits.
    GraftLeftTheRing,
    /// A peer pulls that is given nothing.
    PullNotAllowed,
    /// A peer asks to be fed that is given nothing.
    FeedNotAllowed,
    /// A peer is linked that the settings do not name.
    LinkNotWanted,
    /// The direction of a link is changed while it is up.
    DirectionChanges,
    /// What becomes of replicated data on a link is changed while it is up.
    RippleChanges,
    // Sessions.
    /// A peer that is paused here links anyway.
    PausedPeerRefused,
    /// A member has met two live nodes of this node's key.
    FencedByPeer,
    /// A peer's hello shows what this node's open incarnation never issued.
    FencedByHello,
    /// A batch does.
    FencedByBatch,
    /// The inviter refuses this node.
    JoinRefused,
    /// An invite is unknown, used or expired.
    InviteRefused,
    /// A node in whose domain there is something stays there.
    OtherDomainKept,
    /// A node hears that an admin has to approve it.
    AwaitsApproval,
    /// A node that waits for approval comes again.
    GuestAsksAgain,
    /// A node that waited is approved.
    GuestApproved,
    /// A node that waited is denied.
    GuestDenied,
    /// An invite is revoked.
    InviteRevoked,
    /// A node comes with a revoked invite.
    RevokedInviteRefused,
    /// This node's invite has made it a member.
    Joined,
    /// A boot that a later one has superseded says hello, and is dead.
    LeftoverBootRefused,
    /// A boot that a later one has superseded is the one that lives.
    OlderBootLives,
    /// Two live boots of one key.
    CopyFound,
    /// A later boot says hello while a link of the earlier one is up.
    OlderBootDropped,
    /// Of two links the new one goes.
    DuplicateRefused,
    /// Of two links the old one goes.
    DuplicateDropped,
    /// Who is no member, or not yet known.
    StrangerRefused,
    /// A link without a hello.
    NoHelloInTime,
    /// A node is told of an incarnation of its own that it has not named.
    OwnIncarnationTold,
    // Who writes under which incarnation.
    /// A lease is of this boot, and ahead of the store.
    LeaseIsAhead,
    /// A lease is of another boot.
    LeaseOfAnotherBoot,
    /// A member knows more of the incarnation than its hello was asked for.
    PeerKnowsMore,
    /// No lease proves that the store continues: its incarnation ends.
    RenewedWithoutLease,
    /// A second incarnation is opened.
    NextIncarnationOpened,
    /// A commit tells of an incarnation that was ended meanwhile.
    CommitOlderThanEnd,
    /// The end of an incarnation was not written, and a batch shows it.
    EndIsWrittenAgain,
    /// The end of an incarnation was not written, and a write comes.
    EndedBeforeWrite,
    /// Others hold more of an incarnation in which this boot has issued nothing.
    OvertakenInTime,
    /// A peer is asked what it holds of this node's writes.
    Recalls,
    /// The link breaks before it has told.
    RecallLost,
    /// A peer holds other writes under the same numbers.
    HistoriesDiffer,
    /// Disputed writes are issued anew.
    WritesReissued,
    /// An engine begins anew, since its vector has fallen.
    EngineBeginsAnew,
    /// A peer links while writes are issued anew.
    LinkWhileReissuing,
    /// The disk has no room for a fence.
    FenceFindsNoRoom,
    /// A person lifts a fence.
    Released,
    /// A fenced node is asked to write.
    FencedWriteRefused,
    /// A fenced node wants to record something of itself.
    FencedRecordRefused,
    // The disk.
    /// A user's write finds no room.
    WriteFindsNoRoom,
    /// An invite finds no room.
    InviteFindsNoRoom,
    /// A role finds no room.
    GrantFailed,
    /// A note of the node's own finds no room.
    NoteFailed,
    /// Pushes find no room.
    PushesFailed,
    /// Pushes fall with those before them.
    ReadyPushDropped,
    /// Rows find no room.
    BatchFindsNoRoom,
    /// Of a group's jobs one fails, and those before it stand.
    JobFailsInGroup,
    // Pushes.
    /// A push was here already.
    PushDuplicate,
    /// A push waits for others.
    PushWaits,
    /// What a push waited for has come.
    PushWakes,
    /// A push would wait, and there is no room.
    PushDropped,
    /// A catch-up brings what waits.
    WaitingPushCovered,
    /// A link ends, and what waits of it is dropped.
    WaitingPushForgotten,
    /// The writer has enough to do with pushes.
    PushesWaitForWriter,
    /// A push meets a store that a catch-up brought further meanwhile.
    PushAppliedBefore,
    /// A push follows one that found no room.
    PushAfterFailedOne,
    // Live feeds.
    /// A peer asks to be fed from below the ring's base.
    FeedRefused,
    /// A feed is slower than the ring.
    FeedOutrun,
    /// The ring is over its budget.
    RingOverflows,
    /// A peer's window for pushes is full.
    PushWindowFull,
    /// What came by replication is held back.
    HeldBack,
    /// The peer got from elsewhere what was held back.
    HeldIsSuppressed,
    /// The peer did not.
    HeldForwarded,
    /// The peer acknowledges what was forwarded.
    ForwardedIsAcked,
    /// What was held back has left the ring.
    HeldLeftTheRing,
    /// What is to be forwarded finds the window full.
    ForwardWindowFull,
    /// What a catch-up brought here has reached a fed peer from elsewhere.
    CutReachedFedPeer,
    /// It has not, and the peer is making progress.
    BehindIsPutOff,
    /// It has not, and the peer is told to pull.
    FedPeerTold,
    // Catch-up, at the asker.
    /// The clock of an origin starts.
    LackingNoted,
    /// A peer cannot feed this node before it has pulled.
    MustPullFirst,
    /// A cut goes on where it broke off.
    CutResumed,
    /// It goes on with a newer snapshot.
    CutResumedOnNewer,
    /// A cut is here, and cannot go on.
    CutNotResumed,
    /// Rows go straight to the final tables.
    CutIsDirect,
    /// Rows are staged.
    CutIsStaged,
    /// Rows straight in the final tables are dropped.
    DirectCutDropped,
    /// Staged rows are dropped.
    StagedCutDropped,
    /// Rows sent again after a resumption.
    RowsBehindCursor,
    /// A cut becomes visible with rows that are not folded.
    FlipLeavesRows,
    /// A cut that is given up has more rows than are dropped at once.
    DropLeavesRows,
    /// Rows of a cut meet one of which the engine did not know.
    CutMeetsAnother,
    /// A write, a push or a batch meets a path that is not folded.
    WriteFoldsItsPath,
    /// A node starts with a fold that another boot began.
    FoldGoesOn,
    /// The disk has no room for a slice of a fold.
    FoldFindsNoRoom,
    /// Rows of the next cut wait until the one before it is folded.
    RowsWaitForFold,
    /// A catch-up is asked to go on while its supplier folds.
    ResumptionMeetsFold,
    /// A supplier takes a newer snapshot in the middle of a catch-up.
    SnapshotGivenBack,
    /// A catch-up goes on from a newer snapshot of its supplier.
    SupplyRenewed,
    /// Rows come of a catch-up that was given up.
    RowsOfGivenUp,
    /// The writer has enough to do with rows.
    RowsWaitForWriter,
    /// Rows are committed whose catch-up was given up.
    RowsCommittedLate,
    /// A catch-up is given up with rows at hand.
    GivenUpWithRows,
    /// A batch's base is not covered any more.
    BatchBaseRefused,
    /// Rows continue a cut that is not here.
    BatchWithoutCut,
    /// A supplier stops sending.
    PullIsStuck,
    /// A supplier's link ends.
    PullLosesItsLink,
    /// A supplier has enough to do.
    SupplierIsBusy,
    // Tombstones.
    /// All live members have some.
    TombstonesCollected,
    /// Slots of counters add nothing, and go.
    SlotsCompacted,
    /// The disk does not take their collection.
    CollectionFailed,
    /// A member is silent for too long.
    MemberEvicted,
    /// A peer is told of a member that it is not linked with.
    WordRelayed,
    /// There is more to tell of members than may be told at once.
    WordWaits,
    /// A node is told of a member that it is not linked with.
    WordHeardOf,
    // Catch-up, at the supplier.
    /// Too many ask at once.
    SuppliesFull,
    /// A peer asks again before the end.
    AskedAgain,
    /// All entries are walked.
    SupplyScans,
    /// The paths are collected from the log.
    SupplyCollects,
    /// A peer's window for rows is full.
    RowsWindowFull,
    /// A path changed behind the cursor of a catch-up that goes on.
    ChangedBehindCursor,
    /// Deleted paths follow the last entry.
    DeletesAfterAllEntries,
    /// A dot travels without the content that the peer has.
    ContentOmitted,
    // Comparing.
    /// The other side has next to nothing in a large range.
    RangeDiffersAsAWhole,
    /// A peer asks to compare what it may not read.
    CompareNotAllowed,
    /// Two ask each other to compare at once.
    BothAskToCompare,
    /// A node compares as much as it allows itself.
    CompareBusy,
    /// A verification waits until another one is over.
    VerificationWaits,
    /// A comparison finds nothing that differs.
    NothingDiffers,
    /// A comparison finds something.
    SomethingDiffers,
    /// A peer tells more ranges in one turn than are kept.
    MuchIsHeard,
    /// A write that is issued anew was waited for.
    DisputedWaitEnds,
    /// A peer tells its rows in a verification, and wants none.
    PeerAsksForNothing,
    /// A side that has asked for nothing more does not wait for the end.
    EndsWithWants,
    /// A peer falls silent in a comparison.
    ComparisonIsStuck,
    // Refresh.
    /// A refresh is asked for.
    RefreshAsked,
    /// A refresh goes on with what is staged of one that broke off.
    RefreshTakesOver,
    /// Something of that differs by now.
    StagedDiffers,
    /// Both sides of a refresh are done.
    RefreshDone,
    /// What differs and is not sent is not there.
    AbsentThere,
    /// Something came since the two were compared.
    ArrivedSinceCompared,
    /// The flip of a refresh finds that something came since.
    RefreshOvertaken,
    /// A write that a peer is asked about is overwritten, and its log row still there.
    RecalledIsOverwritten,
    // Dials.
    /// A dial comes to nothing.
    DialFailed,
    /// The longest back-off.
    LongestBackOff,
    /// So many members are absent that some wait to be dialled again.
    RedialsWait,
    /// A member is reached again, and others are dialled at once.
    DialHurried,
    /// A link is closed by its operator.
    LinkPaused,
    /// What a peer had is remembered from an earlier run.
    PeerRemembered,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::sources_except;

    #[test]
    fn every_probe_is_somewhere() {
        let mut sources = sources_except(&["probes/list.rs"]).concat();
        sources.retain(|it| !it.is_whitespace());
        for probe in Probe::ALL {
            let (alone, asked) = (format!("sometimes!({probe:?})"), format!(",{probe:?})"));
            assert!(sources.contains(&alone) || sources.contains(&asked), "{probe:?} is nowhere");
            assert!(!probe.about().is_empty(), "{probe:?} stands for nothing");
        }
    }
}
