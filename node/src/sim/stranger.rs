//! Whatever somebody says before, in and after a hello: for the fuzzer, and for the tests that replay what it found.
//!
//! A node that has data, a member and an unused invite; and peers that it has authenticated and that say anything: the
//! member, who holds the invite, a stranger, and a copy of the node itself. It does not panic, keeps its bounds, ends
//! the links of who breaks a rule, and tells a stranger nothing.

use std::cell::OnceCell;

use bytes::Bytes;
use millpond_core::frame::{frame, split_frame};
use millpond_core::limits::FRAME_BYTES_MAX;
use millpond_core::message::{CloseCode, Hello, HelloNamespace, Message, PROTOCOL, Protocol};
use millpond_core::transport::{Lane, LinkStats};
use millpond_core::wire::{encode, kind};
use millpond_core::{Boot, Domain, Incarnation, Namespace, NodeKey, Seq, VersionVector};

use super::disk::SimDisk;
use super::net::NodeId;
use super::node::{DOMAIN, Image, Node, key};
use super::trace::Trace;
use super::world::World;
use crate::membership::{InviteOptions, Role};
use crate::replication::{Answer, Input, Limits, LinkId, Output, Remote, Request};

/// Any bytes as what peers do, one step after the other.
pub fn fuzz_hello(data: &[u8]) {
    thread_local!(static BEFORE: OnceCell<Before> = const { OnceCell::new() });
    BEFORE.with(|before| {
        let mut victim = Victim::new(before.get_or_init(Before::new));
        let mut script = Script(data);
        for _ in 0..STEPS_MAX {
            let Some(step) = script.byte() else { break };
            victim.suffer(step, &mut script);
            victim.keeps_its_bounds();
        }
        victim.pass(AFTERWARDS_MS);
        victim.keeps_its_bounds();
    });
}

/// What the victim's folder holds, and the invite that nobody has used.
struct Before {
    image: Image,
    secret: [u8; 16],
    /// What the member has written under.
    incarnation: Incarnation,
}

struct Victim<'a> {
    before: &'a Before,
    node: Node,
    now_ms: u64,
    links: Vec<Option<NodeKey>>,
    /// Who has shown the invite, and so may be a member.
    invited: Vec<NodeKey>,
}

/// The bytes that are left.
struct Script<'a>(&'a [u8]);

impl Before {
    fn new() -> Self {
        let mut world = World::found(7, Limits::default(), false, None, Trace::new(false));
        world.join();
        for node in 0..2 {
            world.put(node, "at/1/f", "some value");
        }
        world.settle().expect("nothing keeps two nodes from being level");
        let id = world.ask(0, Request::Invite { options: INVITE, secret: SECRET });
        world.run(1_000);
        let Some(Answer::Invite(Ok(_))) = world.answers.remove(&id) else {
            panic!("the founder is an admin")
        };
        let open = world.nodes[1].running.as_ref().and_then(|running| running.heads.open);
        let incarnation = open.expect("it has written");
        Self { image: world.nodes[0].image(), secret: SECRET, incarnation }
    }
}

impl<'a> Victim<'a> {
    fn new(before: &'a Before) -> Self {
        let mut node = Node::new(0, SimDisk::new(false));
        node.restore(&before.image);
        node.start(0, 1, 5, [9; 32]).expect("its disk is well");
        let mut victim = Self { before, node, now_ms: 1, links: Vec::new(), invited: Vec::new() };
        victim.drain();
        victim
    }

    fn suffer(&mut self, step: u8, script: &mut Script<'_>) {
        match step % 8 {
            0 => self.link_up(script),
            1 => {
                let how = script.byte().unwrap_or_default();
                self.pass(u64::from(how) * 50);
            }
            2 => self.link_down(script),
            3 => {
                let hello = self.hello(script);
                self.hear(script, encode(&Message::Hello(hello)));
            }
            4 => {
                // A frame whose length is right, whatever is in it.
                let number = u16::from(script.byte().unwrap_or_default()) % (kind::HURRY + 2);
                let length = usize::from(script.byte().unwrap_or_default());
                let body = script.bytes(length);
                self.hear(script, vec![frame(number, kind::version(number), body)]);
            }
            5 => {
                // Bytes as they are: perhaps frames, perhaps not.
                let rest = Bytes::copy_from_slice(script.0);
                let whole = split_frame(&rest.slice(..rest.len().min(FRAME_BYTES_MAX)));
                if let Ok((header, body)) = whole {
                    self.hear(script, vec![frame(header.kind, header.version, &body)]);
                }
            }
            6 => {
                let body = script.bytes(usize::from(u8::MAX));
                let version = body.first().copied().unwrap_or_default();
                self.hear(script, vec![frame(kind::HELLO, version, body)]);
            }
            _ => self.pass(1),
        }
    }

