//! A small expander of `macro_rules!`: one rule, fragments separated by tokens, no repetition.

use std::collections::BTreeMap;

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::{Item, ItemMacro};

/// Definitions by name.
#[derive(Default)]
pub(crate) struct Macros(BTreeMap<String, Rule>);

struct Rule {
    /// The fragments' names, in order, each with the token that ends it; all that is left for the last.
    fragments: Vec<(String, Option<char>)>,
    body: TokenStream,
}

impl Macros {
    /// What an item stands for: itself, or the items that a macro call makes. Remembers definitions. A call
    /// that cannot be expanded is returned as it is.
    pub(crate) fn expand(&mut self, item: Item) -> Vec<Item> {
        let Item::Macro(call) = &item else { return vec![item] };
        if let Some(name) = &call.ident {
            if let Some(rule) = Rule::of(call.mac.tokens.clone()) {
                self.0.insert(name.to_string(), rule);
            }
            return vec![item];
        }
        match self.items(call) {
            Some(items) => items.into_iter().flat_map(|item| self.expand(item)).collect(),
            None => vec![item],
        }
    }

    fn items(&self, call: &ItemMacro) -> Option<Vec<Item>> {
        let rule = self.0.get(&call.mac.path.get_ident()?.to_string())?;
        let arguments = rule.arguments(call.mac.tokens.clone())?;
        let expanded = substitute(rule.body.clone(), &arguments)?;
        Some(syn::parse2::<syn::File>(expanded).ok()?.items)
    }
}

impl Rule {
    /// The rule of `(pattern) => { body }`; `None` when there are more, or repetitions.
    fn of(definition: TokenStream) -> Option<Self> {
        let mut tokens = definition.into_iter();
        let TokenTree::Group(pattern) = tokens.next()? else { return None };
        let arrow: String = tokens.by_ref().take(2).map(|token| token.to_string()).collect();
        let TokenTree::Group(body) = tokens.next()? else { return None };
        let rest: String = tokens.map(|token| token.to_string()).collect();
        if arrow != "=>" || !matches!(rest.as_str(), "" | ";") {
            return None;
        }
        Some(Self { fragments: fragments(pattern.stream())?, body: body.stream() })
    }

    /// The tokens that a call gives for each fragment.
    fn arguments(&self, call: TokenStream) -> Option<BTreeMap<String, TokenStream>> {
        let mut tokens = call.into_iter();
        let mut arguments = BTreeMap::new();
        for (name, end) in &self.fragments {
            let ends = |token: &TokenTree| matches!((token, end), (TokenTree::Punct(punct), Some(end)) if punct.as_char() == *end);
            let argument = tokens.by_ref().take_while(|token| !ends(token)).collect();
            arguments.insert(name.clone(), argument);
        }
        tokens.next().is_none().then_some(arguments)
    }
}

/// Reads `$name:kind` fragments, each followed by one punctuation mark or by the end.
fn fragments(pattern: TokenStream) -> Option<Vec<(String, Option<char>)>> {
    let mut tokens = pattern.into_iter();
    let mut fragments = Vec::new();
    while let Some(token) = tokens.next() {
        let dollar = is_punct(&token, '$');
        let TokenTree::Ident(name) = tokens.next()? else { return None };
        let colon = is_punct(&tokens.next()?, ':');
        let TokenTree::Ident(_kind) = tokens.next()? else { return None };
        let end = match tokens.next() {
            Some(TokenTree::Punct(punct)) => Some(punct.as_char()),
            Some(_) => return None,
            None => None,
        };
        if !dollar || !colon {
            return None;
        }
        fragments.push((name.to_string(), end));
    }
    Some(fragments)
}

/// Puts the arguments in the place of `$name`; `None` at a repetition.
fn substitute(body: TokenStream, arguments: &BTreeMap<String, TokenStream>) -> Option<TokenStream> {
    let mut substituted = TokenStream::new();
    let mut tokens = body.into_iter();
    while let Some(token) = tokens.next() {
        if is_punct(&token, '$') {
            let TokenTree::Ident(name) = tokens.next()? else { return None };
            match arguments.get(&name.to_string()) {
                Some(argument) => substituted.extend(argument.clone()),
                None if name == "crate" => substituted.extend([TokenTree::Ident(name)]),
                None => return None,
            }
        } else if let TokenTree::Group(group) = token {
            let inner = substitute(group.stream(), arguments)?;
            substituted.extend([TokenTree::Group(Group::new(group.delimiter(), inner))]);
        } else {
            substituted.extend([token]);
        }
    }
    Some(substituted)
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
