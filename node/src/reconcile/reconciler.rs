//! One side of a comparison.

use std::collections::VecDeque;

use millpond_core::Path;
use millpond_core::limits::{COMPARED_BYTES_MAX, COMPARED_ENDS_BYTES_MAX};
use millpond_core::message::{Claim, Range};

use super::differs::Differs;
use super::index::{Index, SEGMENT_ENTRIES};
use crate::planted::planted;
use crate::probes::{never, sometimes};
use crate::state::View;
use crate::store::StoreError;

/// One side of a comparison. The two speak in turn: what one says in a turn answers what the other said in the
/// one before.
pub(crate) struct Reconciler {
    index: Index,
    /// What the other side has said in its turn. It is answered in this side's.
    heard: VecDeque<(Vec<u8>, Range)>,
    heard_bytes: usize,
    pub(super) heard_bytes_max: usize,
    /// Where the first of all ranges begins that were too many to be kept, and where the last ends: taken as one
    /// that differs.
    beyond: Option<(Vec<u8>, Option<Vec<u8>>)>,
    /// Whether the other side has ended its turn.
    is_my_turn: bool,
    /// Whether anything was said in this turn. One in which nothing is ends the comparison.
    is_told: bool,
    /// Whether the other side has something to answer to what this one said in its turn. If not, this side knows
    /// all, and does not wait for the end.
    is_asking: bool,
    /// Whether this side opens; and whether more was said than the fingerprint of all, and an end.
    opens: bool,
    is_divided: bool,
    turns: u32,
    saying: Saying,
    differs: Differs,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It speaks first.
    Opening,
    Talking,
    Ended,
}

/// What is to be done next.
#[derive(Debug, PartialEq)]
pub(crate) enum Turn {
    /// There is more to look at.
    Working,
    /// Say this; with whether it ends the turn.
    Say(Vec<Range>, bool),
    /// The other side is to speak.
    Listening,
    /// Both sides know what differs.
    Ended,
}

/// A message as it grows.
#[derive(Default)]
struct Saying {
    ranges: Vec<Range>,
    /// Where the latest range ends.
    end: Option<Vec<u8>>,
    bytes: usize,
    ends_bytes: usize,
}

impl Reconciler {
    /// A side, of which one opens. The salt is the same on both. A tolerant one passes over damaged entries, and
    /// must not take what the other side holds not for deleted.
    pub(crate) fn new(view: View, salt: [u8; 16], opens: bool, is_tolerant: bool) -> Self {
        Self {
            index: Index::new(view, salt, is_tolerant),
            opens,
            is_divided: false,
            heard: VecDeque::new(),
            heard_bytes: 0,
            heard_bytes_max: HEARD_BYTES_MAX,
            beyond: None,
            is_my_turn: opens,
            is_told: false,
            is_asking: false,
            turns: 0,
            saying: Saying::default(),
            differs: Differs::default(),
            phase: if opens { Phase::Opening } else { Phase::Talking },
        }
    }

    /// Whether a step would do something.
    pub(crate) fn has_work(&self) -> bool {
        match self.phase {
            Phase::Ended => false,
            Phase::Opening => true,
            Phase::Talking => self.may_answer() || !self.index.is_complete(),
        }
    }

    /// The other side says something: false when it is not its turn, or it will not come to an end.
    pub(crate) fn hear(&mut self, is_last: bool, ranges: Vec<Range>) -> bool {
        if self.phase == Phase::Ended {
            return is_last && ranges.is_empty();
        }
        if self.is_my_turn || self.phase != Phase::Talking {
            return false;
        }
        self.is_told |= !ranges.is_empty();
        self.is_divided |= self.opens && !ranges.is_empty();
        let mut start = Vec::new();
        for range in ranges {
            let end = range.end.clone();
            if range.claim != Claim::Skip {
                self.keep(start, range);
            }
            let Some(end) = end else { break };
            start = end;
        }
        if is_last && !std::mem::take(&mut self.is_told) {
            self.phase = Phase::Ended;
        }
        self.is_my_turn = is_last;
        self.turns += u32::from(is_last);
        self.turns <= TURNS_MAX
    }

    fn keep(&mut self, start: Vec<u8>, range: Range) {
        // Once some were not kept no later one is.
        if self.heard_bytes < self.heard_bytes_max && self.beyond.is_none() {
            self.heard_bytes += start.len() + range_bytes(&range);
            return self.heard.push_back((start, range));
        }
        sometimes!(MuchIsHeard);
        self.beyond = Some(match self.beyond.take() {
            Some((first, _)) => (first, range.end),
            None => (start, range.end),
        });
    }

