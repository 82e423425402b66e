//! `backup`: putting the data aside, looking at what was put aside, and making nodes of it.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use hyper::Method;
use indicatif::HumanBytes;
use millpond::backup::{self, BackupError, BackupInfo, BackupOptions};
use millpond::store::StoreError;
use millpond::{Config, OpenError};
use serde_json::{Value, json};

use crate::client::{Client, ClientError, Outgoing};
use crate::config;
use crate::failure::{Cause, Exit, Failure, Outcome};
use crate::restore::{self, RestoreArgs};
use crate::status::{age_text, table};
use crate::work::{Bar, Received, run};

/// Put the data aside, and make nodes of it.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    command: BackupCommand,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Write all that the node holds at this moment to one file; it may run
    Create(CreateArgs),
    /// List the backups in a folder
    Ls(LsArgs),
    /// Check every byte of a backup
    Verify(VerifyArgs),
    /// Make a node of a backup
    Restore(RestoreArgs),
}

/// Write a backup.
#[derive(Debug, Args)]
struct CreateArgs {
    /// The file to write
    #[arg(long, conflicts_with = "into")]
    to: Option<PathBuf>,
    /// The folder to write it into, named after the node and the time [default: that of [backup], or this one]
    #[arg(long)]
    into: Option<PathBuf>,
    /// Put the node's secret key into it: whoever has such a file can be the node
    #[arg(long)]
    with_key: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// List backups.
#[derive(Debug, Args)]
struct LsArgs {
    /// The folder [default: that of [backup] in millpond.toml, or this one]
    folder: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Check a backup.
#[derive(Debug, Args)]
struct VerifyArgs {
    /// The backup
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run_command(args: BackupArgs, dir: &Path) -> Outcome {
    match args.command {
        BackupCommand::Create(args) => create(args, dir).await,
        BackupCommand::Ls(args) => ls(&args, dir),
        BackupCommand::Verify(args) => verify(args).await,
        BackupCommand::Restore(args) => restore::restore(args).await,
    }
}

async fn create(args: CreateArgs, dir: &Path) -> Outcome {
    let config = config::load_or_default(dir, None)?.replica(dir)?;
    let to = args.to.unwrap_or_else(|| {
        let name = backup::file_name(&config.name, wall_ms());
        let own = config.backup.as_ref().map(|backup| backup.folder.clone());
        args.into.or(own).unwrap_or_default().join(name)
    });
    let what = format!("cannot make the backup {}", to.display());
    let Some(info) = make(&config, &to, args.with_key, &what).await? else {
        return Ok(Exit::Interrupted);
    };
    if args.json {
        println!("{}", with(&info, json!({"path": to})));
        return Ok(Exit::Ok);
    }
    println!("{}", to.display());
    println!("{}", summary(&info));
    match info.has_key {
        true => println!(
            "the node's SECRET KEY is in it: keep it as you keep node.key; whoever has it can be this node"
        ),
        false => println!(
            "the node's key is not in it: keep a copy of {} apart, to bring this very node back",
            dir.join("node.key").display()
        ),
    }
    Ok(Exit::Ok)
}

/// Makes a backup of the node that runs in the folder, or of the folder if none does; `None` when it was
/// interrupted.
async fn make(
    config: &Config,
    to: &Path,
    with_key: bool,
    what: &str,
) -> Result<Option<BackupInfo>, Failure> {
    let (config, to) = (config.clone(), to.to_owned());
    let key_of = with_key.then(|| config.dir.clone());
    let answer = match Client::of_dir(&config.dir) {
        Ok(client) => client.send(Method::POST, "/api/v1/backup", &[], Outgoing::empty()).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => {
            let received = Received::of(answer);
            let written = run(Bar::bytes("writing"), move |on_progress| {
                backup::receive(received, &to, key_of.as_deref(), on_progress)
            });
            written.await.map_err(|error| match &error {
                BackupError::Damaged { .. } | BackupError::NotBackup { .. } => Failure::new(what)
                    .cause(Cause::Answer)
                    .why("the node ended, or broke off, before the backup was whole; nothing is left of it")
                    .fix("look at the node's log, and make another one"),
                error => failure(what, error),
            })
        }
        // Nobody has it open, then.
        Err(ClientError::Unreachable { .. }) => {
            let mut options = BackupOptions::default();
            options.with_key = with_key;
            let written = run(Bar::rows("writing"), move |on_progress| {
                backup::create(&config, &to, options, on_progress)
            });
            written.await.map_err(|error| match &error {
                BackupError::Folder(OpenError::Store(StoreError::InUse { .. })) => {
                    failure(what, &error).fix(
                        "the node that runs there serves no API: stop it, or set `enabled = true` under [http]",
                    )
                }
                error => failure(what, error),
            })
        }
        Err(error) => Err(error.at(what)),
    }
}

fn ls(args: &LsArgs, dir: &Path) -> Outcome {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => {
            let schedule = config::load_or_default(dir, None)?.replica(dir)?.backup;
            schedule.map_or(".".into(), |schedule| schedule.folder)
        }
    };
    let what = format!("cannot list the backups in {}", folder.display());
    let listed = backup::list(&folder).map_err(|error| failure(what, &error))?;
    if args.json {
        let backups: Vec<Value> = listed
            .iter()
            .map(|it| match &it.info {
                Ok(info) => with(info, json!({"path": it.path})),
                Err(error) => json!({"path": it.path, "error": error.to_string()}),
            })
            .collect();
        println!("{}", json!({"backups": backups}));
        return Ok(Exit::Ok);
    }
    if listed.is_empty() {
        println!("no backups in {}", folder.display());
        return Ok(Exit::Ok);
    }
    let heads = ["TAKEN", "AGE", "NODE", "DOMAIN", "ROWS", "SIZE", "KEY", "FILE"].map(Into::into);
    let mut rows = vec![heads];
    for it in &listed {
        let file = it.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        rows.push(match &it.info {
            Ok(info) => {
                let age = wall_ms().saturating_sub(info.taken_ms) / 1000;
                [
                    info.taken.clone(),
                    age_text(age as f64),
                    info.name.clone(),
                    info.domain[..8].into(),
                    info.rows.to_string(),
                    HumanBytes(info.bytes).to_string(),
                    if info.has_key { "INSIDE" } else { "-" }.into(),
                    file,
                ]
            }
            Err(_) => ["damaged", "", "", "", "", "", "", &file].map(Into::into),
        });
    }
    print!("{}", table(rows));
    println!("whether one is whole: millpond backup verify FILE");
    Ok(Exit::Ok)
}

async fn verify(args: VerifyArgs) -> Outcome {
    let (file, shown) = (args.file.clone(), args.file.display().to_string());
    let bar = Bar::of_file("checking", &args.file);
    let checked = run(bar, move |on_progress| backup::verify(&file, on_progress)).await;
    match checked {
        Ok(Some(info)) if args.json => println!("{}", with(&info, json!({"valid": true}))),
        Ok(Some(info)) => println!("{shown} is whole\n{}", summary(&info)),
        Ok(None) => return Ok(Exit::Interrupted),
        Err(error) if args.json => {
            println!("{}", json!({"valid": false, "error": error.to_string()}));
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(failure(format!("{shown} is no good backup"), &error)),
    }
    Ok(Exit::Ok)
}

/// `paris-1 in domain 1a2b3c4d as of 2026-11-20T09:26:32.123Z: 136406 rows, 3 deletes, 12.3 MiB`
pub(crate) fn summary(info: &BackupInfo) -> String {
    let (name, domain, taken) = (&info.name, &info.domain[..8], &info.taken);
    let (rows, deletes, bytes) = (info.rows, info.deletes, HumanBytes(info.bytes));
    format!("{name} in domain {domain} as of {taken}: {rows} rows, {deletes} deletes, {bytes}")
}

/// What a failure comes to, and what to do about it.
pub(crate) fn failure(what: impl Into<String>, error: &BackupError) -> Failure {
    let what = what.into();
    if let BackupError::Folder(error) = error {
        // It knows more of what to do.
        return Failure::open(Path::new(""), error).what(what);
    }
    let failure = Failure::new(what).why(error).code(error.code());
    match error {
        BackupError::NotJoined => failure.fix("try again when it has joined: millpond run"),
        BackupError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            failure.fix("check the path; a folder is not made for you")
        }
        BackupError::Damaged { .. } | BackupError::NotBackup { .. } => {
            failure.fix("take another one: millpond backup ls FOLDER")
        }
        BackupError::NoKey { .. } => failure.fix(
            "--key FILE with a copy of the node's node.key, --invite INVITE to come in as a new member, \
             or --as-fork",
        ),
        BackupError::OtherDomain => failure.fix("millpond invite, at a member of the data's domain"),
        _ => failure,
    }
}

/// The information and something more, in one object.
pub(crate) fn with(info: &BackupInfo, more: Value) -> Value {
    let mut told = serde_json::to_value(info).expect("it has a JSON form");
    if let (Some(told), Value::Object(more)) = (told.as_object_mut(), more) {
        told.extend(more);
    }
    told
}

fn wall_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as u64
}
