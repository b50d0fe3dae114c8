//! Tenants and their host names.

use super::rows::{json, of_json, text, unreadable};
use super::{Change, DEFAULT_TENANT, Error, Kind, Quotas, Registry, Tenant, names};
use crate::database::{Failure, Rows, Value};

const COLUMNS: &str = "SELECT name, inherits, grants, quotas, signer, created_at FROM tenants";

impl Tenant {
    /// A tenant as it is without any wishes: with the host name `<name>.localhost`, and grants that reach
    /// nobody's data.
    pub fn new(name: &str) -> Self {
        Tenant {
            name: name.to_owned(),
            inherits: false,
            hosts: vec![format!("{name}.localhost")],
            grants: ["log", "clock", "random", "settings"].map(str::to_owned).to_vec(),
            quotas: Quotas::default(),
            signer: None,
            created_at: 0,
        }
    }

    fn check(&self) -> Result<(), Error> {
        self.hosts.iter().try_for_each(|host| names::host(host))?;
        self.grants.iter().try_for_each(|grant| names::grant(grant))?;
        if self.quotas.revisions == 0 {
            return Err(Error::refused(
                Kind::Unfit,
                "the quota revisions is 0, and nothing could be deployed",
                "set it to 1 or more",
            ));
        }
        match &self.signer {
            Some(key) => super::signature::check(key).map_err(|why| {
                let remedy = "give the second line of the .pub file that `wharf key new` writes";
                Error::refused(Kind::Unfit, why, remedy)
            }),
            None => Ok(()),
        }
    }
}

impl Registry {
    /// All tenants by name, but for `default`, which is always there.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, Failure> {
        let sql = format!("{COLUMNS} WHERE name <> $1 ORDER BY name");
        let rows = self.database.query(&sql, vec![text(DEFAULT_TENANT)]).await?;
        let hosts = "SELECT tenant, host FROM tenant_hosts ORDER BY tenant, host";
        let hosts = self.database.query(hosts, Vec::new()).await?;
        of_rows(&rows, &hosts)
    }

    /// A tenant by its name.
    pub async fn tenant(&self, name: &str) -> Result<Option<Tenant>, Failure> {
        let rows = format!("{COLUMNS} WHERE name = $1");
        let rows = self.database.query(&rows, vec![text(name)]).await?;
        let hosts = "SELECT tenant, host FROM tenant_hosts WHERE tenant = $1 ORDER BY host";
        let hosts = self.database.query(hosts, vec![text(name)]).await?;
        Ok(of_rows(&rows, &hosts)?.pop())
    }

    /// Adds a tenant; when it was created is settled here.
    ///
    /// # Errors
    /// Its name or a host name is taken, by whom, or it is not well-formed.
    pub async fn create(&self, tenant: &Tenant) -> Result<(), Error> {
        names::tenant(&tenant.name)?;
        tenant.check()?;
        let mut change = self.begin().await?;
        let added = change
            .execute(
                "INSERT INTO tenants (name, inherits, grants, quotas, signer, created_at, changes) VALUES ($1, $2, $3, $4, $5, $6, 0)
                 ON CONFLICT (name) DO NOTHING",
                vec![
                    text(&tenant.name),
                    Value::Integer(tenant.inherits.into()),
                    json(&tenant.grants),
                    json(&tenant.quotas),
                    tenant.signer.as_deref().map_or(Value::Null, text),
                    Value::Integer(self.clock.now()),
                ],
            )
            .await?;
        if added == 0 {
            return Err(Error::refused(
                Kind::Taken,
                format!("there is a tenant {} already", tenant.name),
                "choose another name, or change it with `wharf tenant set`",
            ));
        }
        take_hosts(&mut change, tenant).await?;
        Ok(change.commit().await?)
    }

    /// Changes what a tenant has: host names, grants, quotas, signer, and whether it inherits.
    ///
    /// # Errors
    /// There is no such tenant, a host name is taken, by whom, or something is not well-formed.
    pub async fn change(&self, tenant: &Tenant) -> Result<(), Error> {
        tenant.check()?;
        let (mut change, _) = self.begin_of(&tenant.name).await?;
        change
            .execute(
                "UPDATE tenants SET inherits = $1, grants = $2, quotas = $3, signer = $4 WHERE name = $5",
                vec![
                    Value::Integer(tenant.inherits.into()),
                    json(&tenant.grants),
                    json(&tenant.quotas),
                    tenant.signer.as_deref().map_or(Value::Null, text),
                    text(&tenant.name),
                ],
            )
            .await?;
        take_hosts(&mut change, tenant).await?;
        Ok(change.commit().await?)
    }

    /// Deletes a tenant with everything that is stored about it here, its tokens and revisions included, and
    /// with what it has elsewhere: where that cannot be removed, the tenant stays.
    ///
    /// # Errors
    /// There is no such tenant, it is `default`, or why what it has elsewhere cannot be removed.
    pub async fn delete(
        &self,
        name: &str,
        elsewhere: impl Future<Output = Result<(), String>>,
    ) -> Result<(), Error> {
        if name == DEFAULT_TENANT {
            let message = "the tenant default is that of the built-in API and stays";
            return Err(Error::refused(Kind::Unfit, message, "delete another one"));
        }
        let mut change = self.begin().await?;
        let sql = "DELETE FROM tenants WHERE name = $1";
        if change.execute(sql, vec![text(name)]).await? == 0 {
            return Err(Error::no_tenant(name));
        }
        let sql = "DELETE FROM artifacts WHERE NOT EXISTS (SELECT 1 FROM revisions WHERE revisions.component = artifacts.digest)";
        change.execute(sql, Vec::new()).await?;
        elsewhere.await.map_err(|why| {
            let remedy = "the tenant stays as it is stored; mend that, and delete it again";
            Error::refused(Kind::Unfit, format!("its data cannot be removed: {why}"), remedy)
        })?;
        Ok(change.commit().await?)
    }
}

