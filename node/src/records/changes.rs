//! Which records changed between two moments.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use millpond_core::{Dot, Incarnation, Seq, VersionVector};

use crate::records::view::record_id;
use crate::records::{Record, RecordError, RecordId, RecordView};

/// A record that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Which.
    pub id: RecordId,
    /// What it is now; `None` if it is gone.
    pub record: Option<Record>,
}

/// A moment from which a reader of changes goes on: a version vector as text.
///
/// `1` for the beginning, else `1.INCARNATION-SEQ` with a further `.INCARNATION-SEQ` for each one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Token(pub VersionVector);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TOKEN_FORMAT)?;
        self.0.iter().try_for_each(|dot| write!(f, ".{}-{}", dot.incarnation, dot.seq))
    }
}

/// The text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token of this version: tokens come from `id:` lines and receipts")]
pub struct ParseTokenError;

impl FromStr for Token {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        let mut parts = text.split('.');
        if parts.next() != Some(TOKEN_FORMAT) {
            return Err(ParseTokenError);
        }
        parts.map(parse_dot).collect::<Option<_>>().map(Self).ok_or(ParseTokenError)
    }
}

impl RecordView {
    /// Whether all that changed beyond `since` can still be told. Deletes that all members have are forgotten,
    /// so a reader who was away for long may have to begin anew: drop what it holds, and take all that there
    /// is.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub fn can_tell_since(&self, since: &VersionVector) -> Result<bool, RecordError> {
        Ok(since.is_empty() || since.covers_all(&self.view.floor()?))
    }

    /// Visits the records that changed beyond `since`, each once, in path order, as they are in this view.
    ///
    /// Deletes are among them as far as [`RecordView::can_tell_since`] says.
    ///
    /// It first collects the names of all of them; from the beginning it reads what exists instead.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub fn changes(
        &self,
        since: &VersionVector,
        wanted: &dyn Fn(&RecordId) -> bool,
        visit: &mut dyn FnMut(Change) -> ControlFlow<()>,
    ) -> Result<(), RecordError> {
        if since.is_empty() {
            return self.export(&mut |record| match wanted(&record.id) {
                true => visit(Change { id: record.id.clone(), record: Some(record) }),
                false => ControlFlow::Continue(()),
            });
        }
        for id in self.changed(since, wanted)? {
            let record = self.get(&id)?;
            if visit(Change { id, record }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn changed(
        &self,
        since: &VersionVector,
        wanted: &dyn Fn(&RecordId) -> bool,
    ) -> Result<BTreeSet<RecordId>, RecordError> {
        let mut changed = BTreeSet::new();
        for range in self.vv().beyond(since) {
            self.view.log(range.incarnation, range.after, range.upto.get(), &mut |_, row| {
                changed.extend(record_id(&row.path).filter(wanted));
                ControlFlow::Continue(())
            })?;
        }
        Ok(changed)
    }
}

fn parse_dot(text: &str) -> Option<Dot> {
    let (incarnation, seq) = text.split_once('-')?;
    let incarnation: Incarnation = incarnation.parse().ok()?;
    Some(Dot::new(incarnation, Seq::new(seq.parse().ok()?)?))
}

const TOKEN_FORMAT: &str = "1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_parse_back() {
        let mut vv = VersionVector::new();
        assert_eq!(Token(vv.clone()).to_string(), "1");
        vv.advance(Dot::new(Incarnation::from_bytes([0xab; 16]), Seq::new(17).unwrap()));
        vv.advance(Dot::new(Incarnation::from_bytes([0x01; 16]), Seq::FIRST));
        let token = Token(vv);
        assert_eq!(token.to_string().parse(), Ok(token));
        assert_eq!("1".parse(), Ok(Token::default()));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "2", "1.", "1.x-1", "1.0101010101010101010101010101010101-0", "1 "] {
            assert_eq!(text.parse::<Token>(), Err(ParseTokenError), "{text}");
        }
    }
}
