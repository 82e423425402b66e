//! What a seed draws first: which work and which faults exist, and how often.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::episode::Episode;
use super::profile::Profile;
use super::scenario::{Action, Scenario, Step, VERSION};

/// How likely each kind of thing is, in one scenario. Zero is never.
#[derive(Debug, Clone, Default)]
pub(super) struct Mix {
    pub(super) work: u64,
    pub(super) read: u64,
    pub(super) cut: u64,
    pub(super) one_way: u64,
    pub(super) split: u64,
    pub(super) broken: u64,
    pub(super) road: u64,
    pub(super) hold: u64,
    pub(super) postpone: u64,
    pub(super) replay: u64,
    pub(super) kill: u64,
    pub(super) disk: u64,
    pub(super) full: u64,
    pub(super) fail_sync: u64,
    pub(super) rot: u64,
    pub(super) restore: u64,
    pub(super) clone: u64,
    pub(super) moved: u64,
    pub(super) lease: u64,
    pub(super) clock: u64,
    pub(super) pause: u64,
    pub(super) join: u64,
    pub(super) upgrade: u64,
    pub(super) invite: u64,
    pub(super) revoke: u64,
    pub(super) stray: u64,
    pub(super) decide: u64,
    /// Work at nodes that may have joined.
    pub(super) guest: u64,
    pub(super) pause_all: u64,
    pub(super) status: u64,
    pub(super) topology: u64,
    pub(super) turn: u64,
    /// Orders to a delayed replica, the last of the nodes.
    pub(super) order: u64,
    pub(super) delay: u64,
    pub(super) promote: u64,
    pub(super) rotate: u64,
    /// Clients that move.
    pub(super) visit: u64,
    /// Of the work so much waits for other members.
    pub(super) concern_percent: u64,
    /// Of the steps so many in a hundred are episodes: interleavings that chance alone hardly makes.
    pub(super) episode_percent: u64,
    pub(super) episodes: &'static [Episode],
    /// Of the work.
    pub(super) delete_percent: u64,
    pub(super) count_percent: u64,
    pub(super) reset_percent: u64,
    pub(super) many_percent: u64,
    pub(super) large_percent: u64,
    pub(super) keys: u64,
    /// The longest pause between two steps is one of these.
    pub(super) pause_ms: u64,
    pub(super) steps: u64,
    pub(super) nodes: usize,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn draw(profile: Profile, seed: u64) -> Self {
        if profile == Profile::Indexes {
            // What happens is another one's; which, a seed decides.
            let others = Profile::ALL.len() as u64 - 1;
            let other = Profile::ALL[(seed % others) as usize];
            return Self { is_indexed: true, ..Self::draw(other, seed) };
        }
        let mut draw = Draw::new(profile, seed);
        let mix = draw.mix(profile);
        let is_small = profile != Profile::Quiet && draw.one_in(2);
        let mut steps = Vec::new();
        for _ in 0..mix.steps {
            steps.extend(draw.steps(&mix));
        }
        // In one of three some member never comes back, whom nobody is to wait for.
        if profile == Profile::DeleteHeavy && seed.is_multiple_of(3) {
            let bury = Step { after_ms: 0, action: Action::Bury { node: mix.nodes - 1 } };
            steps.insert(steps.len() * 3 / 4, bury);
        }
        if profile == Profile::Delayed || (profile == Profile::Sessions && seed.is_multiple_of(4)) {
            // What a delayed replica shows whose folder falls back is not judged here.
            steps.retain(|step| match step.action {
                Action::Restore { node, .. } => node != mix.nodes - 1,
                _ => true,
            });
            let action = draw.delayed(mix.nodes - 1);
            steps.insert(0, Step { after_ms: 0, action });
        }
        let shape = (profile == Profile::Mesh).then(|| draw.shape(mix.nodes));
        // Files are slow to simulate, and what tears them is a profile's matter.
        let is_on_files = profile == Profile::Disk && seed.is_multiple_of(8);
        Self {
            version: VERSION,
            about: String::new(),
            profile,
            seed,
            nodes: mix.nodes,
            is_small,
            is_adaptive: seed % 2 == 1,
            is_on_files,
            is_indexed: false,
            shape,
            steps,
        }
    }
}

/// A seed's choices.
pub(super) struct Draw {
    rng: ChaCha8Rng,
    pub(super) operations: usize,
    /// Nodes so far, those that may have joined included.
    pub(super) nodes: usize,
    pub(super) copies: usize,
    /// Nodes that episodes have joined.
    pub(super) joined: usize,
    /// Clients that came, and left.
    pub(super) clients: usize,
}

