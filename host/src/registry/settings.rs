//! The settings of a tenant's groups.

use std::collections::BTreeMap;

use super::rows::{count, text, unreadable};
use super::seal::{Place, Seal};
use super::{Change, Error, Kind, Registry, Setting, names};
use crate::database::{Failure, Value};

impl Registry {
    /// The settings of a group, secrets opened.
    pub async fn settings(
        &self,
        tenant: &str,
        group: &str,
    ) -> Result<BTreeMap<String, Setting>, Failure> {
        let sql =
            "SELECT name, value, sealed FROM tenant_settings WHERE tenant = $1 AND group_name = $2";
        let rows = self.database.query(sql, vec![text(tenant), text(group)]).await?;
        rows.rows.iter().map(|row| read(&self.seal, (tenant, group), row)).collect()
    }

    /// Sets a setting of a group, or takes it away. Revisions keep the settings that they were made with.
    ///
    /// # Errors
    /// There is no such tenant, a name is none, or the tenant's settings grow beyond its quota.
    pub async fn set(
        &self,
        tenant: &str,
        group: &str,
        name: &str,
        value: Option<Setting>,
    ) -> Result<(), Error> {
        names::group(group)?;
        names::setting(name)?;
        let (mut change, owner) = self.begin_of(tenant).await?;
        let place = Place { tenant, group, name };
        match value {
            None => {
                let sql = "DELETE FROM tenant_settings WHERE tenant = $1 AND group_name = $2 AND name = $3";
                change.execute(sql, vec![text(tenant), text(group), text(name)]).await?;
            }
            Some(setting) => {
                let [value, sealed] = columns(&self.seal, place, &setting)?;
                let sql = "INSERT INTO tenant_settings (tenant, group_name, name, value, sealed) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (tenant, group_name, name) DO UPDATE SET value = excluded.value, sealed = excluded.sealed";
                change
                    .execute(sql, vec![text(tenant), text(group), text(name), value, sealed])
                    .await?;
            }
        }
        within_quota(&mut change, tenant, owner.quotas.settings_bytes).await?;
        Ok(change.commit().await?)
    }
}

/// Refuses settings that take more than they may.
async fn within_quota(change: &mut Change, tenant: &str, most: usize) -> Result<(), Error> {
    let sql = "SELECT CAST(COALESCE(SUM(length(name) + COALESCE(octet_length(value), 0) + COALESCE(octet_length(sealed), 0)), 0) AS BIGINT)
         FROM tenant_settings WHERE tenant = $1";
    let rows = change.query(sql, vec![text(tenant)]).await?;
    match rows.rows.first().map(Vec::as_slice) {
        Some([Value::Integer(bytes)]) if *bytes <= count(most) => Ok(()),
        Some([Value::Integer(bytes)]) => Err(Error::refused(
            Kind::Quota,
            format!(
                "tenant {tenant} would have {bytes} bytes of settings, and its quota settings_bytes is {most}"
            ),
            format!(
                "take others away with `wharf setting {tenant} <group> --unset <name>`, or ask the host's operator for `wharf tenant set {tenant} --quota settings_bytes=<bytes>`"
            ),
        )),
        _ => Err(unreadable("tenant_settings").into()),
    }
}

/// The columns `value` and `sealed`, of which one is NULL.
pub(super) fn columns(
    seal: &Seal,
    place: Place<'_>,
    setting: &Setting,
) -> Result<[Value; 2], Failure> {
    if setting.secret {
        return Ok([Value::Null, Value::Blob(seal.seal(place, &setting.value)?)]);
    }
    Ok([text(&setting.value), Value::Null])
}

/// Reads name, value and sealed value.
pub(super) fn read(
    seal: &Seal,
    (tenant, group): (&str, &str),
    row: &[Value],
) -> Result<(String, Setting), Failure> {
    let (name, setting) = match row {
        [Value::Text(name), Value::Text(value), Value::Null] => {
            (name, Setting { value: value.clone(), secret: false })
        }
        [Value::Text(name), Value::Null, Value::Blob(sealed)] => {
            let value = seal.open(Place { tenant, group, name }, sealed)?;
            (name, Setting { value, secret: true })
        }
        _ => return Err(unreadable("settings")),
    };
    Ok((name.clone(), setting))
}
