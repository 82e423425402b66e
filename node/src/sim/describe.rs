//! Words for what happens. Each text begins with a label of a word or two, which tells events of a kind apart
//! at a glance; payloads are cut short, vectors are shown by the first digits of incarnations.

use std::fmt::{self, Display, Write};

use bytes::Bytes;
use millpond_core::message::{Ack, Hello, Message, NumberedVector, Pull};
use millpond_core::wire::{DecodeError, Decoder, PushFrame, RowsFrame, kind};
use millpond_core::{Payload, VersionVector};

use super::scenario::{Operation, OperationKind};
use crate::replication::{Answer, Waited};

/// A frame.
pub(crate) fn frame(frame: &Bytes) -> String {
    match Decoder::new().decode(frame.clone()) {
        Ok(Some(said)) => message(&said),
        Err(DecodeError::UnknownTable) => format!("{}: relative to a table", relative(frame)),
        Ok(None) => format!("{UNKNOWN}: {} bytes, or a piece of a message", frame.len()),
        Err(error) => format!("Broken: {} bytes, {error}", frame.len()),
    }
}

/// The kind of a message whose vectors are relative to a table of closed incarnations.
fn relative(frame: &Bytes) -> &'static str {
    match frame.first_chunk().map_or(0, |it| u16::from_le_bytes(*it)) {
        kind::HELLO => "Hello",
        kind::PULL => "Pull",
        kind::PULL_START => "PullStart",
        kind::FEED => "Feed",
        kind::PUSH => "Push",
        kind::CLOSED => "Closed",
        _ => "Compare",
    }
}

/// The kind of message in a frame.
pub(crate) fn kind(bytes: &Bytes) -> String {
    frame(bytes).split(':').next().unwrap_or_default().to_owned()
}

/// The kind of a message.
pub(crate) fn kind_of(said: &Message) -> String {
    message(said).split(':').next().unwrap_or_default().to_owned()
}

/// What a node answers a client.
pub(crate) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Written(Ok((Some(dot), vv))) => format!("written as {dot}, at {}", Vector(vv)),
        Answer::Written(Ok((None, vv))) => format!("nothing to write, at {}", Vector(vv)),
        Answer::Written(Err(error)) => format!("refused, {error}"),
        Answer::Stored { dot, vv, waited } => {
            format!("written as {dot}, at {}; {}", Vector(vv), of_acks(waited))
        }
        Answer::Waited(waited) => of_acks(waited),
        Answer::Shown(Ok(())) => "shown".into(),
        Answer::Shown(Err(behind)) => format!("behind by {}", behind.missing),
        Answer::Status(_) => "the status".into(),
        Answer::Invites(invites) => format!("{} invites", invites.len()),
        Answer::InviteRevoked(Ok(invite)) => format!("revoked {}", invite.id),
        Answer::InviteRevoked(Err(error)) => format!("not revoked, {error}"),
        Answer::Decided(Ok(member)) => format!("decided on {}", member.words),
        Answer::Decided(Err(error)) => format!("not decided, {error}"),
        Answer::Joining(Ok(())) => "joining".into(),
        Answer::Joining(Err(error)) => format!("not joining, {error}"),
        Answer::Invite(Ok(_)) => "an invite".into(),
        Answer::Invite(Err(error)) => format!("no invite, {error}"),
        Answer::Promoted(Ok(())) => "promoted".into(),
        Answer::Rotated(Ok(())) => "the next key is recorded".into(),
        Answer::Rotated(Err(error)) => format!("no next key, {error}"),
        Answer::Revoked(Ok(())) => "revoked".into(),
        Answer::Revoked(Err(error)) => format!("not revoked, {error}"),
        Answer::Removed(Ok(())) => "removed".into(),
        Answer::Removed(Err(error)) => format!("not removed, {error}"),
        Answer::Promoted(Err(error)) => format!("not promoted, {error}"),
        Answer::Delay(Ok(())) => "the delay is ordered".into(),
        Answer::Delay(Err(error)) => format!("no order to the delay, {error}"),
        Answer::Survey(_) => "a survey".into(),
        Answer::Refreshed(result) => format!("refreshed, {result:?}"),
        Answer::Verified(report) => format!("verified, sound: {}", report.is_sound),
        Answer::LossAccepted(result) => format!("loss accepted, {result:?}"),
        Answer::Released(Ok(())) => "released".into(),
        Answer::Released(Err(why)) => format!("not released, {why}"),
        Answer::Writers(writers) => format!("{} writers", writers.len()),
        Answer::Done => "done".into(),
    }
}

