//! What a tenant serves at one moment: its groups, and who answers what. Never changed, only replaced, so
//! that a request sees one state of it from its beginning to its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Served;
use super::broken::Broken;
use super::trial::Trial;
use crate::bindings::exports::wharf::plugin::handler;
use crate::error::Error;
use crate::router::{Found, Route, Router, Unroutable};

/// A group that is ready to serve, with the routes that its component declares.
#[derive(Clone)]
pub struct Loaded {
    /// The group and its component.
    pub served: Arc<Served>,
    /// Its routes.
    pub routes: Arc<[handler::Route]>,
    /// The number of its revision; `None` for a component of the components folder.
    pub revision: Option<i64>,
}

/// What a tenant serves at one moment.
#[derive(Default)]
pub struct Serving {
    groups: BTreeMap<String, Loaded>,
    router: Router,
    trials: Vec<Tried>,
    /// Groups whose newest sources do not serve: while `wharf dev` works, and never otherwise.
    broken: BTreeMap<String, Arc<Broken>>,
}

/// A revision that some callers are served by, and the routes as they are for those.
struct Tried {
    trial: Arc<Trial>,
    router: Router,
}

/// A route that was found, and what counts calls of it if its group has a revision on trial.
pub struct Chosen<'a> {
    /// The route.
    pub found: Found<'a>,
    /// The trial of its group, and whether this call is for the revision on trial.
    pub trial: Option<(&'a Arc<Trial>, bool)>,
}

impl Serving {
    /// Enters the routes of these groups.
    ///
    /// # Errors
    /// A route that cannot be entered.
    pub fn new(groups: BTreeMap<String, Loaded>) -> Result<Self, Unroutable> {
        let router = Router::new(&groups)?;
        Ok(Serving { groups, router, trials: Vec::new(), broken: BTreeMap::new() })
    }

    /// Looks whether every group is wrapped by groups that are there. Where one is not, its requests fail: what
    /// is to be checked is not left unchecked.
    ///
    /// # Errors
    /// A group that is not, and the one that is missing.
    pub fn check(&self) -> Result<(), Unroutable> {
        self.groups.values().try_for_each(|loaded| check_middleware(&self.groups, &loaded.served))
    }

    /// The groups by name.
    pub fn groups(&self) -> &BTreeMap<String, Loaded> {
        &self.groups
    }

    /// A group whose component wraps others.
    pub fn wrapping(&self, group: &str) -> Option<&Arc<Served>> {
        self.groups.get(group).map(|group| &group.served).filter(|served| served.revision.wraps())
    }

    /// The revisions on trial.
    pub fn trials(&self) -> impl Iterator<Item = &Arc<Trial>> {
        self.trials.iter().map(|tried| &tried.trial)
    }

    /// The routes of all but the revisions on trial.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// What is wrong with the newest sources of the group that answers a route, if anything is.
    pub fn broken(&self, route: &Route) -> Option<&Arc<Broken>> {
        // Where nothing is, no name is looked up.
        if self.broken.is_empty() {
            None
        } else {
            self.broken.get(&route.served.group.origin.group)
        }
    }

    /// The same with what is wrong with groups of the components folder. One that has been deployed is not among
    /// them: it is not made of those sources.
    #[must_use]
    pub fn with_broken(mut self, broken: &BTreeMap<String, Arc<Broken>>) -> Self {
        let of_folder =
            |group: &String| self.groups.get(group).is_some_and(|loaded| loaded.revision.is_none());
        let broken = broken.iter().filter(|(group, _)| of_folder(group));
        self.broken = broken.map(|(group, broken)| (group.clone(), Arc::clone(broken))).collect();
        self
    }

