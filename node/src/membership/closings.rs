//! Closed incarnations: up to where each came, as members record.

use std::collections::BTreeMap;

use bytes::Bytes;
use millpond_core::{
    Closed, Dot, Entry, Incarnation, Namespace, NodeKey, Path, PathError, Payload, PayloadKind,
    Seq, VersionVector,
};

use crate::planted::planted;
use crate::state::{WriteError, WriteTx};

/// The final seq of an incarnation in each namespace that it has written in.
///
/// A max register: of what several have recorded the greatest counts, so that neither a node that knew less nor
/// one that was put back lowers it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Finals(BTreeMap<Namespace, Seq>);

impl Finals {
    /// What vectors cover of an incarnation.
    pub(crate) fn covered<'a>(
        incarnation: Incarnation,
        vectors: impl Iterator<Item = (Namespace, &'a VersionVector)>,
    ) -> Self {
        let covered = vectors.filter_map(|(it, vv)| Some((it, Seq::new(vv.seq(incarnation))?)));
        Self(covered.collect())
    }

    /// Whether a table says less of an incarnation.
    pub(crate) fn exceed(&self, closed: &Closed, incarnation: Incarnation) -> bool {
        let is_more =
            |(it, seq): (&Namespace, &Seq)| seq.get() > closed.finals(*it).seq(incarnation);
        self.0.iter().any(is_more)
    }

    /// What is recorded at a path.
    pub(super) fn read(entry: &Entry) -> Self {
        let mut finals = Self::default();
        let is_stale = planted!("a final seq never falls");
        let live = entry.live().iter().filter(|it| it.payload.kind == PayloadKind::LWW);
        let newest = live.clone().map(|it| (it.hlc, it.dot)).max();
        for live in live.filter(|it| !is_stale || Some((it.hlc, it.dot)) == newest) {
            let recorded: Option<Vec<(u32, u64)>> = postcard::from_bytes(&live.payload.bytes).ok();
            for (namespace, seq) in recorded.unwrap_or_default() {
                let Some(seq) = Seq::new(seq) else { continue };
                finals.raise(Namespace::from_number(namespace), seq);
            }
        }
        finals
    }

    fn raise(&mut self, namespace: Namespace, seq: Seq) {
        let held = self.0.entry(namespace).or_insert(seq);
        *held = seq.max(*held);
    }

    fn encode(&self) -> Bytes {
        let recorded = self.0.iter().map(|(it, seq)| (it.number(), seq.get()));
        let recorded: Vec<(u32, u64)> = recorded.collect();
        Bytes::from(postcard::to_allocvec(&recorded).expect("plain values always encode"))
    }
}

/// Records that `owner` writes no more under an incarnation, which came this far at least.
pub(crate) fn record_closed(
    tx: &mut WriteTx<'_>,
    owner: NodeKey,
    incarnation: Incarnation,
    finals: &Finals,
) -> Result<(), WriteError> {
    let path: Result<Path, PathError> =
        Path::new([&b"member"[..], owner.as_bytes(), b"closed", incarnation.as_bytes()]);
    let path = path?;
    let recorded = Finals::read(&tx.entry(&path)?);
    let mut joined = recorded.clone();
    if !planted!("a final seq never falls") {
        finals.0.iter().for_each(|(&namespace, &seq)| joined.raise(namespace, seq));
    } else {
        joined = finals.clone();
    }
    match joined == recorded {
        true => Ok(()),
        false => tx.put(path, Payload { kind: PayloadKind::LWW, bytes: joined.encode() }),
    }
}

/// The table of what is recorded.
pub(super) fn table(recorded: impl Iterator<Item = (Incarnation, Finals)>) -> Closed {
    let mut dots: BTreeMap<Namespace, Vec<Dot>> = BTreeMap::new();
    for (incarnation, finals) in recorded {
        for (namespace, seq) in finals.0 {
            dots.entry(namespace).or_default().push(Dot::new(incarnation, seq));
        }
    }
    let finals = dots.into_iter().map(|(namespace, dots)| (namespace, dots.into_iter().collect()));
    Closed::new(finals.collect())
}

#[cfg(test)]
mod tests {
    use millpond_core::{Hlc, LiveDot};

    use super::*;
    use crate::planted::without;

    fn finals(system: u64, main: u64) -> Finals {
        let of = [(Namespace::SYSTEM, system), (Namespace::MAIN, main)];
        Finals(of.into_iter().filter_map(|(it, seq)| Some((it, Seq::new(seq)?))).collect())
    }

    /// What two have recorded without having seen each other.
    fn recorded(entries: [(u64, Finals); 2]) -> Finals {
        let live = entries.into_iter().map(|(ms, finals)| LiveDot {
            dot: Dot::new(Incarnation::from_bytes([ms as u8; 16]), Seq::FIRST),
            hlc: Hlc::from_ms(ms),
            payload: Payload { kind: PayloadKind::LWW, bytes: finals.encode() },
        });
        Finals::read(&Entry::from_live(live.collect()))
    }

    #[test]
    fn finding_16_of_two_records_the_greater_counts() {
        let both = || recorded([(1, finals(3, 11)), (2, finals(4, 10))]);
        assert_eq!(both(), finals(4, 11));
        assert_eq!(without(&["a final seq never falls"], both), finals(4, 10));
        assert_eq!(recorded([(1, finals(0, 7)), (2, finals(2, 0))]), finals(2, 7));
    }
}
