//! Episodes: a few steps that belong together, for interleavings that chance alone hardly makes.

use super::clock::ClockFault;
use super::draw::CLIENTS;
use super::mix::{Draw, Mix};
use super::scenario::{Action, Operation, OperationKind, Step};

/// A kind of episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Episode {
    /// A node is away while much is written. Its catch-up breaks off in the middle, once or more; meanwhile
    /// more is written, and the supplier starts again, or falls back to an older image.
    Resume,
    /// A node is away for so long that what was deleted meanwhile is forgotten. Its refresh breaks off in the
    /// middle, once or more; meanwhile either side starts again, more is written, deleted and forgotten.
    Refresh,
    /// A folder is replaced by an image that is some moments old, while what it wrote since is on its way to
    /// some and with others.
    Rollback,
    /// The same, and the node starts several times before it meets all others.
    Amnesia,
    /// A folder is replaced by an image that is older than a member.
    OldImage,
    /// A disk is full while a restored node ends its incarnation.
    NoRoomToEnd,
    /// Two nodes write the same keys while they cannot hear each other, and a third hears both.
    Rival,
    /// A fresh node joins, writes while its first catch-up is cut, and is heard elsewhere.
    Newcomer,
    /// A process dies and another is started while what the first had said is still on its way.
    LateWord,
    /// Two nodes lose each other and dial at once, again and again.
    Reconnect,
    /// The inviter's disk is full when it is asked for an invite, or when a guest comes with one.
    NoRoomForGuest,
    /// A folder falls back by less than a second, and another node than the one that it says hello to first
    /// knows more.
    ShortFall,
    /// A copy of a node lives, and a write waits when that is found.
    Twins,
    /// A delayed replica starts again while it holds something back, and its wall clock is a day ahead by then.
    LateClock,
    /// All members have what was written, and know it. A new client reads at one of them, and goes to another: to one
    /// that shows less, has fallen back since, or was away when it was written.
    Lull,
}

impl Episode {
    pub(super) const RESTORES: &[Self] =
        &[Self::Rollback, Self::Amnesia, Self::OldImage, Self::NoRoomToEnd];

    pub(super) const ALL: &[Self] = &[
        Self::Resume,
        Self::Rollback,
        Self::Amnesia,
        Self::OldImage,
        Self::NoRoomToEnd,
        Self::Rival,
        Self::Newcomer,
        Self::LateWord,
        Self::Reconnect,
    ];

    pub(super) const INVITES: &[Self] = &[Self::NoRoomForGuest];

    pub(super) const FALLS: &[Self] = &[Self::ShortFall];
}

impl Draw {
    /// One of the mix's episodes.
    pub(super) fn episode(&mut self, mix: &Mix) -> Vec<Step> {
        let mut script = Script { steps: Vec::new() };
        match self.of(mix.episodes) {
            Episode::Resume => self.resume(&mut script),
            Episode::Refresh => self.refresh(&mut script),
            Episode::Rollback => self.rollback(&mut script),
            Episode::Amnesia => self.amnesia(&mut script),
            Episode::OldImage => self.old_image(&mut script),
            Episode::NoRoomToEnd => self.no_room_to_end(&mut script),
            Episode::Rival => self.rival(&mut script),
            Episode::Newcomer => self.newcomer(&mut script),
            Episode::LateWord => self.late_word(&mut script),
            Episode::Reconnect => self.reconnect(&mut script),
            Episode::NoRoomForGuest => self.no_room_for_guest(&mut script),
            Episode::ShortFall => self.short_fall(&mut script),
            Episode::Twins => self.twins(&mut script),
            Episode::LateClock => self.late_clock(&mut script),
            Episode::Lull => self.lull(&mut script),
        }
        script.steps
    }

    fn resume(&mut self, script: &mut Script) {
        let (away, supplier) = self.two();
        let image_is_taken = self.one_in(3);
        script.add(0, Action::Kill { node: away, is_written: true });
        for round in 0..4 + self.below(8) {
            if round == 2 && image_is_taken {
                script.add(0, Action::Backup { node: supplier });
            }
            let keys = 4 + self.below(20);
            script.add(2, self.write_keys(supplier, keys));
        }
        for node in (0..self.nodes).filter(|node| *node != away) {
            let frames = self.below(12);
            script.add(0, Action::BreakAfter { from: node, to: away, frames });
        }
        script.add(50, Action::Start { node: away });
        for _ in 0..1 + self.below(3) {
            let pause_ms = self.of(&[3, 30, 400]);
            let keys = 1 + self.below(12);
            script.add(pause_ms, self.write_keys(supplier, keys));
            match self.below(8) {
                0 if image_is_taken => {
                    script.add(0, Action::Restore { node: supplier, with_lease: false });
                }
                1 => {
                    script.add(0, Action::Kill { node: supplier, is_written: true });
                    script.add(0, Action::Start { node: supplier });
                }
                2 => {
                    script.add(0, Action::Kill { node: away, is_written: self.one_in(2) });
                    script.add(1, Action::Start { node: away });
                }
                3 => script.add(0, self.write_keys(away, 3)),
                _ => {}
            }
            let frames = self.below(20);
            script.add(0, Action::BreakAfter { from: supplier, to: away, frames });
        }
    }

