//! Keeps what serves in line with what is stored: at the start, after changes that other hosts make, and
//! when a trial is decided.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;

use super::refusal::Refusal;
use super::{Berthed, Deployer, candidate};
use crate::admission::Admission;
use crate::database::{Failure, Notice, Notices};
use crate::platform::{Berth, Docked};
use crate::registry::{self, Pointer};
use crate::tenant::serving::{Loaded, Serving};
use crate::tenant::trial::{Trial, Verdict};
use crate::tenant::{DEFAULT, Tenant};

/// How often trials are looked at.
const WATCH: Duration = Duration::from_millis(100);

/// How long to wait before what was missed is read again.
const RETRY: Duration = Duration::from_millis(500);

/// Tenants that are loaded at once when the host starts.
const LOADING: usize = 8;

/// Who decides about trials, in the history.
const HOST: &str = "wharf";

impl Deployer {
    /// Serves what is stored, and follows what becomes of it until it is [stopped](Self::stop).
    ///
    /// # Errors
    /// The database does not answer. A tenant whose component does not load any more is served without it,
    /// and the log says so.
    pub async fn start(self: &Arc<Self>) -> Result<(), Failure> {
        self.settle_all().await?;
        let mut following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        following.push(tokio::spawn(Arc::clone(self).watch()));
        if let Some(notices) = self.registry.notices() {
            following.push(tokio::spawn(Arc::clone(self).follow(notices)));
        }
        Ok(())
    }

    /// Follows no more.
    pub fn stop(&self) {
        let mut following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        following.drain(..).for_each(|task| task.abort());
    }

    /// Brings everything in line. What was read of a tenant here may be old by its turn, and is read again.
    async fn settle_all(&self) -> Result<(), Failure> {
        let stored = self.registry.tenants().await?.into_iter().map(|record| record.name);
        fail::fail_point!("deploy::read");
        let served = self.tenants.all().into_iter().map(|tenant| tenant.name.clone());
        let names: BTreeSet<String> = stored.chain(served).chain([DEFAULT.to_owned()]).collect();
        let settled = names.into_iter().map(|name| async move {
            if let Err(refusal) = self.tenant_changed(&name).await {
                tracing::error!(tenant = name, %refusal, "cannot serve a tenant");
            }
        });
        futures_util::stream::iter(settled).buffer_unordered(LOADING).collect::<()>().await;
        Ok(())
    }

    /// Brings what serves in line with what is stored of a tenant. Whoever calls it has the tenant's turn.
    pub(super) async fn settle(&self, record: &registry::Tenant) -> Result<(), Refusal> {
        let pointers = self.registry.pointers(Some(&record.name)).await?;
        let tenant = match self.tenants.named(&record.name) {
            // Its own deploys are told to this host as well.
            Some(before) if before.record.as_ref() == Some(record) => before,
            Some(before) if before.is_older_than(record) => {
                self.forget(&record.name).await;
                Arc::new(self.made(record))
            }
            Some(before) => Arc::new(self.changed(record, &before)),
            None => Arc::new(self.made(record)),
        };
        let berthed = Berthed { record: record.clone(), tenant };
        let serving = self.serving(&berthed, &pointers).await?;
        berthed.tenant.serving.store(Arc::new(serving));
        self.tenants.put(berthed.tenant);
        Ok(())
    }

