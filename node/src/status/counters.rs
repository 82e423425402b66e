//! What has moved: counts since the node started.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::VerifyTotals;

/// Rows and bytes that moved over the links to one peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LinkCounters {
    /// Rows sent: writes of pushes, and rows of catch-ups.
    pub rows_sent: u64,
    /// Rows received.
    pub rows_received: u64,
    /// Of those, rows with a dot that was new here.
    pub rows_new: u64,
    /// Rows received that were covered already.
    pub rows_duplicate: u64,
    /// Replicated rows held back for this peer.
    pub rows_held: u64,
    /// Rows announced to this peer in place of being sent.
    pub rows_announced: u64,
    /// Of the rows held, rows forwarded, since the peer still lacked them after the delay.
    pub rows_forwarded: u64,
    /// Replicated rows sent since the peer has asked for what their writer writes: it takes that from here.
    pub rows_grafted: u64,
    /// Rows received twice, and answered by asking the peer for no more.
    pub rows_pruned: u64,
    /// Of the rows held, rows never sent, since the peer had them by then.
    pub rows_suppressed: u64,
    /// Bytes of keys, field names and values in the rows sent.
    pub payload_bytes_sent: u64,
    /// The same of the rows received by pushes; so are those that follow, each of the rows of that name.
    pub payload_bytes_received: u64,
    /// Of rows that were new here.
    pub payload_bytes_new: u64,
    /// Of rows that were covered already.
    pub payload_bytes_duplicate: u64,
    /// Of rows held back.
    pub payload_bytes_held: u64,
    /// Of rows announced.
    pub payload_bytes_announced: u64,
    /// Of rows forwarded.
    pub payload_bytes_forwarded: u64,
    /// Of rows grafted.
    pub payload_bytes_grafted: u64,
    /// Of rows pruned.
    pub payload_bytes_pruned: u64,
    /// Of rows suppressed.
    pub payload_bytes_suppressed: u64,
    /// Bytes of frames handed to the lanes.
    pub frame_bytes_sent: u64,
    /// Bytes of frames that came from the lanes.
    pub frame_bytes_received: u64,
    /// Of the frames sent, those that are no data.
    pub control: ControlBytes,
    /// Bytes on the wire, transport overhead included.
    pub wire_bytes_sent: u64,
    /// Bytes from the wire, transport overhead included.
    pub wire_bytes_received: u64,
    /// Catch-ups that this node pulled from the peer.
    pub pulls: u64,
    /// Times that this node asked the peer to send what an origin writes.
    pub grafts: u64,
    /// Times that this node asked the peer to send no more of an origin.
    pub prunes: u64,
    /// Times that this node ended its turn in a comparison with the peer: two make a round trip.
    pub compare_turns: u64,
    /// Links that came up.
    pub links: u64,
}

/// Bytes of the frames sent that carry no data, by what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ControlBytes {
    /// What is here and not sent.
    pub announce: u64,
    /// Who is to send.
    pub graft: u64,
    /// Who is to send no more.
    pub prune: u64,
    /// What has arrived.
    pub ack: u64,
    /// What each side has, every few seconds.
    pub heartbeat: u64,
    /// How much more may be sent.
    pub credit: u64,
    /// Everything else: hellos, introductions, requests for feeds and catch-ups, surveys.
    pub other: u64,
}

/// Rows, and the bytes of keys, field names and values in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Amount {
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What was pushed over the links to one peer of what one origin wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OriginCounters {
    /// The member that wrote: its name, or the first digits of its key.
    pub origin: String,
    /// The incarnation under which it wrote.
    pub incarnation: String,
    /// Received.
    pub received: Amount,
    /// Of those, what was new here.
    pub new: Amount,
    /// Of those, what was here already.
    pub duplicate: Amount,
    /// Replicated, and held back for the peer.
    pub held: Amount,
    /// Announced to the peer in place of being sent.
    pub announced: Amount,
    /// Of what was held, what was sent, since the peer still lacked it after the delay.
    pub forwarded: Amount,
    /// Replicated, and sent since the peer has asked for it.
    pub grafted: Amount,
    /// Received twice, and answered by asking the peer for no more.
    pub pruned: Amount,
    /// Of what was held, what was never sent, since the peer had it by then.
    pub suppressed: Amount,
}

/// Totals of a node since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Totals {
    /// Local transactions committed.
    pub transactions: u64,
    /// Dots issued here.
    pub dots_issued: u64,
    /// Commits of the store.
    pub commits: u64,
    /// Sums over all peers.
    pub links: LinkCounters,
    /// What verifying has done.
    #[serde(default)]
    pub verify: VerifyTotals,
}

/// What became of rows, at a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    Received,
    New,
    Duplicate,
    Held,
    Announced,
    Forwarded,
    Grafted,
    Pruned,
    Suppressed,
}

impl LinkCounters {
    /// Counts rows of a push, and their bytes.
    pub(crate) fn count(&mut self, moved: Moved, amount: Amount) {
        let (rows, bytes) = match moved {
            Moved::Received => (&mut self.rows_received, &mut self.payload_bytes_received),
            Moved::New => (&mut self.rows_new, &mut self.payload_bytes_new),
            Moved::Duplicate => (&mut self.rows_duplicate, &mut self.payload_bytes_duplicate),
            Moved::Held => (&mut self.rows_held, &mut self.payload_bytes_held),
            Moved::Announced => (&mut self.rows_announced, &mut self.payload_bytes_announced),
            Moved::Forwarded => (&mut self.rows_forwarded, &mut self.payload_bytes_forwarded),
            Moved::Grafted => (&mut self.rows_grafted, &mut self.payload_bytes_grafted),
            Moved::Pruned => (&mut self.rows_pruned, &mut self.payload_bytes_pruned),
            Moved::Suppressed => (&mut self.rows_suppressed, &mut self.payload_bytes_suppressed),
        };
        *rows += amount.rows;
        *bytes += amount.bytes;
    }

