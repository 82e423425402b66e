//! Chaos: nodes that are killed, frozen and cut off from each other while clients write and read at all of them.
//!
//! A seed draws what happens and when, before anything starts; how writes fall between that is up to the machine.
//! While it lasts readers see whole transactions and never go back; in the end, when all is mended, all nodes hold
//! the same, and of what was acknowledged nothing is lost and nothing that was deleted is back.

mod bank;
mod judge;
mod plan;
mod reader;
mod shared;
mod writer;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::network::Network;
use crate::node::Node;
use crate::random::Random;
use judge::Held;
use plan::{Cut, Episode, Fate, Plan};
use reader::Reader;
use shared::{End, Place, Shared};
use writer::{Writer, Written};

/// What a run is like.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// Draws what happens.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: usize,
    /// Writers for each node, who go to others now and then.
    pub writers_per_node: usize,
    /// How long it lasts, until all is mended.
    pub duration: Duration,
}

/// What a run came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Verdict {
    /// What went wrong, in words: nothing should.
    pub violations: Vec<String>,
    /// Writes that were answered; each is one transaction.
    pub answered: u64,
    /// Writes whose end nobody was told.
    pub unknown: u64,
    /// Of those answered, how many were transfers between accounts.
    pub transfers: u64,
    /// Reads that were compared.
    pub reads: u64,
    /// Records that all nodes hold in the end.
    pub records: u64,
    /// How often a process was killed, frozen, and ended in good order.
    pub killed: usize,
    /// As above.
    pub frozen: usize,
    /// As above.
    pub ended: usize,
    /// How often a wire was cut, or several at once.
    pub cuts: usize,
    /// From when all was mended until all nodes held the same.
    pub equal_after: Duration,
    /// The nodes' folders, kept since something went wrong.
    pub kept: Option<PathBuf>,
}

impl Chaos {
    /// Starts nodes of this program on hosts of their own, and does all that to them. Each thing is told on
    /// standard error as it happens. Folders go into `parent`, or where temporary files go; they are kept when
    /// something went wrong.
    ///
    /// # Errors
    /// There can be no network, or the nodes do not start.
    pub fn run(&self, program: &Path, parent: Option<&Path>) -> io::Result<Verdict> {
        let mut network = Network::mesh(self.nodes)?;
        let mut cluster = Cluster::start(program, network.hosts(), SETTINGS, parent)?;
        cluster.until_linked(self.nodes - 1)?;
        let plan = Plan::draw(self.seed, self.nodes, self.duration);
        let writers = self.nodes * self.writers_per_node;
        let places = cluster.nodes().iter().map(Place::of).collect();
        let shared = Shared::new(places, writers);
        eprintln!("chaos with seed {} for {:?}", self.seed, self.duration);
        let written = self.let_loose(&plan, &mut network, cluster.nodes_mut(), &shared);
        eprintln!("{} all is mended", shared.clock());
        let mended = Instant::now();
        if let Err(error) = cluster.until_equal_within(PATIENCE) {
            shared.violated(error.to_string());
        }
        let equal_after = mended.elapsed();
        let records = self.judge(&shared, &written);
        let violations = shared.violations();
        let kept = if violations.is_empty() { None } else { Some(cluster.keep()) };
        let fates = |fate| plan.fates.iter().flatten().filter(|it| it.what == fate).count();
        Ok(Verdict {
            violations,
            answered: shared.answered.load(Relaxed),
            unknown: shared.unknown.load(Relaxed),
            transfers: shared.transfers.load(Relaxed),
            reads: shared.reads.load(Relaxed),
            records,
            killed: fates(Fate::Killed),
            frozen: fates(Fate::Frozen),
            ended: fates(Fate::Ended),
            cuts: plan.cuts.len(),
            equal_after,
            kept,
        })
    }

