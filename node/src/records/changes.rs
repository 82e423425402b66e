//! Which records changed between two moments.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use millpond_core::{Dot, Incarnation, Seq, VersionVector};

use crate::changes::{Change, ChangeFilter, RowKind, Walk, can_tell_since};
use crate::records::{Record, RecordError, RecordView};

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
        Ok(can_tell_since(&self.view, since)?)
    }

    /// Visits the records that changed beyond `since`, each once, in path order, as they are in this view. What
    /// they were before is not known here: [`Replica::changes`](crate::Replica::changes) knows.
    ///
    /// Deletes are among them as far as [`RecordView::can_tell_since`] says.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub fn changes(
        &self,
        since: &VersionVector,
        filter: &ChangeFilter,
        visit: &mut dyn FnMut(Change<Record>) -> ControlFlow<()>,
    ) -> Result<(), RecordError> {
        let walk = Walk { view: &self.view, since, before: None, filter, kind: RECORDS };
        let mut failed = None;
        walk.visit(&mut |change, _| match change {
            Ok(change) => visit(change),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)
    }
}

/// Records as rows that are followed.
pub(crate) const RECORDS: RowKind<Record> = RowKind {
    is_key: |_| true,
    read: |id, entries| Ok(Record::from_entries(id.clone(), &entries)),
};

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