fn of_acks(waited: &Waited) -> String {
    let is_met = if waited.is_met { "met" } else { "not met in time" };
    format!("{is_met}: {}", waited.acks)
}

/// What a client asks.
pub(crate) fn operation(operation: &Operation) -> String {
    match &operation.kind {
        OperationKind::Write { puts, deletes, padding } => {
            let padded = if *padding > 0 { format!(" {padding} bytes") } else { String::new() };
            let puts = (!puts.is_empty()).then(|| format!("put{padded} at {puts:?}"));
            let deletes = (!deletes.is_empty()).then(|| format!("delete at {deletes:?}"));
            listed(puts.into_iter().chain(deletes))
        }
        OperationKind::Count { delta } => format!("count {delta:+}"),
        OperationKind::Reset => "reset the counter".into(),
        OperationKind::Keep { key, which } => format!("keep value {which} at {key}"),
        OperationKind::Beside { key } => format!("put beside what is at {key}"),
        OperationKind::Refuse { key } => format!("put at {key}, and refuse"),
    }
}

fn message(message: &Message) -> String {
    match message {
        Message::Hello(said) => hello(said),
        Message::Introduce(pairs) => {
            let pair = |(incarnation, key): &(_, millpond_core::NodeKey)| {
                format!("{incarnation:#} is of {}", key.short())
            };
            format!("Introduce: {}", listed(pairs.iter().map(pair)))
        }
        Message::Closed(said) => {
            format!("Closed: {} changes, of {:x}, to {:x}", said.changes.len(), said.from, said.to)
        }
        Message::Succession(chain) => format!("Succession: {chain:?}"),
        Message::ClosedHeld { hash } => format!("ClosedHeld: {hash:x}"),
        Message::Pull(said) => pull(said),
        Message::PullStart { transfer, upto, rows_estimate, floor } => {
            let (upto, floor) = (Vector(upto), Vector(floor));
            format!(
                "PullStart: {transfer}, up to {upto}, about {rows_estimate} rows, floor {floor}"
            )
        }
        Message::Rows(frame) => rows(frame),
        Message::PullEnd { transfer, rows } => format!("PullEnd: {transfer}, {rows} rows"),
        Message::PullRefused { transfer, reason } => format!("PullRefused: {transfer}, {reason:?}"),
        Message::Feed { namespace, from } => format!("Feed: {namespace} from {}", Vector(from)),
        Message::Behind { namespace } => format!("Behind: {namespace}"),
        Message::Push(frame) => push(frame),
        Message::Words(words) => {
            format!("Words: of {}, linked {:?}", words.words.len(), words.linked)
        }
        Message::Digest(hashes) => {
            let hash = |(namespace, hash): &(_, u64)| format!("{namespace} {hash:016x}");
            format!("Digest: {}", listed(hashes.iter().map(hash)))
        }
        Message::Names { first, names } => {
            let name = |name: &millpond_core::Incarnation| format!("{name:#}");
            format!("Names: {} from {first} on", listed(names.iter().map(name)))
        }
        Message::Announce(said) => {
            let said = said.iter().map(|(namespace, vv)| format!("{namespace} {}", numbered(vv)));
            format!("Announce: {}", listed(said))
        }
        Message::Graft { namespace, after } => {
            let after = after.iter().map(|(number, seq)| format!("#{number} after {seq:?}"));
            format!("Graft: {namespace} {}", listed(after))
        }
        Message::Prune { namespace, origins } => {
            let origins = origins.iter().map(|number| format!("#{number}"));
            format!("Prune: {namespace} {}", listed(origins))
        }
        Message::Ack(acks) => format!("Ack: {}", listed(acks.iter().map(ack))),
        Message::Credit(credit) => format!(
            "Credit: {} bytes of pushes, {} bytes of rows",
            credit.push_bytes, credit.rows_bytes
        ),
        other => format!("{other:?}"),
    }
}

