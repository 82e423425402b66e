//! Reading the configuration, and saying what is wrong with it.

use super::File;

/// What is wrong with a file, and where; and what to write instead, where that can be guessed.
#[derive(Debug, PartialEq)]
pub(super) struct Complaint {
    pub why: String,
    pub fix: Option<String>,
}

/// Reads the text of a file.
pub(super) fn parse(text: &str) -> Result<File, Complaint> {
    toml::from_str(text).map_err(|error| {
        let message = error.message();
        let (what, fix) = match (unknown(message, "field"), unknown(message, "variant")) {
            (Some((key, fix)), _) => (format!("there is no key `{key}` here"), Some(fix("keys"))),
            (_, Some((value, fix))) => {
                (format!("`{value}` is no value of it"), Some(fix("values")))
            }
            (None, None) => (message.to_owned(), None),
        };
        let why = match error.span() {
            Some(span) => point_at(text, span, &what),
            None => what,
        };
        Complaint { why, fix }
    })
}

/// The word that serde's message complains about, and what to do: what was meant instead, or what there is.
fn unknown<'a>(
    message: &'a str,
    kind: &str,
) -> Option<(&'a str, impl Fn(&str) -> String + use<'a>)> {
    let rest = message.strip_prefix("unknown ")?.strip_prefix(kind)?.strip_prefix(" `")?;
    let (word, rest) = rest.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let fix = move |plural: &str| {
        let near = |known: &&str| strsim::normalized_damerau_levenshtein(word, known);
        let nearest = known.iter().copied().max_by(|a, b| near(a).total_cmp(&near(b)));
        match nearest {
            Some(nearest) if near(&nearest) >= SIMILAR => format!("did you mean `{nearest}`?"),
            _ => format!("the {plural} here are: {}", known.join(", ")),
        }
    };
    Some((word, fix))
}

/// `line 4, column 1: what`, the line, and marks below the place.
fn point_at(text: &str, span: std::ops::Range<usize>, what: &str) -> String {
    let start = span.start.min(text.len());
    let before = &text[..start];
    let number = before.matches('\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    let column = text[line_start..start].chars().count();
    let marks = text[start..span.end.min(line_start + line.len()).max(start)].chars().count();
    let gutter = " ".repeat(number.to_string().len());
    let indent = " ".repeat(column);
    let marks = "^".repeat(marks.max(1));
    let place = format!("line {number}, column {}: {what}", column + 1);
    format!("{place}\n{number} | {line}\n{gutter} | {indent}{marks}")
}

/// Below this two words have little in common.
const SIMILAR: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_value_is_shown_with_what_was_meant() {
        let complaint = parse("[topology]\nmode = \"full-mash\"\n").unwrap_err();
        assert_eq!(
            complaint.why,
            "line 2, column 8: `full-mash` is no value of it\n\
             2 | mode = \"full-mash\"\n  |        ^^^^^^^^^^^"
        );
        assert_eq!(complaint.fix.unwrap(), "did you mean `full-mesh`?");
        let complaint = parse("[topology]\nripple = \"none\"\n").unwrap_err();
        assert_eq!(complaint.fix.unwrap(), "the values here are: adaptive, hold-down");
    }

    #[test]
    fn an_unknown_key_is_shown_with_its_place_and_what_was_meant() {
        let complaint = parse("name = \"a\"\n\n[replication]\nbindadress = \"x\"\n").unwrap_err();
        assert_eq!(
            complaint.why,
            "line 4, column 1: there is no key `bindadress` here\n\
             4 | bindadress = \"x\"\n  | ^^^^^^^^^^"
        );
        assert_eq!(complaint.fix.unwrap(), "did you mean `bindaddress`?");
    }

    #[test]
    fn a_key_like_none_lists_those_there_are() {
        let complaint = parse("[log]\nzzz = 1\n").unwrap_err();
        assert_eq!(complaint.fix.unwrap(), "the keys here are: level, format");
    }

    #[test]
    fn a_wrong_value_says_what_is_right() {
        for (text, wanted) in [
            ("version = 2\n", "reads version 1"),
            ("[replication]\nhold_down = \"1 fortnight\"\n", "ms, s, m, h or d"),
            ("[store]\ncache = \"64\"\n", "KiB, MiB or GiB"),
            ("[http]\nbindaddress = \"here\"\n", "socket address"),
            ("region = \"\"\n", "1 to 64 bytes"),
            ("cost = -1\n", "u32"),
            (
                "[topology]\nmode = \"spanning-tree\"\nfanout = 0\n",
                "line 3, column 10: `fanout` is 1 or more",
            ),
            ("[topology]\nfanout = 4\n", "\"spanning-tree\" only"),
            ("[topology]\nmode = \"static\"\n", "none is named"),
            ("[[topology.link]]\ncost = 4\n", "missing field `peer`"),
            ("[[topology.link]]\npeer = \"\"\n", "`peer` is"),
            ("[[topology.link]]\npeer = \"a\"\n[[topology.link]]\npeer = \"a\"\n", "two links"),
        ] {
            let complaint = parse(text).unwrap_err();
            assert!(complaint.why.contains(wanted), "{}", complaint.why);
            assert!(complaint.why.starts_with("line "), "{}", complaint.why);
        }
    }
}