    /// Somebody who was authenticated.
    fn link_up(&mut self, script: &mut Script<'_>) {
        if self.links.len() == LINKS_MAX {
            return;
        }
        let who = script.byte().unwrap_or_default();
        let peer = key([MEMBER, INVITED, STRANGER, ITSELF][usize::from(who % 4)]);
        self.links.push(Some(peer));
        let link = LinkId(self.links.len() as u64);
        let remote = Remote { transport: "simulated", address: "somewhere".into() };
        self.input(Input::LinkUp { link, peer, dialed: who & 4 != 0, remote });
    }

    fn link_down(&mut self, script: &mut Script<'_>) {
        let Some((link, peer)) = self.pick(script) else { return };
        self.links[link.0 as usize - 1] = None;
        let code = script.byte().map(|code| CloseCode::from_number(u32::from(code)));
        let (reason, stats) = (String::new(), LinkStats::default());
        self.input(Input::LinkDown { link, peer, code, reason, stats });
    }

    /// A hello that can be read, right or wrong in each of its parts.
    fn hello(&self, script: &mut Script<'_>) -> Hello {
        let [how, counter, seq] = [0; 3].map(|_| script.byte().unwrap_or_default());
        let is = |bit: u8| how & (1 << bit) != 0;
        let vector = |is_there: bool| {
            let mut vector = VersionVector::new();
            if let Some(seq) = Seq::new(u64::from(seq)).filter(|_| is_there) {
                let incarnation = if is(6) { self.before.incarnation } else { UNHEARD_OF };
                vector.advance(millpond_core::Dot::new(incarnation, seq));
            }
            vector
        };
        Hello {
            protocol: if is(0) { Protocol { oldest: 7, newest: 9 } } else { PROTOCOL },
            features: u64::from(counter),
            domain: if is(1) { Domain::from_bytes([1; 16]) } else { DOMAIN },
            name: "somebody".into(),
            addresses: vec!["1".into(); usize::from(seq % 3)],
            boot: Boot { counter: u64::from(counter), random: u64::from(seq) },
            incarnations: if is(2) { vec![self.before.incarnation] } else { Vec::new() },
            namespaces: [Namespace::SYSTEM, Namespace::MAIN]
                .map(|namespace| HelloNamespace {
                    namespace,
                    durable: vector(is(3)),
                    floor: vector(is(4)),
                })
                .to_vec(),
            invite: is(5).then_some(if is(7) { [0; 16] } else { self.before.secret }),
        }
    }

    fn hear(&mut self, script: &mut Script<'_>, frames: Vec<Bytes>) {
        let Some((link, peer)) = self.pick(script) else { return };
        let lane =
            if script.byte().unwrap_or_default() & 1 == 0 { Lane::Control } else { Lane::Bulk };
        for frame in frames {
            if frame.windows(SECRET.len()).any(|bytes| bytes == SECRET) {
                self.invited.push(peer);
            }
            // Nothing comes over a link that has ended.
            if self.links[link.0 as usize - 1].is_some() {
                self.input(Input::Frame { link, lane, frame });
            }
        }
    }

    fn pick(&self, script: &mut Script<'_>) -> Option<(LinkId, NodeKey)> {
        let which = usize::from(script.byte().unwrap_or_default()) % self.links.len().max(1);
        Some((LinkId(which as u64 + 1), (*self.links.get(which)?)?))
    }

