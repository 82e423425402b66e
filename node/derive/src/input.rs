//! What the derive is given: the struct, checked.

use std::collections::BTreeSet;
use std::fmt::Display;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Result, Type, Visibility};

/// A struct that becomes a record, or nested fields.
pub struct Input {
    pub name: Ident,
    pub visibility: Visibility,
    /// Where it is stored, if it has a key.
    pub collection: LitStr,
    pub key: Option<Field>,
    pub fields: Vec<Field>,
    pub indexes: Vec<Index>,
}

/// An index of its records.
pub struct Index {
    pub name: Ident,
    /// Its name in the store.
    pub stored: LitStr,
    /// In the order of these.
    pub fields: Vec<Field>,
}

/// One of its fields.
#[derive(Clone)]
pub struct Field {
    pub name: Ident,
    pub of: Type,
    pub visibility: Visibility,
    pub docs: Vec<syn::Attribute>,
    /// Its name in the store.
    pub stored: LitStr,
    /// The function that tells what it reads as where several values are held.
    pub resolve: Option<syn::Path>,
}

/// What the attributes of a field say.
#[derive(Default)]
struct FieldOptions {
    is_key: bool,
    is_indexed: bool,
    rename: Option<LitStr>,
    resolve: Option<syn::Path>,
}

/// What the attributes of a struct say.
#[derive(Default)]
struct StructOptions {
    collection: Option<LitStr>,
    /// Indexes, and the names of their fields.
    indexes: Vec<(Ident, Vec<Ident>)>,
}

impl Input {
    /// The struct of a derive's input.
    ///
    /// # Errors
    /// What cannot be a record, at the place where it stands.
    pub fn of(input: &DeriveInput) -> Result<Self> {
        let Data::Struct(data) = &input.data else {
            return Err(Error::new(
                input.ident.span(),
                "only a struct can be a record; an enum can be the value of a field, by serde's derives",
            ));
        };
        let Fields::Named(named) = &data.fields else {
            return Err(Error::new(
                input.ident.span(),
                "a record's fields are stored by their names: `struct Name { field: Type }`",
            ));
        };
        if !input.generics.params.is_empty() {
            return Err(Error::new(
                input.generics.span(),
                "a record has no generic parameters: what is stored is of one type",
            ));
        }
        let mut errors = Errors::default();
        let options = errors.of(StructOptions::of(input)).unwrap_or_default();
        let StructOptions { collection, indexes: compound } = options;
        let (mut key, mut fields, mut names) = (None, Vec::new(), BTreeSet::new());
        let mut indexes = Vec::new();
        for field in &named.named {
            let Some((options, parsed)) = errors.of(Field::of(field)) else { continue };
            if options.is_key {
                if key.replace(parsed).is_some() {
                    errors.add(field.span(), "a record has one key; combine the two in one type");
                }
                continue;
            }
            if options.is_indexed {
                let (name, stored) = (parsed.name.clone(), parsed.stored.clone());
                indexes.push(Index { name, stored, fields: vec![parsed.clone()] });
            }
            let stored = parsed.stored.value();
            if !(1..=STORED_BYTES_MAX).contains(&stored.len()) {
                errors.add(parsed.stored.span(), "a stored name is 1 to 512 bytes of text");
            }
            if !names.insert(stored) {
                let message = format!("two fields are stored as `{}`", parsed.stored.value());
                errors.add(parsed.stored.span(), message);
            }
            fields.push(parsed);
        }
        let (name, visibility) = (input.ident.clone(), input.vis.clone());
        if let Some(collection) = collection.as_ref().filter(|_| key.is_none()) {
            let message = "a record of a collection has a key: mark a field `#[millpond(key)]`";
            errors.add(collection.span(), message);
        }
        for (name, of) in compound {
            indexes.extend(errors.of(Index::of(name, &of, &fields)));
        }
        let (mut called, mut stored_as) = (BTreeSet::new(), BTreeSet::new());
        for Index { name, fields, .. } in &indexes {
            if fields.iter().any(|field| field.resolve.is_some()) {
                let message = "an index holds what is stored, and not what `resolve` makes of it: \
                               take one of the two away";
                errors.add(name.span(), message);
            }
        }
        for Index { name, stored, .. } in &indexes {
            if !called.insert(name.to_string()) | !stored_as.insert(stored.value()) {
                errors.add(name.span(), format!("two indexes are called `{name}`"));
            }
        }
        errors.none()?;
        if let Some(index) = indexes.first().filter(|_| key.is_none()) {
            let message = "nested fields have no indexes: those are of the records of a collection";
            return Err(Error::new(index.name.span(), message));
        }
        let collection =
            collection.unwrap_or_else(|| LitStr::new(&snake_case(&name.to_string()), name.span()));
        Ok(Self { name, visibility, collection, key, fields, indexes })
    }
}

