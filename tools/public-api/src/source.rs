//! A crate's source as parsed modules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, Item, ItemMod};

use crate::expand::Macros;
use crate::names::Imports;

/// Where a module stands: its names from the crate's root.
pub(crate) type ModulePath = Vec<String>;

/// The modules of a crate, those for tests left out.
pub(crate) struct Source {
    pub(crate) modules: BTreeMap<ModulePath, Module>,
}

/// One module.
pub(crate) struct Module {
    /// Its items, macro calls expanded where that is possible.
    pub(crate) items: Vec<Item>,
    /// What its `use` declarations bring in.
    pub(crate) imports: Imports,
    /// The conditions under which it exists, such as `feature = "http"`.
    pub(crate) conditions: Vec<String>,
}

impl Source {
    /// Reads the crate whose root file this is.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let mut reader = Reader { modules: BTreeMap::new(), macros: Macros::default() };
        let folder = root.parent().ok_or("the root file has no folder")?;
        let items = parse(root)?;
        reader.module(Vec::new(), items, folder.to_path_buf(), Vec::new())?;
        Ok(Self { modules: reader.modules })
    }
}

struct Reader {
    modules: BTreeMap<ModulePath, Module>,
    /// All definitions met so far: textual scope puts them before their calls.
    macros: Macros,
}

impl Reader {
    /// Adds a module and those below it, whose files lie in `folder`.
    fn module(
        &mut self,
        path: ModulePath,
        items: Vec<Item>,
        folder: PathBuf,
        conditions: Vec<String>,
    ) -> Result<(), String> {
        let mut kept = Vec::new();
        for item in items {
            for item in self.macros.expand(item) {
                if is_for_tests(attributes(&item)) {
                    continue;
                }
                if let Item::Mod(child) = &item {
                    self.child(&path, child, &folder, &conditions)?;
                }
                kept.push(item);
            }
        }
        let imports = Imports::of(&kept);
        self.modules.insert(path, Module { items: kept, imports, conditions });
        Ok(())
    }

    fn child(
        &mut self,
        parent: &ModulePath,
        child: &ItemMod,
        folder: &Path,
        conditions: &[String],
    ) -> Result<(), String> {
        let name = child.ident.to_string();
        let mut path = parent.clone();
        path.push(name.clone());
        let mut conditions = conditions.to_vec();
        conditions.extend(conditions_of(&child.attrs));
        if let Some((_, items)) = &child.content {
            return self.module(path, items.clone(), folder.join(name), conditions);
        }
        let flat = folder.join(format!("{name}.rs"));
        let nested = folder.join(&name).join("mod.rs");
        let file = if flat.is_file() { flat } else { nested };
        self.module(path, parse(&file)?, folder.join(name), conditions)
    }
}

fn parse(file: &Path) -> Result<Vec<Item>, String> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
    let parsed = syn::parse_file(&text).map_err(|error| {
        let start = error.span().start();
        format!("{shown}:{}:{}: {error}", start.line, start.column + 1)
    })?;
    Ok(parsed.items)
}

/// The conditions of an item's `cfg` attributes.
pub(crate) fn conditions_of(attributes: &[Attribute]) -> Vec<String> {
    let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions
        .filter_map(|attribute| attribute.meta.require_list().ok())
        .map(|list| crate::print::plain(list.tokens.clone()))
        .collect()
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let mentions = |condition: &String, word| {
        condition.split(|c: char| !c.is_alphanumeric()).any(|found| found == word)
    };
    conditions_of(attributes)
        .iter()
        .any(|condition| mentions(condition, "test") && !mentions(condition, "not"))
}

/// The attributes of an item of any kind.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The name that an item defines, if it defines one that a path can end in.
pub(crate) fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_token_stream().to_string())
}
