//! What the derive is given: the struct, checked.

use std::collections::BTreeSet;

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
}

/// One of its fields.
pub struct Field {
    pub name: Ident,
    pub of: Type,
    pub visibility: Visibility,
    pub docs: Vec<syn::Attribute>,
    /// Its name in the store.
    pub stored: LitStr,
}

/// What the attributes of a field say.
#[derive(Default)]
struct FieldOptions {
    is_key: bool,
    rename: Option<LitStr>,
}

impl Input {
    /// The struct of a derive's input.
    ///
    /// # Errors
    /// What cannot be a record, at the place where it stands.
    pub fn of(input: &DeriveInput) -> Result<Self> {
        let Data::Struct(data) = &input.data else {
            return Err(Error::new(
                input.span(),
                "only a struct can be a record; an enum is a plain field",
            ));
        };
        let Fields::Named(named) = &data.fields else {
            return Err(Error::new(input.span(), "a record's fields have names, which are stored"));
        };
        if let Some(generic) = input.generics.params.first() {
            return Err(Error::new(generic.span(), "a record has no generic parameters"));
        }
        let collection = collection(input)?;
        let (mut key, mut fields, mut names) = (None, Vec::new(), BTreeSet::new());
        for field in &named.named {
            let options = FieldOptions::of(field)?;
            let name = field.ident.clone().expect("named fields have names");
            let stored = options.rename.unwrap_or_else(|| LitStr::new(&unraw(&name), name.span()));
            let docs = field.attrs.iter().filter(|it| it.path().is_ident("doc")).cloned().collect();
            let (of, visibility) = (field.ty.clone(), field.vis.clone());
            let parsed = Field { name, of, visibility, docs, stored };
            if options.is_key {
                if key.replace(parsed).is_some() {
                    return Err(Error::new(
                        field.span(),
                        "a record has one key; combine the two in one type",
                    ));
                }
                continue;
            }
            if !(1..=STORED_BYTES_MAX).contains(&parsed.stored.value().len()) {
                return Err(Error::new(
                    parsed.stored.span(),
                    "a stored name is 1 to 512 bytes of text",
                ));
            }
            if !names.insert(parsed.stored.value()) {
                return Err(Error::new(
                    parsed.stored.span(),
                    "two fields are stored under this name",
                ));
            }
            fields.push(parsed);
        }
        let (name, visibility) = (input.ident.clone(), input.vis.clone());
        if key.is_none() && collection.is_some() {
            return Err(Error::new(
                name.span(),
                "a record of a collection has a key: mark a field `#[millpond(key)]`",
            ));
        }
        let collection =
            collection.unwrap_or_else(|| LitStr::new(&snake_case(&name.to_string()), name.span()));
        Ok(Self { name, visibility, collection, key, fields })
    }
}

impl FieldOptions {
    fn of(field: &syn::Field) -> Result<Self> {
        let mut options = Self::default();
        for attribute in field.attrs.iter().filter(|it| it.path().is_ident("millpond")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("key") {
                    options.is_key = true;
                } else if meta.path.is_ident("rename") {
                    options.rename = Some(meta.value()?.parse()?);
                } else {
                    return Err(
                        meta.error("unknown attribute: a field has `key` or `rename = \"...\"`")
                    );
                }
                Ok(())
            })?;
        }
        Ok(options)
    }
}

fn collection(input: &DeriveInput) -> Result<Option<LitStr>> {
    let mut collection = None;
    for attribute in input.attrs.iter().filter(|it| it.path().is_ident("millpond")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("collection") {
                return Err(meta.error("unknown attribute: a record has `collection = \"...\"`"));
            }
            let name: LitStr = meta.value()?.parse()?;
            let text = name.value();
            if !(1..=COLLECTION_BYTES_MAX).contains(&text.len())
                || text.contains(|c: char| c == '/' || c.is_control())
            {
                return Err(Error::new(
                    name.span(),
                    "a collection is 1 to 128 bytes of text without `/` and control characters",
                ));
            }
            collection = Some(name);
            Ok(())
        })?;
    }
    Ok(collection)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case() {
        assert_eq!(snake_case("TodoItem"), "todo_item");
        assert_eq!(snake_case("Task"), "task");
    }
}
