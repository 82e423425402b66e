//! The configuration file, and `config check`.

mod complaint;
mod replication;
mod values;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use millpond::backup::BackupSchedule;
use millpond::{Config, Mode, Preset, Topology};
use serde::Deserialize;
use serde_json::json;

use complaint::{Complaint, parse};
pub(crate) use replication::Replication;
pub(crate) use values::{Every, Level, Origins, Region, Size, Span};
use values::{FormatVersion, PresetName};

use crate::failure::{Cause, Exit, Failure, Outcome};
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
            .cause(Cause::Config)
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
    #[serde(default)]
    pub preset: PresetName,
    pub primary: Option<String>,
    pub region: Option<Region>,
    pub cost: Option<u32>,
    #[serde(default)]
    pub topology: Topology,
    #[serde(default)]
    pub replication: Replication,
    #[serde(default)]
    pub store: Store,
    pub backup: Option<Backup>,
    #[serde(default)]
    pub verify: Verify,
    #[serde(default)]
    pub http: Http,
    #[serde(default)]
    pub log: Log,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Libp2p {
    pub mdns: bool,
    pub kademlia: bool,
    pub bootstrap: Origins,
    pub relay_for_members: bool,
    pub relays: Origins,
    pub hole_punching: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub cache: Option<Size>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verify {
    pub every: Option<Every>,
    pub rows_per_s: Option<u64>,
}

/// Backups that the node makes by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backup {
    /// Within the node's folder, unless it is a whole path.
    pub dir: PathBuf,
    pub every: Option<Span>,
    #[serde(default)]
    pub keep: Kept,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub last: Option<usize>,
    pub daily: Option<usize>,
    pub weekly: Option<usize>,
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

impl Backup {
    fn schedule(&self, dir: &Path) -> Result<BackupSchedule, Failure> {
        let mut schedule = BackupSchedule::new(dir.join(&self.dir));
        if let Some(Span(every)) = self.every {
            if every < Duration::from_secs(1) {
                return Err(Failure::new("`every` under [backup] is less than a second")
                    .fix("every = \"6h\"")
                    .cause(Cause::Config)
                    .exit(Exit::Config));
            }
            schedule.every = every;
        }
        let (keep, Kept { last, daily, weekly }) = (&mut schedule.keep, self.keep);
        keep.last = last.unwrap_or(keep.last);
        keep.daily = daily.unwrap_or(keep.daily);
        keep.weekly = weekly.unwrap_or(keep.weekly);
        Ok(schedule)
    }
}

impl File {
    /// The replica's settings.
    ///
    /// # Errors
    /// A state folder in the data folder, a primary without its preset.
    pub fn replica(&self, dir: &Path) -> Result<Config, Failure> {
        let mut config = Config::new(dir);
        config.state_dir = state_dir::resolve(self.state_dir.as_deref(), dir)?;
        config.name = self.name.clone().unwrap_or_else(host_name);
        config.advertise.clone_from(&self.replication.origin.0);
        config.also_listen.clone_from(&self.replication.also_listen.0);
        let libp2p = &self.replication.libp2p;
        config.libp2p.mdns = libp2p.mdns;
        config.libp2p.kademlia = libp2p.kademlia;
        config.libp2p.bootstrap.clone_from(&libp2p.bootstrap.0);
        config.libp2p.relay_for_members = libp2p.relay_for_members;
        config.libp2p.relays.clone_from(&libp2p.relays.0);
        config.libp2p.hole_punching = libp2p.hole_punching;
        config.listen = self.replication.bindaddress.unwrap_or(LISTEN);
        config.preset = self.preset()?;
        config.region = self.region.clone().map(|Region(region)| region);
        config.cost = self.cost.unwrap_or(config.cost);
        config.topology = self.topology()?;
        config.backup = self.backup.as_ref().map(|backup| backup.schedule(dir)).transpose()?;
        if let Some(Span(hold_down)) = self.replication.hold_down {
            config.hold_down = hold_down;
        }
        if let Some(Span(interval)) = self.replication.digest_interval {
            config.digest_interval = interval;
        }
        config.automatic_refresh =
            self.replication.automatic_refresh.unwrap_or(config.automatic_refresh);
        if let Some(Every(every)) = self.verify.every {
            config.verify_every = every;
        }
        if let Some(rows) = self.verify.rows_per_s {
            config.verify_rows_per_s = rows;
        }
        if let Some(Span(window)) = self.replication.offline_window {
            config.offline_window = window;
        }
        if let Some(Span(overlap)) = self.replication.key_overlap {
            config.key_overlap = overlap;
        }
        if let Some(Size(bytes)) = self.replication.tombstones {
            config.tombstone_bytes_max = bytes as u64;
        }
        config.apply_after = self.replication.apply_after.map(|Span(after)| after);
        if let Some(Span(max_lag)) = self.replication.max_lag {
            config.max_lag = max_lag;
        }
        config.max_lag_writes = self.replication.max_lag_writes;
        if let Some(Size(bytes)) = self.store.cache {
            config.cache_bytes = bytes;
        }
        Ok(config)
    }
}

impl File {
    /// The topology, with the partners that are known by certificates.
    fn topology(&self) -> Result<Topology, Failure> {
        let mut topology = self.topology.clone();
        topology.links.extend(self.replication.partners.iter().cloned());
        match topology.check() {
            Ok(()) => Ok(topology),
            Err(error) => Err(Failure::new("the partners under [replication] make no sense")
                .why(error)
                .cause(Cause::Config)
                .exit(Exit::Config)),
        }
    }

    fn preset(&self) -> Result<Preset, Failure> {
        match (self.preset, &self.primary) {
            (PresetName::MultiWriter, None) => Ok(Preset::MultiWriter),
            (PresetName::PrimaryBackup, primary) => {
                Ok(Preset::PrimaryBackup { primary: primary.clone() })
            }
            (PresetName::MultiWriter, Some(_)) => {
                Err(Failure::new("`primary` is set, and `preset` is not \"primary-backup\"")
                    .fix("set both, or neither")
                    .cause(Cause::Config)
                    .exit(Exit::Config))
            }
        }
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
    std::fs::write(&path, text).map_err(|error| {
        Failure::new(format!("cannot write {}", path.display())).why(error).cause(Cause::System)
    })
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
        Failure::new(what).why(error).cause(Cause::Config).exit(Exit::Config)
    })?;
    parse(&text).map_err(|Complaint { why, fix }| {
        let what = format!("{} is not valid", path.display());
        let failure = Failure::new(what).why(why).cause(Cause::Config).exit(Exit::Config);
        match fix {
            Some(fix) => failure.fix(fix),
            None => failure,
        }
    })
}

