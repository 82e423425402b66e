//! How a command fails: what, why, what to do, and the exit code.

use std::fmt;
use std::path::Path;

use millpond::OpenError;
use millpond::store::StoreError;

/// The exit codes, as the help of the program lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It worked.
    Ok = 0,
    /// It failed.
    Failed = 1,
    /// Wrong usage; mostly clap says so.
    Usage = 2,
    /// The configuration is invalid.
    Config = 3,
    /// The node cannot be reached.
    Unreachable = 4,
    /// `status --check`: the node is degraded. `verify`: not all was compared.
    Degraded = 5,
    /// `status --check`: the node has diverged, or takes no writes. `verify`: a person is needed.
    Diverged = 6,
    /// Written here, and not held in time by those that `--concern` names: unknown, not failed.
    ConcernNotMet = 7,
    /// Interrupted.
    Interrupted = 130,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub exit: Exit,
    what: String,
    why: Option<String>,
    fix: Option<String>,
}

/// How a command ends.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    pub fn new(what: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, what: what.into(), why: None, fix: None }
    }

    pub fn what(self, what: impl Into<String>) -> Self {
        Self { what: what.into(), ..self }
    }

    pub fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    pub fn why(self, why: impl fmt::Display) -> Self {
        Self { why: Some(why.to_string()), ..self }
    }

    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    /// A replica that did not open.
    pub fn open(dir: &Path, error: &OpenError) -> Self {
        let failure = Self::new(format!("cannot open the node in {}", dir.display())).why(error);
        match error {
            OpenError::NotInitialised { dir } => failure.fix(format!(
                "millpond init --dir {0}    or  millpond join INVITE --dir {0}",
                dir.display()
            )),
            OpenError::AlreadyInitialised { .. } => {
                failure.fix("run it with `millpond run`, or choose another --dir")
            }
            OpenError::StoreMissing { .. } => failure.fix(
                "put the file back, or move the folder away and join again as a new member",
            ),
            OpenError::Key { .. } => failure.fix(
                "put the file back; a key cannot be made again: without it, move the folder away and join \
                 again as a new member",
            ),
            OpenError::MixedFolder { .. } => {
                failure.fix("put back the node.key and the millpond.redb that belong together")
            }
            OpenError::CopyRuns { .. } => failure.fix(
                "keep the node that runs. For a second one, move this folder away and use `millpond clone`: a copied \
                 folder has the same key",
            ),
            OpenError::Topology(_) => failure
                .fix("mend [topology] in millpond.toml: millpond config check")
                .exit(Exit::Config),
            OpenError::Listen { .. } => failure
                .fix("--listen ADDRESS, or `bindaddress` and `also_listen` under [replication] in millpond.toml"),
            OpenError::Store(StoreError::InUse { .. }) => {
                failure.fix(format!("ask the node that runs there: millpond status --dir {}", dir.display()))
            }
            _ => failure,
        }
    }
}

/// `error: what`, then `why:` and `do:` where they say something.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        if let Some(why) = &self.why {
            write!(f, "\n  why: {}", why.replace('\n', "\n       "))?;
        }
        if let Some(fix) = &self.fix {
            write!(f, "\n  do:  {}", fix.replace('\n', "\n       "))?;
        }
        Ok(())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new("cannot write the output").why(error)
    }
}