    /// Carries out the plan while clients write and read; tells what the writers were promised.
    fn let_loose(
        &self,
        plan: &Plan,
        network: &mut Network,
        nodes: &mut [Node],
        shared: &Shared,
    ) -> Vec<Written> {
        // Not the plan's choices over again.
        let mut random = Random::new(!self.seed);
        std::thread::scope(|scope| {
            let end = End(shared);
            let writers: Vec<_> = (0..shared.begun.len())
                .map(|number| {
                    let writer = Writer::new(number, shared, random.split());
                    scope.spawn(move || writer.run())
                })
                .collect();
            for node in 0..nodes.len() {
                let reader = Reader::new(node, shared, random.split());
                scope.spawn(move || reader.run());
            }
            let lives: Vec<_> = nodes
                .iter_mut()
                .zip(&plan.fates)
                .map(|(node, fates)| scope.spawn(move || live(node, fates, shared)))
                .collect();
            if let Err(error) = cut(network, &plan.cuts, shared) {
                shared.violated(format!("the network: {error}"));
            }
            // Each mends what it did.
            lives.into_iter().for_each(|life| {
                life.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            shared.until(self.duration);
            drop(end);
            let done = |writer: std::thread::ScopedJoinHandle<'_, Written>| {
                writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            writers.into_iter().map(done).collect()
        })
    }

    /// Compares what each node holds with what was promised, and asks one to compare itself with the others.
    fn judge(&self, shared: &Shared, written: &[Written]) -> u64 {
        let mut records = 0;
        for place in &shared.places {
            match held(place) {
                Ok(held) => {
                    records = held.len() as u64;
                    for fault in judge::faults(held, written) {
                        shared.violated(format!("{}: {fault}", place.name));
                    }
                }
                Err(error) => shared.violated(format!("{} does not answer: {error}", place.name)),
            }
            match place.client().and_then(|client| client.get("/api/v1/status")) {
                Ok(status) if status["node"]["fenced"].is_null() => {}
                told => shared.violated(format!("{} is fenced: {told:?}", place.name)),
            }
        }
        let verify = || {
            let client = shared.places[0].client()?;
            let all = json!({ "all": true }).to_string();
            let told = client.send("POST", "/api/v1/verify", &all)?;
            serde_json::from_str::<Value>(&told).map_err(io::Error::other)
        };
        let start = Instant::now();
        loop {
            match verify() {
                Ok(told) if told["is_sound"] == true => break,
                // All are equal, by way of others perhaps: a link may have yet to be made again.
                Ok(told) if is_incomplete(&told) && start.elapsed() < LINKED_AGAIN => shared.rest(),
                told => {
                    shared.violated(format!("verify finds something: {told:?}"));
                    break;
                }
            }
        }
        records
    }
}

/// Whether a verification found nothing wrong, and has not compared all.
fn is_incomplete(told: &Value) -> bool {
    let is_empty = |list: &Value| list.as_array().is_some_and(Vec::is_empty);
    let peers = told["peers"].as_array().map_or(&[][..], Vec::as_slice);
    let is_found = |peer: &Value| peer["suspect"] != 0 || peer["outcome"] == "differs";
    is_empty(&told["lost"]) && is_empty(&told["alarms"]) && !peers.iter().any(is_found)
}

/// What happens to one node.
fn live(node: &mut Node, fates: &[Episode<Fate>], shared: &Shared) {
    for Episode { from, to, what } in fates {
        shared.until(*from);
        if shared.is_over() {
            return;
        }
        let name = node.name().to_owned();
        let length = (*to - *from).as_secs_f64();
        eprintln!("{} {name} {what} for {length:.2} s", shared.clock());
        let done = match what {
            Fate::Killed => node.kill(),
            Fate::Frozen => node.freeze(),
            Fate::Ended => node.stop(),
        };
        shared.until(*to);
        // However the run ends, the node is there again.
        let back = match what {
            Fate::Killed | Fate::Ended => node.restart(),
            Fate::Frozen => node.thaw(),
        };
        if let Err(error) = done.and(back) {
            return shared.violated(format!("{name} {what}: {error}"));
        }
    }
}

/// What happens to the wires.
fn cut(network: &mut Network, cuts: &[Episode<Cut>], shared: &Shared) -> io::Result<()> {
    let beginnings = cuts.iter().map(|it| (it.from, &it.what, true));
    let endings = cuts.iter().map(|it| (it.to, &it.what, false));
    let mut moments: Vec<_> = beginnings.chain(endings).collect();
    // What lasts no time at all begins before it ends.
    moments.sort_by_key(|(at, _, is_beginning)| (*at, !is_beginning));
    for (at, what, is_beginning) in moments {
        shared.until(at);
        if shared.is_over() {
            break;
        }
        let (clock, is) = (shared.clock(), if is_beginning { "" } else { "no longer " });
        eprintln!("{clock} {is}{what}");
        match (what, is_beginning) {
            (Cut::Both(first, second), true) => network.cut(*first, *second)?,
            (Cut::OneWay(from, to), true) => network.cut_one_way(*from, *to)?,
            (Cut::Down(first, second), true) => network.take_down(*first, *second)?,
            (Cut::Split(part), true) => network.split(part)?,
            (Cut::Both(first, second) | Cut::OneWay(first, second), false)
            | (Cut::Down(first, second), false) => network.heal(*first, *second)?,
            (Cut::Split(part), false) => {
                let rest = (0..shared.places.len()).filter(|it| !part.contains(it));
                for other in rest {
                    part.iter().try_for_each(|one| network.heal(*one, other))?;
                }
            }
        }
    }
    network.heal_all()
}

/// All records of a node.
fn held(place: &Place) -> io::Result<Held> {
    let mut text = String::new();
    place.client()?.follow("/api/v1/export")?.read_to_string(&mut text)?;
    let record = |line: &str| {
        let line: Value = serde_json::from_str(line).map_err(io::Error::other)?;
        let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        Ok(((word("collection"), word("key")), line["fields"].clone()))
    };
    text.lines().map(record).collect()
}

/// How long it may take until each is linked with each.
const LINKED_AGAIN: Duration = Duration::from_secs(60);
/// Members are evicted while they are away, tombstones go, and whoever was away for longer refreshes.
const SETTINGS: &str = "offline_window = \"15s\"";
/// How long it may take, after all that, until all nodes hold the same.
const PATIENCE: Duration = Duration::from_secs(180);
