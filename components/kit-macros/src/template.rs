//! The template of a path: `/coupons/{code}`.

use syn::LitStr;

/// A path's template that is one.
pub(crate) struct Template {
    /// As it was written.
    pub(crate) text: LitStr,
    /// The names in braces, in their order.
    pub(crate) names: Vec<String>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, where it stands.
    pub(crate) fn read(text: &LitStr) -> syn::Result<Self> {
        let path = text.value();
        let wrong = |message: String| Err(syn::Error::new(text.span(), message));
        let Some(rest) = path.strip_prefix('/') else {
            return wrong(format!("a path begins with a slash: \"/{path}\""));
        };
        let mut names = Vec::new();
        for segment in rest.split('/') {
            let inner = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
            match inner {
                None if !segment.contains(['{', '}']) => {}
                None => {
                    return wrong(format!(
                        "braces stand around a whole segment: \"/{{name}}\", not \"/{segment}\""
                    ));
                }
                Some(name) => {
                    let name = name.strip_prefix('*').unwrap_or(name).to_owned();
                    if name.is_empty() || names.contains(&name) {
                        return wrong("each parameter of a path has a name of its own".to_owned());
                    }
                    names.push(name);
                }
            }
        }
        Ok(Template { text: text.clone(), names })
    }
}
