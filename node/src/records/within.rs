//! Fields within fields: what lies in a map, or in a nested struct, is a register, a counter or a map of its own, and
//! may be in conflict.
//!
//! Its name is the names that lead to it with `/` between them: `contact/phone`. In a name itself `/` is written as
//! `%2F`, and `%` as `%25`.

use std::collections::BTreeMap;

use crate::records::record::Layout;
use crate::records::{Field, FieldKind};

/// The names that lead to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath(Vec<String>);

impl FieldPath {
    /// That of the text form. Any text is one.
    pub(crate) fn parse(text: &str) -> Self {
        let unescaped = |name: &str| name.replace("%2F", "/").replace("%25", "%");
        Self(text.split('/').map(unescaped).collect())
    }

    /// The names, from the outermost on.
    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    /// The field; `None` if it is not there.
    pub(super) fn find(&self, mut layout: Layout) -> Option<Field> {
        let (last, above) = self.0.split_last()?;
        for name in above {
            layout = Layout::of(layout.nested.get(name)?);
        }
        layout.field(last)
    }
}

/// The fields in conflict of these, and of maps in them, by their names. `layout` is that of which they were read.
pub(super) fn conflicts(
    layout: &Layout,
    fields: &BTreeMap<String, Field>,
) -> BTreeMap<String, Field> {
    let mut found = BTreeMap::new();
    add_conflicts(layout, fields, "", &mut found);
    found
}

/// Of a field that is in conflict itself, what lies in it is a part of that.
fn add_conflicts(
    layout: &Layout,
    fields: &BTreeMap<String, Field>,
    above: &str,
    found: &mut BTreeMap<String, Field>,
) {
    for (name, field) in fields {
        let path = || format!("{above}{}", name.replace('%', "%25").replace('/', "%2F"));
        if field.is_conflict() {
            found.insert(path(), field.clone());
        } else if field.kind == FieldKind::Map
            && let Some(below) = layout.nested.get(name)
        {
            let within = Layout::of(below);
            add_conflicts(&within, &within.read(), &format!("{}/", path()), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use millpond_core::types::counter::{Slot, slot_path};
    use millpond_core::{Dot, Entry, Hlc, Incarnation, LiveDot, Path, Payload, PayloadKind, Seq};

    use super::*;
    use crate::records::{Record, RecordId};

    fn live(author: u8, kind: PayloadKind, bytes: &[u8]) -> LiveDot {
        let dot = Dot::new(Incarnation::from_bytes([author; 16]), Seq::FIRST);
        let payload = Payload { kind, bytes: Bytes::copy_from_slice(bytes) };
        LiveDot { dot, hlc: Hlc::from_ms(author.into()), payload }
    }

    fn at(names: &[&str], live: Vec<LiveDot>) -> (Path, Entry) {
        (Path::new([&["t", "k"], names].concat()).unwrap(), Entry::from_live(live))
    }

    /// Two values of a phone number in a nested struct; a counter and a text at one key of a map in a map; what is
    /// alike, or alone, in between.
    fn record() -> (Vec<(Path, Entry)>, Record) {
        let text = |author, text: &str| live(author, PayloadKind::LWW, text.as_bytes());
        let slot = Slot { plus: 3, ..Slot::default() }.encode();
        let votes = Path::new(["t", "k", "by/day", "50%", "votes"]).unwrap();
        let counted = live(1, slot.kind, &slot.bytes);
        let mut entries = vec![
            at(&["contact", "mail"], vec![text(1, "1"), text(2, "1")]),
            at(&["contact", "phone"], vec![text(1, "1"), text(2, "2")]),
            at(&["by/day", "50%", "votes"], vec![text(2, "\"many\"")]),
            (slot_path(&votes, counted.dot).unwrap(), Entry::from_live(vec![counted])),
            at(&["by/day", "60%"], vec![text(1, "1")]),
        ];
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let record = Record::from_entries(RecordId::new("t", "k").unwrap(), &entries);
        (entries, record.unwrap())
    }

    #[test]
    fn conflicts_within_fields_are_found_by_the_names_that_lead_to_them() {
        let (entries, record) = record();
        let found: Vec<(&str, &Field)> = record.conflicts().collect();
        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["by%2Fday/50%25/votes", "contact/phone"]);
        assert!(found[0].1.is_clash() && !found[1].1.is_clash());
        for (name, field) in found {
            let path = FieldPath::parse(name);
            let again = Record::field(&record.id, &entries, &path);
            assert_eq!(again.as_ref(), Some(field), "{name}");
        }
    }

    #[test]
    fn what_is_alone_is_found_too_and_what_is_not_there_is_not() {
        let (entries, record) = record();
        let value = |name: &str| {
            let field = Record::field(&record.id, &entries, &FieldPath::parse(name));
            field.map(|field| field.value.text().to_owned())
        };
        assert_eq!(value("by%2Fday/60%25").as_deref(), Some("1"));
        assert_eq!(value("by%2Fday/60%").as_deref(), Some("1"), "not all need be escaped");
        assert_eq!(value("contact").as_deref(), Some(r#"{"mail":1,"phone":2}"#));
        for name in ["", "contact/", "contact/fax", "contact/phone/x", "phone", "by/day"] {
            assert_eq!(value(name), None, "{name}");
        }
    }
}