const FILE_NAME: &str = "millpond.toml";

/// Where members connect: every address.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8444);

/// Where the API is served: this machine only.
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8440);

#[cfg(test)]
mod tests {
    use super::*;
    use millpond::{Certificate, Direction};
    use millpond_core::NodeKey;

    #[test]
    fn a_whole_file_parses() {
        let file = parse(
            "version = 1\nname = \"paris-1\"\nstate_dir = \"/var/lib/state\"\n\
             [replication]\nbindaddress = \"[::]:8444\"\norigin = \"repl://paris.example.com:8444\"\n\
             hold_down = \"250ms\"\ndigest_interval = \"5s\"\noffline_window = \"3d\"\ntombstones = \"2GiB\"\n\
             max_lag = \"1m\"\nmax_lag_writes = 500\napply_after = \"1h\"\n\
             [store]\ncache = \"64MiB\"\n[verify]\nevery = \"1h\"\n\
             [backup]\ndir = \"backups\"\nevery = \"2h\"\nkeep = { last = 9, weekly = 0 }\n\
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
        assert_eq!(config.offline_window, Duration::from_secs(3 * 24 * 3600));
        assert_eq!(config.tombstone_bytes_max, 2 << 30);
        assert_eq!(config.apply_after, Some(Duration::from_secs(3600)));
        assert_eq!((config.max_lag.as_secs(), config.max_lag_writes), (60, Some(500)));
        assert_eq!(config.cache_bytes, 64 << 20);
        assert_eq!(config.verify_every, Some(Duration::from_secs(3_600)));
        let never = parse("[verify]\nevery = \"never\"").unwrap().replica(Path::new("x")).unwrap();
        assert_eq!(never.verify_every, None);
        let backup = config.backup.unwrap();
        assert_eq!(backup.folder, Path::new("x/backups"));
        assert_eq!(backup.every, Duration::from_secs(7200));
        assert_eq!((backup.keep.last, backup.keep.daily, backup.keep.weekly), (9, 7, 0));
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
    fn a_partner_is_known_by_its_certificate() {
        let key = NodeKey::from_bytes([7; 32]);
        let partner = |way: &str| {
            let (at, certificate) = ("repl://london.example.com:8444", Certificate::of(key));
            let text = format!(
                "[replication]\nhold_down = \"1s\"\n[replication.\"{at}\"]\ntype = \"{way}\"\n\
                 partner_cert = \"{certificate}\"\nautomatic_refresh = false\n"
            );
            parse(&text).unwrap().replica(Path::new("x")).unwrap().topology.links.remove(0)
        };
        let link = partner("mutual-pull");
        assert_eq!(link.peer, key.to_string());
        assert_eq!(link.address.as_deref(), Some("london.example.com:8444"));
        assert_eq!((link.direction, link.dial), (Direction::Both, true));
        assert_eq!(link.automatic_refresh, Some(false));
        let (pull, allow) = (partner("pull"), partner("allow-pull"));
        assert_eq!((pull.direction, pull.dial), (Direction::Pull, true));
        assert_eq!((allow.direction, allow.dial), (Direction::Serve, false));
    }

    #[test]
    fn what_is_wrong_with_a_partner_is_told() {
        let certificate = Certificate::of(NodeKey::from_bytes([7; 32])).to_string();
        let typo = certificate.replace('a', "b");
        let at = "[replication.\"repl://a:1\"]\n";
        for (text, why) in [
            (format!("{at}type = \"pull\"\n"), "missing field `partner_cert`"),
            (
                format!("{at}type = \"push\"\npartner_cert = \"{certificate}\"\n"),
                "`push` is no value",
            ),
            (
                format!("{at}type = \"pull\"\npartner_cert = \"{typo}\"\n"),
                "checksum does not match",
            ),
            (format!("{at}type = \"pull\"\npartner_cert = \"MIIB\"\n"), "begins with \"mpk1\""),
            (
                format!(
                    "[replication.\"repl://a\"]\ntype = \"pull\"\npartner_cert = \"{certificate}\"\n"
                ),
                "write repl://HOST:PORT",
            ),
        ] {
            let complaint = parse(&text).unwrap_err();
            assert!(complaint.why.contains(why), "{}", complaint.why);
        }
        let pinned = format!("type = \"pull\"\npartner_cert = \"{certificate}\"\n");
        let twice = format!("{at}{pinned}[replication.\"repl://b:1\"]\n{pinned}");
        let failure = parse(&twice).unwrap().replica(Path::new("x")).unwrap_err();
        assert!(failure.to_string().contains("two links"), "{failure}");
    }

    #[test]
    fn every_recipe_of_the_page_on_topologies_is_valid() {
        let page = include_str!("../../../../docs/TOPOLOGY.md");
        let recipes: Vec<&str> =
            page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(recipes.len() >= 8, "they are found");
        for recipe in recipes {
            let file = parse(recipe).unwrap_or_else(|complaint| panic!("{}", complaint.why));
            file.replica(Path::new("x")).unwrap();
        }
    }
}
