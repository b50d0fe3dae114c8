//! Deploy tokens, which the operator alone makes and ends.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Core;
use super::access::Holder;
use super::api::{MadeToken, NewToken};
use super::problem::Problem;
use crate::registry::tokens::DeployToken;

pub(super) async fn list(
    State(core): State<Arc<Core>>,
    Path(tenant): Path<String>,
    holder: Holder,
) -> Result<Json<Vec<DeployToken>>, Problem> {
    holder.operates(&core, "looking at tokens", &tenant).await?;
    Ok(Json(core.deployer.registry().tokens(&tenant).await?))
}

pub(super) async fn create(
    State(core): State<Arc<Core>>,
    Path(tenant): Path<String>,
    holder: Holder,
    sent: Result<Json<NewToken>, JsonRejection>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    let mandate = holder.operates(&core, "making a token", &tenant).await?;
    let new = sent?.0;
    let expires = core.clock.now().saturating_add(new.expires_seconds);
    let registry = core.deployer.registry();
    let made = registry.create_token((&tenant, &new.name), &new.verbs, expires).await?;
    let (token, secret) = made;
    mandate.audit(&format!("token {} made", token.id), "", None);
    Ok((StatusCode::CREATED, Json(MadeToken { token, secret })))
}

pub(super) async fn revoke(
    State(core): State<Arc<Core>>,
    Path(id): Path<String>,
    holder: Holder,
) -> Result<Json<DeployToken>, Problem> {
    holder.is_operator("revoking a token", "")?;
    let token = core.deployer.registry().revoke_token(&id).await?;
    let mandate = holder.is_operator("revoking a token", &token.tenant)?;
    mandate.audit(&format!("token {} revoked", token.id), "", None);
    Ok(Json(token))
}
