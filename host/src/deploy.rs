//! How a component goes online, and how it is taken back, while requests are answered.
//!
//! Everything that can be wrong with it is found before anything is changed: it is compiled, linked with what
//! its tenant has been granted, asked for its routes, and tried out. Then it is stored in one transaction
//! that also points to it, and only then do requests reach it. A host that dies in between serves, when it is
//! back, what the pointer says: the old or the new, never neither.

mod candidate;
mod folder;
mod follow;
pub mod refusal;
mod smoke;
mod world;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::task::JoinHandle;

use crate::platform::{Docked, Platform};
use crate::registry::{
    self, Bounds, Canary, Event, NewRevision, Pointer, Registry, Revision, signature,
};
use crate::tenant::Tenant;
use crate::tenant::serving::Loaded;
use crate::tenant::trial::Trial;
use crate::tenants::Tenants;
use candidate::{Candidate, Terms};
use folder::Folder;
use refusal::{Kind, Refusal};

pub use folder::Replaced;

/// Puts components online and takes them back.
pub struct Deployer {
    platform: Arc<Platform>,
    registry: Arc<Registry>,
    tenants: Arc<Tenants>,
    /// The components of the folder.
    folder: ArcSwap<Folder>,
    /// Who is changing or preparing what: one at a time, in the order in which they came.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    compiling: Semaphore,
    /// When each tenant's deploys of the last hour came as far as the compiler, in unix seconds.
    attempts: Mutex<HashMap<String, Vec<i64>>>,
    /// Learns what other hosts change, and watches trials; stopped with the host.
    following: Mutex<Vec<JoinHandle<()>>>,
}

/// A component that is to go online.
pub struct Upload {
    /// Whose it is to be.
    pub tenant: String,
    /// The group; the one that its manifest names if it is not said.
    pub group: Option<String>,
    /// Its bytes.
    pub component: Bytes,
    /// Its signature, as the text of a `.minisig` file.
    pub signature: Option<String>,
    /// [`Pointer::changes`] of the pointer that the sender looked at; as it is now if it is not said.
    pub base: Option<i64>,
    /// The share of the callers that it is tried on, and what it is held to; all callers if it is not said.
    pub canary: Option<(u8, Bounds)>,
    /// Who deploys it: the id and name of a token.
    pub who: String,
    /// Where it is deployed from.
    pub source: String,
}

/// How far a deploy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The bytes are here, whole.
    Received,
    /// They are made machine code, unless they were before.
    Compiling,
    /// Imports, exports, settings and routes are looked at.
    Checking,
    /// The tables take the steps that it brings.
    Migrating,
    /// It answers a request for the first time.
    Trying,
    /// It is written down.
    Storing,
    /// Requests reach it.
    Serving,
}

/// What became of a deploy or a rollback.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployed {
    /// The tenant.
    pub tenant: String,
    /// The group.
    pub group: String,
    /// The revision's number.
    pub revision: i64,
    /// The revision's digest.
    pub digest: String,
    /// The revision that was active before.
    pub was: Option<i64>,
    /// The share of the callers that it serves, if it is on trial.
    pub percent: Option<u8>,
    /// Its routes, method and path.
    pub routes: Vec<String>,
    /// The tenant's host names.
    pub hosts: Vec<String>,
    /// Milliseconds that the host took.
    pub milliseconds: u64,
}

/// Whether a signature is still to be checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signature {
    /// It is checked now, if the tenant demands one.
    Checked,
    /// The same bytes were deployed before.
    CheckedBefore,
}

/// A tenant, as it is stored and as it serves.
struct Berthed {
    record: registry::Tenant,
    tenant: Arc<Tenant>,
}

/// A change of which revision of a group answers, by whoever has the tenant's turn.
struct Change {
    berthed: Berthed,
    pointer: Pointer,
    begun: Instant,
    turn: OwnedMutexGuard<()>,
}