    /// Takes a tenant out, and closes its data. Whoever calls it has the tenant's turn.
    pub(super) async fn forget(&self, name: &str) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        if let Some(tenant) = self.tenants.remove(name) {
            tenant.close().await;
        }
    }

    fn made(&self, record: &registry::Tenant) -> Tenant {
        let shared = self.platform.shared(&record.name, record.created_at, record.inherits);
        Tenant {
            name: record.name.clone(),
            hosts: record.hosts.clone(),
            record: Some(record.clone()),
            shared,
            throttle: self.platform.throttle(),
            admission: Admission::of(record.quotas.concurrency, self.platform.config.admission),
            serving: ArcSwap::from_pointee(Serving::default()),
        }
    }

    /// A tenant with the host names, grants and quotas of now, and the data of before. Its components are
    /// linked anew, since they may have lost a grant.
    fn changed(&self, record: &registry::Tenant, before: &Tenant) -> Tenant {
        let admission = match record.name.as_str() {
            DEFAULT => Admission::of_tenant(self.platform.config.admission),
            _ => Admission::of(record.quotas.concurrency, self.platform.config.admission),
        };
        Tenant {
            name: record.name.clone(),
            hosts: record.hosts.clone(),
            record: Some(record.clone()),
            shared: Arc::clone(&before.shared),
            throttle: Arc::clone(&before.throttle),
            admission,
            serving: ArcSwap::from_pointee(Serving::default()),
        }
    }

    /// What a tenant serves by what is stored: the components of the folder, if it has them, and what it
    /// has deployed beside them or in their place.
    async fn serving(&self, berthed: &Berthed, pointers: &[Pointer]) -> Result<Serving, Refusal> {
        let now = berthed.tenant.serving.load_full();
        let mut groups = self.inherited(berthed, &now).await;
        let mut trials = Vec::new();
        for pointer in pointers {
            let (group, Some(active)) = (&pointer.group, pointer.active) else { continue };
            groups.remove(group);
            let serves = now.groups().get(group);
            if let Some(loaded) = self.of_pointer(berthed, group, active, serves).await {
                groups.insert(group.clone(), loaded);
            }
            let Some(canary) = &pointer.canary else { continue };
            if let Some(trial) = now.trials().find(|trial| trial.is_of(group, canary)) {
                trials.push(Arc::clone(trial));
            } else if let Some(loaded) =
                self.of_pointer(berthed, group, canary.revision, None).await
            {
                trials.push(Arc::new(Trial::new(group, loaded, canary)));
            }
        }
        let unroutable = |why| Refusal::unroutable(&berthed.record.name, "", why);
        let mut serving = Serving::new(groups).map_err(unroutable)?;
        for trial in trials {
            serving = serving.with_trial(&trial).map_err(unroutable)?;
        }
        Ok(serving.with_broken(self.folder.load().broken()))
    }

    /// A revision that a pointer names, unless it cannot serve any more: what serves now, if it is that.
    async fn of_pointer(
        &self,
        berthed: &Berthed,
        group: &str,
        number: i64,
        serves: Option<&Loaded>,
    ) -> Option<Loaded> {
        if let Some(serves) = serves.filter(|serves| serves.revision == Some(number)) {
            return Some(serves.clone());
        }
        let tenant = &berthed.record.name;
        let revived = async {
            let revision = self.stored(tenant, group, number).await?;
            self.revive(berthed, &revision).await
        };
        match revived.await {
            Ok(loaded) => Some(loaded),
            Err(refusal) => {
                tracing::error!(tenant, group, revision = number, %refusal, "cannot serve a revision");
                None
            }
        }
    }

    /// The components of the folder, for a tenant that has them.
    async fn inherited(&self, berthed: &Berthed, now: &Serving) -> BTreeMap<String, Loaded> {
        let record = &berthed.record;
        let folder = self.folder.load_full();
        if record.name == DEFAULT {
            return folder.own().clone();
        }
        let mut groups = BTreeMap::new();
        let inherited = if record.inherits { Some(folder.docked()) } else { None };
        for (group, docked) in inherited.into_iter().flatten() {
            let serves = now.groups().get(group).filter(|serves| {
                serves.revision.is_none() && docked.is(&serves.served.group.origin.digest)
            });
            if let Some(serves) = serves {
                groups.insert(group.clone(), serves.clone());
                continue;
            }
            match self.inherit(berthed, group, docked).await {
                Ok(loaded) => {
                    groups.insert(group.clone(), loaded);
                }
                Err(why) => tracing::error!(tenant = record.name, group, why, "cannot inherit"),
            }
        }
        groups
    }

    /// A component of the folder, for a tenant that has them besides the default one.
    async fn inherit(
        &self,
        berthed: &Berthed,
        group: &str,
        docked: &Docked,
    ) -> Result<Loaded, String> {
        let Berthed { record, tenant } = berthed;
        let database = candidate::share(tenant, group, &docked.access);
        let steps = &docked.access.manifest.migrations;
        // Of those that bring no tables, the tenant's data is opened when somebody first needs it.
        if let Some(share) = database.as_ref().filter(|_| !steps.is_empty()) {
            share.migrate(steps).await?;
        }
        let berth = Berth {
            tenant: &record.name,
            shared: &tenant.shared,
            throttle: &tenant.throttle,
            group,
            settings: docked.access.manifest.told(self.platform.config.inherited_settings()),
            database,
        };
        self.platform.load(docked, berth).await
    }

    /// Learns what other hosts change, for ever.
    async fn follow(self: Arc<Self>, mut notices: Notices) {
        loop {
            let notice = notices.next().await;
            loop {
                let learned = match &notice {
                    Notice::Told(tenant) => {
                        self.tenant_changed(tenant).await.map_err(|why| why.to_string())
                    }
                    Notice::Joined => self.settle_all().await.map_err(|why| why.to_string()),
                };
                let Err(why) = learned else { break };
                tracing::warn!(why, "cannot learn what other hosts have deployed; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Takes revisions on trial back, and over, for ever.
    async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(WATCH).await;
            let now = self.platform.clock.now();
            for tenant in self.tenants.all() {
                let serving = tenant.serving.load_full();
                for trial in serving.trials() {
                    if let Some(verdict) = trial.verdict(now) {
                        self.decide(&tenant.name, &trial.group, verdict).await;
                    }
                }
            }
        }
    }

    async fn decide(&self, tenant: &str, group: &str, verdict: Verdict) {
        let decided = match &verdict {
            Verdict::TakeBack(why) => self.abort_canary(tenant, group, HOST, why).await,
            Verdict::TakeOver(why) => self.promote(tenant, group, HOST, why).await,
        };
        match (decided, verdict) {
            (Ok(_), Verdict::TakeBack(why)) => {
                tracing::warn!(tenant, group, why, "a revision on trial was taken back");
            }
            (Ok(_), Verdict::TakeOver(why)) => {
                tracing::info!(tenant, group, why, "a revision on trial was taken over");
            }
            (Err(refusal), _) => {
                tracing::warn!(tenant, group, %refusal, "cannot decide about a revision on trial");
            }
        }
    }
}
