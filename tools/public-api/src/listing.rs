//! The lines: what a user of the crate can reach, and how it looks.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Attribute, Fields, FnArg, Generics, ImplItem, Item, ItemImpl, Pat, ReturnType, Signature,
    TraitItem, Type,
};

use crate::names::Meaning;
use crate::print;
use crate::reach::{Reached, is_public};
use crate::source::{ModulePath, Source, attributes, conditions_of};

/// The public items of the crate whose root file is `root`, one per line, sorted by path.
///
/// Paths are those of users without the crate's name: `Dot`, `transport::Link`.
///
/// # Errors
/// When a file cannot be read or parsed: the text says which and why.
pub fn list(root: &Path) -> Result<Vec<String>, String> {
    let source = Source::read(root)?;
    let reached = Reached::walk(&source);
    let mut listing = Listing { source: &source, reached: &reached, lines: BTreeSet::new() };
    for link in &reached.links {
        listing.line(&link.path, link.line.clone(), &link.conditions);
    }
    for ((module, name), path) in &reached.items {
        listing.item(module, name, path);
    }
    for (module, content) in &source.modules {
        for item in &content.items {
            if let Item::Impl(implementation) = item {
                listing.implementation(module, implementation);
            }
        }
    }
    Ok(listing.lines.into_iter().map(|(_, _, line)| line).collect())
}

struct Listing<'a> {
    source: &'a Source,
    reached: &'a Reached,
    /// Each line after what it sorts by: its path, and whether it is an implementation.
    lines: BTreeSet<(String, bool, String)>,
}

