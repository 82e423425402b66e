//! Every limit of a node as a number with its reason, and all of them as a list for `status`.
//!
//! What bounds a frame, a message and a write is the core's ([`millpond_core::limits`]), and what bounds handshakes is
//! that of each transport (`limits` of its crate): they stand where they are kept to, and in the same list.

use millpond_core::limits as core;

use crate::status::LimitStatus;

/// Members of a domain: as many as have a number on a link, and as one answer to a survey tells of.
pub(crate) const MEMBERS_MAX: usize = core::MEMBERS_NUMBERED_MAX;

/// Links at once that others made and that have not said a welcome hello. Each of them can make this node hold a frame
/// for [`HELLO_MS_MAX`]: 256 MiB in all. Many more than a node has peers, so that all may come at once.
pub(crate) const STRANGERS_MAX: usize = 256;

/// How long a peer may take to say hello.
pub(crate) const HELLO_MS_MAX: u64 = 10_000;

/// Invites that are remembered: each use writes all of them.
pub(crate) const INVITES_MAX: usize = 128;

/// The most nodes that one invite lets in: a fleet that is set up in one go.
pub(crate) const INVITE_USES_MAX: u32 = 1_000;

/// The longest life of an invite: thirty days.
pub(crate) const INVITE_S_MAX: u64 = 30 * 24 * 3600;

/// Nodes that wait for approval at once: a person compares their words one by one.
pub(crate) const PENDING_MAX: usize = 64;

/// Catch-ups supplied at the same time.
pub(crate) const SUPPLIES_MAX: usize = 4;

/// Comparisons at the same time, beside those that a peer asks for anew.
pub(crate) const COMPARISONS_MAX: usize = 4;

/// Surveys that are remembered: a few people who ask again and again. A peer can ask for more than that, and
/// is not heard.
pub(crate) const SURVEYS_MAX: usize = 64;

/// Events that may wait for the engine; beyond, links stop reading.
pub(crate) const EVENTS_MAX: usize = 1024;

/// Frames of bulk lanes that may wait for it beside them; beyond, links stop reading those.
pub(crate) const BULK_FRAMES_MAX: usize = 64;

/// Streams over HTTP: a quarter of tokio's 512 blocking threads, which they may hold while their clients stall.
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "the HTTP API's"))]
pub(crate) const HTTP_STREAMS_MAX: usize = 128;

/// A request's body: twice what a transaction holds, since JSON escapes and names take room.
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "the HTTP API's"))]
pub(crate) const HTTP_BODY_BYTES_MAX: usize = 2 * core::TRANSACTION_BYTES_MAX;

/// Sizes that the engine keeps to. They trade memory for speed and change no meaning, so tests make them small to reach
/// in seconds what takes gigabytes in life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Members of a domain: beyond, invites let nobody in.
    pub(crate) members: usize,
    /// Links that others made and that have not said who they are to this node: beyond, they are turned away.
    pub(crate) strangers: usize,
    /// Bytes of recent transactions in the ring: some seconds of writing at full speed.
    pub(crate) ring_bytes: usize,
    /// Bytes of pushes that may wait for others: less than one link's window, so that a link whose pushes
    /// all wait is never stuck for want of credit.
    pub(crate) waiting_bytes: usize,
    /// Up to this size a catch-up is committed at once and never staged.
    pub(crate) batch_bytes: usize,
    /// How much of a larger one goes to the writer at a time. Local writes wait for one such job at most, so it
    /// takes no longer than some 50 ms.
    pub(crate) slice_bytes: usize,
    /// The same of both in rows.
    pub(crate) slice_rows: usize,
    /// How many rows are folded at a time. They are spread over all tables, so it is fewer.
    pub(crate) fold_rows: usize,
    /// How long a catch-up is supplied from one snapshot, which keeps the store from using its space again.
    pub(crate) snapshot_ms: u64,
    /// Size of a frame of rows: large enough to make its overhead vanish, small enough to interleave.
    pub(crate) rows_frame_bytes: usize,
    /// Up to so many dots the paths of a catch-up are collected from the log; beyond, entries are walked.
    pub(crate) collected_dots: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            members: MEMBERS_MAX,
            strangers: STRANGERS_MAX,
            ring_bytes: 64 << 20,
            waiting_bytes: 2 << 20,
            batch_bytes: 512 << 10,
            slice_bytes: 512 << 10,
            slice_rows: 4_000,
            fold_rows: 1_500,
            snapshot_ms: 60_000,
            rows_frame_bytes: 64 << 10,
            collected_dots: 200_000,
        }
    }
}