impl Draw {
    fn new(profile: Profile, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed ^ ((profile as u64 + 1) << 56));
        Self { rng, operations: 0, nodes: 0, copies: 0, joined: 0, clients: 0 }
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(super) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    pub(super) fn node(&mut self) -> usize {
        self.below(self.nodes as u64) as usize
    }

    /// A weight for a fault that exists in this seed, or zero.
    fn some(&mut self, most: u64) -> u64 {
        if self.one_in(2) { 1 + self.below(most) } else { 0 }
    }

    fn mix(&mut self, profile: Profile) -> Mix {
        let mut mix = Mix {
            work: 60,
            read: 8,
            delete_percent: self.of(&[0, 10, 25]),
            count_percent: self.of(&[0, 10]),
            many_percent: self.of(&[10, 30]),
            large_percent: self.of(&[0, 5]),
            keys: self.of(&[1, 4, 8, 32]),
            pause_ms: self.of(&[5, 60, 400]),
            steps: 60 + self.below(80),
            nodes: 3 + self.below(3) as usize,
            ..Mix::default()
        };
        match profile {
            // Indexes are drawn as another profile.
            Profile::Swarm | Profile::Indexes => self.swarm(&mut mix),
            Profile::Restore => {
                self.network(&mut mix);
                mix.restore = 6;
                mix.lease = 2;
                (mix.episode_percent, mix.episodes) = (6, Episode::RESTORES);
                mix.kill = self.some(4);
                mix.disk = self.some(3);
            }
            Profile::Clone => {
                self.network(&mut mix);
                mix.clone = 1;
                mix.moved = 1;
                (mix.episode_percent, mix.episodes) = (2, &[Episode::LateWord, Episode::Reconnect]);
                mix.kill = self.some(3);
            }
            Profile::Offline => {
                mix.kill = 6;
                mix.split = 4;
                mix.disk = self.some(2);
                mix.lease = self.some(2);
                mix.pause = self.some(3);
                mix.pause_ms = self.of(&[400, 4_000, 30_000]);
                mix.join = self.some(1);
                (mix.episode_percent, mix.episodes) =
                    (4, &[Episode::Rival, Episode::LateWord, Episode::Refresh]);
            }
            Profile::DeleteHeavy => {
                self.network(&mut mix);
                mix.kill = self.some(4);
                mix.disk = self.some(3);
                mix.delete_percent = 50;
                mix.reset_percent = 30;
                mix.count_percent = 15;
                mix.keys = self.of(&[2, 6]);
            }
            Profile::Clock => {
                self.network(&mut mix);
                mix.clock = 12;
                mix.kill = self.some(5);
                mix.lease = self.some(3);
                mix.keys = self.of(&[1, 3]);
            }
            Profile::Transactions => {
                self.network(&mut mix);
                mix.many_percent = 80;
                mix.read = 40;
                mix.keys = self.of(&[8, 64]);
                mix.kill = self.some(3);
                mix.disk = self.some(4);
            }
            Profile::CatchUp => self.catch_up(&mut mix),
            Profile::Overload => {
                mix.road = 8;
                mix.disk = 6;
                mix.full = self.some(3);
                mix.kill = self.some(2);
                mix.hold = self.some(4);
                mix.large_percent = self.of(&[20, 60]);
                mix.pause_ms = self.of(&[0, 5, 60]);
                mix.steps = 120;
            }
            Profile::Upgrade => {
                self.network(&mut mix);
                mix.upgrade = 8;
                mix.kill = self.some(3);
            }
            Profile::Disk => {
                mix.disk = 6;
                mix.full = 5;
                mix.fail_sync = 5;
                mix.kill = 5;
                mix.rot = self.some(1);
                mix.cut = self.some(3);
            }
            Profile::Quiet => mix.pause_ms = self.of(&[0, 60, 400]),
            Profile::Guests => {
                mix.cut = self.some(4);
                mix.kill = self.some(5);
                mix.full = self.some(4);
                mix.disk = self.some(3);
                mix.clock = self.some(6);
                (mix.invite, mix.guest, mix.revoke) = (6, 12, self.some(3));
                (mix.stray, mix.decide) = (self.some(1), 6);
                (mix.pause_all, mix.status) = (self.some(4), 6);
                (mix.episode_percent, mix.episodes) = (4, Episode::INVITES);
                mix.pause_ms = self.of(&[60, 400, 2_000]);
                mix.nodes = 2 + self.below(2) as usize;
            }
            Profile::Fence => {
                self.network(&mut mix);
                mix.kill = self.some(4);
                mix.disk = self.some(2);
                mix.status = 2;
                mix.nodes = 4 + self.below(2) as usize;
                mix.episode_percent = 6;
                mix.episodes = self.of(&[Episode::FALLS, Episode::FALLS, &[Episode::Twins]]);
            }
            Profile::Sessions => {
                self.network(&mut mix);
                (mix.visit, mix.concern_percent) = (30, 50);
                mix.kill = 6;
                mix.disk = self.some(6);
                mix.pause = self.some(3);
                mix.restore = self.some(3);
                mix.lease = self.some(2);
                mix.pause_ms = self.of(&[5, 60, 400, 3_000]);
                (mix.episode_percent, mix.episodes) = (3, &[Episode::Lull]);
            }
            Profile::Keys => {
                self.network(&mut mix);
                mix.rotate = 8;
                mix.kill = self.some(6);
                mix.disk = self.some(3);
                mix.full = self.some(2);
                mix.pause = self.some(2);
                mix.pause_ms = self.of(&[60, 400, 3_000]);
            }
            Profile::Mesh => self.mesh(&mut mix),
            Profile::Delayed => {
                self.network(&mut mix);
                mix.order = 12;
                (mix.episode_percent, mix.episodes) = (2, &[Episode::LateClock]);
                (mix.delay, mix.promote) = (self.some(1), self.some(3));
                mix.clock = self.some(8);
                mix.kill = self.some(5);
                mix.disk = self.some(3);
                mix.full = self.some(2);
                mix.status = 2;
                mix.delete_percent = self.of(&[10, 30]);
                mix.pause_ms = self.of(&[60, 400, 4_000]);
            }
        }
        self.nodes = mix.nodes;
        mix
    }

