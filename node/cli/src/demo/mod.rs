//! `demo`: a cluster of real processes on this machine that is cut apart, written to everywhere, and healed.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::failure::{Cause, Exit, Failure, Outcome};
use crate::run::Stop;

mod cluster;
mod load;
mod report;
mod screen;
mod stage;

use cluster::{Cluster, Root};
use load::Load;
use report::Report;
use screen::Screen;

/// Start nodes on this machine, cut them apart, write on all of them at once, and watch them converge.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many nodes, each a process with a folder and ports of its own
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    nodes: u8,
    /// Load these records instead of the places: JSON Lines, each an object with an "id"; .gz is fine
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Stop as soon as all nodes hold the same: exit code 0, or 1 if that takes more than 180 s
    #[arg(long)]
    exit_when_converged: bool,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Say what the demo does and where its data comes from, and do nothing
    #[arg(long)]
    about: bool,
}

/// Runs the demo in `chosen`, or in a folder of its own that is gone afterwards.
pub(crate) async fn demo(args: DemoArgs, chosen: Option<&Path>) -> Outcome {
    if args.about {
        print!("{ABOUT}");
        return Ok(Exit::Ok);
    }
    // Before anything runs: a signal that comes early must not leave processes behind.
    let mut signals = Signals::listen()?;
    let load = Load::read(args.data.as_deref(), usize::from(args.nodes))?;
    let screen = Screen::new(!args.json && std::io::stderr().is_terminal());
    let mut cluster = Cluster::new(Root::make(chosen)?);
    let shown = tokio::select! {
        shown = show(&mut cluster, &load, &screen) => shown,
        () = signals.wait() => {
            screen.step("stopping");
            cluster.stop().await;
            return Ok(Exit::Interrupted);
        }
    };
    let outcome = match shown {
        Ok(report) => stay(&args, &mut cluster, &mut signals, &load, &report).await,
        Err(failure) => {
            cluster.keep();
            Err(failure)
        }
    };
    cluster.stop().await;
    outcome
}

/// From nothing to convergence.
async fn show(cluster: &mut Cluster, load: &Load, screen: &Screen) -> Result<Report, Failure> {
    screen.step(&format!("starting {} nodes in {}", load.nodes(), cluster.dir().display()));
    stage::start(cluster, load.nodes()).await?;
    stage::wait_for_mesh(cluster).await?;
    screen.step("every node is linked to every other; now all links are cut");
    stage::cut(cluster).await?;
    let before = stage::statuses(cluster).await?;

    let started = Instant::now();
    let contested = load.contested();
    screen.step(&format!("each node writes the same {contested} records, unseen by the others"));
    stage::write_contested(cluster, load).await?;
    screen.step("the links come back, and each node imports its share of the rest");
    stage::heal(cluster).await?;
    let (after, seals) = stage::converge(cluster, load, screen, started + DEADLINE).await?;
    Ok(Report::of(&before, &after, seals, started.elapsed()))
}

/// Says what came of it, and stays up until a signal unless it is told not to.
async fn stay(
    args: &DemoArgs,
    cluster: &mut Cluster,
    signals: &mut Signals,
    load: &Load,
    report: &Report,
) -> Outcome {
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", report.json())?,
        false => write!(out, "{}", report.story(cluster, load))?,
    }
    if !report.converged() {
        cluster.keep();
        return Err(Failure::new("the nodes' digests differ at equal vectors")
            .cause(Cause::Demo)
            .why("that is a bug: they have seen the same writes and hold different data")
            .fix(format!("please report it, with the folder {}", cluster.dir().display())));
    }
    if args.exit_when_converged {
        return Ok(Exit::Ok);
    }
    if !args.json {
        write!(out, "{}", report::commands(cluster, load))?;
    }
    out.flush()?;
    drop(out);
    loop {
        tokio::select! {
            () = signals.wait() => return Ok(Exit::Ok),
            () = tokio::time::sleep(WATCH_INTERVAL) => cluster.check()?,
        }
    }
}

/// What ends the demo.
struct Signals {
    stop: Stop,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let hangup = signal(SignalKind::hangup());
        let hangup = hangup
            .map_err(|e| Failure::new("cannot wait for signals").cause(Cause::Demo).why(e))?;
        Ok(Self { stop: Stop::listen()?, hangup })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.stop.wait() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// From the first write until convergence must be proven.
const DEADLINE: Duration = Duration::from_secs(180);

/// How soon a node that died while the demo stays up is reported.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

const ABOUT: &str = "\
The demo runs a cluster on this machine, and everything in it is real: each node is an operating-system process
(`millpond run`) with a folder, a key, a UDP port for its peers and a TCP port for its API. Nothing is simulated.

What it does
  1. starts node-1 in a new domain; the other nodes join by invites of node-1 and find each other by themselves
  2. cuts all links: every node is alone, and takes writes as before
  3. writes every twentieth record on EVERY node, each with its own value in the field `visited_by`: conflicts
  4. heals the links, while each node imports its own share of the other records through its own HTTP API
  5. waits until all nodes have seen every write, then compares a BLAKE3 digest over a full scan of each node
  6. stays up, with commands to paste, until Ctrl-C; then it ends the nodes and removes its folder (--dir keeps it)

What it shows
  - writes are taken on every node, linked or not, and are on disk when they are answered
  - afterwards all nodes hold the same, to the byte, with nobody in charge
  - of a field that several nodes wrote unseen by each other, all show the latest value and list the others
  - copies_per_update: how often a row was sent to a node for each time that it was new there; 1 is the least
    possible (rows received / rows that were new, summed over the nodes)
  - payload bytes are keys, field names and values; frame bytes are what the nodes handed to their links, headers
    and acknowledgements included; UDP bytes are what went over the wire, encryption and retransmissions included

The data
  136,406 places of the world with name, country, region, coordinates, population and time zone. Each field is a
  register of its own. From GeoNames (https://www.geonames.org/), under the Creative Commons Attribution 4.0 licence
  (https://creativecommons.org/licenses/by/4.0/); changed: a selection of rows and columns. THIRD-PARTY.md in the
  source has the full attribution. --data FILE loads your own records instead.
";
