//! What a seed draws then: one action after the other.

use super::clock::ClockFault;
use super::mix::{Draw, Mix};
use super::scenario::{Action, Operation, OperationKind, Order, Step};
use super::sessions::AskedFor;
use super::shape::name;
use crate::topology::settings::Direction;

impl Draw {
    /// What is done next.
    pub(super) fn steps(&mut self, mix: &Mix) -> Vec<Step> {
        if self.below(100) < mix.episode_percent {
            return self.episode(mix);
        }
        let after_ms = self.below(mix.pause_ms + 1);
        let pauses = std::iter::once(after_ms).chain(std::iter::repeat(0));
        let actions = self.actions(mix).into_iter();
        actions.zip(pauses).map(|(action, after_ms)| Step { after_ms, action }).collect()
    }

    fn actions(&mut self, mix: &Mix) -> Vec<Action> {
        let kinds: [(u64, Make); 37] = [
            (mix.work, Self::work),
            (mix.read, |draw, _| vec![Action::Read { node: draw.node() }]),
            (mix.cut, Self::cut),
            (mix.one_way, |draw, _| draw.pair(|from, to| Action::Cut { from, to })),
            (mix.split, Self::split),
            (mix.broken, Self::broken),
            (mix.road, Self::road),
            (mix.hold, Self::hold),
            (mix.postpone, Self::postpone),
            (mix.replay, |draw, _| draw.pair(|from, to| Action::Replay { from, to, frames: 8 })),
            (mix.kill, Self::kill),
            (mix.disk, Self::disk),
            (mix.full, Self::full),
            (mix.fail_sync, Self::fail_sync),
            (mix.rot, Self::rot),
            (mix.restore, Self::restore),
            (mix.clone, Self::clone),
            (mix.moved, Self::moved),
            (mix.lease, Self::lease),
            (mix.clock, Self::clock),
            (mix.pause, Self::pause),
            (mix.join, Self::join),
            (mix.upgrade, Self::upgrade),
            (mix.invite, Self::invite),
            (mix.guest, Self::guest),
            (mix.pause_all, Self::pause_all),
            (mix.status, |draw, _| vec![Action::Status { node: draw.node() }]),
            (mix.topology, |draw, _| draw.topology()),
            (mix.turn, Self::turn),
            (mix.order, Self::order),
            (mix.delay, Self::delay),
            (mix.promote, Self::promote),
            (mix.visit, Self::visit),
            (mix.decide, |draw, _| vec![Action::Decide { is_approved: !draw.one_in(3) }]),
            (mix.revoke, |_, _| vec![Action::Revoke]),
            (mix.stray, |draw, _| vec![Action::Stray { node: draw.node() }]),
            (mix.rotate, Self::rotate),
        ];
        let sum: u64 = kinds.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(sum);
        for (weight, make) in kinds {
            if left < weight {
                return make(self, mix);
            }
            left -= weight;
        }
        Vec::new()
    }

    pub(super) fn work(&mut self, mix: &Mix) -> Vec<Action> {
        let node = self.node();
        let count = 1 + self.below(4);
        (0..count).map(|_| Action::Ask { node, operation: self.operation(mix) }).collect()
    }

    pub(super) fn operation(&mut self, mix: &Mix) -> Operation {
        self.operations += 1;
        let number = self.operations;
        let kind = match self.below(100) {
            percent if percent < mix.count_percent => match self.below(100) < mix.reset_percent {
                true => OperationKind::Reset,
                false => OperationKind::Count { delta: self.below(19) as i64 - 9 },
            },
            98 => OperationKind::Beside { key: self.below(mix.keys) },
            94..=97 => {
                OperationKind::Keep { key: self.below(mix.keys), which: self.below(2) as usize }
            }
            99 => OperationKind::Refuse { key: self.below(mix.keys) },
            _ => self.write(mix),
        };
        let is_concerned = mix.concern_percent > 0 && self.below(100) < mix.concern_percent;
        let concern = is_concerned.then(|| self.concern());
        Operation { number, kind, concern }
    }

    fn concern(&mut self) -> AskedFor {
        let names = |draw: &mut Self| {
            let names: Vec<String> = (0..3).map(|_| name(draw.node())).collect();
            names.join(",")
        };
        let concern = match self.below(7) {
            0 | 1 => format!("replicas:{}", 1 + self.below(2)),
            2 | 3 => "majority".to_owned(),
            4 => "all".to_owned(),
            5 => format!("first:{}:{}", 1 + self.below(2), names(self)),
            _ => format!("any:{}:{}", 1 + self.below(2), names(self)),
        };
        let level = self.of(&["durable", "durable", "applied", "received"]).to_owned();
        let timeout_ms = self.of(&[20, 300, 2_000]);
        AskedFor { concern, level, timeout_ms, min_connected: self.of(&[0, 0, 0, 1, 2]) }
    }

