//! What members have on their disks, as they have told it: each word is about all namespaces at one moment.
//!
//! Tombstones are collected by words (R8). A word counts once this node covers all of it: then whatever its
//! member had seen by then is here too, such as another member that nobody here had heard of.

use std::collections::BTreeMap;

use millpond_core::{Boot, Namespace, VersionVector};
use serde::{Deserialize, Serialize};

use super::engine::Engine;
use crate::planted::planted;

/// What a member had on its disk, in each namespace, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Word(pub(super) BTreeMap<Namespace, VersionVector>);

/// The words of one member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Words {
    /// The boot that gave them.
    boot: Option<Boot>,
    /// The latest one.
    latest: Option<Word>,
    /// The latest one of which all is here.
    covered: Option<Word>,
    /// The first one since then. It counts as soon as all of it is here; the latest one is nearly always
    /// some milliseconds ahead of this node.
    waiting: Option<Word>,
    /// When the latest was said, by this node's clock; not known of one that was remembered.
    #[serde(skip)]
    said_ms: Option<i64>,
}

/// The latest word of a member, but for what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// The boot that gave it.
    pub(super) boot: Boot,
    /// When, by this node's clock: perhaps before this run began.
    pub(super) ms: i64,
    /// Its hash.
    pub(super) hash: u64,
}

impl Word {
    /// What it says of a namespace.
    pub(super) fn vv(&self, namespace: Namespace) -> &VersionVector {
        static NOTHING: VersionVector = VersionVector::new();
        self.0.get(&namespace).unwrap_or(&NOTHING)
    }

    /// What tells it from others.
    pub(super) fn hash(&self) -> u64 {
        let hashes =
            self.0.iter().map(|(namespace, vv)| (namespace.number(), Engine::vector_hash(vv)));
        let bytes =
            hashes.flat_map(|(number, hash)| [u64::from(number), hash]).flat_map(u64::to_le_bytes);
        xxhash_rust::xxh3::xxh3_64(&bytes.collect::<Vec<u8>>())
    }

    fn is_here(&self, applied: &BTreeMap<Namespace, VersionVector>) -> bool {
        let covers = |(namespace, vv): (&Namespace, &VersionVector)| {
            applied.get(namespace).map_or(vv.is_empty(), |applied| applied.covers_all(vv))
        };
        self.0.iter().all(covers) || planted!("a word counts once it is covered")
    }
}

impl Words {
    /// A member says what it has. The word of another boot replaces all before: its disk may have fallen back.
    pub(super) fn hear(&mut self, boot: Boot, word: Word, now_ms: i64) -> bool {
        let is_new = self.boot != Some(boot) || self.latest.as_ref() != Some(&word);
        if self.boot != Some(boot) && !planted!("a hello replaces what was acknowledged") {
            *self = Self { boot: Some(boot), ..Self::default() };
        }
        (self.latest, self.said_ms) = (Some(word), Some(now_ms));
        is_new
    }

    /// Others tell what a member said then, or only that it lived. Of what is told of two boots the younger
    /// word holds (S19): numbers of boots tell nothing, since an old image may be opened again.
    pub(super) fn hear_of(&mut self, boot: Boot, word: Option<Word>, said_ms: i64) -> bool {
        let is_older = self.said_ms.is_some_and(|before| said_ms <= before);
        let is_other = self.boot != Some(boot);
        if is_older && !(is_other && planted!("the youngest boot holds")) {
            return false;
        }
        let Some(word) = word else {
            self.said_ms = Some(said_ms);
            return false;
        };
        let counts_at_once = planted!("a relayed word counts once it is covered");
        let is_new = self.hear(boot, word, said_ms);
        if counts_at_once {
            self.covered.clone_from(&self.latest);
        }
        is_new
    }

    /// The latest word, if it was said in this run.
    pub(super) fn said(&self) -> Option<Said> {
        let (boot, ms, latest) = (self.boot?, self.said_ms?, self.latest.as_ref()?);
        Some(Said { boot, ms, hash: latest.hash() })
    }

    /// What it says of a namespace, if it was said in this run.
    pub(super) fn said_vector(&self, namespace: Namespace) -> Option<&VersionVector> {
        self.said_ms?;
        self.latest.as_ref().map(|word| word.vv(namespace))
    }

    /// The boot that gave it.
    pub(super) fn boot(&self) -> Option<Boot> {
        self.boot
    }