    /// Does a bounded piece of work.
    pub(crate) fn step(&mut self) -> Result<Turn, StoreError> {
        if self.index.step(STEP_ENTRIES)? {
            return Ok(Turn::Working);
        }
        match self.phase {
            Phase::Ended => return Ok(Turn::Ended),
            Phase::Opening => {
                self.phase = Phase::Talking;
                self.is_my_turn = false;
                let whole = Claim::Whole(self.index.whole(&[], None)?);
                return Ok(Turn::Say(vec![Range { end: None, claim: whole }], true));
            }
            Phase::Talking if !self.may_answer() => return Ok(Turn::Listening),
            Phase::Talking => {}
        }
        for _ in 0..CLAIMS_IN_STEP {
            if self.saying.is_full() {
                return Ok(Turn::Say(self.say(), false));
            }
            let Some((start, range)) = self.heard.pop_front() else {
                if let Some((start, end)) = self.beyond.take() {
                    self.take_as_a_whole(&start, end.as_deref());
                    continue;
                }
                return Ok(self.end_turn());
            };
            self.heard_bytes -= start.len() + range_bytes(&range);
            self.answer(&start, range)?;
        }
        Ok(Turn::Working)
    }

    /// An answer that fills a message is said at once: so none is made while the other side speaks.
    fn may_answer(&self) -> bool {
        self.is_my_turn || planted!("a side speaks in its turn") && !self.heard.is_empty()
    }

    fn end_turn(&mut self) -> Turn {
        if !self.is_my_turn {
            return Turn::Listening;
        }
        self.is_my_turn = false;
        let ranges = self.say();
        let (is_told, is_asking) = (self.is_told, self.is_asking);
        (self.is_told, self.is_asking) = (false, false);
        if !is_asking {
            sometimes!(is_told, EndsWithWants);
            self.phase = Phase::Ended;
        }
        Turn::Say(ranges, true)
    }

    fn say(&mut self) -> Vec<Range> {
        let ranges = self.saying.take();
        self.is_told |= !ranges.is_empty();
        self.is_divided |= !ranges.is_empty();
        self.is_asking |=
            ranges.iter().any(|it| matches!(it.claim, Claim::Whole(_) | Claim::Items(_)));
        ranges
    }

    /// Whether both sides' fingerprints of all are equal, once the comparison has ended.
    pub(crate) fn is_equal(&self) -> bool {
        self.phase == Phase::Ended && !self.is_divided
    }

    /// How many entries this side holds, and whether it passed over damaged ones.
    pub(crate) fn counted(&self) -> (u64, bool) {
        self.index.counted()
    }

    /// What this side holds that the other does not hold alike, once the comparison has ended.
    pub(crate) fn settled(&self) -> Option<&Differs> {
        (self.phase == Phase::Ended).then_some(&self.differs)
    }

    fn answer(&mut self, start: &[u8], range: Range) -> Result<(), StoreError> {
        let end = range.end.as_deref();
        match range.claim {
            Claim::Skip => {}
            Claim::Whole(theirs) => {
                let own = self.index.whole(start, end)?;
                if own == theirs {
                    return Ok(());
                }
                if theirs.count == 0 {
                    return self.compare_items(start, end, Vec::new());
                }
                self.divide(start, end, own.count)?;
            }
            Claim::Items(theirs) => self.compare_items(start, end, theirs)?,
            Claim::Wants(wanted) => self.grant(start, end, &wanted)?,
        }
        Ok(())
    }

    /// Tells a range in parts, or entry by entry.
    fn divide(&mut self, start: &[u8], end: Option<&[u8]>, count: u64) -> Result<(), StoreError> {
        let parts = if start.is_empty() && end.is_none() { PARTS_FIRST } else { PARTS };
        let bounds = self.index.split(start, end, parts);
        if bounds.is_empty() || count <= ITEMS_TOLD_AT_ONCE {
            let items = self.index.items(start, end)?;
            let items = Claim::Items(shortened(items.iter().map(|(_, hash)| *hash)));
            self.saying.add(start, end, items);
            return Ok(());
        }
        let mut from = start;
        let ends = bounds.iter().map(|bound| Some(*bound)).chain([end]);
        let mut told = Vec::new();
        for end in ends {
            told.push((from.to_vec(), end.map(<[u8]>::to_vec), self.index.whole(from, end)?));
            from = end.unwrap_or_default();
        }
        for (from, end, whole) in told {
            self.saying.add(&from, end.as_deref(), Claim::Whole(whole));
        }
        Ok(())
    }

