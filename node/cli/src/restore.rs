//! `backup restore` and `clone`: nodes made of data that is there.

use std::path::PathBuf;

use clap::Args;
use millpond::backup::{self, BackupError, Restore, Restored};
use millpond::store::StoreError;
use millpond::{Config, Invite, ParseInviteError};
use serde_json::json;

use crate::backup::{failure, summary, with};
use crate::config;
use crate::failure::{Exit, Failure, Outcome};
use crate::setup::NodeArgs;
use crate::work::{Bar, run};

/// Make a node of a backup.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup
    file: PathBuf,
    /// The folder of the node to be; it may hold a node.key and a millpond.toml, and no store
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    how: How,
    /// A copy of the node's node.key, if the folder holds none
    #[arg(long, conflicts_with_all = ["as_fork", "invite"])]
    key: Option<PathBuf>,
    /// Come in as a new member, under a fresh key
    #[arg(long, conflicts_with = "as_fork")]
    invite: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct How {
    /// A member of the domain that the data is of: the same node again, by its key, or a new one, by an invite
    #[arg(long)]
    into_domain: bool,
    /// The first node of a new domain; the old one is left alone and never linked with
    #[arg(long)]
    as_fork: bool,
}

/// Make a new member that fetches only what changed since.
#[derive(Debug, Args)]
pub(crate) struct CloneArgs {
    /// The text that `millpond invite` printed
    invite: String,
    /// A backup, or the folder of a node that is stopped
    #[arg(long)]
    from: PathBuf,
    /// The folder of the node to be
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn restore(args: RestoreArgs) -> Outcome {
    let how = match (args.how.as_fork, &args.invite) {
        (true, _) => Restore::AsFork,
        (false, Some(invite)) => Restore::AsMember(Box::new(parse(invite)?)),
        (false, None) => Restore::IntoDomain { key: args.key },
    };
    make(args.file, args.data, how, args.node, args.json, "restore").await
}

pub(crate) async fn clone(args: CloneArgs) -> Outcome {
    let how = Restore::AsMember(Box::new(parse(&args.invite)?));
    make(args.from, args.data, how, args.node, args.json, "clone").await
}

async fn make(
    from: PathBuf,
    data: PathBuf,
    how: Restore,
    node: NodeArgs,
    is_json: bool,
    verb: &str,
) -> Outcome {
    let mut file = node.file(&data)?;
    let config = file.replica(&data)?;
    let what = format!("cannot {verb} {} to {}", from.display(), data.display());
    let (seed, is_again) = (from.clone(), matches!(how, Restore::IntoDomain { .. }));
    let bar = match from.is_dir() {
        true => Bar::bytes("copying"),
        false => Bar::of_file("restoring", &from),
    };
    let made = run(bar, move |on_progress| match how {
        Restore::AsMember(invite) if seed.is_dir() => {
            backup::clone_folder(&Config::new(seed), &config, *invite, on_progress)
        }
        how => backup::restore(&seed, &config, how, on_progress),
    });
    let made = match made.await {
        Ok(Some(made)) => made,
        Ok(None) => return Ok(Exit::Interrupted),
        Err(error) => return Err(explain(what, &error, &data)),
    };
    // The same node goes by the same name.
    if is_again && file.name.is_none() {
        file.name = Some(made.info.name.clone());
    }
    config::write_first(&data, &file)?;
    match is_json {
        true => println!("{}", as_json(&made)),
        false => {
            tell(&made, is_again);
            println!("next: millpond run --dir {}", data.display());
        }
    }
    Ok(Exit::Ok)
}

fn explain(what: String, error: &BackupError, data: &std::path::Path) -> Failure {
    match error {
        BackupError::Folder(error @ millpond::OpenError::AlreadyInitialised { .. }) => {
            Failure::new(what)
                .why(error)
                .code(error.code())
                .fix("choose another --data, or move that folder away")
        }
        BackupError::Store(error @ StoreError::InUse { .. }) => {
            Failure::new(what).why(error).code(error.code()).fix("choose another --data")
        }
        BackupError::Folder(error @ millpond::OpenError::Store(_)) => Failure::new(what)
            .why(error)
            .code(error.code())
            .fix("stop the node that uses it, or make a backup of it: millpond backup create"),
        BackupError::Store(error @ StoreError::Full) => Failure::new(what)
            .code(error.code())
            .why(format!("there is no room left for the store in {}", data.display()))
            .fix("free some space there, or choose another --data"),
        error => failure(what, error),
    }
}

fn tell(made: &Restored, is_again: bool) {
    println!("{}", summary(&made.info));
    let key = made.key.short();
    if let Some(recovery) = &made.recovery_key {
        println!(
            "it is now {key}, the admin of the new domain {:#}, with no other member",
            made.domain
        );
        println!("recovery key: {recovery}");
        println!("  keep it apart from this machine, as that of any domain");
        return;
    }
    if !is_again {
        println!(
            "it is {key}, a new member; when it runs, it is taken in and fetches what changed since"
        );
        return;
    }
    println!("it is {key} again, and writes under a new incarnation");
    println!(
        "  when it runs, it fetches from the other members what it lacks; what it had acknowledged after \
         the backup and no other member has is lost"
    );
    println!("  the original must be gone for good: two nodes of one key stop each other");
    if !made.is_member {
        println!("  warning: the backup knows no member of this key; another member must know it");
    }
}

fn as_json(made: &Restored) -> serde_json::Value {
    let (key, domain) = (made.key.to_string(), format!("{:#}", made.domain));
    let backup = with(&made.info, json!({}));
    json!({
        "backup": backup, "key": key, "domain": domain, "is_member": made.is_member,
        "recovery_key": made.recovery_key,
    })
}

fn parse(invite: &str) -> Result<Invite, Failure> {
    invite.trim().parse().map_err(|error: ParseInviteError| {
        Failure::new("that is no invite").why(&error).code(error.code())
    })
}
