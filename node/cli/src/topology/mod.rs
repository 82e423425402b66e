//! `topology`: by which way everything goes, and by which settings.

mod graph;
mod text;

use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};
use millpond::status::{Status, Survey};
use millpond::{Mode, Ripple, Topology, TopologyError};
use serde_json::{Value, json};

use crate::client::{Client, segment};
use crate::config::topology_text;
use crate::failure::{Cause, Exit, Failure, Outcome};

/// How the node takes part in its mesh.
#[derive(Debug, Args)]
pub(crate) struct TopologyFlags {
    /// Whom to link with, and whom to feed
    #[arg(long)]
    mode: Option<ModeWord>,
    /// How many peers to feed, of mode spanning-tree
    #[arg(long)]
    fanout: Option<usize>,
    /// What becomes of data that came by replication
    #[arg(long)]
    ripple: Option<RippleWord>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeWord {
    /// With every member
    FullMesh,
    /// With so many as `fanout` says
    SpanningTree,
    /// With those that [[topology.link]] in millpond.toml names
    Static,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RippleWord {
    /// Announced, and sent to who asks for it
    Adaptive,
    /// Sent after a fixed delay to who still lacks it
    HoldDown,
}

impl TopologyFlags {
    /// Changes what the flags say.
    ///
    /// # Errors
    /// A mix that makes no sense.
    pub fn change(&self, topology: &mut Topology) -> Result<(), Failure> {
        let before = match topology.mode {
            Mode::SpanningTree { fanout } => Some(fanout),
            _ => None,
        };
        let fanout = self.fanout.or(before).unwrap_or(Mode::FANOUT);
        topology.mode = match self.mode {
            Some(ModeWord::SpanningTree) => Mode::SpanningTree { fanout },
            None if before.is_some() => Mode::SpanningTree { fanout },
            _ if self.fanout.is_some() => {
                let what = "only mode spanning-tree has a fanout";
                let fix = "add --mode spanning-tree, or leave --fanout out";
                return Err(Failure::new(what).fix(fix).cause(Cause::Usage).exit(Exit::Usage));
            }
            Some(ModeWord::FullMesh) => Mode::FullMesh,
            Some(ModeWord::Static) => Mode::Static,
            None => topology.mode,
        };
        topology.ripple = match self.ripple {
            Some(RippleWord::Adaptive) => Ripple::Adaptive,
            Some(RippleWord::HoldDown) => Ripple::HoldDown,
            None => topology.ripple,
        };
        let what = "these settings make no sense";
        topology.check().map_err(|error| match error {
            TopologyError::NoLinks => Failure::new(what)
                .why(&error)
                .code(error.code())
                .fix("name them in millpond.toml, and start the node with that: docs/TOPOLOGY.md")
                .exit(Exit::Usage),
            error => Failure::new(what).why(&error).code(error.code()).exit(Exit::Usage),
        })
    }

    fn is_empty(&self) -> bool {
        self.mode.is_none() && self.fanout.is_none() && self.ripple.is_none()
    }
}

/// By which way everything goes.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TopologyArgs {
    #[command(subcommand)]
    command: Option<TopologyCommand>,
    /// Only the way of what this member writes: its name, its key or the first 8 digits of it
    #[arg(long)]
    origin: Option<String>,
    /// Print a graph for Graphviz: millpond topology --dot | dot -Tsvg
    #[arg(long, group = "form")]
    dot: bool,
    /// Print a Mermaid graph
    #[arg(long, group = "form")]
    mermaid: bool,
    /// Print JSON
    #[arg(long, group = "form")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum TopologyCommand {
    /// Change how this node takes part, until it starts again
    Set(SetArgs),
}

#[derive(Debug, Args)]
struct SetArgs {
    #[command(flatten)]
    flags: TopologyFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn topology(args: TopologyArgs, dir: &Path) -> Outcome {
    match &args.command {
        Some(TopologyCommand::Set(args)) => set(args, dir).await,
        None => show(&args, dir).await,
    }
}

async fn set(args: &SetArgs, dir: &Path) -> Outcome {
    let what = "cannot change the topology";
    if args.flags.is_empty() {
        return Err(Failure::new("there is nothing to change")
            .cause(Cause::Usage)
            .fix("give --mode, --fanout or --ripple")
            .exit(Exit::Usage));
    }
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let status: Status = client.get("/api/v1/status").await.map_err(|error| error.at(what))?;
    let mut settings = status.node.topology;
    args.flags.change(&mut settings)?;
    let told: Value =
        client.put("/api/v1/topology", &json!(settings)).await.map_err(|error| error.at(what))?;
    if args.json {
        println!("{told}");
        return Ok(Exit::Ok);
    }
    println!("now: {}", topology_text(&settings));
    println!("until the node starts again; to keep it, in millpond.toml:");
    for line in file_text(&settings).lines() {
        println!("  {line}");
    }
    Ok(Exit::Ok)
}

/// The settings as the configuration file has them.
fn file_text(settings: &Topology) -> String {
    let mut text = format!("[topology]\nmode = \"{}\"\n", settings.mode.word());
    if let Mode::SpanningTree { fanout } = settings.mode {
        text += &format!("fanout = {fanout}\n");
    }
    text + &format!("ripple = \"{}\"\n", settings.ripple.word())
}

async fn show(args: &TopologyArgs, dir: &Path) -> Outcome {
    let what = "cannot show the topology";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let origin = args.origin.as_ref().map(|origin| format!("?origin={}", segment(origin)));
    let path = format!("/api/v1/topology{}", origin.unwrap_or_default());
    let told: Value = client.get(&path).await.map_err(|error| error.at(what))?;
    if args.json {
        println!("{told}");
        return Ok(Exit::Ok);
    }
    let survey: Survey = serde_json::from_value(told["survey"].clone()).map_err(|error| {
        Failure::new(what).why(error).cause(Cause::Answer).fix("the node runs another version")
    })?;
    print!(
        "{}",
        match (args.dot, args.mermaid) {
            (true, _) => graph::dot(&survey),
            (_, true) => graph::mermaid(&survey),
            _ => text::draw(&survey),
        }
    );
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(mode: Option<ModeWord>, fanout: Option<usize>) -> TopologyFlags {
        TopologyFlags { mode, fanout, ripple: None }
    }

    /// The mode that flags make of another one; `None` if they make no sense.
    fn mode(before: Mode, mode: Option<ModeWord>, fanout: Option<usize>) -> Option<Mode> {
        let mut topology = Topology::default();
        topology.mode = before;
        flags(mode, fanout).change(&mut topology).ok().map(|()| topology.mode)
    }

    #[test]
    fn flags_change_what_they_name_and_nothing_else() {
        let tree = |fanout| Mode::SpanningTree { fanout };
        let word = Some(ModeWord::SpanningTree);
        assert_eq!(mode(Mode::FullMesh, word, None), Some(tree(Mode::FANOUT)));
        assert_eq!(mode(Mode::FullMesh, word, Some(3)), Some(tree(3)));
        assert_eq!(mode(tree(3), word, None), Some(tree(3)));
        assert_eq!(mode(tree(3), None, Some(4)), Some(tree(4)));
        assert_eq!(mode(tree(3), None, None), Some(tree(3)));
        assert_eq!(mode(tree(3), Some(ModeWord::FullMesh), None), Some(Mode::FullMesh));
    }

    #[test]
    fn a_mix_that_makes_no_sense_is_refused() {
        assert_eq!(mode(Mode::FullMesh, None, Some(3)), None);
        assert_eq!(mode(Mode::FullMesh, Some(ModeWord::FullMesh), Some(3)), None);
        assert_eq!(mode(Mode::FullMesh, Some(ModeWord::SpanningTree), Some(0)), None);
        assert_eq!(mode(Mode::FullMesh, Some(ModeWord::Static), None), None, "no links are named");
    }

    #[test]
    fn what_set_prints_can_be_put_into_the_file() {
        let mut topology = Topology::default();
        topology.mode = Mode::SpanningTree { fanout: 3 };
        let text = file_text(&topology);
        assert_eq!(
            text,
            "[topology]\nmode = \"spanning-tree\"\nfanout = 3\nripple = \"adaptive\"\n"
        );
    }
}
