//! Where users of a crate find its items.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Display;

use quote::ToTokens;
use syn::{Item, Visibility};

use crate::names::{Import, Meaning};
use crate::print;
use crate::source::{ModulePath, Source, attributes, conditions_of, defined_name};

/// The public paths of a crate, without its name.
#[derive(Default)]
pub(crate) struct Reached {
    /// Each item by its module and name, with its shortest public path.
    pub(crate) items: BTreeMap<(ModulePath, String), String>,
    /// What has a path and no definition to list: modules, further paths to known items, items of other
    /// crates, calls of macros.
    pub(crate) links: BTreeSet<Link>,
    /// Modules to walk, with their public paths.
    waiting: VecDeque<(ModulePath, String)>,
}

/// A line of its own.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    pub(crate) path: String,
    pub(crate) line: String,
    pub(crate) conditions: Vec<String>,
}

impl Reached {
    /// Follows `pub mod` and `pub use` from the root, short paths first.
    pub(crate) fn walk(source: &Source) -> Self {
        let mut reached = Self::default();
        let mut seen = BTreeSet::new();
        reached.waiting.push_back((ModulePath::new(), String::new()));
        while let Some((module, public)) = reached.waiting.pop_front() {
            if seen.len() < PATHS_MAX && seen.insert((module.clone(), public.clone())) {
                reached.module(source, &module, &public);
            }
        }
        reached
    }

    fn module(&mut self, source: &Source, module: &ModulePath, public: &str) {
        let Some(content) = source.modules.get(module) else { return };
        for item in &content.items {
            let conditions = [&content.conditions[..], &conditions_of(attributes(item))].concat();
            self.own_item(item, module, public, &conditions);
        }
        for (name, import) in content.imports.named.iter().filter(|(_, found)| found.public) {
            let meaning = source.meaning(module, &import.path);
            let conditions = [&content.conditions[..], &import.conditions].concat();
            self.import(meaning, below(public, name), &conditions);
        }
        for import in content.imports.globs.iter().filter(|found| found.public) {
            match source.meaning(module, &import.path) {
                Meaning::Module(inside) => self.waiting.push_back((inside, public.to_string())),
                _ => self.foreign_glob(import, public),
            }
        }
    }

    fn own_item(&mut self, item: &Item, module: &ModulePath, public: &str, conditions: &[String]) {
        match item {
            Item::Mod(child) if is_public(&child.vis) => {
                let path = below(public, &child.ident);
                self.link(&path, format!("mod {path}"), conditions);
                let child = module.iter().cloned().chain([child.ident.to_string()]).collect();
                self.waiting.push_back((child, path));
            }
            Item::Macro(call) if call.ident.is_none() => {
                let line = format!("macro call: {}", print::plain(call.mac.to_token_stream()));
                self.link(public, line, conditions);
            }
            Item::Macro(definition) => {
                let mut attributes = definition.attrs.iter();
                let exported = attributes.any(|found| found.path().is_ident("macro_export"));
                if let (true, Some(name)) = (exported, &definition.ident) {
                    self.link("", format!("macro {name}!"), conditions);
                }
            }
            _ => {
                let public_name = visibility(item).filter(|found| is_public(found));
                if let (Some(name), Some(_)) = (defined_name(item), public_name) {
                    let path = below(public, &name);
                    self.reach(module.clone(), name, path, conditions);
                }
            }
        }
    }

    fn import(&mut self, meaning: Meaning, path: String, conditions: &[String]) {
        match meaning {
            Meaning::Local { module, name, rest } if rest.is_empty() => {
                self.reach(module, name, path, conditions);
            }
            Meaning::Module(module) => {
                self.link(&path, format!("mod {path}"), conditions);
                self.waiting.push_back((module, path));
            }
            Meaning::Local { name, rest, .. } => {
                let line = format!("use {name}::{} as {path}", rest.join("::"));
                self.link(&path, line, conditions);
            }
            Meaning::Foreign(from) | Meaning::Unknown(from) => {
                let line = format!("use {} as {path}", from.join("::"));
                self.link(&path, line, conditions);
            }
        }
    }

    fn foreign_glob(&mut self, import: &Import, public: &str) {
        let line = format!("use {}::*", import.path.join("::"));
        self.link(public, line, &import.conditions);
    }

    fn reach(&mut self, module: ModulePath, name: String, path: String, conditions: &[String]) {
        let item = (module, name);
        match self.items.get(&item).cloned() {
            Some(first) if first != path => {
                self.link(&path, format!("use {first} as {path}"), conditions);
            }
            Some(_) => {}
            None => {
                self.items.insert(item, path);
            }
        }
    }

    fn link(&mut self, path: &str, line: String, conditions: &[String]) {
        let (path, conditions) = (path.to_string(), conditions.to_vec());
        self.links.insert(Link { path, line, conditions });
    }
}

/// The path of `name` in the module with this public path, which is empty for the root.
fn below(module: &str, name: &impl Display) -> String {
    if module.is_empty() { name.to_string() } else { format!("{module}::{name}") }
}

fn visibility(item: &Item) -> Option<&Visibility> {
    match item {
        Item::Const(item) => Some(&item.vis),
        Item::Enum(item) => Some(&item.vis),
        Item::Fn(item) => Some(&item.vis),
        Item::Static(item) => Some(&item.vis),
        Item::Struct(item) => Some(&item.vis),
        Item::Trait(item) => Some(&item.vis),
        Item::Type(item) => Some(&item.vis),
        _ => None,
    }
}

pub(crate) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Modules followed under all their names; a crate that re-exports itself ends here.
const PATHS_MAX: usize = 10_000;
