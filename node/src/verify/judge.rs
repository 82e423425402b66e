//! What a difference at one path of two compared replicas means.
//!
//! Most differences are writes on their way: a dot, or what removed it, that one side does not cover yet. What
//! removed a dot is not on record. But it left something at the path: itself, if it is still live, or a
//! tombstone, or what has overwritten it in turn; or all of that was collected below a floor. Vectors are
//! causally closed, so whoever covers the last of them covers the first, and has removed the dot. So a
//! difference is explained by any live dot or tombstone at the path that the other side does not cover, or by
//! a floor that it does not cover; and one that is not, is a fault of one of the two.

use millpond_core::{Dot, Entry, LiveDot, RowDot, VersionVector};

use crate::planted::planted;

/// What a side's snapshot covers, and below which vector it has no tombstones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) vv: &'a VersionVector,
    pub(crate) floor: &'a VersionVector,
}

/// The delete dots at the path that the other side does not cover: whether each side has some.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Deletes {
    pub(crate) ours: bool,
    pub(crate) theirs: bool,
}

/// Something that no write on its way explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// This side's own log says that the dot lives here, and it does not: the other side's copy is right.
    Lost(LiveDot),
    /// One side is wrong, and nothing says which.
    Suspect(Dot, Suspicion),
}

/// What is wrong about a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Suspicion {
    /// It lives here; the other side covers it, and holds it not.
    OnlyHere,
    /// The other way round.
    OnlyThere,
    /// Both hold it, with two contents that both match their checksums; with whether this side's is the lesser.
    Collision { is_lesser: bool },
}

/// Judges a path: what lives at it here and there, the log's word on what is not here, and the tombstones.
pub(crate) fn judge(
    ours: (&Entry, Ground<'_>),
    theirs: (&[RowDot], Ground<'_>),
    deletes: Deletes,
    logs_live: &mut dyn FnMut(Dot) -> bool,
) -> Vec<Finding> {
    let ((own, our_ground), (other, their_ground)) = (ours, theirs);
    let mut found = Vec::new();
    let is_removed_on_its_way = |lacker: Ground<'_>, holder: Ground<'_>, is_newer: bool| {
        !holder.vv.covers_all(lacker.floor) || is_newer
    };
    let newer_there = deletes.theirs || other.iter().any(|it| !our_ground.vv.covers(it.dot));
    let newer_here = deletes.ours || own.live().iter().any(|it| !their_ground.vv.covers(it.dot));
    for live in own.live() {
        match other.iter().find(|it| it.dot == live.dot) {
            Some(RowDot { content: Some((hlc, payload)), .. }) => {
                let copy = LiveDot { dot: live.dot, hlc: *hlc, payload: payload.clone() };
                if copy != *live {
                    let is_lesser = lesser(live, &copy);
                    let collision = Suspicion::Collision { is_lesser };
                    found.push(Finding::Suspect(live.dot, collision));
                }
            }
            Some(_) => {}
            None => {
                let explained = !their_ground.vv.covers(live.dot)
                    || is_removed_on_its_way(their_ground, our_ground, newer_there);
                if !explained || planted!("what is on its way explains a difference") {
                    found.push(Finding::Suspect(live.dot, Suspicion::OnlyHere));
                }
            }
        }
    }
    for it in other.iter().filter(|it| !own.contains(it.dot) && our_ground.vv.covers(it.dot)) {
        let Some((hlc, payload)) = &it.content else { continue };
        if logs_live(it.dot) {
            let copy = LiveDot { dot: it.dot, hlc: *hlc, payload: payload.clone() };
            found.push(Finding::Lost(copy));
        } else if !is_removed_on_its_way(our_ground, their_ground, newer_here) {
            found.push(Finding::Suspect(it.dot, Suspicion::OnlyThere));
        }
    }
    found
}

/// Whether one copy of a dot has the lesser hash: that one is issued again.
fn lesser(one: &LiveDot, other: &LiveDot) -> bool {
    hash(one) < hash(other)
}

fn hash(live: &LiveDot) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(16 + live.payload.bytes.len());
    bytes.extend_from_slice(&live.hlc.bits().to_le_bytes());
    bytes.extend_from_slice(&live.payload.kind.0.to_le_bytes());
    bytes.extend_from_slice(&live.payload.bytes);
    *blake3::hash(&bytes).as_bytes()
}
