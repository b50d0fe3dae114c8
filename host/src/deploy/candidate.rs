//! From the bytes of a component to a group that could serve: everything that can be wrong with it is found
//! here, before anything is changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::refusal::{Kind, Refusal};
use super::{Deployer, Step, world};
use crate::capabilities::Grant;
use crate::capabilities::calls::SELF;
use crate::compiler::Artifact;
use crate::database::{Share, Tables};
use crate::instance;
use crate::outbound::Names;
use crate::platform::{self, Berth, Docked};
use crate::registry::{self, Setting};
use crate::tenant::manifest::Manifest;
use crate::tenant::package::Package;
use crate::tenant::serving::Loaded;
use crate::tenant::{Access, Source, Tenant};

/// A component that could serve.
pub(super) struct Candidate {
    pub(super) loaded: Loaded,
    pub(super) docked: Docked,
    /// What it imports.
    pub(super) imported: Vec<Grant>,
}

/// What a component is to run with.
pub(super) struct Terms<'a> {
    /// The tenant as it is stored.
    pub(super) record: &'a registry::Tenant,
    /// The tenant as it serves.
    pub(super) tenant: &'a Tenant,
    pub(super) group: &'a str,
    pub(super) settings: &'a BTreeMap<String, Setting>,
}

/// The manifest of a component, and the group that it is for.
pub(super) fn manifest(
    component: &[u8],
    named: Option<&str>,
) -> Result<(Option<Manifest>, String), Refusal> {
    let unreadable = |why: String| Refusal::new(Kind::Invalid, why, "");
    let package = if is_component(component) {
        Package::of(component)
            .map_err(|why| unreadable(format!("what was sent cannot be deployed: {why}")))?
    } else {
        None
    };
    let manifest = package.map(Manifest::of).transpose();
    let manifest =
        manifest.map_err(|why| unreadable(format!("the manifest in the component {why}")))?;
    let group = match (&manifest, named) {
        (Some(manifest), Some(named)) if manifest.group != named => {
            return Err(Refusal::new(
                Kind::Invalid,
                format!("the component's manifest is of group {:?}, not {named:?}", manifest.group),
                "leave out --group, or write that group into wharf-plugin.toml and build again",
            ));
        }
        (Some(manifest), _) => manifest.group.clone(),
        (None, Some(named)) => named.to_owned(),
        (None, None) => {
            return Err(Refusal::new(
                Kind::Invalid,
                "the component has no manifest that says which group it is",
                "name one with --group, or write a wharf-plugin.toml beside it",
            ));
        }
    };
    registry::names::group(&group)?;
    Ok((manifest, group))
}

/// Whether these bytes begin as a component does (the Component Model's binary format). What does not is
/// refused in words when it is to be compiled.
fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x0d\0\x01\0")
}

/// What is wrong with a component, as the end of a sentence about it.
pub(super) fn unfit(why: String) -> Refusal {
    Refusal::unfit(format!("the component {why}"))
}

impl Deployer {
    /// Compiles, links and asks for the routes.
    pub(super) async fn candidate(
        &self,
        component: &[u8],
        manifest: Option<Manifest>,
        terms: &Terms<'_>,
        progress: &(impl Fn(Step) + Sync),
    ) -> Result<Candidate, Refusal> {
        let (artifact, imported) = self.compiled(component, progress).await?;
        let access = Arc::new(access(terms, manifest, &imported)?);
        let limits = self.limits(&access.manifest)?;
        let docked = self.platform.dock(terms.group, &artifact, access, limits);
        let docked = docked.map_err(unfit)?;
        let loaded = self.load(&docked, terms).await?;
        Ok(Candidate { loaded, docked, imported })
    }

    /// Compiles a component, and looks whether it is one of this host's; also says what it imports.
    pub(super) async fn compiled(
        &self,
        component: &[u8],
        progress: &(impl Fn(Step) + Sync),
    ) -> Result<(Artifact, Vec<Grant>), Refusal> {
        progress(Step::Compiling);
        let artifact = {
            // Each takes a processor for seconds, and gigabytes.
            let _turn = self.compiling.acquire().await;
            let loaded = self.platform.compiler.load(component).await;
            loaded
                .map_err(|why| Refusal::unfit(format!("the component cannot be loaded: {why}")))?
        };
        fail::fail_point!("deploy::compiled", |_| std::process::abort());
        progress(Step::Checking);
        if let Some(difference) = world::difference(component) {
            return Err(Refusal::new(
                Kind::Unfit,
                format!("the component is built for another world: {difference}"),
                "build it against the wit/ of this wharf's release",
            ));
        }
        let imported = instance::imported(&self.platform.engine, &artifact).map_err(unfit)?;
        Ok((artifact, imported))
    }