/// A tenant that is there, within a change.
pub(super) async fn read(change: &mut Change, name: &str) -> Result<Tenant, Failure> {
    let rows = change.query(&format!("{COLUMNS} WHERE name = $1"), vec![text(name)]).await?;
    let hosts = "SELECT tenant, host FROM tenant_hosts WHERE tenant = $1 ORDER BY host";
    let hosts = change.query(hosts, vec![text(name)]).await?;
    of_rows(&rows, &hosts)?.pop().ok_or_else(|| unreadable("tenants"))
}

/// Gives a tenant its host names in place of those that it had.
async fn take_hosts(change: &mut Change, tenant: &Tenant) -> Result<(), Error> {
    let sql = "DELETE FROM tenant_hosts WHERE tenant = $1";
    change.execute(sql, vec![text(&tenant.name)]).await?;
    let taken = change.query("SELECT host, tenant FROM tenant_hosts", Vec::new()).await?;
    for host in &tenant.hosts {
        for row in &taken.rows {
            let [Value::Text(other), Value::Text(owner)] = row.as_slice() else {
                return Err(unreadable("tenant_hosts").into());
            };
            if names::overlap(host, other) {
                return Err(Error::refused(
                    Kind::Taken,
                    format!("the host name {host} is within {other} of tenant {owner}"),
                    format!(
                        "choose another one, or take it from {owner} first with `wharf tenant set {owner} --host-name …`"
                    ),
                ));
            }
        }
        let sql =
            "INSERT INTO tenant_hosts (host, tenant) VALUES ($1, $2) ON CONFLICT (host) DO NOTHING";
        change.execute(sql, vec![text(host), text(&tenant.name)]).await?;
    }
    Ok(())
}

/// Rows of tenants, and those of their host names.
fn of_rows(tenants: &Rows, hosts: &Rows) -> Result<Vec<Tenant>, Failure> {
    let mut read: Vec<Tenant> =
        tenants.rows.iter().map(|row| of_row(row)).collect::<Result<_, _>>()?;
    // Databases may order text by a language's rules.
    read.sort_by(|one, other| one.name.cmp(&other.name));
    for row in &hosts.rows {
        let [Value::Text(tenant), Value::Text(host)] = row.as_slice() else {
            return Err(unreadable("tenant_hosts"));
        };
        if let Ok(index) = read.binary_search_by(|read| read.name.as_str().cmp(tenant)) {
            read[index].hosts.push(host.clone());
        }
    }
    Ok(read)
}

fn of_row(row: &[Value]) -> Result<Tenant, Failure> {
    let [
        Value::Text(name),
        Value::Integer(inherits),
        Value::Text(grants),
        Value::Text(quotas),
        signer,
        Value::Integer(created_at),
    ] = row
    else {
        return Err(unreadable("tenants"));
    };
    let signer = match signer {
        Value::Text(signer) => Some(signer.clone()),
        _ => None,
    };
    Ok(Tenant {
        name: name.clone(),
        inherits: *inherits != 0,
        hosts: Vec::new(),
        grants: of_json(grants)?,
        quotas: of_json(quotas)?,
        signer,
        created_at: *created_at,
    })
}
