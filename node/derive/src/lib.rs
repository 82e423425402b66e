//! `#[derive(Record)]` for Millpond. Use it as `millpond::Record`, whose documentation tells the attributes.

mod expand;
mod input;

use proc_macro::TokenStream;

/// Makes a struct a record (with `#[millpond(key)]` on a field), or fields that can be nested (without).
#[proc_macro_derive(Record, attributes(millpond))]
pub fn derive_record(tokens: TokenStream) -> TokenStream {
    let expanded = syn::parse(tokens).and_then(|input| input::Input::of(&input));
    expanded.map_or_else(syn::Error::into_compile_error, |input| expand::expand(&input)).into()
}