impl Index {
    /// An index of several fields, by their names.
    fn of(name: Ident, of: &[Ident], fields: &[Field]) -> Result<Self> {
        let field = |of: &Ident| {
            let field = fields.iter().find(|field| field.name == *of).cloned();
            field.ok_or_else(|| Error::new(of.span(), format!("there is no field `{of}` to index")))
        };
        let fields = of.iter().map(field).collect::<Result<Vec<_>>>()?;
        if !(1..=INDEX_FIELDS_MAX).contains(&fields.len()) {
            let message = format!("an index is of 1 to {INDEX_FIELDS_MAX} fields");
            return Err(Error::new(name.span(), message));
        }
        let stored = LitStr::new(&unraw(&name), name.span());
        Ok(Self { name, stored, fields })
    }
}

impl Field {
    fn of(field: &syn::Field) -> Result<(FieldOptions, Self)> {
        let options = FieldOptions::of(field)?;
        let name = field.ident.clone().expect("named fields have names");
        let stored =
            options.rename.clone().unwrap_or_else(|| LitStr::new(&unraw(&name), name.span()));
        let docs = field.attrs.iter().filter(|it| it.path().is_ident("doc")).cloned().collect();
        let (of, visibility) = (field.ty.clone(), field.vis.clone());
        let resolve = options.resolve.clone();
        Ok((options, Self { name, of, visibility, docs, stored, resolve }))
    }
}

/// All that is wrong: it is told at once.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn of<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.join(error)).ok()
    }

    fn add(&mut self, at: Span, message: impl Display) {
        self.join(Error::new(at, message));
    }

    fn join(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn none(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

impl FieldOptions {
    fn of(field: &syn::Field) -> Result<Self> {
        let mut options = Self::default();
        for attribute in field.attrs.iter().filter(|it| it.path().is_ident("millpond")) {
            attribute.parse_nested_meta(|meta| {
                let is_twice = if meta.path.is_ident("key") {
                    std::mem::replace(&mut options.is_key, true)
                } else if meta.path.is_ident("index") {
                    std::mem::replace(&mut options.is_indexed, true)
                } else if meta.path.is_ident("rename") {
                    options.rename.replace(meta.value()?.parse()?).is_some()
                } else if meta.path.is_ident("resolve") {
                    options.resolve.replace(meta.value()?.parse()?).is_some()
                } else {
                    return Err(meta.error(
                        "unknown attribute: a field has `key`, `index`, `rename = \"...\"` or `resolve = function`",
                    ));
                };
                if is_twice { Err(meta.error("this is said twice")) } else { Ok(()) }
            })?;
        }
        if let Some(rename) = options.rename.as_ref().filter(|_| options.is_key) {
            let message = "a key is part of the path, and has no stored name: take `rename` away";
            return Err(Error::new(rename.span(), message));
        }
        if let Some(resolve) = options.resolve.as_ref().filter(|_| options.is_key) {
            let message = "a key has one value: take `resolve` away";
            return Err(Error::new(resolve.span(), message));
        }
        if options.is_key && options.is_indexed {
            let message = "records are in the order of their keys anyway: take `index` away";
            return Err(Error::new(field.span(), message));
        }
        Ok(options)
    }
}

impl StructOptions {
    fn of(input: &DeriveInput) -> Result<Self> {
        let mut options = Self::default();
        for attribute in input.attrs.iter().filter(|it| it.path().is_ident("millpond")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("index") {
                    return meta.parse_nested_meta(|index| {
                        let name = index.path.require_ident()?.clone();
                        let mut fields = Vec::new();
                        index.parse_nested_meta(|field| {
                            fields.push(field.path.require_ident()?.clone());
                            Ok(())
                        })?;
                        options.indexes.push((name, fields));
                        Ok(())
                    });
                }
                if !meta.path.is_ident("collection") {
                    let message = "unknown attribute: a record has `collection = \"...\"` or \
                                   `index(NAME(FIELD, FIELD))`";
                    return Err(meta.error(message));
                }
                match options.collection.replace(collection(meta.value()?.parse()?)?) {
                    Some(_) => Err(meta.error("this is said twice")),
                    None => Ok(()),
                }
            })?;
        }
        Ok(options)
    }
}

fn collection(name: LitStr) -> Result<LitStr> {
    let text = name.value();
    let is_sized = (1..=COLLECTION_BYTES_MAX).contains(&text.len());
    if !is_sized || text.contains(|c: char| c == '/' || c.is_control()) {
        return Err(Error::new(
            name.span(),
            "a collection is 1 to 128 bytes of text without `/` and control characters",
        ));
    }
    Ok(name)
}

fn unraw(name: &Ident) -> String {
    let text = name.to_string();
    text.strip_prefix("r#").unwrap_or(&text).to_owned()
}

/// `TodoItem` is stored in `todo_item`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (index, c) in name.trim_start_matches("r#").char_indices() {
        if c.is_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// As the library checks it.
const COLLECTION_BYTES_MAX: usize = 128;
/// As the library checks it.
const STORED_BYTES_MAX: usize = 512;
/// As many as its keys may have.
const INDEX_FIELDS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case() {
        assert_eq!(snake_case("TodoItem"), "todo_item");
        assert_eq!(snake_case("Task"), "task");
    }
}
