//! What a member may do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// Grants roles and invites, and writes.
    Admin,
    /// Writes and reads.
    Writer,
    /// Reads, and passes on what others wrote.
    Reader,
    /// An admin's key that is no node, kept by a person for the day when all other admins are lost.
    Recovery,
    /// No member any more.
    Removed,
}

impl Role {
    /// Whether a member of this role may grant roles.
    pub(crate) fn may_grant(self) -> bool {
        matches!(self, Self::Admin | Self::Recovery)
    }

    /// Whether a member of this role is a node, which holds data and answers.
    pub(crate) fn is_node(self) -> bool {
        !matches!(self, Self::Recovery | Self::Removed)
    }

    /// Whether a member of this role may write data.
    pub fn may_write(self) -> bool {
        matches!(self, Self::Admin | Self::Writer)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "admin",
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::Recovery => "recovery",
            Self::Removed => "removed",
        })
    }
}

/// The text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role; the roles are admin, writer and reader")]
pub struct ParseRoleError(String);

impl std::str::FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(text: &str) -> Result<Self, ParseRoleError> {
        match text {
            "admin" => Ok(Self::Admin),
            "writer" => Ok(Self::Writer),
            "reader" => Ok(Self::Reader),
            _ => Err(ParseRoleError(text.into())),
        }
    }
}