    /// What it says.
    pub(super) fn latest(&self) -> Option<&Word> {
        self.latest.as_ref()
    }

    /// A hello takes back what was said before.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// This node has come so far.
    pub(super) fn advance(&mut self, applied: &BTreeMap<Namespace, VersionVector>) {
        let Some(latest) = &self.latest else { return };
        if latest.is_here(applied) {
            (self.covered, self.waiting) = (Some(latest.clone()), None);
            return;
        }
        if self.waiting.as_ref().is_some_and(|word| word.is_here(applied)) {
            self.covered = self.waiting.take();
        }
        if self.waiting.is_none() || planted!("a word that waits is not replaced") {
            self.waiting = Some(latest.clone());
        }
    }

    /// What counts; `None` while the member has said nothing that does.
    pub(super) fn covered(&self) -> Option<&Word> {
        self.covered.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use millpond_core::{Dot, Incarnation, Seq};

    use super::*;
    use crate::planted::without;

    fn at(seq: u64) -> BTreeMap<Namespace, VersionVector> {
        let dot = Dot::new(Incarnation::from_bytes([1; 16]), Seq::new(seq).unwrap());
        [(Namespace::MAIN, VersionVector::from_iter([dot]))].into()
    }

    fn boot(counter: u64) -> Boot {
        Boot { counter, random: counter }
    }

    /// Under load: this node is more than a word behind, always.
    fn counted_under_load() -> Option<Word> {
        let mut words = Words::default();
        for seq in 2..20 {
            words.hear(boot(1), Word(at(10 * seq)), 0);
            words.advance(&at(10 * seq - 15));
        }
        words.covered
    }

    #[test]
    fn finding_20_a_word_counts_once_it_is_covered_and_none_starves() {
        let counted = counted_under_load();
        assert!(counted.as_ref().is_some_and(|word| word.is_here(&at(175))), "{counted:?}");
        let ahead = without(&["a word counts once it is covered"], counted_under_load);
        assert_eq!(ahead, Some(Word(at(190))));
        assert_eq!(without(&["a word that waits is not replaced"], counted_under_load), None);
    }

    #[test]
    fn finding_18_the_word_of_another_boot_replaces_all_before() {
        let fallen_back = || {
            let mut words = Words::default();
            for (boot, seq) in [(boot(1), 9), (boot(2), 5)] {
                words.hear(boot, Word(at(seq)), 0);
            }
            words.advance(&at(7));
            words.covered
        };
        assert_eq!(fallen_back(), Some(Word(at(5))));
        let mut words = Words::default();
        words.hear(boot(1), Word(at(9)), 0);
        words.advance(&at(9));
        words.hear(boot(2), Word(at(5)), 1);
        assert_eq!(words.covered(), None, "until this node has looked at what it says");
    }

    /// S19: an old image was opened again. The word of the boot before it is still under way.
    #[test]
    fn of_two_boots_that_are_told_of_the_younger_word_holds() {
        let told = || {
            let mut words = Words::default();
            words.hear_of(boot(6), Some(Word(at(5))), 2_000);
            words.hear_of(boot(7), Some(Word(at(9))), 1_000);
            words.advance(&at(9));
            words.covered
        };
        assert_eq!(told(), Some(Word(at(5))));
        assert_eq!(without(&["the youngest boot holds"], told), Some(Word(at(9))));
    }

    #[test]
    fn a_word_of_third_parties_counts_by_the_same_rule() {
        let told = || {
            let mut words = Words::default();
            words.hear_of(boot(1), Some(Word(at(9))), 1_000);
            words.advance(&at(7));
            words.covered
        };
        assert_eq!(told(), None);
        let ahead = without(&["a relayed word counts once it is covered"], told);
        assert_eq!(ahead, Some(Word(at(9))));
    }

    #[test]
    fn a_sign_of_life_leaves_the_word() {
        let mut words = Words::default();
        words.hear_of(boot(1), Some(Word(at(9))), 1_000);
        assert!(!words.hear_of(boot(2), None, 2_000));
        assert!(!words.hear_of(boot(1), Some(Word(at(8))), 1_500), "it is older");
        assert_eq!(words.said().map(|said| (said.boot, said.ms)), Some((boot(1), 2_000)));
        assert_eq!(words.latest(), Some(&Word(at(9))));
    }
}
