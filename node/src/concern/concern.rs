//! Whose acks a write waits for.

use std::fmt;
use std::str::FromStr;

use millpond_core::NodeKey;

use crate::planted::planted;
use crate::topology::settings::is_named;

/// Whose acks a write waits for, beside this node's own disk.
///
/// `Replicas`, `First` and `Any` count *other* members; `Majority` and `All` count the voters on record when the
/// write commits, the writer included: those whose role may write and that are no delayed replicas. A member is
/// meant by its name, its key, or the first 8 digits of that or more; `*` means any.
///
/// The acks of delayed replicas, of members that have yet to catch up, that were evicted or that are fenced count
/// for none of them. A quorum of acks is no consensus: another part of a mesh that is cut may have its own.
///
/// As text, which HTTP and the command line use: `local`, `replicas:2`, `majority`, `all`, `first:1:anna,ben`,
/// `any:2:anna,ben,cleo`, `named:anna,ben`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concern {
    /// Nobody else's.
    #[default]
    Local,
    /// So many other members', whichever they are.
    Replicas(usize),
    /// Those of the first `n` of these members that are linked with this node, as PostgreSQL's `FIRST n (..)`: while
    /// one of them is away the next one in the list stands in. With fewer than `n` linked it waits.
    First {
        /// How many.
        n: usize,
        /// Whose, the most wanted first.
        names: Vec<String>,
    },
    /// Those of any `n` of these members, as PostgreSQL's `ANY n (..)`.
    Any {
        /// How many.
        n: usize,
        /// Whose.
        names: Vec<String>,
    },
    /// Those of each of these members. Where several have one name, one of them is enough.
    Named {
        /// Whose.
        names: Vec<String>,
    },
    /// Those of so many voters that they and this node are more than half of all.
    Majority,
    /// Those of all voters. An absent one makes it wait to its timeout.
    All,
}

/// A member other than the writer, as a concern sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Other<'a> {
    pub(crate) key: NodeKey,
    pub(crate) name: &'a str,
    /// Whether its ack counts at all.
    pub(crate) counts: bool,
    pub(crate) is_linked: bool,
    /// Whether it was a voter on record when the write was committed.
    pub(crate) is_voter: bool,
    pub(crate) has_acked: bool,
}

impl Other<'_> {
    fn is_meant_by(&self, name: &str) -> bool {
        name == "*" || is_named(name, &self.key.to_string(), self.name)
    }

    /// Whether its ack is there, and counts.
    pub(crate) fn is_in(&self) -> bool {
        (self.counts || planted!("who does not count is not counted")) && self.has_acked
    }
}

impl Concern {
    /// Those of each of these members.
    pub fn named<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::Named { names: names.into_iter().map(Into::into).collect() }
    }

    /// Whether the acks are there. `others` are all other members, by key, and `voters` are those on record when
    /// the write was committed, the writer included; `is_here` says whether that one still holds it.
    pub(crate) fn is_met(&self, others: &[Other<'_>], voters: usize, is_here: bool) -> bool {
        let acked = |is_meant: &dyn Fn(&Other<'_>) -> bool| {
            others.iter().filter(|it| is_meant(it) && it.is_in()).count()
        };
        match self {
            Self::Local => true,
            Self::Replicas(n) => acked(&|_| true) >= *n,
            Self::First { n, names } => {
                let first = first(*n, names, others);
                let is_enough =
                    first.len() == *n || planted!("too few that are linked are waited for");
                is_enough && first.iter().all(|it| it.has_acked)
            }
            Self::Any { n, names } => {
                acked(&|it| names.iter().any(|name| it.is_meant_by(name))) >= *n
            }
            Self::Named { names } => {
                names.iter().all(|name| others.iter().any(|it| it.is_meant_by(name) && it.is_in()))
            }
            Self::Majority => {
                let twice = planted!("a majority is of all voters");
                let own = usize::from(is_here) + usize::from(twice);
                acked(&|it| it.is_voter) + own > voters / 2
            }
            Self::All => acked(&|it| it.is_voter) + usize::from(is_here) >= voters,
        }
    }

    /// Whether it is about a member.
    pub(crate) fn is_about(&self, other: &Other<'_>) -> bool {
        match self {
            Self::Local => false,
            Self::Replicas(_) => true,
            Self::First { names, .. } | Self::Any { names, .. } | Self::Named { names } => {
                names.iter().any(|name| other.is_meant_by(name))
            }
            Self::Majority | Self::All => other.is_voter,
        }
    }
}