impl Deployer {
    /// A deployer for these tenants. It serves nothing of the registry's until it [starts](Self::start).
    pub fn new(
        platform: Arc<Platform>,
        registry: Arc<Registry>,
        tenants: Arc<Tenants>,
        folder: BTreeMap<String, Docked>,
    ) -> Self {
        let own = tenants.default().serving.load().groups().clone();
        let folder = ArcSwap::from_pointee(Folder::new(folder, own));
        let compilers = platform.config.compile.concurrency.max(1);
        Deployer {
            platform,
            registry,
            tenants,
            folder,
            turns: Mutex::default(),
            compiling: Semaphore::new(compilers),
            attempts: Mutex::default(),
            following: Mutex::default(),
        }
    }

    /// What is stored about tenants.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whom it serves.
    pub fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    /// Puts a component online.
    ///
    /// # Errors
    /// Why not; nothing has changed then, but for tables that it brought.
    pub async fn deploy(
        &self,
        upload: Upload,
        progress: impl Fn(Step) + Sync,
    ) -> Result<Deployed, Refusal> {
        progress(Step::Received);
        self.install(upload, Signature::Checked, progress).await
    }

    async fn install(
        &self,
        upload: Upload,
        signature_is: Signature,
        progress: impl Fn(Step) + Sync,
    ) -> Result<Deployed, Refusal> {
        let begun = Instant::now();
        let Upload { tenant, group, component, signature, base, canary, who, source } = upload;
        let (manifest, group) = candidate::manifest(&component, group.as_deref())?;
        let looked_at = self.registry.pointer(&tenant, &group).await?;
        let base = base.unwrap_or(looked_at.changes);
        let _deploying = self.deploying(&tenant).await;
        let berthed = self.berthed(&tenant).await?;
        self.unchanged(&tenant, &group, base).await?;
        if signature_is == Signature::Checked {
            check_signature(&berthed.record, signature.as_deref(), &component)?;
        }
        self.count_attempt(&berthed.record)?;
        let settings = self.registry.settings(&tenant, &group).await?;
        let Berthed { record, tenant: berth } = &berthed;
        let terms = Terms { record, tenant: berth, group: &group, settings: &settings };
        let candidate = self.candidate(&component, manifest, &terms, &progress).await?;
        Self::try_out(berth, terms.group, &candidate, &progress).await?;
        progress(Step::Storing);
        fail::fail_point!("deploy::checked", |_| std::process::abort());
        let imports: Vec<String> = candidate.imported.iter().map(ToString::to_string).collect();
        let new = NewRevision {
            tenant,
            group,
            artifact: component.to_vec(),
            component: candidate.docked.digest,
            settings,
            grants: imports.clone(),
            routes: routes(&candidate.loaded),
            imports,
            who,
            source,
            base: Some(base),
            canary,
        };
        let deployed = self.put_online(new, candidate.loaded, begun).await?;
        progress(Step::Serving);
        Ok(deployed)
    }

    /// Counts a deploy that comes as far as the compiler, also if it is refused: what was stored is counted once
    /// more when it is, for hosts that have just started.
    fn count_attempt(&self, record: &registry::Tenant) -> Result<(), Refusal> {
        let (now, most) = (self.platform.clock.now(), record.quotas.deploys_per_hour);
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = attempts.entry(record.name.clone()).or_default();
        of_tenant.retain(|at| *at > now - registry::HOUR);
        if of_tenant.len() >= most {
            return Err(Refusal::new(
                Kind::Quota,
                format!(
                    "tenant {} has tried to deploy {most} times within an hour, and may no more often (deploys_per_hour)",
                    record.name
                ),
                format!(
                    "wait, or ask the host's operator to run: wharf tenant set {} --quota deploys_per_hour={}",
                    record.name,
                    most.saturating_mul(2)
                ),
            ));
        }
        of_tenant.push(now);
        Ok(())
    }

