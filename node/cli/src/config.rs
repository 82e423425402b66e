//! The configuration file, and `config check`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use millpond::{Config, Mode, Topology};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use crate::failure::{Exit, Failure, Outcome};
use crate::state_dir;

/// Look after the configuration.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the file without starting a node
    Check {
        /// The file [default: millpond.toml in the node's folder]
        #[arg(long)]
        config: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: &ConfigArgs, dir: &Path) -> Outcome {
    let ConfigCommand::Check { config, json } = &args.command;
    let path = path(dir, config.as_deref());
    if !path.exists() {
        return Err(Failure::new(format!("there is no {}", path.display()))
            .fix("millpond init writes one; without a file the defaults hold")
            .exit(Exit::Config));
    }
    let file = load(&path)?;
    let replica = file.replica(dir)?;
    if *json {
        let (listen, http) = (replica.listen, file.http.to_string());
        let (region, cost, topology) = (&replica.region, replica.cost, &replica.topology);
        let told = json!({
            "valid": true, "name": replica.name, "listen": listen, "http": http,
            "state_dir": replica.state_dir, "region": region, "cost": cost, "topology": topology,
        });
        println!("{told}");
        return Ok(Exit::Ok);
    }
    println!("{} is valid", path.display());
    println!("name          {}", replica.name);
    println!("listens on    {}", replica.listen);
    println!("API           {}", file.http);
    println!("state folder  {}", state_dir::text(replica.state_dir.as_deref()));
    println!("topology      {}", topology_text(&replica.topology));
    let region = replica.region.as_deref().unwrap_or("none");
    println!("region        {region}; costs others {}", replica.cost);
    Ok(Exit::Ok)
}

/// The file, with what it leaves out at the defaults.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Of the file's format.
    #[expect(dead_code, reason = "checked as it is parsed")]
    version: Option<FormatVersion>,
    pub name: Option<String>,
    pub state_dir: Option<PathBuf>,
    pub region: Option<Region>,
    pub cost: Option<u32>,
    #[serde(default)]
    pub topology: Topology,
    #[serde(default)]
    pub replication: Replication,
    #[serde(default)]
    pub store: Store,
    #[serde(default)]
    pub http: Http,
    #[serde(default)]
    pub log: Log,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replication {
    pub bindaddress: Option<SocketAddr>,
    #[serde(default)]
    pub origin: Origins,
    pub hold_down: Option<Span>,
    pub digest_interval: Option<Span>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub cache: Option<Size>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    pub enabled: bool,
    pub bindaddress: SocketAddr,
    pub hosts: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self { enabled: true, bindaddress: HTTP, hosts: Vec::new() }
    }
}

impl fmt::Display for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.enabled {
            true => write!(f, "http://{}", self.bindaddress),
            false => f.write_str("off"),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub level: Level,
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level("info".into()), format: LogFormat::Text }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

impl File {
    /// The replica's settings.
    ///
    /// # Errors
    /// A state folder in the data folder.
    pub fn replica(&self, dir: &Path) -> Result<Config, Failure> {
        let mut config = Config::new(dir);
        config.state_dir = state_dir::resolve(self.state_dir.as_deref(), dir)?;
        config.name = self.name.clone().unwrap_or_else(host_name);
        config.advertise.clone_from(&self.replication.origin.0);
        config.listen = self.replication.bindaddress.unwrap_or(LISTEN);
        config.region = self.region.clone().map(|Region(region)| region);
        config.cost = self.cost.unwrap_or(config.cost);
        config.topology = self.topology.clone();
        if let Some(Span(hold_down)) = self.replication.hold_down {
            config.hold_down = hold_down;
        }
        if let Some(Span(interval)) = self.replication.digest_interval {
            config.digest_interval = interval;
        }
        if let Some(Size(bytes)) = self.store.cache {
            config.cache_bytes = bytes;
        }
        Ok(config)
    }
}

/// Where the file is.
pub(crate) fn path(dir: &Path, chosen: Option<&Path>) -> PathBuf {
    chosen.map_or_else(|| dir.join(FILE_NAME), Path::to_owned)
}

