//! A function with a route: it stays as it is, and a type of the same name says how it is served.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Expr, FnArg, GenericArgument, ItemFn, Lit, Meta, PathArguments, ReturnType, Safety,
    Signature, Type,
};

use crate::arguments::Arguments;
use crate::template::Template;

/// Turns a function and its attribute into an endpoint. What is wrong becomes one compile error, beside an endpoint that
/// stands for the function where it is listed.
pub(crate) fn expand(method: &str, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let Ok(function) = syn::parse2::<ItemFn>(item.clone()) else {
        let message = format!("#[{method}(…)] stands before a function, which answers the request");
        let error = syn::Error::new(item.span(), message).into_compile_error();
        return quote!(#error #item);
    };
    let read = syn::parse2::<Arguments>(arguments)
        .and_then(|arguments| Ok((taken(&function.sig, &arguments.template)?, arguments)));
    let endpoint = match read {
        Ok((types, arguments)) => endpoint(method, &arguments, &function, &types),
        Err(error) => {
            let (name, error) = (&function.sig.ident, error.into_compile_error());
            let endpoint = quote!(::wharf_kit::Endpoint::get("/", |_| ::core::unreachable!()));
            quote! {
                #error
                impl ::wharf_kit::Handles for #name {
                    const ENDPOINT: ::wharf_kit::Endpoint = #endpoint;
                }
            }
        }
    };
    let (visibility, name) = (&function.vis, &function.sig.ident);
    quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility enum #name {}

        #endpoint
    }
}

/// How the function's type says that it is served.
fn endpoint(
    method: &str,
    arguments: &Arguments,
    function: &ItemFn,
    types: &[&Type],
) -> TokenStream {
    let (name, path, calls) = (&function.sig.ident, &arguments.template.text, arguments.calls());
    let method = format_ident!("{method}");
    let summary = summary(&function.attrs);
    let locals: Vec<_> = (0..types.len()).map(|index| format_ident!("taken_{index}")).collect();
    let lets = types.iter().zip(&locals).map(|(taken, local)| {
        quote_spanned!(taken.span()=> let #local: #taken = ::wharf_kit::FromRequest::from_request(request)?;)
    });
    let described = types.iter().map(|taken| {
        quote_spanned!(taken.span()=> parameters.extend(<#taken as ::wharf_kit::FromRequest>::parameters());)
    });
    let answer = match &function.sig.output {
        ReturnType::Default => quote!(::wharf_kit::IntoResponse::into_response(answer)),
        ReturnType::Type(_, answer) => {
            quote_spanned!(answer.span()=> ::wharf_kit::IntoResponse::into_response(answer))
        }
    };
    quote! {
        impl ::wharf_kit::Handles for #name {
            const ENDPOINT: ::wharf_kit::Endpoint = ::wharf_kit::Endpoint::#method(#path, Self::answer)
                .summary(#summary)
                .described(Self::parameters)
                #calls;
        }

        #[allow(clippy::let_unit_value, clippy::unit_arg)]
        impl #name {
            fn answer(
                request: &::wharf_kit::Request,
            ) -> ::core::result::Result<::wharf_kit::Response, ::wharf_kit::Error> {
                #(#lets)*
                let answer = #name(#(#locals),*);
                #answer
            }

            fn parameters() -> ::std::vec::Vec<::wharf_kit::Parameter> {
                #[allow(unused_mut)]
                let mut parameters = ::std::vec::Vec::new();
                #(#described)*
                parameters
            }
        }
    }
}

/// The types of a function's arguments, if it can be called with a request alone.
fn taken<'a>(signature: &'a Signature, template: &Template) -> syn::Result<Vec<&'a Type>> {
    let wrong = |span, message: &str| Err(syn::Error::new(span, message));
    if let Some(asyncness) = &signature.asyncness {
        return wrong(asyncness.span(), "a handler waits by itself: leave `async` out");
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        return wrong(unsafety.span(), "a handler is called by the kit: leave `unsafe` out");
    }
    if !signature.generics.params.is_empty() {
        let message =
            "a handler has no generics: name the types, and write `&Request` without a lifetime";
        return wrong(signature.generics.span(), message);
    }
    let mut types = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => {
                return wrong(receiver.span(), "a handler is a plain function, without `self`");
            }
            FnArg::Typed(argument) => match &*argument.ty {
                Type::ImplTrait(_) => {
                    return wrong(argument.ty.span(), "name a type, such as `Json<NewCoupon>`");
                }
                taken => {
                    check_path(taken, template)?;
                    types.push(taken);
                }
            },
        }
    }
    Ok(types)
}

/// Compares a `Path<…>` with what the template has.
fn check_path(taken: &Type, template: &Template) -> syn::Result<()> {
    let Type::Path(path) = taken else { return Ok(()) };
    let Some(last) = path.path.segments.last().filter(|last| last.ident == "Path") else {
        return Ok(());
    };
    let names = template.names.len();
    if names == 0 {
        let message = format!(
            "the path {:?} has no parameter; name it in braces, as in \"/coupons/{{code}}\"",
            template.text.value()
        );
        return Err(syn::Error::new(taken.span(), message));
    }
    if let PathArguments::AngleBracketed(arguments) = &last.arguments
        && let Some(GenericArgument::Type(Type::Tuple(tuple))) = arguments.args.first()
        && tuple.elems.len() != names
    {
        let message = format!(
            "the path has the {names} parameters {}, and this tuple {} members",
            template.names.join(", "),
            tuple.elems.len()
        );
        return Err(syn::Error::new(tuple.span(), message));
    }
    Ok(())
}

/// The first line of a doc comment.
fn summary(attributes: &[Attribute]) -> String {
    docs(attributes).next().unwrap_or_default()
}

/// The lines of a doc comment.
pub(crate) fn docs(attributes: &[Attribute]) -> impl Iterator<Item = String> + '_ {
    attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}
