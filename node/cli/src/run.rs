//! `run`: the node itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use millpond::Replica;
use millpond::http::{HttpOptions, HttpServer, serve};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{self, File, Level, LogFormat, Region};
use crate::failure::{Cause, Exit, Failure, Outcome};
use crate::topology::TopologyFlags;

/// Run the node. A flag overrides the configuration file.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The configuration [default: millpond.toml in the node's folder]
    #[arg(long)]
    config: Option<PathBuf>,
    /// The node's name
    #[arg(long)]
    name: Option<String>,
    /// Where to listen for members; port 0 chooses one
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where to serve the API; port 0 chooses one
    #[arg(long)]
    http: Option<SocketAddr>,
    /// Where the lease is kept: not in the node's folder, and not copied or restored with it
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// Where the node is: links within a region cost less than links between regions
    #[arg(long)]
    region: Option<Region>,
    /// What it costs others to receive from this node, beside the way to it
    #[arg(long)]
    cost: Option<u32>,
    #[command(flatten)]
    topology: TopologyFlags,
    /// What to log: info, or info,millpond=debug
    #[arg(long, env = "MILLPOND_LOG")]
    log: Option<Level>,
    /// How to log
    #[arg(long)]
    log_format: Option<LogFormat>,
}

pub(crate) async fn run(args: RunArgs, dir: &Path) -> Outcome {
    let mut file = config::load_or_default(dir, args.config.as_deref())?;
    args.override_file(&mut file)?;
    start_log(&file);
    // Before anything runs: a signal that comes early must not be lost.
    let mut stop = Stop::listen()?;

    let opened = Replica::open(file.replica(dir)?).await;
    let replica = opened.map_err(|error| Failure::open(dir, &error))?;
    let server = match serve_http(&replica, dir, &file).await {
        Ok(server) => server,
        Err(failure) => {
            replica.close().await;
            return Err(failure);
        }
    };
    announce(&replica, server.as_ref()).await;

    let failed = tokio::select! {
        signal = stop.wait() => {
            tracing::info!(signal, "stopping");
            false
        }
        () = watch(&replica) => true,
    };
    notify(&[NotifyState::Stopping]);
    if let Some(server) = server {
        server.shutdown().await;
    }
    replica.close().await;
    if failed {
        return Err(Failure::new("the node stopped by itself")
            .cause(Cause::Stopped)
            .why("its store failed; the log above says how")
            .fix("check the disk, then start the node again"));
    }
    tracing::info!("stopped");
    Ok(Exit::Ok)
}

impl RunArgs {
    fn override_file(self, file: &mut File) -> Result<(), Failure> {
        file.name = self.name.or(file.name.take());
        file.state_dir = self.state_dir.or(file.state_dir.take());
        file.replication.bindaddress = self.listen.or(file.replication.bindaddress);
        file.http.bindaddress = self.http.unwrap_or(file.http.bindaddress);
        file.log.format = self.log_format.unwrap_or(file.log.format);
        if let Some(level) = self.log {
            file.log.level = level;
        }
        file.region = self.region.or(file.region.take());
        file.cost = self.cost.or(file.cost);
        self.topology.change(&mut file.topology)
    }
}

fn start_log(file: &File) {
    let filter: Targets = file.log.level.0.parse().expect("checked as it was parsed");
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match file.log.format {
        LogFormat::Text => registry.with(layer).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
}

async fn serve_http(
    replica: &Replica,
    dir: &Path,
    file: &File,
) -> Result<Option<HttpServer>, Failure> {
    if !file.http.enabled {
        return Ok(None);
    }
    let mut options = HttpOptions::new(dir);
    options.listen = file.http.bindaddress;
    options.hosts.clone_from(&file.http.hosts);
    let served = serve(replica.clone(), options).await;
    served.map(Some).map_err(|error| {
        Failure::new("cannot serve the API").why(&error).code(error.code()).fix(
            "stop what uses the port, or choose another: `bindaddress` under [http], or --http 127.0.0.1:0",
        )
    })
}

async fn announce(replica: &Replica, server: Option<&HttpServer>) {
    let status = replica.status().await;
    let http = server.map(|server| format!("http://{}", server.address())).unwrap_or_default();
    tracing::info!(node = %status.node.name, listen = %status.node.listen, http, "ready");
    notify(&[NotifyState::Ready, NotifyState::Status(&status.verdict.text)]);
}

/// Tells the service manager how the node is, and its watchdog that it still answers, until the replica
/// stops by itself.
async fn watch(replica: &Replica) {
    let watchdog = sd_notify::watchdog_enabled();
    let interval = watchdog.map_or(STATUS_INTERVAL, |patience| STATUS_INTERVAL.min(patience / 3));
    let mut tick = tokio::time::interval(interval.max(STATUS_INTERVAL_MIN));
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let verdict = replica.status().await.verdict;
                notify(&[NotifyState::Watchdog, NotifyState::Status(&verdict.text)]);
            }
            error = replica.failed() => {
                tracing::error!(%error, "the store failed");
                return;
            }
        }
    }
}

/// Outside of a service manager there is nobody to tell.
fn notify(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// The signals that ask for an end in good order.
pub(crate) struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new("cannot wait for signals").why(error).cause(Cause::System)
            })
        };
        let terminate = listen(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: listen(SignalKind::interrupt())? })
    }

    pub(crate) async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// How old the status line of the service manager may be.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// However impatient a watchdog is.
const STATUS_INTERVAL_MIN: Duration = Duration::from_millis(100);