impl Listing<'_> {
    fn line(&mut self, path: &str, line: String, conditions: &[String]) {
        let shown: String = conditions.iter().map(|found| format!("  #[cfg({found})]")).collect();
        let implementation = line.starts_with("impl");
        self.lines.insert((path.to_string(), implementation, line + &shown));
    }

    /// The lines of an item without its implementations.
    fn item(&mut self, module: &ModulePath, name: &str, path: &str) {
        let Some(content) = self.source.modules.get(module) else { return };
        let named = |item: &&Item| crate::source::defined_name(item).as_deref() == Some(name);
        for item in content.items.iter().filter(named) {
            let mut conditions = content.conditions.clone();
            conditions.extend(conditions_of(attributes(item)));
            self.definition(module, item, path, &conditions);
        }
    }

    fn definition(&mut self, module: &ModulePath, item: &Item, path: &str, conditions: &[String]) {
        let line = match item {
            Item::Const(item) => {
                format!(
                    "const {path}: {} = {}",
                    self.text(module, quote_of(&item.ty)),
                    self.text(module, quote_of(&item.expr))
                )
            }
            Item::Static(item) => {
                format!("static {path}: {}", self.text(module, quote_of(&item.ty)))
            }
            Item::Type(item) => {
                let generics = self.generics(module, &item.generics);
                format!("type {path}{generics} = {}", self.text(module, quote_of(&item.ty)))
            }
            Item::Fn(item) => self.function(module, &item.sig, path),
            Item::Struct(item) => {
                self.fields(module, &item.fields, path, conditions);
                let generics = self.generics(module, &item.generics);
                let hidden = item.fields.iter().any(|field| !is_public(&field.vis));
                let body = match (&item.fields, hidden) {
                    (_, true) => " { .. }",
                    (Fields::Unit, _) => ";",
                    (Fields::Named(_) | Fields::Unnamed(_), false) => "",
                };
                format!("struct {path}{generics}{body}")
            }
            Item::Enum(item) => {
                for variant in &item.variants {
                    let fields = self.variant_fields(module, &variant.fields);
                    let number = variant.discriminant.as_ref();
                    let number = number.map_or(String::new(), |(_, number)| {
                        format!(" = {}", print::plain(quote_of(number)))
                    });
                    let line = format!("variant {path}::{}{fields}{number}", variant.ident);
                    let mut conditions = conditions.to_vec();
                    conditions.extend(conditions_of(&variant.attrs));
                    self.line(&format!("{path}::{}", variant.ident), line, &conditions);
                }
                format!("enum {path}{}", self.generics(module, &item.generics))
            }
            Item::Trait(item) => {
                for part in &item.items {
                    self.trait_item(module, part, path, conditions);
                }
                let supertraits = self.text(module, quote_of(&item.supertraits));
                let colon = if supertraits.is_empty() { "" } else { ": " };
                let generics = self.generics(module, &item.generics);
                format!("trait {path}{generics}{colon}{supertraits}")
            }
            _ => return,
        };
        let growing = attributes(item).iter().any(|found| found.path().is_ident("non_exhaustive"));
        let line = if growing { format!("{line} #[non_exhaustive]") } else { line };
        self.line(path, line, conditions);
        for derived in derives(attributes(item)) {
            let name = trait_name(&self.text(module, derived));
            self.line(path, format!("impl {name} for {path}"), conditions);
        }
    }

    fn fields(&mut self, module: &ModulePath, fields: &Fields, path: &str, conditions: &[String]) {
        for (index, field) in fields.iter().enumerate().filter(|(_, field)| is_public(&field.vis)) {
            let name = field.ident.as_ref().map_or(index.to_string(), ToString::to_string);
            let path = format!("{path}::{name}");
            let line = format!("field {path}: {}", self.text(module, quote_of(&field.ty)));
            self.line(&path, line, conditions);
        }
    }

    /// A variant's fields without their docs and attributes.
    fn variant_fields(&self, module: &ModulePath, fields: &Fields) -> String {
        let names = fields.iter().map(|field| &field.ident);
        let types = fields.iter().map(|field| &field.ty);
        match fields {
            Fields::Named(_) => {
                format!(" {}", self.text(module, quote!({ #(#names: #types),* })))
            }
            Fields::Unnamed(_) => self.text(module, quote!((#(#types),*))),
            Fields::Unit => String::new(),
        }
    }

    fn trait_item(
        &mut self,
        module: &ModulePath,
        item: &TraitItem,
        path: &str,
        conditions: &[String],
    ) {
        let (name, line) = match item {
            TraitItem::Fn(method) => {
                let name = format!("{path}::{}", method.sig.ident);
                let provided = if method.default.is_some() { " (provided)" } else { "" };
                let line = self.function(module, &method.sig, &name) + provided;
                (name, line)
            }
            TraitItem::Type(item) => {
                let name = format!("{path}::{}", item.ident);
                let line = format!("type {name}: {}", self.text(module, quote_of(&item.bounds)));
                (name, line)
            }
            TraitItem::Const(item) => {
                let name = format!("{path}::{}", item.ident);
                let line = format!("const {name}: {}", self.text(module, quote_of(&item.ty)));
                (name, line)
            }
            other => (path.to_string(), format!("{path}: {}", print::plain(quote_of(other)))),
        };
        self.line(&name, line, conditions);
    }

    /// The public part of an `impl` block, if it belongs to something that users can reach.
    fn implementation(&mut self, module: &ModulePath, item: &ItemImpl) {
        let mut conditions = self.source.modules[module].conditions.clone();
        conditions.extend(conditions_of(&item.attrs));
        let Some((implemented, _)) = &item.trait_ else {
            if let Some(path) = self.reached_type(module, &item.self_ty) {
                item.items.iter().for_each(|part| self.method(module, part, &path, &conditions));
            }
            return;
        };
        let subject = quote_of(&item.self_ty);
        let header = quote!(#implemented #subject);
        let Some(path) = self.reached_by_all(module, header) else { return };
        let path = self.reached_type(module, &item.self_ty).unwrap_or(path);
        let generics = self.generics(module, &item.generics);
        let implemented = trait_name(&self.text(module, quote_of(implemented)));
        let subject = match self.reached_type(module, &item.self_ty) {
            Some(path) if item.generics.params.is_empty() && !is_reference(&item.self_ty) => path,
            _ => self.text(module, subject),
        };
        self.line(&path, format!("impl{generics} {implemented} for {subject}"), &conditions);
        for part in &item.items {
            if let ImplItem::Type(part) = part {
                let line = format!(
                    "impl{generics} {implemented} for {subject}: type {} = {}",
                    part.ident,
                    self.text(module, quote_of(&part.ty))
                );
                self.line(&path, line, &conditions);
            }
        }
    }

    fn method(&mut self, module: &ModulePath, item: &ImplItem, path: &str, conditions: &[String]) {
        let (name, line, own) = match item {
            ImplItem::Fn(method) if is_public(&method.vis) => {
                let name = format!("{path}::{}", method.sig.ident);
                let line = self.function(module, &method.sig, &name);
                (name, line, &method.attrs)
            }
            ImplItem::Const(item) if is_public(&item.vis) => {
                let name = format!("{path}::{}", item.ident);
                let line = format!("const {name}: {}", self.text(module, quote_of(&item.ty)));
                (name, line, &item.attrs)
            }
            ImplItem::Macro(call) => {
                let line =
                    format!("macro call in impl {path}: {}", print::plain(quote_of(&call.mac)));
                (path.to_string(), line, &call.attrs)
            }
            _ => return,
        };
        let conditions = [conditions, &conditions_of(own)].concat();
        self.line(&name, line, &conditions);
    }

    fn function(&self, module: &ModulePath, signature: &Signature, path: &str) -> String {
        let Signature { constness, asyncness, safety, inputs, output, .. } = signature;
        let before = print::plain(quote!(#constness #asyncness #safety fn));
        let generics = &signature.generics.params;
        let generics = if generics.is_empty() {
            String::new()
        } else {
            format!("<{}>", self.text(module, quote_of(generics)))
        };
        let inputs: Vec<String> =
            inputs.iter().map(|input| self.text(module, parameter(input))).collect();
        let inputs = inputs.join(", ");
        let output = match output {
            ReturnType::Default => String::new(),
            ReturnType::Type(_, output) => format!(" -> {}", self.text(module, quote_of(output))),
        };
        let bounds = self.text(module, quote_of(&signature.generics.where_clause));
        let bounds = if bounds.is_empty() { bounds } else { format!(" {bounds}") };
        format!("{before} {path}{generics}({inputs}){output}{bounds}")
    }

    fn generics(&self, module: &ModulePath, generics: &Generics) -> String {
        let bounds = &generics.where_clause;
        let text = self.text(module, quote!(#generics #bounds));
        text.replacen("where", " where", 1).trim_end_matches(',').to_string()
    }

    /// Tokens as text, names as users know them.
    fn text(&self, module: &ModulePath, tokens: TokenStream) -> String {
        print::named(tokens, &|path| match self.source.meaning(module, path) {
            Meaning::Local { module, name, rest } => {
                let known = self.reached.items.get(&(module, name.clone()));
                let known = known.cloned().unwrap_or(name);
                [vec![known], rest].concat().join("::")
            }
            Meaning::Module(_) => path.join("::"), // `self`, or a word that is also a module
            Meaning::Foreign(path) | Meaning::Unknown(path) => path.join("::"),
        })
    }

    /// The public path of the type that an `impl` block is for.
    fn reached_type(&self, module: &ModulePath, subject: &Type) -> Option<String> {
        match subject {
            Type::Reference(reference) => self.reached_type(module, &reference.elem),
            Type::Path(subject) => {
                let path: Vec<String> =
                    subject.path.segments.iter().map(|part| part.ident.to_string()).collect();
                match self.source.meaning(module, &path) {
                    Meaning::Local { module, name, .. } => {
                        self.reached.items.get(&(module, name)).cloned()
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The public path of the first of this crate's items in the tokens, if users reach all of them.
    fn reached_by_all(&self, module: &ModulePath, tokens: TokenStream) -> Option<String> {
        let found = std::cell::RefCell::new(Vec::new());
        print::named(tokens, &|path| {
            if let Meaning::Local { module, name, .. } = self.source.meaning(module, path) {
                found.borrow_mut().push(self.reached.items.get(&(module, name)).cloned());
            }
            String::new()
        });
        let found: Option<Vec<String>> = found.into_inner().into_iter().collect();
        found?.into_iter().next()
    }
}

/// A parameter as its caller sees it: no attributes, no `mut`, patterns without their names.
fn parameter(input: &FnArg) -> TokenStream {
    match input {
        FnArg::Receiver(receiver) => {
            let mut receiver = receiver.clone();
            receiver.attrs.clear();
            receiver.mutability = None; // of `mut self`; that of `&mut self` is elsewhere
            receiver.to_token_stream()
        }
        FnArg::Typed(typed) => {
            let shown = &typed.ty;
            match &*typed.pat {
                Pat::Ident(pattern) => {
                    let name = &pattern.ident;
                    quote!(#name: #shown)
                }
                _ => quote!(_: #shown),
            }
        }
    }
}

/// The traits that `derive` attributes name.
fn derives(attributes: &[Attribute]) -> Vec<TokenStream> {
    let mut derives = Vec::new();
    for attribute in attributes.iter().filter(|found| found.path().is_ident("derive")) {
        // Parsing stops at what is no path; the compiler has accepted the attribute anyway.
        let _ = attribute.parse_nested_meta(|derived| {
            derives.push(derived.path.to_token_stream());
            Ok(())
        });
    }
    derives
}

/// A trait as it is known: those of the standard library, and the derives named as they are, without their
/// crate, so that a derived and a written implementation look alike.
fn trait_name(name: &str) -> String {
    let known = ["core::", "std::", "alloc::", "thiserror::"];
    match known.iter().any(|known| name.starts_with(known)) {
        true => {
            let end = name.find('<').unwrap_or(name.len());
            let start = name[..end].rfind("::").map_or(0, |found| found + 2);
            name[start..].to_string()
        }
        false => name.to_string(),
    }
}

fn is_reference(subject: &Type) -> bool {
    matches!(subject, Type::Reference(_))
}

fn quote_of(tokens: &impl ToTokens) -> TokenStream {
    tokens.to_token_stream()
}