    /// Adds another peer's counters.
    pub(crate) fn add(&mut self, other: &Self) {
        self.rows_sent += other.rows_sent;
        self.rows_received += other.rows_received;
        self.rows_new += other.rows_new;
        self.rows_duplicate += other.rows_duplicate;
        self.rows_held += other.rows_held;
        self.rows_announced += other.rows_announced;
        self.rows_forwarded += other.rows_forwarded;
        self.rows_grafted += other.rows_grafted;
        self.rows_pruned += other.rows_pruned;
        self.rows_suppressed += other.rows_suppressed;
        self.payload_bytes_sent += other.payload_bytes_sent;
        self.payload_bytes_received += other.payload_bytes_received;
        self.payload_bytes_new += other.payload_bytes_new;
        self.payload_bytes_duplicate += other.payload_bytes_duplicate;
        self.payload_bytes_held += other.payload_bytes_held;
        self.payload_bytes_announced += other.payload_bytes_announced;
        self.payload_bytes_forwarded += other.payload_bytes_forwarded;
        self.payload_bytes_grafted += other.payload_bytes_grafted;
        self.payload_bytes_pruned += other.payload_bytes_pruned;
        self.payload_bytes_suppressed += other.payload_bytes_suppressed;
        self.frame_bytes_sent += other.frame_bytes_sent;
        self.frame_bytes_received += other.frame_bytes_received;
        self.wire_bytes_sent += other.wire_bytes_sent;
        self.wire_bytes_received += other.wire_bytes_received;
        self.pulls += other.pulls;
        self.grafts += other.grafts;
        self.prunes += other.prunes;
        self.compare_turns += other.compare_turns;
        self.links += other.links;
        self.control.add(&other.control);
    }
}

impl ControlBytes {
    /// All of them.
    pub fn total(&self) -> u64 {
        let Self { announce, graft, prune, ack, heartbeat, credit, other } = self;
        announce + graft + prune + ack + heartbeat + credit + other
    }

    /// Adds another peer's.
    fn add(&mut self, other: &Self) {
        self.announce += other.announce;
        self.graft += other.graft;
        self.prune += other.prune;
        self.ack += other.ack;
        self.heartbeat += other.heartbeat;
        self.credit += other.credit;
        self.other += other.other;
    }
}

impl OriginCounters {
    /// Counts rows of a push, and their bytes.
    pub(crate) fn count(&mut self, moved: Moved, amount: Amount) {
        *match moved {
            Moved::Received => &mut self.received,
            Moved::New => &mut self.new,
            Moved::Duplicate => &mut self.duplicate,
            Moved::Held => &mut self.held,
            Moved::Announced => &mut self.announced,
            Moved::Forwarded => &mut self.forwarded,
            Moved::Grafted => &mut self.grafted,
            Moved::Pruned => &mut self.pruned,
            Moved::Suppressed => &mut self.suppressed,
        } += amount;
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The counters with each of them at its own power of three, and how many there are.
    fn distinct() -> (LinkCounters, u32) {
        let mut value = serde_json::to_value(LinkCounters::default()).unwrap();
        let mut count = 0;
        number(&mut value, &mut count);
        (serde_json::from_value(value).unwrap(), count)
    }

    fn number(value: &mut Value, count: &mut u32) {
        match value {
            Value::Object(fields) => fields.values_mut().for_each(|field| number(field, count)),
            other => {
                *other = json!(3_u64.pow(*count));
                *count += 1;
            }
        }
    }

    fn flat(value: &Value) -> Vec<u64> {
        match value {
            Value::Object(fields) => fields.values().flat_map(flat).collect(),
            other => vec![other.as_u64().unwrap()],
        }
    }

    #[test]
    fn every_counter_is_added() {
        let (counters, count) = distinct();
        let mut sum = counters;
        sum.add(&counters);
        let once = flat(&serde_json::to_value(counters).unwrap());
        let twice = flat(&serde_json::to_value(sum).unwrap());
        assert_eq!(twice, once.iter().map(|it| it * 2).collect::<Vec<_>>());
        assert_eq!(once.len(), count as usize);
    }

    #[test]
    fn what_moved_is_counted_once_for_the_link_and_once_for_its_origin() {
        let all = [
            (Moved::Received, "received"),
            (Moved::New, "new"),
            (Moved::Duplicate, "duplicate"),
            (Moved::Held, "held"),
            (Moved::Announced, "announced"),
            (Moved::Forwarded, "forwarded"),
            (Moved::Grafted, "grafted"),
            (Moved::Pruned, "pruned"),
            (Moved::Suppressed, "suppressed"),
        ];
        for (moved, name) in all {
            let (mut link, mut origin) = (LinkCounters::default(), OriginCounters::default());
            let amount = Amount { rows: 2, bytes: 50 };
            link.count(moved, amount);
            origin.count(moved, amount);
            let link = serde_json::to_value(link).unwrap();
            assert_eq!(
                (&link[format!("rows_{name}")], &link[format!("payload_bytes_{name}")]),
                (&json!(2), &json!(50))
            );
            assert_eq!(flat(&link).iter().sum::<u64>(), 52);
            let origin = serde_json::to_value(origin).unwrap();
            assert_eq!(origin[name], json!({"rows": 2, "bytes": 50}));
        }
    }

    #[test]
    fn counters_of_an_older_node_are_read() {
        let old: LinkCounters = serde_json::from_value(json!({"rows_sent": 3})).unwrap();
        assert_eq!(old, LinkCounters { rows_sent: 3, ..LinkCounters::default() });
    }
}
