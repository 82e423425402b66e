//! What a path in a module means, as far as `use` declarations tell.

use std::collections::BTreeMap;

use syn::{Item, UseTree, Visibility};

use crate::source::{ModulePath, Source, conditions_of, defined_name};

/// What the `use` declarations of a module bring in.
#[derive(Default)]
pub(crate) struct Imports {
    /// Names, with the paths that they stand for as written, and whether they are public.
    pub(crate) named: BTreeMap<String, Import>,
    /// Paths whose whole content is brought in, and whether that is public.
    pub(crate) globs: Vec<Import>,
}

/// One imported path.
#[derive(Clone)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    pub(crate) public: bool,
    /// The conditions of the declaration.
    pub(crate) conditions: Vec<String>,
}

impl Imports {
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut imports = Self::default();
        for item in items {
            if let Item::Use(declaration) = item {
                let public = matches!(declaration.vis, Visibility::Public(_));
                let conditions = conditions_of(&declaration.attrs);
                let import = Import { path: Vec::new(), public, conditions };
                imports.add(&declaration.tree, import);
            }
        }
        imports
    }

    fn add(&mut self, tree: &UseTree, mut import: Import) {
        match tree {
            UseTree::Path(tree) => {
                import.path.push(tree.ident.to_string());
                self.add(&tree.tree, import);
            }
            UseTree::Name(tree) => {
                let mut name = tree.ident.to_string();
                if name == "self" {
                    name = import.path.last().cloned().unwrap_or_default();
                } else {
                    import.path.push(name.clone());
                }
                self.named.insert(name, import);
            }
            UseTree::Rename(tree) => {
                if tree.ident != "self" {
                    import.path.push(tree.ident.to_string());
                }
                self.named.insert(tree.rename.to_string(), import);
            }
            UseTree::Glob(_) => self.globs.push(import),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.add(tree, import.clone()));
            }
        }
    }
}

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Meaning {
    /// An item of this crate: its module and name, and what follows it (variants, associated items).
    Local { module: ModulePath, name: String, rest: Vec<String> },
    /// A module of this crate.
    Module(ModulePath),
    /// A path into another crate, or a name of the prelude or of a generic parameter.
    Foreign(Vec<String>),
    /// A path into a module of this crate that defines no such item; a macro may.
    Unknown(Vec<String>),
}

impl Source {
    /// What `path`, written in `module`, means.
    pub(crate) fn meaning(&self, module: &ModulePath, path: &[String]) -> Meaning {
        self.resolve(module, path, DEPTH_MAX)
    }

    fn resolve(&self, module: &ModulePath, path: &[String], depth: usize) -> Meaning {
        let foreign = || Meaning::Foreign(path.to_vec());
        let Some((first, rest)) = path.split_first() else {
            return Meaning::Module(module.clone());
        };
        if depth == 0 {
            return foreign();
        }
        match first.as_str() {
            "crate" => return self.within(&Vec::new(), rest, depth),
            "self" => return self.within(module, rest, depth),
            "super" => {
                let parent = module.split_last().map_or_else(Vec::new, |(_, up)| up.to_vec());
                return self.within(&parent, rest, depth);
            }
            _ => {}
        }
        if self.knows(module, first, depth) {
            return self.within(module, path, depth);
        }
        foreign()
    }

    /// What `path` means inside `module`, where its first name must be defined.
    fn within(&self, module: &ModulePath, path: &[String], depth: usize) -> Meaning {
        let Some((name, rest)) = path.split_first() else {
            return Meaning::Module(module.clone());
        };
        let Some(found) = self.modules.get(module) else { return Meaning::Unknown(path.to_vec()) };
        let child: ModulePath = module.iter().chain([name]).cloned().collect();
        let is_child = self.modules.contains_key(&child);
        if is_child && !rest.is_empty() {
            return self.within(&child, rest, depth);
        }
        if found.items.iter().any(|item| defined_name(item).as_ref() == Some(name)) {
            let (module, name) = (module.clone(), name.clone());
            return Meaning::Local { module, name, rest: rest.to_vec() };
        }
        if let Some(import) = found.imports.named.get(name) {
            let target = [&import.path[..], rest].concat();
            // An import that starts with its own name means another crate: `use bytes;`.
            if import.path.first() != Some(name) || is_child {
                return self.resolve(module, &target, depth - 1);
            }
            return Meaning::Foreign(target);
        }
        if is_child {
            return Meaning::Module(child);
        }
        for glob in &found.imports.globs {
            if let Meaning::Module(inside) = self.resolve(module, &glob.path, depth - 1)
                && inside != *module
                && self.knows(&inside, name, depth - 1)
            {
                return self.within(&inside, path, depth - 1);
            }
        }
        Meaning::Unknown([&module[..], path].concat())
    }

    /// Whether `module` defines or imports `name`.
    fn knows(&self, module: &ModulePath, name: &str, depth: usize) -> bool {
        if depth == 0 {
            return false;
        }
        let Some(found) = self.modules.get(module) else { return false };
        let child: ModulePath =
            module.iter().map(String::as_str).chain([name]).map(String::from).collect();
        found.imports.named.contains_key(name)
            || self.modules.contains_key(&child)
            || found.items.iter().any(|item| defined_name(item).as_deref() == Some(name))
            || found.imports.globs.iter().any(|glob| {
                match self.resolve(module, &glob.path, depth - 1) {
                    Meaning::Module(inside) if inside != *module => {
                        self.knows(&inside, name, depth - 1)
                    }
                    _ => false,
                }
            })
    }
}

/// Longest chain of imports followed; cycles of globs end here.
const DEPTH_MAX: usize = 16;