/// The first `n` members in the order of the names that are linked and count.
fn first<'a, 'b>(n: usize, names: &[String], others: &'a [Other<'b>]) -> Vec<&'a Other<'b>> {
    let is_candidate =
        |it: &&Other<'_>| it.counts && (it.is_linked || planted!("first is of those linked"));
    let mut first: Vec<&Other<'_>> = Vec::new();
    for name in names {
        for other in others.iter().filter(is_candidate).filter(|it| it.is_meant_by(name)) {
            if first.len() < n && !first.iter().any(|it| it.key == other.key) {
                first.push(other);
            }
        }
    }
    first
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Replicas(n) => write!(f, "replicas:{n}"),
            Self::First { n, names } => write!(f, "first:{n}:{}", names.join(",")),
            Self::Any { n, names } => write!(f, "any:{n}:{}", names.join(",")),
            Self::Named { names } => write!(f, "named:{}", names.join(",")),
            Self::Majority => f.write_str("majority"),
            Self::All => f.write_str("all"),
        }
    }
}

/// The text is no concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a concern is `local`, `replicas:N`, `majority`, `all`, `first:N:NAME,NAME`, `any:N:NAME,NAME` or `named:NAME,NAME`"
)]
pub struct ParseConcernError;

impl FromStr for Concern {
    type Err = ParseConcernError;

    fn from_str(text: &str) -> Result<Self, ParseConcernError> {
        let number = |text: &str| text.parse::<usize>().map_err(|_| ParseConcernError);
        let names = |text: &str| -> Result<Vec<String>, ParseConcernError> {
            let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
            match names.iter().any(String::is_empty) {
                true => Err(ParseConcernError),
                false => Ok(names),
            }
        };
        let mut parts = text.splitn(3, ':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("local"), None, None) => Ok(Self::Local),
            (Some("majority"), None, None) => Ok(Self::Majority),
            (Some("all"), None, None) => Ok(Self::All),
            (Some("replicas"), Some(n), None) => Ok(Self::Replicas(number(n)?)),
            (Some("first"), Some(n), Some(of)) => {
                Ok(Self::First { n: number(n)?, names: names(of)? })
            }
            (Some("any"), Some(n), Some(of)) => Ok(Self::Any { n: number(n)?, names: names(of)? }),
            (Some("named"), Some(of), None) => Ok(Self::named(names(of)?)),
            _ => Err(ParseConcernError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concerns_parse_back() {
        let names = || vec!["anna".to_owned(), "ben".to_owned()];
        for concern in [
            Concern::Local,
            Concern::Replicas(2),
            Concern::First { n: 1, names: names() },
            Concern::Any { n: 2, names: names() },
            Concern::Named { names: names() },
            Concern::Majority,
            Concern::All,
        ] {
            assert_eq!(concern.to_string().parse(), Ok(concern));
        }
        assert_eq!("named:ben, anna".parse(), Ok(Concern::named(["ben", "anna"])));
        for text in
            ["", "replicas", "replicas:x", "replicas:-1", "first:1", "any:1:", "any:1:a,", "all:1"]
        {
            assert_eq!(text.parse::<Concern>(), Err(ParseConcernError), "{text}");
        }
    }

    /// Names need not be unique, and each of them is to be met.
    #[test]
    fn each_name_is_met_by_somebody() {
        let met = |acked: &[&str]| {
            let others: Vec<Other<'_>> = acked
                .iter()
                .enumerate()
                .map(|(number, name)| Other {
                    key: NodeKey::from_bytes([number as u8; 32]),
                    name,
                    counts: true,
                    is_linked: true,
                    is_voter: true,
                    has_acked: true,
                })
                .collect();
            Concern::named(["anna", "ben"]).is_met(&others, 3, true)
        };
        assert!(met(&["anna", "ben"]));
        assert!(!met(&["anna", "anna"]), "two of one name are no ben");
    }

    /// Of three voters two have to hold it, of four three: the writer, and one or two more.
    #[test]
    fn a_majority_is_more_than_half_of_all_voters() {
        let met = |voters: usize, acks: usize| {
            let others: Vec<Other<'_>> = (1..voters)
                .map(|number| Other {
                    key: NodeKey::from_bytes([number as u8; 32]),
                    name: "",
                    counts: true,
                    is_linked: true,
                    is_voter: true,
                    has_acked: number <= acks,
                })
                .collect();
            Concern::Majority.is_met(&others, voters, true)
        };
        let needed = |voters| (0..voters).find(|&acks| met(voters, acks));
        assert_eq!((1..7).map(needed).collect::<Vec<_>>(), [0, 1, 1, 2, 2, 3].map(Some));
        let without = crate::planted::without(&["a majority is of all voters"], || met(3, 0));
        assert!(without, "nothing was taken out");
    }
}