    fn refresh(&mut self, script: &mut Script) {
        let (away, supplier) = self.two();
        let is_taken = self.one_in(4);
        script.add(0, Action::Kill { node: away, is_written: true });
        for round in 0..4 + self.below(6) {
            if round == 2 && is_taken {
                script.add(0, Action::Backup { node: supplier });
            }
            let keys = 8 + self.below(24);
            script.add(2, self.write_keys(supplier, keys));
        }
        script.add(0, self.delete_keys(supplier, 3));
        // Longer than the short window and the interval of collection.
        script.add(32_000, self.write_keys(supplier, 2));
        for node in (0..self.nodes).filter(|node| *node != away) {
            let frames = self.below(16);
            script.add(0, Action::BreakAfter { from: node, to: away, frames });
        }
        script.add(20, Action::Start { node: away });
        for _ in 0..2 + self.below(4) {
            let pause_ms = self.of(&[3, 30, 400, 6_000]);
            script.add(pause_ms, Action::Read { node: away });
            match self.below(8) {
                0 => script.add(0, self.delete_keys(supplier, 2)),
                1 => {
                    script.add(0, Action::Kill { node: supplier, is_written: true });
                    script.add(0, Action::Start { node: supplier });
                }
                2 | 3 => {
                    script.add(0, Action::Kill { node: away, is_written: self.one_in(2) });
                    script.add(1, Action::Start { node: away });
                }
                4 => script.add(0, self.write_keys(away, 3)),
                5 if is_taken => {
                    script.add(0, Action::Restore { node: supplier, with_lease: false });
                }
                _ => {}
            }
            let frames = 4 + self.below(24);
            script.add(0, Action::BreakAfter { from: supplier, to: away, frames });
        }
    }

    fn rollback(&mut self, script: &mut Script) {
        let (node, other) = self.two();
        let commit_ms = self.of(&[1, 30, 300]);
        script.add(0, Action::Start { node });
        script.add(20, Action::Backup { node });
        script.add(0, Action::Disk { node: other, commit_ms });
        if self.one_in(2) {
            script.add(0, Action::Hold { from: node, to: other, is_bulk: false, is_held: true });
        }
        if self.one_in(2) {
            let others = (0..self.nodes).filter(|it| *it != node && *it != other).collect();
            script.add(0, Action::Split { nodes: others });
        }
        for _ in 0..1 + self.below(4) {
            let keys = 1 + self.below(3);
            script.add(self.of(&[0, 2, 40]), self.write_keys(node, keys));
        }
        // A lease is written every second.
        let pause_ms = self.of(&[0, 3, 30, 1_200]);
        let with_lease = self.one_in(2);
        script.add(pause_ms, Action::Restore { node, with_lease });
        script.add(0, Action::Hold { from: node, to: other, is_bulk: false, is_held: false });
        if self.one_in(2) {
            script.add(0, self.write_keys(node, 2));
        }
        script.add(self.of(&[0, 50, 6_000]), Action::MendAll);
        script.add(0, self.write_keys(node, 2));
        script.add(0, Action::Disk { node: other, commit_ms: 1 });
    }

    fn amnesia(&mut self, script: &mut Script) {
        let (node, _) = self.two();
        script.add(20, Action::Backup { node });
        for _ in 0..1 + self.below(3) {
            script.add(5, self.write_keys(node, 2));
        }
        let commit_ms = self.of(&[1, 1, 300]);
        script.add(0, Action::Disk { node, commit_ms });
        script.add(self.of(&[0, 30]), Action::Restore { node, with_lease: false });
        for _ in 0..1 + self.below(3) {
            let pause_ms = self.of(&[0, 2, 40, 1_200]);
            match self.one_in(2) {
                true => script.add(pause_ms, Action::Stop { node }),
                false => script.add(pause_ms, Action::Kill { node, is_written: self.one_in(2) }),
            }
            script.add(0, Action::Start { node });
        }
        script.add(0, self.write_keys(node, 2));
        script.add(400, Action::Disk { node, commit_ms: 1 });
    }

