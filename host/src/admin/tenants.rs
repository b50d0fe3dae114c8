//! Tenants and their grants.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Core;
use super::access::Holder;
use super::api::{GrantChange, NewTenant, Shown, TenantChange};
use super::problem::Problem;
use crate::capabilities::Grant;
use crate::registry::tokens::Verb;
use crate::registry::{DEFAULT_TENANT, Quotas, Tenant};

type Sent<T> = Result<Json<T>, JsonRejection>;

pub(super) async fn list(
    State(core): State<Arc<Core>>,
    holder: Holder,
) -> Result<Json<Vec<Tenant>>, Problem> {
    let registry = core.deployer.registry();
    let tenants = match &holder {
        Holder::Token(token) => {
            holder.may(&core, Verb::Read, &token.tenant).await?;
            registry.tenant(&token.tenant).await?.into_iter().collect()
        }
        Holder::Operator => {
            let default = registry.tenant(DEFAULT_TENANT).await?;
            default.into_iter().chain(registry.tenants().await?).collect()
        }
    };
    Ok(Json(tenants))
}

pub(super) async fn create(
    State(core): State<Arc<Core>>,
    holder: Holder,
    sent: Sent<NewTenant>,
) -> Result<(StatusCode, Json<Tenant>), Problem> {
    let new = sent?.0;
    let mandate = holder.is_operator("making a tenant", &new.name)?;
    let mut tenant = Tenant::new(&new.name);
    tenant.inherits = new.inherits;
    if new.inherits {
        tenant.grants = Grant::ALL.iter().map(ToString::to_string).collect();
    }
    if !new.hosts.is_empty() {
        tenant.hosts = new.hosts;
    }
    add(&mut tenant.grants, new.grants);
    tenant.quotas = with(tenant.quotas, &new.quotas)?;
    tenant.signer = new.signer.filter(|signer| !signer.is_empty());
    core.deployer.registry().create(&tenant).await?;
    core.deployer.tenant_changed(&tenant.name).await?;
    mandate.audit("tenant created", "", None);
    Ok((StatusCode::CREATED, Json(stored(&core, &tenant.name).await?)))
}

pub(super) async fn show(
    State(core): State<Arc<Core>>,
    Path(name): Path<String>,
    holder: Holder,
) -> Result<Json<Shown>, Problem> {
    holder.may(&core, Verb::Read, &name).await?;
    let tenant = stored(&core, &name).await?;
    let mut groups = core.deployer.registry().pointers(Some(&name)).await?;
    groups.retain(|pointer| pointer.active.is_some());
    Ok(Json(Shown { tenant, groups }))
}

pub(super) async fn change(
    State(core): State<Arc<Core>>,
    Path(name): Path<String>,
    holder: Holder,
    sent: Sent<TenantChange>,
) -> Result<Json<Tenant>, Problem> {
    let mandate = holder.operates(&core, "changing a tenant", &name).await?;
    let change = sent?.0;
    let mut tenant = stored(&core, &name).await?;
    tenant.inherits = change.inherits.unwrap_or(tenant.inherits);
    tenant.hosts = change.hosts.unwrap_or(tenant.hosts);
    tenant.grants = change.grants.unwrap_or(tenant.grants);
    tenant.quotas = with(tenant.quotas, &change.quotas)?;
    if let Some(signer) = change.signer {
        tenant.signer = Some(signer).filter(|signer| !signer.is_empty());
    }
    core.deployer.registry().change(&tenant).await?;
    core.deployer.tenant_changed(&name).await?;
    mandate.audit("tenant changed", "", None);
    Ok(Json(stored(&core, &name).await?))
}

pub(super) async fn grant(
    State(core): State<Arc<Core>>,
    Path(name): Path<String>,
    holder: Holder,
    sent: Sent<GrantChange>,
) -> Result<Json<Tenant>, Problem> {
    let mandate = holder.operates(&core, "granting something", &name).await?;
    let change = sent?.0;
    let mut tenant = stored(&core, &name).await?;
    if let Some(missing) = change.remove.iter().find(|grant| !tenant.grants.contains(grant)) {
        return Err(Problem::invalid(
            format!("tenant {name} has no grant {missing:?}"),
            format!("its grants are {}", tenant.grants.join(", ")),
        ));
    }
    tenant.grants.retain(|grant| !change.remove.contains(grant));
    add(&mut tenant.grants, change.add);
    core.deployer.registry().change(&tenant).await?;
    core.deployer.tenant_changed(&name).await?;
    mandate.audit("grants changed", "", None);
    Ok(Json(tenant))
}

pub(super) async fn remove(
    State(core): State<Arc<Core>>,
    Path(name): Path<String>,
    holder: Holder,
) -> Result<StatusCode, Problem> {
    let mandate = holder.operates(&core, "deleting a tenant", &name).await?;
    core.deployer.delete_tenant(&name).await?;
    mandate.audit("tenant deleted", "", None);
    Ok(StatusCode::NO_CONTENT)
}

/// A tenant that was there a moment ago.
async fn stored(core: &Core, name: &str) -> Result<Tenant, Problem> {
    let tenant = core.deployer.registry().tenant(name).await?;
    tenant.ok_or_else(|| Problem::no_tenant(name))
}

fn add(grants: &mut Vec<String>, more: Vec<String>) {
    for grant in more {
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
}

/// Quotas of which some are changed.
fn with(quotas: Quotas, changes: &BTreeMap<String, usize>) -> Result<Quotas, Problem> {
    let unfit = |error: serde_json::Error| {
        Problem::invalid(format!("a quota is not valid: {error}"), "look at: wharf tenant --help")
    };
    let mut fields = serde_json::to_value(quotas).map_err(unfit)?;
    for (name, value) in changes {
        fields[name.as_str()] = (*value).into();
    }
    serde_json::from_value(fields).map_err(unfit)
}