    /// Makes a group of a component that is linked.
    pub(super) async fn load(&self, docked: &Docked, terms: &Terms<'_>) -> Result<Loaded, Refusal> {
        let Terms { tenant, group, .. } = terms;
        let berth = Berth {
            tenant: &tenant.name,
            shared: &tenant.shared,
            throttle: &tenant.throttle,
            group,
            settings: settings(&docked.access.manifest, terms)?,
            database: share(tenant, group, &docked.access),
        };
        self.platform.load(docked, berth).await.map_err(unfit)
    }

    /// What one of its calls may take: as its manifest says, which may ask for less and not for more.
    pub(super) fn limits(&self, manifest: &Manifest) -> Result<instance::Limits, Refusal> {
        let usual = toml::Table::try_from(self.platform.config.limits).unwrap_or_default();
        for (name, wanted) in &manifest.limits {
            let most = usual.get(name).and_then(toml::Value::as_integer);
            let wanted = wanted.as_integer();
            if let (Some(most), Some(wanted)) = (most, wanted)
                && wanted > most
            {
                return Err(Refusal::new(
                    Kind::Unfit,
                    format!(
                        "its manifest asks for limits.{name} = {wanted}, and this host gives {most} at most"
                    ),
                    "ask for less, or have the host's operator raise it in [limits]",
                ));
            }
        }
        let limits = self.platform.config.limits_of("", &manifest.limits);
        limits.map_err(|_| {
            Refusal::unfit("its manifest's [limits] has a key or a value that is none of [limits]")
        })
    }
}

/// The tenant's data for a group.
pub(super) fn share(tenant: &Tenant, group: &str, access: &Access) -> Option<Arc<Share>> {
    let serving = tenant.serving.load();
    let before = serving.groups().get(group);
    let before = before.and_then(|loaded| loaded.served.group.database.as_ref());
    platform::share(&tenant.shared, group, access, before)
}

/// What it may import: what its manifest asks for, as far as the tenant has been granted that.
fn access(
    terms: &Terms<'_>,
    manifest: Option<Manifest>,
    imported: &[Grant],
) -> Result<Access, Refusal> {
    let Terms { record, group, .. } = terms;
    let has_manifest = manifest.is_some();
    let manifest = manifest.unwrap_or_else(|| Manifest {
        group: (*group).to_owned(),
        grants: imported.to_vec(),
        ..Manifest::default()
    });
    for grant in imported {
        if has_manifest && !manifest.grants.contains(grant) {
            return Err(Refusal::new(
                Kind::NotGranted,
                format!(
                    "the component imports wharf:plugin/{grant}, which its manifest does not ask for"
                ),
                format!(
                    "add \"{grant}\" to grants in wharf-plugin.toml and build again, or build it without that import"
                ),
            ));
        }
        if !record.grants.iter().any(|granted| granted == grant.name()) {
            return Err(Refusal::new(
                Kind::NotGranted,
                format!(
                    "the component imports wharf:plugin/{grant}, which tenant {} has not been granted",
                    record.name
                ),
                format!(
                    "ask the host's operator to run: wharf grant {} {grant}, or build it without that import",
                    record.name
                ),
            ));
        }
    }
    check_outbound(record, &manifest)?;
    let source = Source::Tenant(record.name.clone());
    let tables: Tables = manifest.tables.clone();
    Ok(Access { grants: (imported.to_vec(), source.clone()), tables: (tables, source), manifest })
}

/// Refuses to call hosts that the tenant has not been granted.
fn check_outbound(record: &registry::Tenant, manifest: &Manifest) -> Result<(), Refusal> {
    let granted = record.grants.iter().filter_map(|grant| grant.strip_prefix("http:"));
    let granted: Vec<Names> = granted.filter_map(|name| Names::parse([name]).ok()).collect();
    for wanted in manifest.outbound.iter().filter(|wanted| *wanted != SELF) {
        let name = Names::parse([wanted]);
        let name = name.map_err(|why| Refusal::unfit(format!("its manifest's {why}")))?;
        if !granted.iter().any(|granted| granted.include(&name)) {
            return Err(Refusal::new(
                Kind::NotGranted,
                format!(
                    "its manifest wants to call {wanted}, which tenant {} has not been granted",
                    record.name
                ),
                format!(
                    "ask the host's operator to run: wharf grant {} http:{wanted}",
                    record.name
                ),
            ));
        }
    }
    Ok(())
}

/// What `settings.get` tells it: what the tenant has set, else what its manifest says.
fn settings(manifest: &Manifest, terms: &Terms<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let Terms { record, group, settings, .. } = terms;
    let set = settings.iter().map(|(name, set)| (name.clone(), set.value.clone())).collect();
    manifest.check_settings(&set).map_err(|(name, why)| {
        let how = format!("set it with: wharf setting {} {group} {name}=…", record.name);
        Refusal::new(Kind::Unfit, why, how)
    })?;
    Ok(manifest.told(set))
}
