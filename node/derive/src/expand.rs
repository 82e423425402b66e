//! What the derive makes of a struct.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use crate::input::{Field, Index, Input};

/// The implementation, and the proxy.
pub fn expand(input: &Input) -> TokenStream {
    let edit = format_ident!("{}Edit", input.name);
    let implementation = match &input.key {
        Some(key) => record(input, &edit, key),
        None => fields(input, &edit),
    };
    let proxy = proxy(input, &edit);
    let indexes = indexes(input);
    quote! {
        #proxy
        #indexes
        #[automatically_derived]
        impl #implementation
    }
}

fn record(input: &Input, edit: &Ident, key: &Field) -> TokenStream {
    let Input { name, collection, .. } = input;
    let Field { name: key_name, of: key_type, .. } = key;
    let Bodies { reads, writes, edits, varies } = Bodies::of(input);
    let indexes = format_ident!("{}Index", input.name);
    let declared = input.indexes.iter().map(|Index { name, .. }| {
        quote! { #indexes::#name().declaration(), }
    });
    let declared = (!input.indexes.is_empty()).then(|| {
        quote! {
            fn indexes() -> ::std::vec::Vec<::millpond::typed::IndexDeclaration> {
                ::std::vec![ #( #declared )* ]
            }
        }
    });
    quote! {
        ::millpond::typed::Record for #name {
            type Key = #key_type;
            type Edit<'p> = #edit<'p>;
            const COLLECTION: &'static str = #collection;

            #declared

            fn key(&self) -> &#key_type {
                &self.#key_name
            }

            fn read(
                key: #key_type,
                found: &::millpond::typed::Found<'_>,
            ) -> ::core::result::Result<Self, ::millpond::records::RecordError> {
                ::core::result::Result::Ok(Self { #key_name: key, #reads })
            }

            fn write(&self, site: &::millpond::typed::Site<'_>) {
                #writes
            }

            fn edit(site: ::millpond::typed::Site<'_>) -> #edit<'_> {
                #edits
            }

            fn vary<D: ::millpond::typed::Draw>(site: &::millpond::typed::Site<'_>, draw: &mut D) {
                #varies
            }
        }
    }
}

fn fields(input: &Input, edit: &Ident) -> TokenStream {
    let name = &input.name;
    let Bodies { reads, writes, edits, varies } = Bodies::of(input);
    quote! {
        ::millpond::typed::Fields for #name {
            type Edit<'p> = #edit<'p>;

            fn read(
                found: &::millpond::typed::Found<'_>,
            ) -> ::core::result::Result<Self, ::millpond::records::RecordError> {
                ::core::result::Result::Ok(Self { #reads })
            }

            fn write(&self, site: &::millpond::typed::Site<'_>) {
                #writes
            }

            fn edit(site: ::millpond::typed::Site<'_>) -> #edit<'_> {
                #edits
            }

            fn vary<D: ::millpond::typed::Draw>(site: &::millpond::typed::Site<'_>, draw: &mut D) {
                #varies
            }
        }
    }
}

/// What the functions of the implementation do.
struct Bodies {
    /// The initialisers of the struct.
    reads: TokenStream,
    /// The writes of its fields.
    writes: TokenStream,
    /// The proxy.
    edits: TokenStream,
    /// A change of one field.
    varies: TokenStream,
}

impl Bodies {
    fn of(input: &Input) -> Self {
        let edit = format_ident!("{}Edit", input.name);
        let reads = each(input, |Field { name, of, stored, resolve, .. }, span| match resolve {
            Some(resolve) => {
                quote_spanned! { span => #name: found.resolved::<#of>(#stored, #resolve)?, }
            }
            None => quote_spanned! { span => #name: found.field::<#of>(#stored)?, },
        });
        let writes = each(input, |Field { name, of, stored, .. }, span| {
            quote_spanned! { span => site.write::<#of>(#stored, &self.#name); }
        });
        let edits = each(input, |Field { name, of, stored, resolve, .. }, span| match resolve {
            Some(resolve) => {
                quote_spanned! { span => #name: site.edit_resolved::<#of>(#stored, #resolve), }
            }
            None => quote_spanned! { span => #name: site.edit::<#of>(#stored), },
        });
        let varies = each(input, |Field { of, stored, .. }, span| {
            quote_spanned! { span => site.vary::<#of, D>(#stored, draw) }
        });
        let (count, numbers) = (varies.len() as u64, 0..varies.len() as u64);
        let reads = quote! { #( #reads )* };
        let writes = quote! { let _ = site; #( #writes )* };
        let edits = quote! { #edit { #( #edits )* millpond_place: ::core::marker::PhantomData } };
        let varies = quote! {
            let _ = site;
            match draw.below(::core::cmp::max(#count, 1)) {
                #( #numbers => #varies, )*
                _ => {}
            }
        };
        Self { reads, writes, edits, varies }
    }
}

/// Something for each field. What is wrong with a field's type is said where the type stands, and once.
fn each(input: &Input, expand: impl Fn(&Field, Span) -> TokenStream) -> Vec<TokenStream> {
    let fields = input.fields.iter();
    fields.map(|field| expand(field, field.of.span().resolved_at(Span::call_site()))).collect()
}

/// What makes the indexes.
fn indexes(input: &Input) -> Option<TokenStream> {
    if input.indexes.is_empty() {
        return None;
    }
    let Input { name: record, visibility, .. } = input;
    let indexes = format_ident!("{record}Index");
    let about = format!("The indexes of [`{record}`].");
    let functions = input.indexes.iter().map(|Index { name, stored, fields }| {
        let names = fields.iter().map(|field| format!("`{}`", field.name));
        let about = format!("In the order of {}.", names.collect::<Vec<_>>().join(" and then "));
        let value = |Field { of, .. }: &Field| {
            let span = of.span().resolved_at(Span::call_site());
            quote_spanned! { span => <#of as ::millpond::typed::IndexField>::Value }
        };
        let values = fields.iter().map(value);
        let values = match &fields[..] {
            [_] => quote! { #( #values )* },
            _ => quote! { ( #( #values ),* ) },
        };
        let fields = fields.iter().map(|Field { of, stored, .. }| {
            let span = of.span().resolved_at(Span::call_site());
            quote_spanned! { span => .field::<#of>(#stored) }
        });
        quote! {
            #[doc = #about]
            #visibility fn #name() -> ::millpond::typed::Index<#record, #values> {
                ::millpond::typed::Index::declare(#stored) #( #fields )*
            }
        }
    });
    Some(quote! {
        #[doc = #about]
        #[allow(dead_code)]
        #visibility struct #indexes;

        #[allow(dead_code)]
        impl #indexes {
            #( #functions )*
        }
    })
}

fn proxy(input: &Input, edit: &Ident) -> TokenStream {
    let Input { name, visibility, .. } = input;
    let about = format!("Changes the fields of a [`{name}`], one by one.");
    let fields = input.fields.iter().map(|Field { name, of, visibility, docs, .. }| {
        let docs = match docs.is_empty() {
            true => {
                let about = format!("Changes `{name}`.");
                quote! { #[doc = #about] }
            }
            false => quote! { #( #docs )* },
        };
        let span = of.span().resolved_at(Span::call_site());
        let edit = quote_spanned! { span => <#of as ::millpond::typed::Field>::Edit<'p> };
        quote! { #docs #visibility #name: #edit, }
    });
    quote! {
        #[doc = #about]
        #[allow(dead_code)]
        #visibility struct #edit<'p> {
            #( #fields )*
            millpond_place: ::core::marker::PhantomData<::millpond::typed::Site<'p>>,
        }
    }
}