fn hello(hello: &Hello) -> String {
    let holds = hello.namespaces.iter();
    let holds = holds.map(|held| format!("{} {}", held.namespace, Vector(&held.durable)));
    let own = hello.incarnations.iter().map(|incarnation| format!("{incarnation:#}"));
    let invited = if hello.invite.is_some() { ", by invite" } else { "" };
    let boot = hello.boot.counter;
    format!("Hello: boot {boot}, wrote as [{}], holds {}{invited}", listed(own), listed(holds))
}

fn pull(pull: &Pull) -> String {
    let resumes = pull
        .resume
        .as_ref()
        .map(|resume| format!(", goes on behind {} of {}", resume.cursor, Vector(&resume.upto)));
    let Pull { namespace, transfer, from, .. } = pull;
    let resumes = resumes.unwrap_or_default();
    format!("Pull: {transfer} of {namespace} from {}{resumes}", Vector(from))
}

fn rows(frame: &RowsFrame) -> String {
    let row = |row: millpond_core::Row| {
        let live = row.live.iter().map(|live| match &live.content {
            Some((_, payload)) => format!("{} {}", live.dot, value(payload)),
            None => format!("{}", live.dot),
        });
        let gone = row.deletes.iter().map(|(dot, _)| format!("{dot} deletes"));
        format!("{} = {}", row.path, listed(live.chain(gone)))
    };
    let (transfer, count) = (frame.transfer(), frame.len());
    let bytes = frame.encoded_bytes();
    format!("Rows: of {transfer}, {count} in {bytes} bytes; {}", listed(frame.rows().map(row)))
}

fn push(frame: &PushFrame) -> String {
    let write = |write: millpond_core::PushWrite| match &write.payload {
        Some(payload) => format!("{} = {}", write.path, value(payload)),
        None => format!("{} deleted", write.path),
    };
    let origin = frame.origin();
    let (first, last) = (frame.first(), frame.last());
    let seqs = if first == last { first.to_string() } else { format!("{first}..{last}") };
    format!(
        "Push: {} {origin:#}:{seqs} after {} over {}; {}",
        frame.namespace(),
        Vector(frame.deps()),
        Vector(frame.overwritten()),
        listed(frame.writes().map(write))
    )
}

fn ack(ack: &Ack) -> String {
    let Ack { namespace, received, applied, durable } = ack;
    let [received, applied, durable] = [received, applied, durable].map(numbered);
    format!("{namespace} received {received} applied {applied} durable {durable}")
}

fn numbered(vv: &NumberedVector) -> String {
    listed(vv.iter().map(|(number, seq)| format!("#{number}:{seq}")))
}

/// A value, short.
fn value(payload: &Payload) -> String {
    let text: String = String::from_utf8_lossy(&payload.bytes).chars().take(VALUE_CHARS).collect();
    let more = if payload.bytes.len() > text.len() {
        format!("… ({} bytes)", payload.bytes.len())
    } else {
        String::new()
    };
    format!("{text:?}{more}")
}

/// A vector, by the first digits of its incarnations.
struct Vector<'a>(&'a VersionVector);

impl Display for Vector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", listed(self.0.iter().map(|dot| dot.to_string())))
    }
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    let mut left_out = 0;
    for (index, item) in items.enumerate() {
        if index >= ITEMS_MAX {
            left_out += 1;
            continue;
        }
        let comma = if index > 0 { ", " } else { "" };
        write!(text, "{comma}{item}").expect("a text takes all");
    }
    if left_out > 0 {
        write!(text, " and {left_out} more").expect("a text takes all");
    }
    text
}

/// The label of frames of kinds that this version does not know, and of pieces of long messages.
pub(crate) const UNKNOWN: &str = "Unknown";
/// Items of a list that are shown.
const ITEMS_MAX: usize = 6;
/// Characters of a value that are shown.
const VALUE_CHARS: usize = 12;