    /// The same with one group replaced or added, or taken away. A trial of it is over, and nothing is wrong with
    /// it any more.
    ///
    /// # Errors
    /// A route that cannot be entered, or a group that would not be wrapped as it is to be.
    pub fn with(&self, group: &str, loaded: Option<Loaded>) -> Result<Self, Unroutable> {
        let mut groups = self.groups.clone();
        match loaded {
            Some(loaded) => groups.insert(group.to_owned(), loaded),
            None => groups.remove(group),
        };
        let concerned = |loaded: &&Loaded| {
            let Served { group: own, middleware, .. } = &*loaded.served;
            own.origin.group == group || middleware.iter().any(|name| name == group)
        };
        for loaded in groups.values().filter(concerned) {
            check_middleware(&groups, &loaded.served)?;
        }
        let mut serving = Serving::new(groups)?;
        for tried in self.trials.iter().filter(|tried| tried.trial.group != group) {
            serving.try_out(&tried.trial)?;
        }
        serving.broken.clone_from(&self.broken);
        serving.broken.remove(group);
        Ok(serving)
    }

    /// The same with a revision on trial beside the one that serves.
    ///
    /// # Errors
    /// A route that cannot be entered.
    pub fn with_trial(&self, trial: &Arc<Trial>) -> Result<Self, Unroutable> {
        let current = self.groups.get(&trial.group).cloned();
        let mut serving = self.with(&trial.group, current)?;
        serving.try_out(trial)?;
        Ok(serving)
    }

    fn try_out(&mut self, trial: &Arc<Trial>) -> Result<(), Unroutable> {
        let mut groups = self.groups.clone();
        groups.insert(trial.group.clone(), trial.loaded.clone());
        check_middleware(&groups, &trial.loaded.served)?;
        let router = Router::new(&groups)?;
        self.trials.push(Tried { trial: Arc::clone(trial), router });
        Ok(())
    }

    /// Finds who answers, or says why nobody does. `caller` makes a number of the caller, always the same
    /// one, and is asked while there are trials alone.
    pub fn find(
        &self,
        method: &str,
        path: &str,
        caller: impl FnOnce() -> u64,
    ) -> Result<Chosen<'_>, Error> {
        let usual = self.router.find(method, path);
        if self.trials.is_empty() {
            return usual.map(|found| Chosen { found, trial: None });
        }
        let (usual_group, caller) = (usual.as_ref().ok().map(group), caller());
        for Tried { trial, router } in self.trials.iter().filter(|tried| tried.trial.takes(caller))
        {
            match router.find(method, path) {
                Ok(found) if group(&found) == trial.group => {
                    return Ok(Chosen { found, trial: Some((trial, true)) });
                }
                // The revision on trial has this route no more.
                Err(error) if usual_group == Some(&trial.group) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        let of_group = |tried: &&Tried| Some(tried.trial.group.as_str()) == usual_group;
        let trial = self.trials.iter().find(of_group).map(|tried| (&tried.trial, false));
        usual.map(|found| Chosen { found, trial })
    }
}

/// The groups that wrap one: a request holds an instance of each.
const MOST_MIDDLEWARE: usize = 8;

/// Refuses a group that is wrapped by something else than a few groups that wrap others.
fn check_middleware(groups: &BTreeMap<String, Loaded>, served: &Served) -> Result<(), Unroutable> {
    let (group, middleware) = (&served.group.origin.group, &served.middleware);
    if middleware.len() > MOST_MIDDLEWARE {
        return Err(Unroutable::Invalid(format!(
            "group {group} is wrapped by {} groups, and one is by {MOST_MIDDLEWARE} at most; do what they do in fewer",
            middleware.len()
        )));
    }
    for name in middleware {
        let why = match groups.get(name) {
            None => "which is not there: deploy it first",
            Some(other) if !other.served.revision.wraps() => {
                "which does not export wharf:plugin/middleware: name another, or build it against the world wrapping"
            }
            Some(_) => continue,
        };
        return Err(Unroutable::Invalid(format!(
            "group {group} is to be wrapped by {name}, {why}, or take {name} out of its middleware"
        )));
    }
    Ok(())
}

fn group<'a>(found: &Found<'a>) -> &'a str {
    &found.route.served.group.origin.group
}
