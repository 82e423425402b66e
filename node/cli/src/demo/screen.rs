//! What is seen while the demo runs: bars on a terminal, a few lines elsewhere.

use std::cell::Cell;
use std::time::Duration;

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};
use millpond::status::Status;
use tokio::time::Instant;

/// Where progress goes: always to standard error, since standard output is for the result.
pub(super) struct Screen {
    bars: Option<MultiProgress>,
}

/// The progress of the nodes towards so many rows.
pub(super) struct Progress<'a> {
    screen: &'a Screen,
    bars: Vec<ProgressBar>,
    expected: u64,
    said: Cell<Instant>,
}

impl Screen {
    pub(super) fn new(is_terminal: bool) -> Self {
        Self { bars: is_terminal.then(MultiProgress::new) }
    }

    /// Says what happens now.
    pub(super) fn step(&self, text: &str) {
        match &self.bars {
            Some(bars) => drop(bars.println(text)),
            None => eprintln!("{text}"),
        }
    }

    /// Begins to show how far each node is.
    pub(super) fn progress(&self, names: &[&str], expected: u64) -> Progress<'_> {
        let style = "  {prefix} {bar:30} {human_pos:>9}/{human_len} writes  {msg}";
        let style = ProgressStyle::with_template(style).expect("a valid template");
        let bars = self.bars.iter().flat_map(|all| {
            let bar = |name: &&str| {
                let bar = ProgressBar::new(expected).with_style(style.clone());
                all.add(bar.with_prefix(name.to_string()))
            };
            names.iter().map(bar).collect::<Vec<_>>()
        });
        let said = Cell::new(Instant::now());
        Progress { screen: self, bars: bars.collect(), expected, said }
    }
}

impl Progress<'_> {
    /// Shows how far the nodes are.
    pub(super) fn show(&self, statuses: &[Status]) {
        for (bar, status) in self.bars.iter().zip(statuses) {
            bar.set_position(writes_here(status));
            bar.set_message(lag(status));
        }
        if self.bars.is_empty() && self.said.get().elapsed() >= QUIET_INTERVAL {
            self.said.set(Instant::now());
            let counts: Vec<String> =
                statuses.iter().map(|it| HumanCount(writes_here(it)).to_string()).collect();
            let expected = HumanCount(self.expected);
            self.screen.step(&format!("  {} of {expected} writes", counts.join(" | ")));
        }
    }

    /// Takes the bars away.
    pub(super) fn clear(&self) {
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// Writes of the data that a node has applied, its own and others'.
pub(super) fn writes_here(status: &Status) -> u64 {
    let main = status.namespaces.iter().find(|it| it.namespace == MAIN);
    main.map_or(0, |main| main.dots)
}

/// How far each peer is behind this node.
fn lag(status: &Status) -> String {
    let peers = status.peers.iter().map(|peer| {
        let lag = match peer.they_lack {
            None => "unknown".into(),
            Some(lag) if lag.ops == 0 => "current".into(),
            Some(lag) => match lag.seconds {
                Some(seconds) => format!("-{seconds:.1}s"),
                None => format!("-{} writes", HumanCount(lag.ops)),
            },
        };
        format!("{} {lag}", peer.name)
    });
    peers.collect::<Vec<_>>().join("  ")
}

/// The namespace of the data, as a status names it.
pub(super) const MAIN: &str = "main";

/// How often a line is printed where there is no terminal.
const QUIET_INTERVAL: Duration = Duration::from_secs(5);
