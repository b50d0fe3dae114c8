//! What became of a tenant's groups: revisions, settings, rollbacks.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::Core;
use super::access::{Holder, check_group};
use super::api::{
    Changed, Difference, Online, Revisions, Rollback, SettingsChange, SettingsChanged,
};
use super::problem::Problem;
use super::upload::online;
use crate::registry::tokens::Verb;
use crate::registry::{Pointer, Revision, Setting};

/// The path of a group's calls.
type Place = Path<(String, String)>;

type Sent<T> = Result<Json<T>, JsonRejection>;

pub(super) async fn revisions(
    State(core): State<Arc<Core>>,
    Path((tenant, group)): Place,
    holder: Holder,
) -> Result<Json<Revisions>, Problem> {
    holder.may(&core, Verb::Read, &tenant).await?;
    check_group(&group)?;
    let registry = core.deployer.registry();
    let pointer = registry.pointer(&tenant, &group).await?;
    let revisions = registry.revisions(&tenant, &group).await?;
    if revisions.is_empty() {
        return Err(Problem::new(
            (StatusCode::NOT_FOUND, "not-found"),
            format!("tenant {tenant} has deployed no group {group}"),
            format!("look at: wharf tenant show {tenant}"),
        ));
    }
    let history = registry.history(&tenant, &group).await?;
    Ok(Json(Revisions { pointer, revisions, history }))
}

/// What a deploy would replace: whoever may change it may know how often it was changed.
pub(super) async fn pointer(
    State(core): State<Arc<Core>>,
    Path((tenant, group)): Place,
    holder: Holder,
) -> Result<Json<Pointer>, Problem> {
    holder.may(&core, Verb::Deploy, &tenant).await?;
    check_group(&group)?;
    Ok(Json(core.deployer.registry().pointer(&tenant, &group).await?))
}

/// Two revisions that are to be compared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pair {
    from: i64,
    to: i64,
}

pub(super) async fn diff(
    State(core): State<Arc<Core>>,
    Path((tenant, group)): Place,
    holder: Holder,
    pair: Result<Query<Pair>, QueryRejection>,
) -> Result<Json<Difference>, Problem> {
    holder.may(&core, Verb::Read, &tenant).await?;
    check_group(&group)?;
    let Query(Pair { from, to }) = pair?;
    let from = revision(&core, (&tenant, &group), from).await?;
    let to = revision(&core, (&tenant, &group), to).await?;
    let differs = |(name, setting): (&String, &Setting)| {
        let mark = |setting| core.deployer.registry().mark((&tenant, &group, name), setting);
        to.settings.get(name).is_some_and(|other| mark(setting) != mark(other))
    };
    let changed = from.settings.iter().filter(|(name, setting)| differs((name, setting)));
    Ok(Json(Difference {
        component_differs: from.component != to.component,
        bytes: [from.bytes, to.bytes],
        routes: Changed::between(&from.routes, &to.routes),
        imports: Changed::between(&from.imports, &to.imports),
        grants: Changed::between(&from.grants, &to.grants),
        settings: Changed::between(from.settings.keys(), to.settings.keys()),
        settings_changed: changed.map(|(name, _)| name.clone()).collect(),
    }))
}

async fn revision(
    core: &Core,
    (tenant, group): (&str, &str),
    number: i64,
) -> Result<Revision, Problem> {
    let revision = core.deployer.registry().revision(tenant, group, number).await?;
    revision.ok_or_else(|| {
        Problem::new(
            (StatusCode::NOT_FOUND, "not-found"),
            format!("group {group} of tenant {tenant} has no revision {number}"),
            format!("look at: wharf revisions {group} --tenant {tenant}"),
        )
    })
}

pub(super) async fn rollback(
    State(core): State<Arc<Core>>,
    Path((tenant, group)): Place,
    holder: Holder,
    sent: Sent<Rollback>,
) -> Result<Json<Online>, Problem> {
    let mandate = holder.may(&core, Verb::Rollback, &tenant).await?;
    check_group(&group)?;
    let to = sent?.to;
    let done = core.deployer.rollback(&tenant, &group, to, &mandate.who).await?;
    mandate.audit("rolled back", &group, Some(done.revision));
    Ok(Json(online(&core, done)))
}

pub(super) async fn promote(
    State(core): State<Arc<Core>>,
    Path((tenant, group)): Place,
    holder: Holder,
) -> Result<Json<Online>, Problem> {
    let mandate = holder.may(&core, Verb::Rollback, &tenant).await?;
    check_group(&group)?;
    let done = core.deployer.promote(&tenant, &group, &mandate.who, "by command").await?;
    mandate.audit("promoted", &group, Some(done.revision));
    Ok(Json(online(&core, done)))
}

pub(super) async fn remove(
    State(core): State<Arc<Core>>,
    Path((tenant, group)): Place,
    holder: Holder,
) -> Result<StatusCode, Problem> {
    let mandate = holder.may(&core, Verb::Deploy, &tenant).await?;
    check_group(&group)?;
    core.deployer.remove(&tenant, &group, &mandate.who).await?;
    mandate.audit("removed", &group, None);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn settings(
    State(core): State<Arc<Core>>,
    Path((tenant, group)): Place,
    holder: Holder,
) -> Result<Json<BTreeMap<String, Setting>>, Problem> {
    holder.may(&core, Verb::Read, &tenant).await?;
    check_group(&group)?;
    Ok(Json(core.deployer.registry().settings(&tenant, &group).await?))
}

/// Changes settings, and has the group's active revision run with them, as a new one.
pub(super) async fn set(
    State(core): State<Arc<Core>>,
    Path((tenant, group)): Place,
    holder: Holder,
    sent: Sent<SettingsChange>,
) -> Result<Json<SettingsChanged>, Problem> {
    let mandate = holder.may(&core, Verb::Settings, &tenant).await?;
    check_group(&group)?;
    let SettingsChange { set, unset } = sent?.0;
    let registry = core.deployer.registry();
    for name in unset {
        registry.set(&tenant, &group, &name, None).await?;
    }
    for (name, new) in set {
        let setting = Setting { value: new.value, secret: new.secret };
        registry.set(&tenant, &group, &name, Some(setting)).await?;
    }
    mandate.audit("settings changed", &group, None);
    if registry.pointer(&tenant, &group).await?.active.is_none() {
        return Ok(Json(SettingsChanged { deployed: None }));
    }
    let deployed = core.deployer.redeploy(&tenant, &group, &mandate.who, "changed settings").await;
    let deployed = deployed.map_err(|mut refusal| {
        refusal.message = format!(
            "the settings are stored, and the active revision runs with those of before: {}",
            refusal.message
        );
        refusal
    })?;
    mandate.audit("deployed with changed settings", &group, Some(deployed.revision));
    Ok(Json(SettingsChanged { deployed: Some(deployed) }))
}