/// The file of a node; the defaults if it has none and none was chosen.
pub(crate) fn load_or_default(dir: &Path, chosen: Option<&Path>) -> Result<File, Failure> {
    let path = path(dir, chosen);
    if chosen.is_none() && !path.exists() {
        return Ok(File::default());
    }
    load(&path)
}

/// Writes the file of a new node, unless it has one.
pub(crate) fn write_first(dir: &Path, file: &File) -> Result<(), Failure> {
    let path = dir.join(FILE_NAME);
    if path.exists() {
        return Ok(());
    }
    let name = toml::Value::from(file.name.clone().unwrap_or_else(host_name));
    let (listen, http) = (file.replication.bindaddress.unwrap_or(LISTEN), file.http.bindaddress);
    let state_dir = match &file.state_dir {
        Some(folder) => {
            format!("state_dir = {}\n", toml::Value::from(folder.to_string_lossy().as_ref()))
        }
        None => String::new(),
    };
    let region = match &file.region {
        Some(Region(region)) => format!("region = {}\n", toml::Value::from(region.as_str())),
        None => String::new(),
    };
    let text = format!(
        "version = 1\nname = {name}\n{state_dir}{region}\n\
         [replication]\nbindaddress = \"{listen}\"\n\
         # origin = [\"host.example.com:8444\"]   # what other members dial, if it is not found by itself\n\n\
         [http]\nbindaddress = \"{http}\"\n"
    );
    std::fs::write(&path, text)
        .map_err(|error| Failure::new(format!("cannot write {}", path.display())).why(error))
}

/// `spanning-tree of fanout 8, ripple adaptive, 2 links`.
pub(crate) fn topology_text(topology: &Topology) -> String {
    let mode = topology.mode.word();
    let mode = match topology.mode {
        Mode::SpanningTree { fanout } => format!("{mode} of fanout {fanout}"),
        _ => mode.into(),
    };
    let links = match topology.links.len() {
        0 => String::new(),
        1 => ", 1 link of its own settings".into(),
        count => format!(", {count} links of their own settings"),
    };
    format!("{mode}, ripple {}{links}", topology.ripple.word())
}

/// What this machine calls itself.
pub(crate) fn host_name() -> String {
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "node".into() } else { name.into() }
}

fn load(path: &Path) -> Result<File, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let what = format!("cannot read {}", path.display());
        Failure::new(what).why(error).exit(Exit::Config)
    })?;
    parse(&text).map_err(|Complaint { why, fix }| {
        let what = format!("{} is not valid", path.display());
        let failure = Failure::new(what).why(why).exit(Exit::Config);
        match fix {
            Some(fix) => failure.fix(fix),
            None => failure,
        }
    })
}

#[derive(Debug, PartialEq)]
struct Complaint {
    why: String,
    fix: Option<String>,
}

fn parse(text: &str) -> Result<File, Complaint> {
    toml::from_str(text).map_err(|error| {
        let message = error.message();
        let (what, fix) = match (unknown(message, "field"), unknown(message, "variant")) {
            (Some((key, fix)), _) => (format!("there is no key `{key}` here"), Some(fix("keys"))),
            (_, Some((value, fix))) => {
                (format!("`{value}` is no value of it"), Some(fix("values")))
            }
            (None, None) => (message.to_owned(), None),
        };
        let why = match error.span() {
            Some(span) => point_at(text, span, &what),
            None => what,
        };
        Complaint { why, fix }
    })
}

/// The word that serde's message complains about, and what to do: what was meant instead, or what there is.
fn unknown<'a>(
    message: &'a str,
    kind: &str,
) -> Option<(&'a str, impl Fn(&str) -> String + use<'a>)> {
    let rest = message.strip_prefix("unknown ")?.strip_prefix(kind)?.strip_prefix(" `")?;
    let (word, rest) = rest.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let fix = move |plural: &str| {
        let near = |known: &&str| strsim::normalized_damerau_levenshtein(word, known);
        let nearest = known.iter().copied().max_by(|a, b| near(a).total_cmp(&near(b)));
        match nearest {
            Some(nearest) if near(&nearest) >= SIMILAR => format!("did you mean `{nearest}`?"),
            _ => format!("the {plural} here are: {}", known.join(", ")),
        }
    };
    Some((word, fix))
}