    /// A client comes to a node; often it writes there.
    fn visit(&mut self, mix: &Mix) -> Vec<Action> {
        let timeout_ms = self.of(&[0, 300, 2_000]);
        if self.one_in(2) {
            // A new one: what all members have by then its bookmark leaves out.
            self.clients += 1;
            let session = CLIENTS + self.clients;
            let visits = [self.node(), self.node()];
            let visit = |node| Action::Visit { session, node, timeout_ms, then: None };
            return visits.map(visit).into();
        }
        let (session, node) = (self.below(CLIENTS as u64) as usize, self.node());
        let then = self.one_in(2).then(|| Operation { concern: None, ..self.operation(mix) });
        vec![Action::Visit { session, node, timeout_ms, then }]
    }

    fn write(&mut self, mix: &Mix) -> OperationKind {
        let count = match self.below(100) < mix.many_percent {
            true => 2 + self.below(mix.keys.clamp(2, 64) - 1),
            false => 1,
        };
        let (mut puts, mut deletes) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let key = self.below(mix.keys);
            if puts.contains(&key) || deletes.contains(&key) {
                continue;
            }
            let is_delete = self.below(100) < mix.delete_percent;
            if is_delete { deletes.push(key) } else { puts.push(key) }
        }
        let is_large = self.below(100) < mix.large_percent;
        let padding = if is_large { self.of(&[1_500, 20_000, 70_000]) } else { 0 };
        OperationKind::Write { puts, deletes, padding }
    }

    fn pair(&mut self, make: impl FnOnce(usize, usize) -> Action) -> Vec<Action> {
        let (a, b) = (self.node(), self.node());
        if a == b { Vec::new() } else { vec![make(a, b)] }
    }

    fn cut(&mut self, _: &Mix) -> Vec<Action> {
        let (a, b) = (self.node(), self.node());
        match a == b {
            true => vec![Action::MendAll],
            false if self.one_in(2) => vec![Action::Mend { a, b }],
            false => vec![Action::Cut { from: a, to: b }, Action::Cut { from: b, to: a }],
        }
    }

    fn split(&mut self, _: &Mix) -> Vec<Action> {
        if self.one_in(2) {
            return vec![Action::MendAll];
        }
        let nodes: Vec<usize> = (0..self.nodes).collect();
        let nodes: Vec<usize> = nodes.into_iter().filter(|_| self.one_in(2)).collect();
        vec![Action::Split { nodes }]
    }

    fn broken(&mut self, _: &Mix) -> Vec<Action> {
        let frames = self.below(12);
        match self.one_in(2) {
            true => self.pair(|a, b| Action::Break { a, b }),
            false => self.pair(|from, to| Action::BreakAfter { from, to, frames }),
        }
    }

    fn road(&mut self, _: &Mix) -> Vec<Action> {
        let delay_ms = self.of(&[1, 20, 200, 1_500]);
        let jitter_ms = self.of(&[0, 0, 30, 300]);
        let loss_percent = self.of(&[0, 0, 2, 20]);
        let bytes_per_ms = self.of(&[0, 0, 1, 20, 1_000]);
        self.pair(|from, to| Action::Road {
            from,
            to,
            delay_ms,
            jitter_ms,
            loss_percent,
            bytes_per_ms,
        })
    }

    fn hold(&mut self, _: &Mix) -> Vec<Action> {
        let (is_bulk, is_held) = (self.one_in(2), self.one_in(2));
        self.pair(|from, to| Action::Hold { from, to, is_bulk, is_held })
    }

    fn postpone(&mut self, _: &Mix) -> Vec<Action> {
        let ms = self.of(&[100, 2_000, 20_000]);
        self.pair(|from, to| Action::Postpone { from, to, ms })
    }

    fn kill(&mut self, _: &Mix) -> Vec<Action> {
        let node = self.node();
        let is_written = self.one_in(2);
        match self.below(8) {
            0..3 => vec![Action::Kill { node, is_written }],
            3 => vec![Action::Stop { node }],
            4 => vec![Action::Kill { node, is_written }, Action::Start { node }],
            _ => vec![Action::Start { node }],
        }
    }

    fn disk(&mut self, _: &Mix) -> Vec<Action> {
        let commit_ms = self.of(&[1, 1, 10, 300, 2_500]);
        vec![Action::Disk { node: self.node(), commit_ms }]
    }

    fn full(&mut self, _: &Mix) -> Vec<Action> {
        vec![Action::Full { node: self.node(), is_full: self.one_in(3) }]
    }

    fn fail_sync(&mut self, _: &Mix) -> Vec<Action> {
        let node = self.node();
        match self.one_in(2) {
            true => vec![Action::FailSync { node, is_kept: self.one_in(2) }],
            false => vec![Action::Start { node }],
        }
    }

    fn rot(&mut self, mix: &Mix) -> Vec<Action> {
        vec![Action::Rot { node: self.nodes - 1, key: self.below(mix.keys) }]
    }

    fn restore(&mut self, _: &Mix) -> Vec<Action> {
        let node = self.node();
        match self.below(3) {
            0 => vec![Action::Restore { node, with_lease: self.one_in(3) }],
            _ => vec![Action::Backup { node }],
        }
    }

    fn clone(&mut self, _: &Mix) -> Vec<Action> {
        if self.copies > 0 {
            return Vec::new();
        }
        self.copies += 1;
        vec![Action::Clone { node: self.node() }]
    }

    fn moved(&mut self, _: &Mix) -> Vec<Action> {
        if self.copies > 0 {
            return Vec::new();
        }
        self.copies += 1;
        vec![Action::Move { node: self.node() }]
    }

    fn lease(&mut self, _: &Mix) -> Vec<Action> {
        vec![Action::Lease { node: self.node(), is_kept: self.one_in(2) }]
    }

    fn clock(&mut self, _: &Mix) -> Vec<Action> {
        let day_ms = 24 * 3_600_000;
        let fault = match self.below(10) {
            0..5 => {
                let scale = self.of(&[200, 20_000, day_ms]);
                ClockFault::Ahead { ms: self.below(2 * scale) as i64 - scale as i64 }
            }
            5 => ClockFault::Drift { ppm: self.of(&[-200_000, -500, 500, 200_000]) },
            6 => ClockFault::Freeze,
            7 => ClockFault::Year2100,
            _ => ClockFault::Right,
        };
        vec![Action::Clock { node: self.node(), fault }]
    }

    fn pause(&mut self, _: &Mix) -> Vec<Action> {
        let is_paused = self.one_in(2);
        self.pair(|node, peer| Action::Pause { node, peer, is_paused })
    }

    fn join(&mut self, _: &Mix) -> Vec<Action> {
        vec![Action::Join]
    }

    fn invite(&mut self, _: &Mix) -> Vec<Action> {
        let by = if self.one_in(6) { self.node() } else { 0 };
        vec![Action::Invite {
            by,
            is_reader: self.one_in(2),
            lasts_ms: self.of(&[1_000, 30_000, 3_600_000]),
            guests: self.of(&[1, 1, 2, 3]),
            comes_ms: self.of(&[0, 0, 300, 2_000]),
            uses: self.of(&[1, 1, 2]),
            asks: self.one_in(3),
        }]
    }

    fn guest(&mut self, mix: &Mix) -> Vec<Action> {
        let node = self.nodes + self.below(4) as usize;
        vec![Action::Ask { node, operation: self.operation(mix) }]
    }

    fn pause_all(&mut self, _: &Mix) -> Vec<Action> {
        vec![Action::PauseAll { node: self.node(), is_paused: self.one_in(2) }]
    }

    fn turn(&mut self, _: &Mix) -> Vec<Action> {
        let direction =
            self.of(&[Direction::Both, Direction::Both, Direction::Pull, Direction::Serve]);
        self.pair(|node, peer| Action::Turn { node, peer, direction })
    }

    /// What is told to the delayed replica; now and then two orders cross.
    fn order(&mut self, _: &Mix) -> Vec<Action> {
        let node = self.nodes - 1;
        let count = if self.one_in(4) { 2 } else { 1 };
        let orders = (0..count).map(|_| {
            let order = match self.below(16) {
                0..6 => Order::Pause,
                6..10 => Order::Resume,
                10..15 => {
                    let longest_ms = self.of(&[20, 2_000, 30_000]);
                    Order::ApplyUntil { ago_ms: self.below(longest_ms) }
                }
                _ => Order::Promote,
            };
            Action::Order { node, order }
        });
        orders.collect()
    }

    fn delay(&mut self, _: &Mix) -> Vec<Action> {
        let node = self.nodes - 1;
        match self.one_in(2) {
            true => vec![self.delayed(node)],
            false => vec![Action::Delay { node, apply_after_ms: None }],
        }
    }

    /// A node becomes a delayed replica.
    pub(super) fn delayed(&mut self, node: usize) -> Action {
        let apply_after_ms = self.of(&[2_000, 20_000, 60_000, 3_600_000]);
        Action::Delay { node, apply_after_ms: Some(apply_after_ms) }
    }

    fn promote(&mut self, _: &Mix) -> Vec<Action> {
        let by = if self.one_in(5) { self.node() } else { 0 };
        let primary = if self.one_in(3) { None } else { Some(self.node()) };
        vec![Action::Promote { by, primary }]
    }

    fn rotate(&mut self, _: &Mix) -> Vec<Action> {
        // At once one of them at most: two that do so while they are cut off could not dial each other any more.
        let (node, overlap_ms) = (self.node(), self.of(&[0, 1_000, 10_000, 30_000]));
        let overlap_ms = if node == 0 { overlap_ms } else { overlap_ms.max(1_000) };
        vec![Action::Rotate { node, overlap_ms }]
    }

    fn upgrade(&mut self, _: &Mix) -> Vec<Action> {
        vec![Action::Upgrade { node: self.node(), is_newer: self.one_in(2) }]
    }
}

/// Clients that stay.
pub(super) const CLIENTS: usize = 3;

/// Draws what one kind of thing does.
type Make = fn(&mut Draw, &Mix) -> Vec<Action>;