    /// Has the tables of a component take its steps, and the component answer for the first time.
    async fn try_out(
        tenant: &Tenant,
        group: &str,
        candidate: &Candidate,
        progress: &(impl Fn(Step) + Sync),
    ) -> Result<(), Refusal> {
        let Candidate { loaded, docked, .. } = candidate;
        Self::check_routes(tenant, group, loaded)?;
        if let Some(share) = &loaded.served.group.database {
            progress(Step::Migrating);
            let unfit = |why: String| Refusal::unfit(format!("its tables: {why}"));
            share.migrate(&docked.access.manifest.migrations).await.map_err(unfit)?;
            share.open().await.map_err(unfit)?;
        }
        fail::fail_point!("deploy::migrated", |_| std::process::abort());
        let Some(smoke) = &docked.access.manifest.smoke else { return Ok(()) };
        progress(Step::Trying);
        smoke::check(smoke, group, loaded).await
    }

    /// Writes a revision down, and has requests reach it.
    async fn put_online(
        &self,
        new: NewRevision,
        loaded: Loaded,
        begun: Instant,
    ) -> Result<Deployed, Refusal> {
        let _turn = self.turn(&new.tenant).await;
        // Compiling takes a while, in which the tenant may have changed.
        let berthed = self.berthed(&new.tenant).await?;
        Self::check_routes(&berthed.tenant, &new.group, &loaded)?;
        let was = self.registry.pointer(&new.tenant, &new.group).await?.active;
        let canary = new.canary;
        let revision = self.registry.store(new).await?;
        fail::fail_point!("deploy::stored", |_| std::process::abort());
        let loaded = Loaded { revision: Some(revision.number), ..loaded };
        let canary = canary.map(|(percent, bounds)| Canary {
            revision: revision.number,
            percent,
            bounds,
            since: revision.created_at,
        });
        Self::swap(&berthed.tenant, &revision.group, loaded, canary.as_ref())?;
        fail::fail_point!("deploy::serving", |_| std::process::abort());
        Ok(told(&berthed, &revision, was, canary.as_ref(), begun))
    }

    /// Has an earlier revision answer again: the one that was active before, or the one that is named. A
    /// revision on trial is taken back instead, unless one is named.
    ///
    /// # Errors
    /// Why not; nothing has changed then.
    pub async fn rollback(
        &self,
        tenant: &str,
        group: &str,
        to: Option<i64>,
        who: &str,
    ) -> Result<Deployed, Refusal> {
        let Change { berthed, pointer, begun, turn: _turn } = self.change(tenant, group).await?;
        let active = Self::active(&pointer)?;
        if pointer.canary.is_some() && to.is_none() {
            return self.end_trial(&berthed, &pointer, who, "by command", begun).await;
        }
        let number = match to {
            Some(number) => number,
            None => self.before(&pointer, active).await?,
        };
        if number == active {
            return Err(Refusal::new(
                Kind::Conflict,
                format!("revision {number} of group {group} is the one that answers already"),
                format!("look at: wharf revisions {group} --tenant {tenant}"),
            ));
        }
        self.activate(&berthed, &pointer, number, (who, "rolled back", ""), begun).await
    }

    /// Has the revision on trial answer all callers.
    ///
    /// # Errors
    /// There is none, or it cannot serve any more.
    pub async fn promote(
        &self,
        tenant: &str,
        group: &str,
        who: &str,
        why: &str,
    ) -> Result<Deployed, Refusal> {
        let Change { berthed, pointer, begun, turn: _turn } = self.change(tenant, group).await?;
        let Some(canary) = &pointer.canary else {
            return Err(no_trial(&pointer));
        };
        let number = canary.revision;
        self.activate(&berthed, &pointer, number, (who, "promoted", why), begun).await
    }

    /// Takes the revision on trial back.
    ///
    /// # Errors
    /// There is none.
    pub async fn abort_canary(
        &self,
        tenant: &str,
        group: &str,
        who: &str,
        why: &str,
    ) -> Result<Deployed, Refusal> {
        let Change { berthed, pointer, begun, turn: _turn } = self.change(tenant, group).await?;
        self.end_trial(&berthed, &pointer, who, why, begun).await
    }