    /// The other side told its entries one by one.
    fn compare_items(
        &mut self,
        start: &[u8],
        end: Option<&[u8]>,
        theirs: Vec<[u8; 8]>,
    ) -> Result<(), StoreError> {
        let count = self.index.whole(start, end)?.count;
        let is_empty_there = theirs.is_empty() && count > 2 * SEGMENT_ENTRIES as u64;
        if count > ITEMS_LOOKED_AT || is_empty_there {
            // Nearly all of it differs, and finding which few do not would cost more than they do.
            sometimes!(RangeDiffersAsAWhole);
            self.differs.add_range(start, end);
            self.want(start, end, theirs);
            return Ok(());
        }
        let mut unknown = theirs.clone();
        for (path, hash) in self.index.items(start, end)? {
            let short = short(hash);
            match theirs.binary_search(&short) {
                Ok(_) => unknown.retain(|item| *item != short),
                Err(_) => self.differs.add(path),
            }
        }
        self.want(start, end, unknown);
        Ok(())
    }

    /// Takes a range for one that differs everywhere, on both sides.
    fn take_as_a_whole(&mut self, start: &[u8], end: Option<&[u8]>) {
        self.differs.add_range(start, end);
        self.saying.add(start, end, Claim::Items(Vec::new()));
    }

    fn want(&mut self, start: &[u8], end: Option<&[u8]>, items: Vec<[u8; 8]>) {
        if !items.is_empty() && !planted!("both sides learn what differs") {
            self.saying.add(start, end, Claim::Wants(items));
        }
    }

    /// The other side does not have these of this side's entries.
    fn grant(
        &mut self,
        start: &[u8],
        end: Option<&[u8]>,
        wanted: &[[u8; 8]],
    ) -> Result<(), StoreError> {
        if self.index.whole(start, end)?.count > ITEMS_LOOKED_AT {
            never!("wants of a range that was not told one by one");
            return Ok(());
        }
        let items: Vec<(Path, u128)> = self.index.items(start, end)?;
        for (path, hash) in items {
            if wanted.binary_search(&short(hash)).is_ok() {
                self.differs.add(path);
            }
        }
        Ok(())
    }
}

impl Saying {
    fn add(&mut self, start: &[u8], end: Option<&[u8]>, claim: Claim) {
        if self.end.as_deref().unwrap_or_default() != start {
            self.push(Some(start), Claim::Skip);
        }
        self.push(end, claim);
    }

    fn push(&mut self, end: Option<&[u8]>, claim: Claim) {
        self.ends_bytes += end.map_or(0, <[u8]>::len);
        self.end = end.map(<[u8]>::to_vec);
        let range = Range { end: self.end.clone(), claim };
        self.bytes += range_bytes(&range);
        self.ranges.push(range);
    }

    /// What one answer adds at most, must still fit.
    fn is_full(&self) -> bool {
        self.bytes > COMPARED_BYTES_MAX / 4 || self.ends_bytes > COMPARED_ENDS_BYTES_MAX / 4
    }

    fn take(&mut self) -> Vec<Range> {
        std::mem::take(self).ranges
    }
}

/// What a range takes, about.
fn range_bytes(range: &Range) -> usize {
    let items = match &range.claim {
        Claim::Items(items) | Claim::Wants(items) => items.len(),
        Claim::Skip | Claim::Whole(_) => 0,
    };
    48 + range.end.as_ref().map_or(0, Vec::len) + 8 * items
}

/// The first eight bytes of each hash, ascending, each once.
fn shortened(hashes: impl Iterator<Item = u128>) -> Vec<[u8; 8]> {
    let mut items: Vec<[u8; 8]> = hashes.map(short).collect();
    items.sort_unstable();
    items.dedup();
    items
}

fn short(hash: u128) -> [u8; 8] {
    let bytes = hash.to_le_bytes();
    *bytes.first_chunk().expect("it has 16 bytes")
}

/// Entries summed up in one step: some milliseconds.
const STEP_ENTRIES: usize = 4_000;
/// Parts of the first division, and of all others: fewer round trips against fewer bytes.
const PARTS_FIRST: usize = 256;
const PARTS: usize = 16;
/// Turns of the other side after which it is not honest: each divides by sixteen at least, or settles.
const TURNS_MAX: u32 = 64;
/// Bytes of one turn that are kept: the ranges of some millions of entries that all differ. A peer could send them
/// without end.
const HEARD_BYTES_MAX: usize = 64 << 20;
/// Claims looked at in one step: each costs some dozens of reads.
const CLAIMS_IN_STEP: usize = 64;
/// As many entries or fewer are told one by one. The other side's segments are not this side's, so a range of one
/// segment there may be a little more here: dividing it would cost a turn.
const ITEMS_TOLD_AT_ONCE: u64 = 2 * SEGMENT_ENTRIES as u64;
/// More entries than this are not looked at one by one.
const ITEMS_LOOKED_AT: u64 = 1_024;