    fn rival(&mut self, script: &mut Script) {
        let (a, b) = self.two();
        script.add(0, Action::Cut { from: a, to: b });
        script.add(0, Action::Cut { from: b, to: a });
        for _ in 0..2 + self.below(4) {
            script.add(self.of(&[0, 5, 300]), self.write_keys(a, 3));
            script.add(self.of(&[0, 5, 300]), self.write_keys(b, 3));
        }
        script.add(self.of(&[0, 1_500, 6_000]), Action::Mend { a, b });
    }

    fn newcomer(&mut self, script: &mut Script) {
        let newcomer = self.nodes + self.joined;
        for _ in 0..3 {
            script.add(0, self.write_keys(0, 24));
        }
        let bytes_per_ms = self.of(&[0, 5, 20]);
        for from in 0..self.nodes {
            let (delay_ms, jitter_ms, loss_percent) = (1, 0, 0);
            let to = newcomer;
            script
                .add(0, Action::Road { from, to, delay_ms, jitter_ms, loss_percent, bytes_per_ms });
        }
        script.add(5, Action::Join);
        // Who is a member it learns first, by a catch-up of its own.
        let breaks = self.one_in(2);
        for pause_ms in [8, 2, 2, 3, 10, 50, 50, 100, 100, 200] {
            let frames = self.below(30);
            let from = self.node();
            if breaks {
                script.add(0, Action::BreakAfter { from, to: newcomer, frames });
                script.add(0, Action::BreakAfter { from: 0, to: newcomer, frames });
            }
            script.add(pause_ms, self.write_keys(0, 1));
            if self.one_in(2) {
                script.add(0, self.write_keys(newcomer, 2));
            }
            if self.one_in(6) {
                script.add(0, Action::Kill { node: newcomer, is_written: self.one_in(2) });
                script.add(0, Action::Start { node: newcomer });
            }
            script.add(1, self.write_keys(self.nodes - 1, 3));
        }
        self.joined += 1;
    }

    /// The image is older than a member, and only that member has what was written since.
    fn old_image(&mut self, script: &mut Script) {
        let (node, other) = self.two();
        let newcomer = self.nodes + self.joined;
        script.add(0, Action::Start { node: 0 });
        script.add(20, Action::Backup { node });
        script.add(0, Action::Join);
        script.add(400, self.write_keys(node, 1));
        script.add(20, Action::Split { nodes: vec![node, newcomer] });
        script.add(0, self.write_keys(node, 2));
        script.add(20, Action::MendAll);
        script.add(0, Action::Split { nodes: vec![newcomer] });
        script.add(0, Action::Restore { node, with_lease: false });
        script.add(self.of(&[0, 300]), self.write_keys(node, 1));
        script.add(0, self.write_keys(other, 1));
        script.add(self.of(&[300, 8_000]), Action::MendAll);
        self.joined += 1;
    }

    /// The end of an incarnation finds no room on the disk.
    fn no_room_to_end(&mut self, script: &mut Script) {
        let (node, _) = self.two();
        script.add(20, Action::Backup { node });
        script.add(5, self.write_keys(node, 2));
        script.add(5, Action::Restore { node, with_lease: false });
        script.add(0, Action::Full { node, is_full: true });
        script.add(0, self.write_keys(node, 1));
        script.add(self.of(&[50, 6_000]), Action::Full { node, is_full: false });
        script.add(0, self.write_keys(node, 1));
    }

    fn late_word(&mut self, script: &mut Script) {
        let (node, other) = self.two();
        script.add(0, Action::Hold { from: node, to: other, is_bulk: false, is_held: true });
        script.add(0, Action::Break { a: node, b: other });
        script.add(self.of(&[100, 800]), self.write_keys(node, 1));
        script
            .add(0, Action::Postpone { from: node, to: other, ms: self.of(&[500, 1_500, 4_000]) });
        script.add(0, Action::Hold { from: node, to: other, is_bulk: false, is_held: false });
        script.add(0, Action::Kill { node, is_written: self.one_in(2) });
        script.add(self.of(&[0, 20]), Action::Start { node });
        script.add(0, self.write_keys(node, 1));
    }

