//! What stands in a route's attribute: a path, then what else is said of the route.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, LitStr, Token};

use crate::template::Template;

/// What may follow the path, as messages list it.
const KNOWN: &str = "signed_in, exchanges, unlimited, tag, body_limit, failing and parameters";

/// The arguments of an attribute.
pub(crate) struct Arguments {
    /// The path's template.
    pub(crate) template: Template,
    settings: Vec<Setting>,
}

/// One argument behind the path.
struct Setting {
    name: Ident,
    value: Option<Expr>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(LitStr) {
            let span = if input.is_empty() { Span::call_site() } else { input.span() };
            let message = "write the path first, in quotes: \"/coupons/{code}\"";
            return Err(syn::Error::new(span, message));
        }
        let template = Template::read(&input.parse()?)?;
        let mut settings: Vec<Setting> = Vec::new();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let setting: Setting = input.parse()?;
            if settings.iter().any(|earlier| earlier.name == setting.name) {
                let message = format!("`{}` is said twice; leave one of them out", setting.name);
                return Err(syn::Error::new(setting.name.span(), message));
            }
            settings.push(setting);
        }
        Ok(Arguments { template, settings })
    }
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name: Ident = input.parse()?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        let example = match name.to_string().as_str() {
            "signed_in" | "exchanges" => "\"realm\"",
            "tag" => "\"coupons\"",
            "body_limit" => "1024",
            "failing" => "told",
            "parameters" => "&[file(\"photo\", \"A picture.\")]",
            "unlimited" if value.is_none() => return Ok(Setting { name, value }),
            "unlimited" => return Err(syn::Error::new(name.span(), "`unlimited` has no value")),
            unknown => {
                let message = format!("`{unknown}` is nothing that a route has; there are {KNOWN}");
                return Err(syn::Error::new(name.span(), message));
            }
        };
        if value.is_none() {
            let message = format!("`{name}` needs a value: {name} = {example}");
            return Err(syn::Error::new(name.span(), message));
        }
        Ok(Setting { name, value })
    }
}

impl Arguments {
    /// The calls that build the endpoint up.
    pub(crate) fn calls(&self) -> TokenStream {
        self.settings.iter().map(Setting::call).collect()
    }
}

impl Setting {
    fn call(&self) -> TokenStream {
        let Setting { name, value } = self;
        match value {
            Some(value) if name == "body_limit" && is_number(value) => {
                quote!(.body_limit(|| #value))
            }
            value => {
                let method = format_ident!("{name}");
                quote!(.#method(#value))
            }
        }
    }
}

/// Whether an expression is a number or a constant rather than the name of a function or a closure.
fn is_number(value: &Expr) -> bool {
    match value {
        Expr::Path(path) => path.path.segments.last().is_some_and(|last| {
            last.ident.to_string().starts_with(|first: char| first.is_ascii_uppercase())
        }),
        Expr::Closure(_) => false,
        _ => true,
    }
}
