//! How a command fails: what, why, what to do, and the exit code.

use std::fmt;
use std::path::Path;

use millpond::store::StoreError;
use millpond::{ErrorCode, OpenError};

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

/// What only the program meets: the registry's area 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nobody answers.
    Unreachable,
    /// An answer that broke off, or of another version.
    Answer,
    /// The configuration is invalid.
    Config,
    /// The system refused a file, or something like it.
    System,
    /// The node stopped by itself.
    Stopped,
    /// Not all lines were imported.
    Import,
    /// The join goes on another time.
    Join,
    /// It makes no sense as it was given.
    Usage,
    /// A node of the demo.
    Demo,
}

impl Cause {
    fn code(self) -> ErrorCode {
        let code = match self {
            Self::Unreachable => "E1001",
            Self::Answer => "E1002",
            Self::Config => "E1003",
            Self::System => "E1004",
            Self::Stopped => "E1005",
            Self::Import => "E1006",
            Self::Join => "E1007",
            Self::Usage => "E1008",
            Self::Demo => "E1010",
        };
        code.parse().expect("the registry has it: a test of the library")
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub exit: Exit,
    code: Option<ErrorCode>,
    what: String,
    why: Option<String>,
    fix: Option<String>,
}

/// How a command ends.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    pub fn new(what: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, code: None, what: what.into(), why: None, fix: None }
    }

    pub fn what(self, what: impl Into<String>) -> Self {
        Self { what: what.into(), ..self }
    }

    /// What the error is called; without a [`Failure::fix`] its hint says what to do.
    pub fn code(self, code: ErrorCode) -> Self {
        Self { code: Some(code), ..self }
    }

    pub fn cause(self, cause: Cause) -> Self {
        self.code(cause.code())
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
        let failure = Self::new(format!("cannot open the node in {}", dir.display()))
            .why(error)
            .code(error.code());
        match error {
            OpenError::NotInitialised { dir } => failure.fix(format!(
                "millpond init --dir {0}    or  millpond join INVITE --dir {0}",
                dir.display()
            )),
            OpenError::AlreadyInitialised { .. } => {
                failure.fix(
                    "run it with `millpond run`, or choose another --dir; a node that runs joins, if its domain is empty",
                )
            }
            OpenError::Topology(_) => failure
                .fix("mend [topology] in millpond.toml: millpond config check")
                .exit(Exit::Config),
            OpenError::Listen { .. } => failure
                .fix("--listen ADDRESS, or `bindaddress` and `also_listen` under [replication] in millpond.toml"),
            OpenError::Store(StoreError::InUse { .. }) => failure.fix(format!(
                "ask the node that runs there: millpond status --dir {}",
                dir.display()
            )),
            _ => failure,
        }
    }
}

/// `error[E0412]: what`, then `why:` and `do:` where they say something.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "error[{code}]: {}", self.what)?,
            None => write!(f, "error: {}", self.what)?,
        }
        if let Some(why) = &self.why {
            write!(f, "\n  why: {}", why.replace('\n', "\n       "))?;
        }
        if let Some(fix) = self.fix.as_deref().or(self.code.map(ErrorCode::hint)) {
            write!(f, "\n  do:  {}", fix.replace('\n', "\n       "))?;
        }
        Ok(())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new("cannot write the output").why(error).cause(Cause::System)
    }
}