    fn reconnect(&mut self, script: &mut Script) {
        let (a, b) = self.two();
        let delay_ms = self.of(&[1, 20, 200]);
        for (from, to) in [(a, b), (b, a)] {
            let (jitter_ms, loss_percent, bytes_per_ms) = (0, 0, 0);
            script
                .add(0, Action::Road { from, to, delay_ms, jitter_ms, loss_percent, bytes_per_ms });
        }
        for _ in 0..1 + self.below(3) {
            script.add(self.of(&[0, 20]), Action::Break { a, b });
            script.add(self.of(&[0, 300, 900]), self.write_keys(a, 1));
            script.add(0, self.write_keys(b, 1));
        }
        for (node, peer) in [(a, b), (b, a)] {
            script.add(0, Action::Pause { node, peer, is_paused: true });
        }
        for (node, peer) in [(a, b), (b, a)] {
            script.add(20, Action::Pause { node, peer, is_paused: false });
        }
    }

    fn no_room_for_guest(&mut self, script: &mut Script) {
        let is_asked_in_time = !self.one_in(3);
        let full = |is_full| Action::Full { node: 0, is_full };
        let invite = Action::Invite {
            by: 0,
            is_reader: self.one_in(2),
            lasts_ms: self.of(&[1_000, 3_600_000]),
            guests: self.of(&[1, 2]),
            comes_ms: 0,
            uses: 1,
            asks: false,
        };
        script.add(0, Action::Start { node: 0 });
        if !is_asked_in_time {
            script.add(0, full(true));
        }
        script.add(20, invite);
        script.add(20, full(is_asked_in_time));
        if self.one_in(3) {
            script.add(self.of(&[5, 300]), full(false));
            script.add(0, Action::Kill { node: 0, is_written: self.one_in(2) });
        }
        script.add(self.of(&[20, 300, 2_000]), full(false));
        script.add(0, Action::Start { node: 0 });
    }

    fn late_clock(&mut self, script: &mut Script) {
        let (node, fault) = (self.nodes - 1, ClockFault::Ahead { ms: 24 * 3_600_000 });
        script.add(20, self.write_keys(0, 2));
        script.add(200, Action::Clock { node, fault });
        script.add(0, Action::Kill { node, is_written: true });
        script.add(20, Action::Start { node });
        script.add(200, self.write_keys(0, 1));
    }

    fn lull(&mut self, script: &mut Script) {
        let (at, mut other) = self.two();
        let (falls, is_away) = (self.one_in(3), self.one_in(3));
        if !falls && !is_away {
            other = self.nodes - 1;
        }
        script.add(0, Action::MendAll);
        (0..self.nodes).for_each(|node| script.add(0, Action::Start { node }));
        script.add(5_000, Action::Backup { node: other });
        let gone = || Action::Split { nodes: vec![other] };
        if is_away {
            script.add(0, gone());
            // Longer than the shortest offline window.
            script.add(60_000, self.write_keys(at, 2));
        } else {
            script.add(0, self.write_keys(at, 2));
        }
        // Digests tell all of all.
        script.add(20_000, Action::Read { node: at });
        if falls {
            script.add(0, gone());
            script.add(0, Action::Restore { node: other, with_lease: self.one_in(2) });
        }
        self.clients += 1;
        let session = CLIENTS + self.clients;
        for (node, timeout_ms) in [(at, 0), (other, 300)] {
            script.add(10, Action::Visit { session, node, timeout_ms, then: None });
        }
        script.add(1_000, Action::MendAll);
    }

    /// Two nodes.
    pub(super) fn two(&mut self) -> (usize, usize) {
        let a = self.node();
        let b = (a + 1 + self.below(self.nodes as u64 - 1) as usize) % self.nodes;
        (a, b)
    }

    /// A transaction that deletes some of the first keys.
    fn delete_keys(&mut self, node: usize, keys: u64) -> Action {
        self.operations += 1;
        let first = self.below(8);
        let (puts, deletes) = (Vec::new(), (first..first + keys).collect());
        let kind = OperationKind::Write { puts, deletes, padding: 0 };
        Action::Ask { node, operation: Operation { number: self.operations, kind, concern: None } }
    }

    /// A transaction on some of the first keys.
    pub(super) fn write_keys(&mut self, node: usize, keys: u64) -> Action {
        self.operations += 1;
        let first = self.below(8);
        let (puts, deletes) = match self.one_in(6) {
            true => (Vec::new(), (first..first + keys).collect()),
            false => ((first..first + keys).collect(), Vec::new()),
        };
        let kind = OperationKind::Write { puts, deletes, padding: 0 };
        Action::Ask { node, operation: Operation { number: self.operations, kind, concern: None } }
    }
}

/// The steps of an episode so far.
pub(super) struct Script {
    steps: Vec<Step>,
}

impl Script {
    pub(super) fn add(&mut self, after_ms: u64, action: Action) {
        self.steps.push(Step { after_ms, action });
    }
}