    fn input(&mut self, input: Input) {
        let now = self.node.now(self.now_ms);
        if let Some(running) = &mut self.node.running {
            running.engine_mut().handle(now, input);
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(running) = &mut self.node.running
            && let Some(output) = running.engine_mut().poll_output()
        {
            match output {
                Output::Commit { token, job } => self.node.submit(self.now_ms, token, job),
                Output::Close { link, .. } => self.ends(link),
                Output::Send { link, frame, lane } => self.says(link, lane, &frame),
                _ => {}
            }
        }
    }

    /// The victim ends a link.
    fn ends(&mut self, link: LinkId) {
        let Some(peer) = self.links[link.0 as usize - 1].take() else { return };
        let (code, reason, stats) = (None, "closed here".into(), LinkStats::default());
        let now = self.node.now(self.now_ms);
        if let Some(running) = &mut self.node.running {
            running.engine_mut().handle(now, Input::LinkDown { link, peer, code, reason, stats });
        }
    }

    fn says(&mut self, link: LinkId, lane: Lane, frame: &Bytes) {
        let Some(peer) = self.links[link.0 as usize - 1] else { return };
        let (header, _) = split_frame(frame).expect("it sends whole frames");
        let is_strange = peer == key(STRANGER) || peer == key(ITSELF);
        if is_strange && !self.invited.contains(&peer) {
            // Whom it has dialled it greets, before it knows.
            let is_greeting = matches!(
                header.kind,
                kind::HELLO | kind::CLOSED | kind::CLOSED_HELD | kind::FRAGMENT
            );
            assert!(is_greeting, "a stranger is told of kind {}", header.kind);
        }
        let now = self.node.now(self.now_ms);
        if let Some(running) = &mut self.node.running {
            let bytes = frame.len();
            running.engine_mut().handle(now, Input::Sent { link, lane, bytes });
        }
    }

    /// Lets its disk and its timers do what is due.
    fn pass(&mut self, ms: u64) {
        let until_ms = self.now_ms + ms;
        for _ in 0..SPINS_MAX {
            let (disk_ms, wakes_ms) = (self.node.next_ms(), self.node.wakes_ms(self.now_ms));
            let due_ms = disk_ms.into_iter().chain(wakes_ms).min();
            let Some(at_ms) = due_ms.filter(|at_ms| *at_ms <= until_ms) else {
                self.now_ms = until_ms;
                return;
            };
            self.now_ms = self.now_ms.max(at_ms);
            if disk_ms == Some(at_ms) {
                if let Some(worked) = self.node.work(self.now_ms) {
                    self.input(worked.input);
                }
            } else {
                let has_work = self.node.running.as_ref().is_some_and(|it| it.engine.has_work());
                self.input(if has_work { Input::Continue } else { Input::Timer });
            }
        }
        panic!("it spins at {} ms", self.now_ms);
    }

    fn keeps_its_bounds(&self) {
        let Some(running) = &self.node.running else { return };
        let found = running.engine.inspect();
        assert!(
            found.waiting_bytes <= found.waiting_bytes_max,
            "{} bytes wait",
            found.waiting_bytes
        );
        assert!(found.ring_bytes <= found.ring_bytes_max, "the ring has {}", found.ring_bytes);
        assert!(found.lacking <= 400 && found.introduced <= 400, "it counts what it was told");
        assert!(found.links <= LINKS_MAX, "it holds {} links", found.links);
    }
}

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

const ITSELF: NodeId = 0;
const MEMBER: NodeId = 1;
const INVITED: NodeId = 2;
const STRANGER: NodeId = 7;
const INVITE: InviteOptions = InviteOptions {
    role: Role::Writer,
    expires: std::time::Duration::from_secs(3_600),
    uses: 1,
    needs_approval: false,
};
const SECRET: [u8; 16] = [3; 16];
/// What nobody has written under.
const UNHEARD_OF: Incarnation = Incarnation::from_bytes([0x77; 16]);
const STEPS_MAX: usize = 64;
const LINKS_MAX: usize = 8;
/// How long the victim is watched in the end: longer than a digest's time.
const AFTERWARDS_MS: u64 = 6_000;
/// Steps of a while beyond which it turns in circles.
const SPINS_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts that lead somewhere: who comes, how it greets, what it says then.
    fn seeds() -> Vec<Vec<u8>> {
        let body = |message: &Message| encode(message)[0].to_vec();
        let from = VersionVector::new();
        let pull = millpond_core::message::Pull {
            namespace: Namespace::MAIN,
            transfer: 1,
            from: from.clone(),
            resume: None,
        };
        let feed = Message::Feed { namespace: Namespace::MAIN, from };
        let mut seeds = Vec::new();
        for who in 0..8 {
            // It comes, says a good hello, waits.
            let good = [0, who, 3, 0b0100_1100, 1, 1, 0, 0, 1, 4];
            seeds.push(good.to_vec());
            seeds.push([&good[..], &[5], &body(&Message::Pull(pull.clone()))].concat());
            seeds.push([&good[..], &[5], &body(&feed)].concat());
            // It is of another domain, or version, or has an invite; and comes twice.
            seeds.push(vec![0, who, 3, 2, 1, 1, 0, 0, 1, 4]);
            seeds.push(vec![0, who, 3, 1, 1, 1, 0, 0, 1, 4]);
            seeds.push(vec![
                0,
                who,
                3,
                0b0010_0000,
                1,
                0,
                0,
                0,
                1,
                9,
                0,
                who,
                3,
                0,
                2,
                0,
                1,
                0,
                1,
                9,
            ]);
            // It asks before it greets.
            seeds.push([&[0, who, 5][..], &body(&feed)].concat());
        }
        seeds
    }

    /// `MILLPOND_WRITE_SEEDS=1` writes the seeds anew. A find of the fuzzer is added by hand.
    #[test]
    fn the_fuzzer_s_seeds_pass() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/hello");
        let seeds = seeds();
        for (index, seed) in seeds.iter().enumerate() {
            fuzz_hello(seed);
            if std::env::var_os("MILLPOND_WRITE_SEEDS").is_some() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(folder.join(format!("seed-{index:02}")), seed).unwrap();
            }
        }
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert!(files.len() >= seeds.len());
        for file in files {
            fuzz_hello(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}
