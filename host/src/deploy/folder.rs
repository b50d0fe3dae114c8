//! The components of the folder, which the default tenant serves, and those that inherit them: replaced in place
//! while `wharf dev` works. Nothing of it is stored; everything is checked as at a deploy.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::candidate::{Candidate, unfit};
use super::refusal::{Kind, Refusal};
use super::{Berthed, Deployer, candidate};
use crate::platform::Docked;
use crate::tenant::broken::Broken;
use crate::tenant::serving::{Loaded, Serving};
use crate::tenant::{Access, DEFAULT, Tenant};

/// What the components folder holds. Never changed, only replaced.
#[derive(Clone)]
pub(super) struct Folder {
    /// Its components, which tenants may inherit.
    docked: BTreeMap<String, Docked>,
    /// The same as the default tenant serves them, where nothing was deployed in their place.
    own: BTreeMap<String, Loaded>,
    /// Those whose newest sources do not serve.
    broken: BTreeMap<String, Arc<Broken>>,
}

/// What became of a component that was put in place of another.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// The SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
    /// How long it took to make it machine code, to check it and to try it out.
    pub checked_in: Duration,
    /// How long it took from then on until the default tenant's requests reached it.
    pub swapped_in: Duration,
    /// Whether they do: where a revision of the group was deployed, that one answers.
    pub is_served: bool,
}

impl Folder {
    pub(super) fn new(docked: BTreeMap<String, Docked>, own: BTreeMap<String, Loaded>) -> Self {
        Folder { docked, own, broken: BTreeMap::new() }
    }

    pub(super) fn docked(&self) -> &BTreeMap<String, Docked> {
        &self.docked
    }

    pub(super) fn own(&self) -> &BTreeMap<String, Loaded> {
        &self.own
    }

    pub(super) fn broken(&self) -> &BTreeMap<String, Arc<Broken>> {
        &self.broken
    }
}

impl Deployer {
    /// Puts a component of the folder in place of what its group was until now, for all tenants that have it.
    ///
    /// # Errors
    /// Why it cannot serve; what serves is what served before then.
    pub async fn replace(&self, group: &str, file: &Path) -> Result<Replaced, Refusal> {
        let begun = Instant::now();
        let _deploying = self.deploying(DEFAULT).await;
        let Berthed { tenant, .. } = self.berthed(DEFAULT).await?;
        let Candidate { loaded, docked, .. } = self.of_folder(&tenant, group, file).await?;
        let checked_in = begun.elapsed();
        let _turn = self.turn(DEFAULT).await;
        let swapping = Instant::now();
        let digest = docked.digest.clone();
        // It may be another one than before the component was compiled.
        let tenant = self.tenants.default();
        let is_served = !is_deployed(&tenant.serving.load(), group);
        if is_served {
            Self::swap(&tenant, group, loaded.clone(), None)?;
        }
        let swapped_in = swapping.elapsed();
        self.change_folder(|folder| {
            folder.broken.remove(group);
            folder.docked.insert(group.to_owned(), docked);
            folder.own.insert(group.to_owned(), loaded);
        });
        tracing::debug!(component = group, digest, ?checked_in, ?swapped_in, "swapped in");
        self.tell_heirs().await;
        Ok(Replaced { digest, checked_in, swapped_in, is_served })
    }

    /// Takes a component of the folder out, for all tenants that have it.
    ///
    /// # Errors
    /// Another group is wrapped by it: what is to be checked is not left unchecked, and it serves on.
    pub async fn take_out(&self, group: &str) -> Result<(), Refusal> {
        let _turn = self.turn(DEFAULT).await;
        let tenant = self.tenants.default();
        let serving = tenant.serving.load();
        if serving.groups().contains_key(group) && !is_deployed(&serving, group) {
            let without = serving.with(group, None);
            let without = without.map_err(|why| Refusal::unroutable(DEFAULT, group, why))?;
            tenant.serving.store(Arc::new(without));
        }
        self.change_folder(|folder| {
            folder.docked.remove(group);
            folder.own.remove(group);
            folder.broken.remove(group);
        });
        self.tell_heirs().await;
        Ok(())
    }

    /// Has a group of the folder answer with what is wrong with its newest sources, until it is
    /// [replaced](Self::replace). Says whether it has routes to answer on.
    pub async fn broke(&self, broken: Broken) -> bool {
        let _turn = self.turn(DEFAULT).await;
        let group = broken.group.clone();
        self.change_folder(|folder| drop(folder.broken.insert(group.clone(), Arc::new(broken))));
        let tenant = self.tenants.default();
        let serving = tenant.serving.load();
        let current = serving.groups().get(&group).filter(|loaded| loaded.revision.is_none());
        let is_served = current.is_some();
        if is_served && let Ok(same) = serving.with(&group, current.cloned()) {
            tenant.serving.store(Arc::new(same.with_broken(self.folder.load().broken())));
        }
        self.tell_heirs().await;
        is_served
    }

    /// A component of the folder that could serve, after everything that is looked at in a deploy.
    async fn of_folder(
        &self,
        tenant: &Tenant,
        group: &str,
        file: &Path,
    ) -> Result<Candidate, Refusal> {
        let unreadable = |why: String| Refusal::new(Kind::Invalid, why, "");
        let component = std::fs::read(file)
            .map_err(|error| unreadable(format!("cannot read {}: {error}", file.display())))?;
        candidate::manifest(&component, Some(group))?;
        let (artifact, imported) = self.compiled(&component, &|_| ()).await?;
        let config = &self.platform.config;
        let access = Access::of(group, &config.group(group), file).map_err(unreadable)?;
        self.limits(&access.manifest)?;
        let set = config.group(group).settings;
        access.manifest.check_settings(&set).map_err(|(_, why)| {
            let how = format!("set it in [groups.{group}.settings] of the configuration");
            Refusal::new(Kind::Unfit, why, how)
        })?;
        let limits = config.limits_of(group, &access.manifest.limits).map_err(unreadable)?;
        limits.check().map_err(Refusal::unfit)?;
        let database = candidate::share(tenant, group, &access);
        let docked = self.platform.dock(group, &artifact, Arc::new(access), limits);
        let docked = docked.map_err(unfit)?;
        let loaded =
            self.platform.load_own(&docked, group, &tenant.shared, &tenant.throttle, database);
        let candidate = Candidate { loaded: loaded.await.map_err(unfit)?, docked, imported };
        Self::try_out(tenant, group, &candidate, &|_| ()).await?;
        Ok(candidate)
    }

    fn change_folder(&self, change: impl FnOnce(&mut Folder)) {
        let mut folder = Folder::clone(&self.folder.load());
        change(&mut folder);
        self.folder.store(Arc::new(folder));
    }

    /// Has the tenants that inherit the folder's components serve what it holds now.
    async fn tell_heirs(&self) {
        let inherits = |tenant: &&Arc<Tenant>| {
            tenant.record.as_ref().is_some_and(|record| record.inherits) && tenant.name != DEFAULT
        };
        for tenant in self.tenants.all().iter().filter(inherits) {
            if let Err(refusal) = self.tenant_changed(&tenant.name).await {
                tracing::warn!(tenant = tenant.name, %refusal, "cannot pass on what the folder holds");
            }
        }
    }
}

/// Whether a revision was deployed in place of the folder's component.
fn is_deployed(serving: &Serving, group: &str) -> bool {
    serving.groups().get(group).is_some_and(|loaded| loaded.revision.is_some())
}