    fn network(&mut self, mix: &mut Mix) {
        mix.cut = self.some(6);
        mix.one_way = self.some(3);
        mix.split = self.some(3);
        mix.broken = self.some(3);
        mix.road = self.some(4);
        mix.hold = self.some(3);
    }

    fn swarm(&mut self, mix: &mut Mix) {
        self.network(mix);
        mix.nodes = 5;
        mix.steps = 100 + self.below(60);
        mix.postpone = self.some(2);
        mix.replay = if self.one_in(4) { 3 } else { 0 };
        mix.kill = self.some(6);
        mix.disk = self.some(4);
        mix.full = self.some(3);
        mix.fail_sync = if self.one_in(4) { 2 } else { 0 };
        mix.restore = if self.one_in(8) { 3 } else { 0 };
        mix.moved = if self.one_in(16) { 1 } else { 0 };
        mix.lease = self.some(2);
        mix.clock = if self.one_in(3) { 3 } else { 0 };
        mix.pause = if self.one_in(4) { 3 } else { 0 };
        mix.join = if self.one_in(8) { 1 } else { 0 };
        mix.upgrade = if self.one_in(8) { 2 } else { 0 };
        mix.reset_percent = self.of(&[0, 30]);
        mix.episode_percent = self.of(&[0, 0, 2]);
        mix.episodes = Episode::ALL;
    }

    fn mesh(&mut self, mix: &mut Mix) {
        mix.cut = self.some(8);
        mix.one_way = self.some(4);
        mix.split = self.some(3);
        mix.broken = self.some(4);
        mix.postpone = self.some(2);
        mix.kill = self.some(6);
        mix.disk = self.some(2);
        mix.pause = self.some(2);
        mix.topology = self.some(5);
        mix.turn = if self.one_in(4) { 3 } else { 0 };
        mix.pause_ms = self.of(&[60, 400, 3_000]);
        mix.steps = 40 + self.below(60);
        mix.nodes = if self.one_in(12) { 20 } else { 3 + self.below(10) as usize };
    }

    fn catch_up(&mut self, mix: &mut Mix) {
        mix.kill = 5;
        mix.split = 4;
        mix.broken = 5;
        mix.postpone = self.some(3);
        mix.hold = 4;
        mix.road = self.some(4);
        mix.disk = self.some(3);
        mix.restore = if self.one_in(4) { 2 } else { 0 };
        mix.lease = self.some(2);
        mix.delete_percent = self.of(&[10, 30]);
        mix.keys = self.of(&[8, 32, 128]);
        mix.many_percent = 60;
        mix.pause_ms = self.of(&[5, 60, 400, 1_500]);
        mix.join = self.some(1);
        mix.steps = 40 + self.below(40);
        mix.episode_percent = 12;
        mix.episodes = &[Episode::Resume, Episode::Resume, Episode::Newcomer, Episode::Rival];
    }
}
