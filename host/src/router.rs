//! Method and path → the group that answers: the only address book, made from what components declare.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bindings::exports::wharf::plugin::handler::{self, Access, Throttle};
use crate::error::Error;
use crate::tenant::Served;
use crate::tenant::serving::Loaded;

/// The methods that routes may have, in the order of the `Allow` header.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The method of a route that answers all those that its path has no route for.
const EVERY_METHOD: &str = "*";

/// All routes of a tenant.
#[derive(Default)]
pub struct Router {
    paths: Templates<Path>,
    listed: Vec<Listed>,
}

/// A route as it was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The group that answers.
    pub group: String,
    /// The method, or `*` for every other one.
    pub method: String,
    /// The path template.
    pub path: String,
    /// The realm whose users may call it; anybody if there is none.
    pub realm: Option<String>,
}

/// Path templates, and what each of them leads to.
pub struct Templates<T>(matchit::Router<T>);

/// A parameter of a path: its name, and its value after percent-decoding.
pub type Parameter = (String, String);

impl<T> Default for Templates<T> {
    fn default() -> Self {
        Templates(matchit::Router::new())
    }
}

impl<T> Templates<T> {
    /// Enters a template.
    ///
    /// # Errors
    /// What is wrong with it, by itself or beside those that are there.
    pub fn insert(&mut self, template: String, leads_to: T) -> Result<(), String> {
        check(&template)?;
        self.0.insert(template, leads_to).map_err(|error| error.to_string())
    }

    /// What a raw path leads to, with its parameters in their order.
    pub fn at(&self, path: &str) -> Option<(&T, Vec<Parameter>)> {
        let found = self.0.at(path).ok()?;
        let decode = |text: &str| {
            percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
        };
        let parameters = found.params.iter().map(|(name, value)| (name.to_owned(), decode(value)));
        Some((found.value, parameters.collect()))
    }
}

/// Parameters of one template; more than some make matchit panic.
const MOST_PARAMETERS: usize = 16;

/// Refuses what is no template: it has no control characters, and braces stand around the names of a few parameters, and nowhere else.
fn check(template: &str) -> Result<(), String> {
    // No request has any in its path, and whoever lists the routes on a terminal would have it obey them.
    if template.contains(char::is_control) {
        return Err("it has control characters".to_owned());
    }
    let (mut rest, mut parameters) = (template, 0);
    while let Some(brace) = rest.find(['{', '}']) {
        let parameter = rest[brace..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let Some((name, behind)) = parameter else {
            return Err("its braces do not match".to_owned());
        };
        let name = name.strip_prefix('*').unwrap_or(name);
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err("a parameter's name is made of letters, digits and underscores".to_owned());
        }
        parameters += 1;
        rest = behind;
    }
    if parameters > MOST_PARAMETERS {
        return Err(format!("it has more than {MOST_PARAMETERS} parameters"));
    }
    Ok(())
}

/// The routes that share a path template.
#[derive(Default)]
struct Path {
    routes: BTreeMap<String, Route>,
}

/// One route, and who answers it.
pub struct Route {
    /// The group and its component.
    pub served: Arc<Served>,
    /// Its index in the component's `routes`.
    pub index: u32,
    /// The realm whose users may call it; anybody if there is none.
    pub realm: Option<String>,
    /// Whether users come to it to exchange their token.
    pub exchanges: bool,
    /// How often it may be called.
    pub throttle: Throttle,
    /// The largest body that it takes; the host's default if there is none.
    pub body_limit: Option<usize>,
}

/// A route that was found, with the parameters of its path.
pub struct Found<'a> {
    /// The route.
    pub route: &'a Route,
    /// Names and percent-decoded values, in the order of the path.
    pub parameters: Vec<Parameter>,
}

/// Why routes cannot be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unroutable {
    /// Two groups claim the same route.
    Taken {
        /// The method.
        method: String,
        /// The path template.
        path: String,
        /// The groups, by name.
        groups: [String; 2],
    },
    /// What is wrong with a route, as a sentence that names its group.
    Invalid(String),
}

impl std::fmt::Display for Unroutable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unroutable::Taken { method, path, groups: [one, other] } => {
                write!(f, "the components {one} and {other} both claim {method} {path}")
            }
            Unroutable::Invalid(why) => f.write_str(why),
        }
    }
}