/// `line 4, column 1: what`, the line, and marks below the place.
fn point_at(text: &str, span: std::ops::Range<usize>, what: &str) -> String {
    let start = span.start.min(text.len());
    let before = &text[..start];
    let number = before.matches('\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    let column = text[line_start..start].chars().count();
    let marks = text[start..span.end.min(line_start + line.len()).max(start)].chars().count();
    let gutter = " ".repeat(number.to_string().len());
    let indent = " ".repeat(column);
    let marks = "^".repeat(marks.max(1));
    let place = format!("line {number}, column {}: {what}", column + 1);
    format!("{place}\n{number} | {line}\n{gutter} | {indent}{marks}")
}

#[derive(Debug, Clone)]
struct FormatVersion;

impl<'de> Deserialize<'de> for FormatVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(serde::de::Error::custom(format_args!(
                "version {other} is not known here: this program reads version 1"
            ))),
        }
    }
}

/// One address or a list of them; the scheme `repl://` may stand before each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins(pub Vec<String>);

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "an address or a list of addresses")]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        let origins = match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(origin) => vec![origin],
            OneOrMany::Many(origins) => origins,
        };
        let plain =
            |origin: String| origin.strip_prefix("repl://").map_or(origin.clone(), Into::into);
        Ok(Self(origins.into_iter().map(plain).collect()))
    }
}

/// Where the node is: a word that members of the same place share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Region(pub String);

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().len() {
            1..=Config::REGION_BYTES_MAX => Ok(Self(text.trim().to_owned())),
            _ => {
                let most = Config::REGION_BYTES_MAX;
                Err(format!("a region is a text of 1 to {most} bytes: \"eu-west\""))
            }
        }
    }
}

/// A length of time: `250ms`, `5s`, `10m`, `2h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
        let ms =
            scaled(text, &units).ok_or("a time is a number with ms, s, m, h or d: 250ms, 5s")?;
        Ok(Self(Duration::from_millis(ms)))
    }
}

/// A number of bytes: `512KiB`, `64MiB`, `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Size(pub usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
        let bytes = scaled(text, &units).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a size is a number with KiB, MiB or GiB: 64MiB".into())
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// What `tracing` filters by: `info`, or `info,millpond=debug`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Level(pub String);

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.parse::<tracing_subscriber::filter::Targets>();
        parsed.map_err(|error| {
            format!("no log level: {error}; `info` or `info,millpond=debug` are")
        })?;
        Ok(Self(text.to_owned()))
    }
}

macro_rules! deserialize_from_text {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

deserialize_from_text!(Region, Span, Size, Level);

const FILE_NAME: &str = "millpond.toml";

/// Where members connect: every address.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8444);

/// Where the API is served: this machine only.
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8440);