    /// Deploys the component that answers once more, with the settings and grants of now: a revision never
    /// changes, so that this is a new one.
    ///
    /// # Errors
    /// Why not; nothing has changed then.
    pub async fn redeploy(
        &self,
        tenant: &str,
        group: &str,
        who: &str,
        source: &str,
    ) -> Result<Deployed, Refusal> {
        let pointer = self.registry.pointer(tenant, group).await?;
        let active = Self::active(&pointer)?;
        let revision = self.stored(tenant, group, active).await?;
        let upload = Upload {
            tenant: tenant.to_owned(),
            group: Some(group.to_owned()),
            component: self.artifact(&revision).await?,
            signature: None,
            base: Some(pointer.changes),
            canary: None,
            who: who.to_owned(),
            source: source.to_owned(),
        };
        self.install(upload, Signature::CheckedBefore, |_| ()).await
    }

    /// Takes a group offline. Its revisions are kept.
    ///
    /// # Errors
    /// There is no such group.
    pub async fn remove(&self, tenant: &str, group: &str, who: &str) -> Result<(), Refusal> {
        let _turn = self.turn(tenant).await;
        let berthed = self.berthed(tenant).await?;
        let pointer = self.registry.pointer(tenant, group).await?;
        let event = self.event(who, "removed", pointer.active, None, "");
        self.registry.remove_group(tenant, group, event).await?;
        self.settle(&berthed.record).await
    }

    /// Deletes a tenant, and its data with it. Other hosts hear of it and close what they have open.
    ///
    /// # Errors
    /// There is no such tenant, it is `default`, or its data cannot be removed, and why.
    pub async fn delete_tenant(&self, name: &str) -> Result<(), Refusal> {
        let _turn = self.turn(name).await;
        let Berthed { record, tenant } = self.berthed(name).await?;
        self.forget(name).await;
        let data = Box::pin(self.platform.remove_data(&tenant));
        let deleted = self.registry.delete(name, data).await;
        if deleted.is_err() {
            self.settle(&record).await?;
        }
        Ok(deleted?)
    }