impl Router {
    /// Enters every group's routes.
    ///
    /// # Errors
    /// A route which cannot be entered, and the components that claim it.
    pub fn new(groups: &BTreeMap<String, Loaded>) -> Result<Self, Unroutable> {
        let mut templates: BTreeMap<String, Path> = BTreeMap::new();
        for Loaded { served, routes, .. } in groups.values() {
            for (index, route) in routes.iter().enumerate() {
                enter(&mut templates, served, index, route.clone())?;
            }
        }
        let listed = templates.iter().flat_map(|(path, entry)| entry.listed(path)).collect();
        let mut paths = Templates::default();
        for (template, path) in templates {
            let owner = path.owner().to_owned();
            paths
                .insert(template.clone(), path)
                .map_err(|error| Unroutable::Invalid(format!("component {owner} declares the path {}, which cannot be routed: {error}; give parameters of one place the same name", template.escape_debug())))?;
        }
        Ok(Router { paths, listed })
    }

    /// All routes, by path and method.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// Finds who answers, or says why nobody does. HEAD is answered by GET.
    pub fn find(&self, method: &str, path: &str) -> Result<Found<'_>, Error> {
        let (found, parameters) = self.paths.at(path).ok_or(Error::NotFound)?;
        let wanted = if method == "HEAD" { "GET" } else { method };
        let routes = &found.routes;
        let Some(route) = routes.get(wanted).or_else(|| routes.get(EVERY_METHOD)) else {
            return Err(Error::MethodNotAllowed {
                method: method.to_owned(),
                allowed: found.allowed(),
            });
        };
        Ok(Found { route, parameters })
    }

    /// What the host says to OPTIONS: the methods of a path in the order of the `Allow` header, unless
    /// the path has a route that answers for itself.
    pub fn options(&self, path: &str) -> Result<Option<Vec<&'static str>>, Error> {
        let (path, _) = self.paths.at(path).ok_or(Error::NotFound)?;
        let own = ["OPTIONS", EVERY_METHOD].iter().any(|method| path.routes.contains_key(*method));
        Ok((!own).then(|| path.allowed()))
    }
}

impl Path {
    fn allowed(&self) -> Vec<&'static str> {
        let served = |method: &&str| {
            self.routes.contains_key(if *method == "HEAD" { "GET" } else { method })
        };
        METHODS.into_iter().filter(served).collect()
    }

    fn listed<'a>(&'a self, path: &'a str) -> impl Iterator<Item = Listed> + 'a {
        self.routes.iter().map(move |(method, route)| Listed {
            group: route.served.group.origin.group.clone(),
            method: method.clone(),
            path: path.to_owned(),
            realm: route.realm.clone(),
        })
    }

    /// A component that has routes here, for messages.
    fn owner(&self) -> &str {
        self.routes.values().next().map_or("", |route| &route.served.group.origin.group)
    }
}

fn enter(
    templates: &mut BTreeMap<String, Path>,
    served: &Arc<Served>,
    index: usize,
    route: handler::Route,
) -> Result<(), Unroutable> {
    let name = &served.group.origin.group;
    let handler::Route { method, path, .. } = &route;
    let known = METHODS.contains(&method.as_str()) || method == EVERY_METHOD;
    if method == "HEAD" || !known {
        return Err(Unroutable::Invalid(format!(
            "component {name} declares the method {method:?} for {path}; use one of GET, POST, PUT, PATCH, DELETE, OPTIONS, *"
        )));
    }
    if !path.starts_with('/') || path.contains(['?', '#']) {
        return Err(Unroutable::Invalid(format!(
            "component {name} declares the path {path:?}; paths begin with a slash and have neither query nor fragment"
        )));
    }
    let entered = Route {
        served: Arc::clone(served),
        index: u32::try_from(index).map_err(|_| {
            Unroutable::Invalid(format!("component {name} declares too many routes"))
        })?,
        exchanges: matches!(route.access, Access::Exchanging(_)),
        realm: match route.access {
            Access::Public => None,
            Access::SignedIn(realm) | Access::Exchanging(realm) => Some(realm),
        },
        throttle: route.throttle,
        body_limit: route.body_limit.map(|limit| limit as usize),
    };
    let before = templates
        .entry(route.path.clone())
        .or_default()
        .routes
        .insert(route.method.clone(), entered);
    match before {
        None => Ok(()),
        Some(before) => {
            let other = &before.served.group.origin.group;
            let groups = [other.clone(), name.clone()];
            Err(Unroutable::Taken { method: route.method, path: route.path, groups })
        }
    }
}