/// The limits of which nobody measures how much is used: sizes of one thing, and what the transports keep to.
pub(crate) fn unmeasured() -> Vec<LimitStatus> {
    #[allow(unused_mut, reason = "features add to it")]
    let mut all = vec![
        ("frame bytes, and so those of a hello", core::FRAME_BYTES_MAX as u64),
        ("message bytes", core::MESSAGE_BYTES_MAX as u64),
        ("milliseconds until a hello", HELLO_MS_MAX),
        ("addresses of a member", core::ADDRESSES_MAX as u64),
        ("text bytes of a name, an address or a reason", core::TEXT_BYTES_MAX as u64),
        ("uses of an invite", INVITE_USES_MAX.into()),
        ("seconds of an invite", INVITE_S_MAX),
        ("bytes of a path", core::PATH_BYTES_MAX as u64),
        ("bytes of a value", core::VALUE_BYTES_MAX as u64),
        ("bytes of a transaction", core::TRANSACTION_BYTES_MAX as u64),
        ("writes of a transaction", core::TRANSACTION_WRITES_MAX as u64),
        ("values side by side that a write may leave", core::SIBLINGS_MAX as u64),
        ("events that wait for the engine", EVENTS_MAX as u64),
        ("bulk frames that wait for the engine", BULK_FRAMES_MAX as u64),
    ];
    #[cfg(feature = "http")]
    all.extend([
        ("http streams", HTTP_STREAMS_MAX as u64),
        ("bytes of an http body", HTTP_BODY_BYTES_MAX as u64),
    ]);
    #[cfg(feature = "quic")]
    {
        use millpond_transport_quic::limits as quic;
        all.extend([
            ("quic: handshakes", quic::HANDSHAKES_MAX as u64),
            ("quic: attempts that wait for a handshake", quic::INCOMING_MAX as u64),
            ("quic: links that wait to be taken", quic::READY_LINKS_MAX as u64),
            ("quic: bytes on their way on a lane", quic::LANE_WINDOW_BYTES.into()),
        ]);
    }
    #[cfg(all(unix, feature = "unix"))]
    {
        use millpond_transport_unix::limits as unix;
        all.extend([
            ("unix: sessions being opened", unix::SESSIONS_MAX as u64),
            ("unix: connections being admitted", unix::CONNECTIONS_MAX as u64),
            ("unix: links that wait to be taken", unix::READY_LINKS_MAX as u64),
        ]);
    }
    #[cfg(feature = "libp2p")]
    {
        use millpond_transport_libp2p::limits as libp2p;
        all.extend([
            ("libp2p: handshakes", libp2p::HANDSHAKES_MAX.into()),
            ("libp2p: streams of a connection", libp2p::STREAMS_MAX as u64),
            ("libp2p: links that wait to be taken", libp2p::READY_LINKS_MAX as u64),
            ("libp2p: members that a relay keeps reachable", libp2p::RESERVATIONS_MAX as u64),
            ("libp2p: links that a relay carries", libp2p::CIRCUITS_MAX as u64),
            ("libp2p: peers that discovery keeps", libp2p::FOUND_PEERS_MAX as u64),
        ]);
    }
    all.into_iter().map(|(what, limit)| LimitStatus::new(what, limit, None)).collect()
}