    /// Brings what serves in line with what is stored of a tenant, after it was made, changed or deleted.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn tenant_changed(&self, tenant: &str) -> Result<(), Refusal> {
        let _turn = self.turn(tenant).await;
        if let Some(record) = self.registry.tenant(tenant).await? {
            return self.settle(&record).await;
        }
        self.forget(tenant).await;
        Ok(())
    }

    /// Begins to change which revision of a group answers.
    async fn change(&self, tenant: &str, group: &str) -> Result<Change, Refusal> {
        let begun = Instant::now();
        let turn = self.turn(tenant).await;
        let berthed = self.berthed(tenant).await?;
        let pointer = self.registry.pointer(tenant, group).await?;
        Ok(Change { berthed, pointer, begun, turn })
    }

    /// Waits until nobody else changes a tenant.
    async fn turn(&self, tenant: &str) -> OwnedMutexGuard<()> {
        self.alone(tenant.to_owned()).await
    }

    /// Waits until nobody else prepares a component for a tenant. Its revisions can be changed meanwhile: whoever
    /// goes back to an earlier one waits for no compiler.
    async fn deploying(&self, tenant: &str) -> OwnedMutexGuard<()> {
        self.alone(format!("{tenant} is being deployed to")).await
    }

    async fn alone(&self, what: String) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds or waits for are forgotten: names come from outside.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(what).or_default())
        };
        turn.lock_owned().await
    }

    async fn berthed(&self, tenant: &str) -> Result<Berthed, Refusal> {
        let record = self.registry.tenant(tenant).await?;
        let missing = || {
            Refusal::new(
                Kind::NotFound,
                format!("there is no tenant {tenant:?}"),
                format!("the host's operator makes one with: wharf tenant create {tenant}"),
            )
        };
        let record = record.ok_or_else(missing)?;
        if self.tenants.named(tenant).is_none() {
            // Another host has made it a moment ago.
            self.settle(&record).await?;
        }
        let tenant = self.tenants.named(tenant).ok_or_else(missing)?;
        Ok(Berthed { record, tenant })
    }

    /// The pointer of a group, unless somebody has changed it since it was looked at. That is found out once
    /// more when the revision is stored, but by then a compiler has worked for nothing.
    async fn unchanged(&self, tenant: &str, group: &str, base: i64) -> Result<Pointer, Refusal> {
        let pointer = self.registry.pointer(tenant, group).await?;
        if pointer.changes == base {
            return Ok(pointer);
        }
        let last = self.registry.history(tenant, group).await?.into_iter().next();
        let by = last.map_or_else(String::new, |last| {
            let revision = last.to.map(|to| format!(", revision {to}")).unwrap_or_default();
            format!(" ({} by {}{revision})", last.what, last.who)
        });
        Err(Refusal::new(
            Kind::Conflict,
            format!("group {group} of tenant {tenant} was changed since you began{by}"),
            format!("look at: wharf revisions {group} --tenant {tenant}, then deploy again"),
        ))
    }

    fn active(pointer: &Pointer) -> Result<i64, Refusal> {
        let Pointer { tenant, group, active, .. } = pointer;
        active.ok_or_else(|| {
            Refusal::new(
                Kind::NotFound,
                format!("tenant {tenant} has deployed no group {group}"),
                format!("deploy it with: wharf deploy FILE.wasm --tenant {tenant}"),
            )
        })
    }

    /// The revision that was active when the one that is was first taken up: going back twice goes further
    /// back, and never to what was taken back.
    async fn before(&self, pointer: &Pointer, active: i64) -> Result<i64, Refusal> {
        let Pointer { tenant, group, .. } = pointer;
        let kept = self.registry.revisions(tenant, group).await?;
        let is_kept = |number: &i64| kept.iter().any(|revision| revision.number == *number);
        let history = self.registry.history(tenant, group).await?;
        let made_active = |event: &&Event| {
            event.to == Some(active) && matches!(&*event.what, "deployed" | "promoted")
        };
        let earlier = history.iter().find(made_active).and_then(|event| event.from);
        let next_lower = || kept.iter().map(|revision| revision.number).find(|one| *one < active);
        earlier
            .filter(|number| is_kept(number) && *number != active)
            .or_else(next_lower)
            .ok_or_else(|| {
                Refusal::new(
                    Kind::NotFound,
                    format!("revision {active} of group {group} is the first that is kept"),
                    format!("take the group offline with: wharf remove {group} --tenant {tenant}"),
                )
            })
    }

    async fn stored(&self, tenant: &str, group: &str, number: i64) -> Result<Revision, Refusal> {
        let revision = self.registry.revision(tenant, group, number).await?;
        revision.ok_or_else(|| {
            Refusal::new(
                Kind::NotFound,
                format!("group {group} of tenant {tenant} has no revision {number}"),
                format!(
                    "those that are kept are shown by: wharf revisions {group} --tenant {tenant}"
                ),
            )
        })
    }

    async fn artifact(&self, revision: &Revision) -> Result<Bytes, Refusal> {
        let bytes = self.registry.artifact(&revision.component).await?;
        bytes.map(Bytes::from).ok_or_else(|| {
            Refusal::unfit(format!("the component of revision {} is gone", revision.number))
        })
    }

    /// A revision that was stored before, ready to serve.
    async fn revive(&self, berthed: &Berthed, revision: &Revision) -> Result<Loaded, Refusal> {
        let component = self.artifact(revision).await?;
        let (manifest, group) = candidate::manifest(&component, Some(&revision.group))?;
        let Berthed { record, tenant } = berthed;
        let terms = Terms { record, tenant, group: &group, settings: &revision.settings };
        let candidate = self.candidate(&component, manifest, &terms, &|_| ()).await?;
        Ok(Loaded { revision: Some(revision.number), ..candidate.loaded })
    }

    /// Has a stored revision answer all callers.
    async fn activate(
        &self,
        berthed: &Berthed,
        pointer: &Pointer,
        number: i64,
        (who, what, why): (&str, &str, &str),
        begun: Instant,
    ) -> Result<Deployed, Refusal> {
        let Pointer { tenant, group, active, .. } = pointer;
        let revision = self.stored(tenant, group, number).await?;
        let loaded = self.revive(berthed, &revision).await?;
        Self::check_routes(&berthed.tenant, group, &loaded)?;
        let to = Pointer { active: Some(number), canary: None, ..pointer.clone() };
        let event = self.event(who, what, *active, Some(number), why);
        self.registry.point(tenant, group, pointer, &to, event).await?;
        fail::fail_point!("deploy::pointed", |_| std::process::abort());
        Self::swap(&berthed.tenant, group, loaded, None)?;
        Ok(told(berthed, &revision, *active, None, begun))
    }

    async fn end_trial(
        &self,
        berthed: &Berthed,
        pointer: &Pointer,
        who: &str,
        why: &str,
        begun: Instant,
    ) -> Result<Deployed, Refusal> {
        let Pointer { tenant, group, canary, .. } = pointer;
        let Some(canary) = canary else { return Err(no_trial(pointer)) };
        let active = Self::active(pointer)?;
        let revision = self.stored(tenant, group, active).await?;
        let to = Pointer { canary: None, ..pointer.clone() };
        let event = self.event(who, "canary rolled back", Some(canary.revision), Some(active), why);
        self.registry.point(tenant, group, pointer, &to, event).await?;
        let serving = berthed.tenant.serving.load();
        let current = serving.groups().get(group).cloned();
        let serving = serving.with(group, current);
        let serving = serving.map_err(|why| Refusal::unroutable(tenant, group, why))?;
        berthed.tenant.serving.store(Arc::new(serving));
        Ok(told(berthed, &revision, Some(canary.revision), None, begun))
    }

    fn event(&self, who: &str, what: &str, from: Option<i64>, to: Option<i64>, why: &str) -> Event {
        let at = self.platform.clock.now();
        Event { at, who: who.into(), what: what.into(), from, to, why: why.into() }
    }

    /// Refuses routes that another group of the tenant has.
    fn check_routes(tenant: &Tenant, group: &str, loaded: &Loaded) -> Result<(), Refusal> {
        let serving = tenant.serving.load().with(group, Some(loaded.clone()));
        serving.map(drop).map_err(|why| Refusal::unroutable(&tenant.name, group, why))
    }

    /// Has requests reach a revision: all, or those of some callers.
    fn swap(
        tenant: &Tenant,
        group: &str,
        loaded: Loaded,
        canary: Option<&Canary>,
    ) -> Result<(), Refusal> {
        let serving = tenant.serving.load();
        let serving = match canary {
            None => serving.with(group, Some(loaded)),
            Some(canary) => serving.with_trial(&Arc::new(Trial::new(group, loaded, canary))),
        };
        let serving = serving.map_err(|why| Refusal::unroutable(&tenant.name, group, why))?;
        tenant.serving.store(Arc::new(serving));
        Ok(())
    }
}