/// Below this two words have little in common.
const SIMILAR: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;
    use millpond::Direction;

    #[test]
    fn a_whole_file_parses() {
        let file = parse(
            "version = 1\nname = \"paris-1\"\nstate_dir = \"/var/lib/state\"\n\
             [replication]\nbindaddress = \"[::]:8444\"\norigin = \"repl://paris.example.com:8444\"\n\
             hold_down = \"250ms\"\ndigest_interval = \"5s\"\n[store]\ncache = \"64MiB\"\n\
             [http]\nbindaddress = \"127.0.0.1:0\"\nhosts = [\"paris\"]\n\
             [log]\nlevel = \"info,millpond=debug\"\nformat = \"json\"\n",
        )
        .unwrap();
        let config = file.replica(Path::new("x")).unwrap();
        assert_eq!(config.name, "paris-1");
        assert_eq!(config.advertise, ["paris.example.com:8444"]);
        assert_eq!(config.state_dir, Some("/var/lib/state".into()));
        assert_eq!(config.hold_down, Duration::from_millis(250));
        assert_eq!(config.digest_interval, Duration::from_secs(5));
        assert_eq!(config.cache_bytes, 64 << 20);
        assert_eq!(file.log.format, LogFormat::Json);
    }

    #[test]
    fn a_topology_is_read_as_it_is_written() {
        let file = parse(
            "region = \"eu\"\ncost = 3\n[topology]\nmode = \"static\"\nripple = \"hold-down\"\n\
             [[topology.link]]\npeer = \"hub\"\ndirection = \"pull\"\ncost = 5\nripple = \"adaptive\"\n\
             [[topology.link]]\npeer = \"leaf\"\ndial = false\n",
        )
        .unwrap();
        let config = file.replica(Path::new("x")).unwrap();
        assert_eq!((config.region.as_deref(), config.cost), (Some("eu"), 3));
        let [hub, leaf] = &config.topology.links[..] else { panic!("{:?}", config.topology) };
        assert_eq!((hub.direction, hub.cost, hub.dial), (Direction::Pull, Some(5), true));
        assert_eq!((leaf.direction, leaf.cost, leaf.dial), (Direction::Both, None, false));
        assert_eq!(
            topology_text(&config.topology),
            "static, ripple hold-down, 2 links of their own settings"
        );
        let config = parse("").unwrap().replica(Path::new("x")).unwrap();
        assert_eq!(topology_text(&config.topology), "full-mesh, ripple adaptive");
    }

    #[test]
    fn every_recipe_of_the_page_on_topologies_is_valid() {
        let page = include_str!("../../../docs/TOPOLOGY.md");
        let recipes: Vec<&str> =
            page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(recipes.len() >= 8, "they are found");
        for recipe in recipes {
            let file = parse(recipe).unwrap_or_else(|complaint| panic!("{}", complaint.why));
            file.replica(Path::new("x")).unwrap();
        }
    }

    #[test]
    fn an_unknown_value_is_shown_with_what_was_meant() {
        let complaint = parse("[topology]\nmode = \"full-mash\"\n").unwrap_err();
        assert_eq!(
            complaint.why,
            "line 2, column 8: `full-mash` is no value of it\n\
             2 | mode = \"full-mash\"\n  |        ^^^^^^^^^^^"
        );
        assert_eq!(complaint.fix.unwrap(), "did you mean `full-mesh`?");
        let complaint = parse("[topology]\nripple = \"none\"\n").unwrap_err();
        assert_eq!(complaint.fix.unwrap(), "the values here are: adaptive, hold-down");
    }

    #[test]
    fn an_unknown_key_is_shown_with_its_place_and_what_was_meant() {
        let complaint = parse("name = \"a\"\n\n[replication]\nbindadress = \"x\"\n").unwrap_err();
        assert_eq!(
            complaint.why,
            "line 4, column 1: there is no key `bindadress` here\n\
             4 | bindadress = \"x\"\n  | ^^^^^^^^^^"
        );
        assert_eq!(complaint.fix.unwrap(), "did you mean `bindaddress`?");
    }

    #[test]
    fn a_key_like_none_lists_those_there_are() {
        let complaint = parse("[log]\nzzz = 1\n").unwrap_err();
        assert_eq!(complaint.fix.unwrap(), "the keys here are: level, format");
    }

    #[test]
    fn a_wrong_value_says_what_is_right() {
        for (text, wanted) in [
            ("version = 2\n", "reads version 1"),
            ("[replication]\nhold_down = \"1 fortnight\"\n", "ms, s, m, h or d"),
            ("[store]\ncache = \"64\"\n", "KiB, MiB or GiB"),
            ("[http]\nbindaddress = \"here\"\n", "socket address"),
            ("region = \"\"\n", "1 to 64 bytes"),
            ("cost = -1\n", "u32"),
            (
                "[topology]\nmode = \"spanning-tree\"\nfanout = 0\n",
                "line 3, column 10: `fanout` is 1 or more",
            ),
            ("[topology]\nfanout = 4\n", "\"spanning-tree\" only"),
            ("[topology]\nmode = \"static\"\n", "none is named"),
            ("[[topology.link]]\ncost = 4\n", "missing field `peer`"),
            ("[[topology.link]]\npeer = \"\"\n", "`peer` is"),
            ("[[topology.link]]\npeer = \"a\"\n[[topology.link]]\npeer = \"a\"\n", "two links"),
        ] {
            let complaint = parse(text).unwrap_err();
            assert!(complaint.why.contains(wanted), "{}", complaint.why);
            assert!(complaint.why.starts_with("line "), "{}", complaint.why);
        }
    }
}
