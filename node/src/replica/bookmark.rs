//! Bookmarks: what a client has seen, to be taken to another replica.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use millpond_core::VersionVector;

use super::Replica;
use super::concerned::timeout_ms;
use super::receipt::Receipt;
use crate::records::Token;
use crate::replication::{Answer, Behind, Request};
use crate::state::View;
use crate::store::StoreError;

/// What a client has seen or written, as a short text: a replica that is [at least](Replica::at_least) there shows
/// it. It leaves out what every member has on its disk, so it mostly names the writers of the last seconds.
///
/// A client that moves between replicas keeps one bookmark, and so has the four guarantees of a session:
///
/// | guarantee | how |
/// |---|---|
/// | read your writes | [join](Bookmark::join) each [`Receipt::bookmark`]; read behind [`Replica::at_least`] |
/// | monotonic reads | join [`Replica::bookmark`] of each view; read behind `at_least` |
/// | writes follow reads | the same, and call `at_least` before each write as well |
/// | monotonic writes | join receipts, and call `at_least` before each write |
///
/// Two sessions on one replica share what it shows, and nothing is locked: this is causal order, not isolation.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use millpond::records::{Document, RecordId, RecordView, write};
/// use millpond::{Bookmark, Replica};
///
/// # let anna = Replica::builder_in_memory().offline().open().await?;
/// # let ben = anna.clone();
/// let milk = RecordId::new("todo", "milk")?;
/// let fields = Document::parse(r#"{"title": "Buy milk"}"#)?;
/// let id = milk.clone();
/// let ((), receipt) = write(&anna, move |tx| tx.put(&id, &fields)).await?;
/// let text = receipt.bookmark().to_string(); // to the client, and with it to another replica
///
/// let bookmark: Bookmark = text.parse()?;
/// let view = ben.at_least(&bookmark, Duration::from_secs(2)).await?;
/// assert!(RecordView::new(view).get(&milk)?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bookmark(VersionVector);

/// Why a replica does not show what a client has seen.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AtLeastError {
    /// It does not have it, or cannot be sure that it has: it is new, restored, or a delayed replica. Ask another
    /// one, or this one again.
    #[error(
        "this replica is behind what the client has seen{}",
        behind_text(*missing, *eta)
    )]
    Behind {
        /// How many of the writes are missing here that the bookmark names; none if it leaves out what this replica
        /// may lack.
        missing: u64,
        /// How long a catch-up under way will take, as far as is known.
        eta: Option<Duration>,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}

/// The text is no bookmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a bookmark of this version: bookmarks come from receipts and from `Millpond-Bookmark` headers"
)]
pub struct ParseBookmarkError;

impl Bookmark {
    /// What it names.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn vv(&self) -> &VersionVector {
        &self.0
    }

    /// Has seen what the other one has, too.
    pub fn join(&mut self, other: &Self) {
        self.0.join(&other.0);
    }

    /// Of all that is covered, without what every member has.
    pub(crate) fn beyond(vv: &VersionVector, held_by_all: &VersionVector) -> Self {
        Self(vv.difference(held_by_all))
    }
}

impl Replica {
    /// A view that shows at least what a client has seen, wherever that was. What is missing here is fetched from
    /// peers if it does not come by itself; waits for as long as `within`, an hour at most.
    ///
    /// A replica that is new, restored or delayed is behind whatever the bookmark says. So is one with other members
    /// that was opened without a lease ([`Config::state_dir`](crate::Config::state_dir)), until it has caught up with
    /// them: its folder may be an older one.
    ///
    /// # Errors
    /// Any [`AtLeastError`].
    pub async fn at_least(
        &self,
        bookmark: &Bookmark,
        within: Duration,
    ) -> Result<View, AtLeastError> {
        let timeout_ms = timeout_ms(within);
        let request = Request::AwaitShown { vv: bookmark.0.clone(), timeout_ms };
        match self.ask(request).await {
            Some(Answer::Shown(Ok(()))) => Ok(self.read()?),
            Some(Answer::Shown(Err(Behind { missing, eta }))) => {
                Err(AtLeastError::Behind { missing, eta })
            }
            _ => Err(AtLeastError::Closed),
        }
    }

    /// The bookmark of who has read this view.
    pub fn bookmark(&self, view: &View) -> Bookmark {
        self.bookmark_of(view.vv())
    }

    pub(crate) fn bookmark_of(&self, vv: &VersionVector) -> Bookmark {
        Bookmark::beyond(vv, &self.inner.engine.held_by_all.borrow())
    }
}

impl Receipt {
    /// The bookmark of who has written this: covers all that its replica held by then.
    pub fn bookmark(&self) -> Bookmark {
        match self.replica() {
            Some(replica) => replica.bookmark_of(&self.vv),
            None => Bookmark::beyond(&self.vv, self.held_by_all()),
        }
    }
}

/// `b1`, then as a token of changes: `.INCARNATION-SEQ` for each writer.
impl fmt::Display for Bookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", Token(self.0.clone()))
    }
}

impl FromStr for Bookmark {
    type Err = ParseBookmarkError;

    fn from_str(text: &str) -> Result<Self, ParseBookmarkError> {
        let token = text.strip_prefix('b').and_then(|token| token.parse::<Token>().ok());
        token.map(|token| Self(token.0)).ok_or(ParseBookmarkError)
    }
}

fn behind_text(missing: u64, eta: Option<Duration>) -> String {
    let eta = eta.map_or(String::new(), |eta| format!(", some {} s more", eta.as_secs()));
    match missing {
        0 => format!(", as far as it can tell: it has yet to catch up{eta}"),
        missing => format!(": {missing} writes are missing{eta}"),
    }
}

#[cfg(test)]
mod tests {
    use millpond_core::{Dot, Incarnation, Seq};

    use super::*;

    #[test]
    fn bookmarks_parse_back_and_are_no_tokens() {
        let dot = |byte, seq| Dot::new(Incarnation::from_bytes([byte; 16]), Seq::new(seq).unwrap());
        let held = VersionVector::from_iter([dot(1, 5), dot(2, 3)]);
        let bookmark = Bookmark::beyond(&VersionVector::from_iter([dot(1, 5), dot(2, 4)]), &held);
        assert_eq!(bookmark, Bookmark(VersionVector::from_iter([dot(2, 4)])));
        assert_eq!(bookmark.to_string().parse(), Ok(bookmark.clone()));
        assert!(bookmark.to_string().parse::<Token>().is_err(), "it leaves out what it covers");
        assert_eq!("b1".parse(), Ok(Bookmark::default()));
        for text in ["", "1", "b", "b2", "b1.x-1"] {
            assert_eq!(text.parse::<Bookmark>(), Err(ParseBookmarkError), "{text}");
        }
    }
}
