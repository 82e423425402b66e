//! The body of what is told of third parties, version 1: frozen, like those of [`super::control_v1`].

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::control_v1::List;
use super::tree_v1::NumberedV1;
use crate::limits::{MEMBERS_NUMBERED_MAX, NAMESPACES_MAX};
use crate::words::{Differing, Linked, RelayedWord, Words};
use crate::{Boot, Namespace, NodeKey, Seq};

/// The first number, members, whom the sender is linked with (all but those, members), words.
#[derive(Serialize, Deserialize)]
pub(super) struct WordsV1(
    u32,
    List<[u8; 32], MEMBERS_NUMBERED_MAX>,
    Option<(bool, List<u32, MEMBERS_NUMBERED_MAX>)>,
    List<WordV1, MEMBERS_NUMBERED_MAX>,
);

/// Member, boot, age in milliseconds, what differs: namespace, and of each number the last seq; zero is none.
#[derive(Serialize, Deserialize)]
struct WordV1(u32, Option<(u64, u64)>, u64, Option<List<(u32, NumberedV1), NAMESPACES_MAX>>);

impl From<&Words> for WordsV1 {
    fn from(words: &Words) -> Self {
        let linked = words.linked.as_ref();
        Self(
            words.first,
            words.members.iter().map(|key| *key.as_bytes()).collect(),
            linked.map(|it| (it.is_all_but, it.members.iter().copied().collect())),
            words.words.iter().map(WordV1::from).collect(),
        )
    }
}

impl From<&RelayedWord> for WordV1 {
    fn from(word: &RelayedWord) -> Self {
        let frozen = |(namespace, entries): &Differing| {
            let entries = entries.iter().map(|&(number, seq)| (number, seq.map_or(0, Seq::get)));
            (namespace.number(), NumberedV1(entries.collect()))
        };
        Self(
            word.member,
            word.boot.map(|boot| (boot.counter, boot.random)),
            word.age_ms,
            word.differs.as_ref().map(|differs| differs.iter().map(frozen).collect()),
        )
    }
}

impl TryFrom<WordsV1> for Words {
    type Error = DecodeError;

    fn try_from(
        WordsV1(first, List(members), linked, List(words)): WordsV1,
    ) -> Result<Self, DecodeError> {
        let members = members.into_iter().map(NodeKey::from_bytes).collect();
        let linked = linked.map(|(is_all_but, List(members))| Linked { is_all_but, members });
        let is_ascending = |linked: &Linked| linked.members.is_sorted_by(|a, b| a < b);
        if !linked.as_ref().is_none_or(is_ascending) || !words.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(DecodeError::Order("members"));
        }
        let words = words.into_iter().map(RelayedWord::try_from).collect::<Result<_, _>>()?;
        Ok(Self { first, members, linked, words })
    }
}

impl TryFrom<WordV1> for RelayedWord {
    type Error = DecodeError;

    fn try_from(WordV1(member, boot, age_ms, differs): WordV1) -> Result<Self, DecodeError> {
        let typed = |(namespace, entries): (u32, NumberedV1)| {
            let entries = entries.ascending()?.into_iter();
            let entries = entries.map(|(number, seq)| (number, Seq::new(seq))).collect();
            Ok((Namespace::from_number(namespace), entries))
        };
        let differs = differs.map(|List(differs)| differs.into_iter().map(typed).collect());
        let differs: Option<Result<_, DecodeError>> = differs;
        Ok(Self {
            member,
            boot: boot.map(|(counter, random)| Boot { counter, random }),
            age_ms,
            differs: differs.transpose()?,
        })
    }
}
