//! Episodes in which a node may be doubled: its folder falls back unseen, or a copy of it lives.

use super::episode::Script;
use super::mix::Draw;
use super::scenario::Action;

impl Draw {
    pub(super) fn short_fall(&mut self, script: &mut Script) {
        let (node, other) = self.two();
        let thirds: Vec<usize> = (0..self.nodes).filter(|it| *it != node && *it != other).collect();
        let hold = |from, to, is_held| Action::Hold { from, to, is_bulk: false, is_held };
        script.add(0, Action::Start { node });
        script.add(0, Action::Start { node: other });
        // The lease is written with the first write of a while, and then not for a second.
        script.add(self.of(&[20, 1_500]), self.write_keys(node, 2));
        script.add(self.of(&[15, 40]), Action::Backup { node });
        // Only one other hears what is lost: the thirds learn it from that one, by a catch-up once they meet,
        // or by a push after the hold-down. Until then they are level with the node that fell back.
        let way = self.of(&[Way::Told, Way::Apart, Way::HeldBack]);
        match way {
            Way::Told => {}
            Way::Apart => script.add(0, Action::Split { nodes: vec![node, other] }),
            Way::HeldBack => thirds.iter().for_each(|&to| script.add(0, hold(node, to, true))),
        }
        for _ in 0..1 + self.below(3) {
            script.add(self.of(&[0, 5, 50]), self.write_keys(node, 2));
        }
        match way {
            Way::Told => {}
            Way::Apart => {
                script.add(self.of(&[5, 100]), Action::MendAll);
                script.add(0, Action::Split { nodes: vec![other] });
            }
            Way::HeldBack => {
                script.add(20, Action::Cut { from: node, to: other });
                script.add(0, Action::Cut { from: other, to: node });
            }
        }
        script.add(self.of(&[0, 5, 100, 400]), Action::Rollback { node });
        match way {
            Way::Told => {}
            Way::Apart => {
                script.add(self.of(&[200, 800, 4_000]), Action::MendAll);
                script.add(0, Action::Cut { from: node, to: other });
                script.add(0, Action::Cut { from: other, to: node });
            }
            Way::HeldBack => thirds.iter().for_each(|&to| script.add(0, hold(node, to, false))),
        }
        script.add(self.of(&[50, 4_000, 9_000]), Action::MendAll);
        script.add(self.of(&[20, 700]), self.write_keys(node, 1));
        match self.below(4) {
            0 => script.add(0, Action::Move { node }),
            1 => {
                script.add(0, Action::Kill { node, is_written: self.one_in(2) });
                script.add(0, Action::Start { node });
                script.add(0, self.write_keys(node, 1));
            }
            _ => {}
        }
    }

    /// Two are found out once each was heard well after the other. Until then the node starts once more: its
    /// first write waits, since one member cannot answer.
    pub(super) fn twins(&mut self, script: &mut Script) {
        if self.copies > 0 {
            return;
        }
        self.copies += 1;
        let (node, other) = self.two();
        script.add(0, Action::MendAll);
        script.add(0, Action::Clone { node });
        script.add(0, Action::Lease { node, is_kept: false });
        for _ in 0..3 {
            script.add(self.of(&[2_000, 4_000, 7_000]), Action::Cut { from: other, to: node });
            script.add(0, Action::Kill { node, is_written: self.one_in(2) });
            script.add(20, Action::Start { node });
            script.add(0, self.write_keys(node, 1));
        }
        script.add(5_000, Action::MendAll);
    }
}

/// How others learn what a node wrote that fell back.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// From itself, before.
    Told,
    /// One from itself, and the thirds from that one by a catch-up.
    Apart,
    /// One from itself, and the thirds from that one by a push.
    HeldBack,
}