fn no_trial(pointer: &Pointer) -> Refusal {
    let Pointer { tenant, group, .. } = pointer;
    Refusal::new(
        Kind::NotFound,
        format!("group {group} of tenant {tenant} has no revision on trial"),
        format!("begin one with: wharf deploy FILE.wasm --tenant {tenant} --percent 5"),
    )
}

fn check_signature(
    record: &registry::Tenant,
    signature: Option<&str>,
    component: &[u8],
) -> Result<(), Refusal> {
    let Some(signer) = &record.signer else { return Ok(()) };
    let how =
        "sign it with: wharf sign FILE.wasm --key KEY, and deploy it with the signature beside it";
    let refused = |why: String| Refusal::new(Kind::NotGranted, why, how);
    let signature = signature.ok_or_else(|| {
        refused(format!(
            "tenant {} takes signed components alone, and this one comes without",
            record.name
        ))
    })?;
    signature::verify(signer, signature, component).map_err(refused)
}

/// The routes of a group, method and path.
fn routes(loaded: &Loaded) -> Vec<String> {
    loaded.routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect()
}

fn told(
    berthed: &Berthed,
    revision: &Revision,
    was: Option<i64>,
    canary: Option<&Canary>,
    begun: Instant,
) -> Deployed {
    Deployed {
        tenant: revision.tenant.clone(),
        group: revision.group.clone(),
        revision: revision.number,
        digest: revision.digest.clone(),
        was,
        percent: canary.map(|canary| canary.percent),
        routes: revision.routes.clone(),
        hosts: berthed.record.hosts.clone(),
        milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}
