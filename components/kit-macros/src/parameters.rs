//! `#[derive(Parameters)]`: what serde will read, as the API description tells it.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_derive_internals::ast::{Container, Data, Field, Style};
use serde_derive_internals::attr::Default as Usual;
use serde_derive_internals::{Ctxt, Derive};
use syn::{DeriveInput, GenericArgument, PathArguments, Type};

use crate::handler::docs;

/// Implements `Parameters` for a type.
pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    let context = Ctxt::new();
    let container =
        Container::from_ast(&context, item, Derive::Deserialize, &format_ident!("_private"));
    context.check()?;
    let pushed = match container.as_ref().map(|container| (&container.data, container)) {
        Some((Data::Struct(Style::Newtype, fields), _)) => {
            fields.iter().map(delegated).collect::<TokenStream>()
        }
        Some((Data::Struct(_, fields), container)) => {
            let is_optional = !matches!(container.attrs.default(), Usual::None);
            fields.iter().map(|field| pushed(field, is_optional)).collect()
        }
        // A name of several: what a path, a query or a column holds of an enum is text.
        Some((Data::Enum(variants), _))
            if variants.iter().all(|variant| matches!(variant.style, Style::Unit)) =>
        {
            quote!(parameters.push(::wharf_kit::Parameter::unnamed(::wharf_kit::Kind::Text));)
        }
        Some((Data::Enum(_), _)) | None => TokenStream::new(),
    };
    let name = &item.ident;
    let (generics, arguments, bounds) = item.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::wharf_kit::Parameters for #name #arguments #bounds {
            fn parameters() -> ::std::vec::Vec<::wharf_kit::Parameter> {
                #[allow(unused_mut)]
                let mut parameters = ::std::vec::Vec::new();
                #pushed
                parameters
            }
        }
    })
}

/// What a field adds: a parameter, or those of the type that is flattened into its place.
fn pushed(field: &Field<'_>, is_optional: bool) -> TokenStream {
    if field.attrs.skip_deserializing() {
        return TokenStream::new();
    }
    if field.attrs.flatten() {
        return delegated(field);
    }
    let (is_option, inner) = option(field.ty);
    let required = !(is_optional || is_option || !matches!(field.attrs.default(), Usual::None));
    let name = field.attrs.name().deserialize_name();
    let description = described(field);
    let kind = format_ident!("{}", if is_integer(inner) { "Integer" } else { "Text" });
    let constructor = format_ident!("{}", if required { "required" } else { "optional" });
    quote! {
        parameters.push(
            ::wharf_kit::#constructor(#name, #description).of_kind(::wharf_kit::Kind::#kind),
        );
    }
}

fn delegated(field: &Field<'_>) -> TokenStream {
    let inner = field.ty;
    quote!(parameters.extend(<#inner as ::wharf_kit::Parameters>::parameters());)
}

/// The first paragraph of a field's doc comment.
fn described(field: &Field<'_>) -> String {
    let lines: Vec<String> =
        docs(&field.original.attrs).take_while(|line| !line.is_empty()).collect();
    lines.join(" ")
}

/// Whether a type is an `Option`, and what it holds, or else the type itself.
fn option(of: &Type) -> (bool, &Type) {
    if let Type::Path(path) = of
        && let Some(last) = path.path.segments.last().filter(|last| last.ident == "Option")
        && let PathArguments::AngleBracketed(arguments) = &last.arguments
        && let Some(GenericArgument::Type(inner)) = arguments.args.first()
    {
        return (true, inner);
    }
    (false, of)
}

fn is_integer(of: &Type) -> bool {
    const INTEGERS: [&str; 10] =
        ["i8", "i16", "i32", "i64", "isize", "u8", "u16", "u32", "u64", "usize"];
    matches!(of, Type::Path(path) if INTEGERS.iter().any(|name| path.path.is_ident(name)))
}
