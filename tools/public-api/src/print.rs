//! Tokens of a signature as one line of text.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// The tokens as text, names as they stand.
pub(crate) fn plain(tokens: TokenStream) -> String {
    named(tokens, &|path| path.join("::"))
}

/// The tokens as text, with each path (`Vec`, `fmt::Result`) replaced by what `name` makes of it.
pub(crate) fn named(tokens: TokenStream, name: &dyn Fn(&[String]) -> String) -> String {
    let mut pieces = Vec::new();
    flatten(tokens, &mut pieces);
    join(&rename(pieces, name))
}

#[derive(Clone, PartialEq)]
enum Piece {
    /// An identifier, keyword, literal or lifetime.
    Word(String),
    /// Punctuation, of which `::`, `->`, `=>`, `..` are one.
    Mark(String),
}

fn flatten(tokens: TokenStream, pieces: &mut Vec<Piece>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) => pieces.push(Piece::Word(word.to_string())),
            TokenTree::Literal(word) => pieces.push(Piece::Word(word.to_string())),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                pieces.push(Piece::Mark(open.into()));
                flatten(group.stream(), pieces);
                pieces.push(Piece::Mark(close.into()));
            }
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                if let Some(TokenTree::Ident(name)) = tokens.next() {
                    pieces.push(Piece::Word(format!("'{name}")));
                }
            }
            TokenTree::Punct(punct) => {
                let mut mark = punct.as_char().to_string();
                while punct.spacing() == Spacing::Joint
                    && let Some(TokenTree::Punct(next)) = tokens.peek()
                    && LONG_MARKS.contains(&format!("{mark}{}", next.as_char()).as_str())
                {
                    mark.push(next.as_char());
                    tokens.next();
                }
                pieces.push(Piece::Mark(mark));
            }
        }
    }
    pieces.retain(|piece| *piece != Piece::Mark(String::new()));
}

/// Replaces paths. A word before `:` or `=` is a parameter, field or associated type: no path.
fn rename(pieces: Vec<Piece>, name: &dyn Fn(&[String]) -> String) -> Vec<Piece> {
    let separator = Piece::Mark("::".into());
    let mut renamed: Vec<Piece> = Vec::new();
    let mut rest = &pieces[..];
    while let Some(piece) = rest.first() {
        let continues = renamed.last() == Some(&separator);
        let Piece::Word(word) = piece else {
            renamed.push(piece.clone());
            rest = &rest[1..];
            continue;
        };
        let mut path = vec![word.clone()];
        rest = &rest[1..];
        while let [separated, Piece::Word(word), ..] = rest
            && *separated == separator
        {
            path.push(word.clone());
            rest = &rest[2..];
        }
        let binds = matches!(rest, [Piece::Mark(mark), ..] if mark == ":" || mark == "=");
        let keep = continues || binds || !word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        renamed.push(Piece::Word(if keep { path.join("::") } else { name(&path) }));
    }
    renamed
}

fn join(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        let (Piece::Word(shown) | Piece::Mark(shown)) = piece;
        if shown == "," && is_layout(pieces.get(index + 1)) {
            continue;
        }
        if index > 0 && is_spaced(&pieces[index - 1], piece) {
            text.push(' ');
        }
        text.push_str(shown);
    }
    text
}

fn is_spaced(before: &Piece, after: &Piece) -> bool {
    let around = |mark: &str| matches!(mark, "->" | "=>" | "=" | "+" | "{" | "==" | "&&" | "<<");
    match (before, after) {
        (Piece::Word(_), Piece::Word(_)) => true,
        (_, Piece::Mark(mark)) if around(mark) => true,
        (Piece::Mark(mark), _) if around(mark) => true,
        (_, Piece::Mark(mark)) if mark == "}" => true,
        (Piece::Mark(mark), Piece::Mark(close)) if mark == "," => !closes(close),
        (Piece::Mark(mark), _) if matches!(mark.as_str(), "," | ";" | ":") => true,
        (Piece::Mark(mark), Piece::Word(_)) => closes(mark),
        (Piece::Word(word), Piece::Mark(mark)) if matches!(mark.as_str(), "&" | "(" | "[") => {
            word.starts_with('\'') || KEYWORDS.contains(&word.as_str())
        }
        _ => false,
    }
}

/// Whether a comma before this piece, or before the end, is layout only.
fn is_layout(next: Option<&Piece>) -> bool {
    match next {
        Some(Piece::Mark(mark)) => closes(mark),
        Some(Piece::Word(_)) => false,
        None => true,
    }
}

fn closes(mark: &str) -> bool {
    matches!(mark, ")" | "]" | "}" | ">")
}

const LONG_MARKS: [&str; 9] = ["::", "->", "=>", "..", "..=", "...", "==", "&&", "<<"];
const KEYWORDS: [&str; 6] = ["dyn", "for", "impl", "in", "mut", "where"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_prints_as_people_write_it() {
        for line in [
            "fn f<'a, T: Into<Bytes> + ?Sized>(&'a mut self, x: &'a [u8; 4]) -> Result<(), E> where T: Copy",
            "impl<T> Trait<Vec<T>> for Entry<T>",
            "fn g(visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>, all: impl Iterator<Item = u8> + 'a)",
            "const X: usize = 1 << 20",
        ] {
            assert_eq!(plain(line.parse().unwrap()), line);
        }
    }

    #[test]
    fn paths_are_renamed_and_bindings_are_not() {
        let signature =
            "fn f(fmt: &mut fmt::Formatter<'_>, item: T) -> Box<dyn Iterator<Item = u8>>";
        let upper = |path: &[String]| path.join("::").to_uppercase();
        let printed = named(signature.parse().unwrap(), &upper);
        let expected =
            "FN F(fmt: &MUT FMT::FORMATTER<'_>, item: T) -> BOX<DYN ITERATOR<Item = U8>>";
        assert_eq!(printed, expected);
    }
}
