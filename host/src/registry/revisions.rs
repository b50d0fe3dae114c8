//! Revisions and their artifacts.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::rows::{count, integer, json, of_json, text, unreadable};
use super::seal::{Place, Seal};
use super::{
    Canary, Change, Error, Event, Kind, NewRevision, Pointer, Registry, Revision, Setting, Tenant,
    pointers, settings,
};
use crate::database::{Failure, Rows, Value};

/// The time over which deploys are counted, in seconds.
pub const HOUR: i64 = 3600;

const COLUMNS: &str = "SELECT tenant, group_name, number, digest, component, bytes, who, source, created_at, grants, routes, imports FROM revisions";

const SETTINGS: &str = "SELECT number, name, value, sealed FROM revision_settings";

impl Registry {
    /// A revision, secrets opened.
    pub async fn revision(
        &self,
        tenant: &str,
        group: &str,
        number: i64,
    ) -> Result<Option<Revision>, Failure> {
        let place = || vec![text(tenant), text(group), Value::Integer(number)];
        let rows = format!("{COLUMNS} WHERE tenant = $1 AND group_name = $2 AND number = $3");
        let rows = self.database.query(&rows, place()).await?;
        let set = format!("{SETTINGS} WHERE tenant = $1 AND group_name = $2 AND number = $3");
        let set = self.database.query(&set, place()).await?;
        Ok(self.of_rows(&rows, &set)?.pop())
    }

    /// The revisions of a group that are kept, newest first, secrets opened.
    pub async fn revisions(&self, tenant: &str, group: &str) -> Result<Vec<Revision>, Failure> {
        let place = || vec![text(tenant), text(group)];
        let rows = format!("{COLUMNS} WHERE tenant = $1 AND group_name = $2 ORDER BY number DESC");
        let rows = self.database.query(&rows, place()).await?;
        let set = format!("{SETTINGS} WHERE tenant = $1 AND group_name = $2");
        let set = self.database.query(&set, place()).await?;
        self.of_rows(&rows, &set)
    }

    /// The bytes of a component by their SHA-256 in hexadecimal.
    pub async fn artifact(&self, digest: &str) -> Result<Option<Vec<u8>>, Failure> {
        let sql = "SELECT bytes FROM artifacts WHERE digest = $1";
        let mut rows = self.database.query(sql, vec![text(digest)]).await?;
        match rows.rows.pop().and_then(|mut row| row.pop()) {
            Some(Value::Blob(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(unreadable("artifacts")),
            None => Ok(None),
        }
    }

    /// Whether two settings are the same, in words that tell nobody a secret: equal texts stand for equal
    /// settings of the same group.
    pub fn mark(&self, (tenant, group, name): (&str, &str, &str), setting: &Setting) -> String {
        mark(&self.seal, Place { tenant, group, name }, setting)
    }

    /// Stores a revision with its artifact and points to it, all of it or nothing. Of revisions that are
    /// neither active nor a canary the newest are kept, and artifacts that no revision names go.
    ///
    /// The revision's digest is the SHA-256 of a JSON text without spaces,
    /// `{"component":…,"grants":[…],"settings":{…}}`: the artifact's SHA-256 in hexadecimal, the grants in
    /// the order of their names, and the settings in the order of theirs, each as `"value …"`, or
    /// `"secret …"` with an HMAC of a secret that only hosts can make. Equal digests mean the same
    /// component with the same grants and settings.
    ///
    /// # Errors
    /// The pointer is not `base` any more, a quota would be exceeded, or there is no such tenant.
    pub async fn store(&self, new: NewRevision) -> Result<Revision, Error> {
        super::names::group(&new.group)?;
        let (mut change, tenant) = self.begin_of(&new.tenant).await?;
        let now = self.clock.now();
        let pointer = pointers::read(&mut change, (&new.tenant, &new.group)).await?;
        if let Some(base) = new.base {
            pointers::unchanged(&mut change, &pointer, base).await?;
        }
        deploys_within_quota(&mut change, &tenant, now).await?;
        let number = next_number(&mut change, &new).await?;
        let revision = Revision {
            digest: digest(&self.seal, &new),
            number,
            bytes: count(new.artifact.len()),
            created_at: now,
            tenant: new.tenant,
            group: new.group,
            component: new.component,
            who: new.who,
            source: new.source,
            settings: new.settings,
            grants: new.grants,
            routes: new.routes,
            imports: new.imports,
        };
        insert_artifact(&mut change, &revision.component, new.artifact).await?;
        insert(&mut change, &self.seal, &revision).await?;
        let (to, event) = moved(&pointer, &revision, new.canary)?;
        let place = (revision.tenant.as_str(), revision.group.as_str());
        pointers::write(&mut change, place, &to).await?;
        pointers::note(&mut change, place, &event).await?;
        prune(&mut change, &to, tenant.quotas.revisions).await?;
        within_quotas(&mut change, &tenant).await?;
        change.commit().await?;
        Ok(revision)
    }

    fn of_rows(&self, revisions: &Rows, settings: &Rows) -> Result<Vec<Revision>, Failure> {
        let mut read: Vec<Revision> =
            revisions.rows.iter().map(|row| of_row(row)).collect::<Result<_, _>>()?;
        for row in &settings.rows {
            let Some((Value::Integer(number), columns)) = row.split_first() else {
                return Err(unreadable("revision_settings"));
            };
            if let Some(revision) = read.iter_mut().find(|read| read.number == *number) {
                let place = (revision.tenant.as_str(), revision.group.as_str());
                let (name, setting) = settings::read(&self.seal, place, columns)?;
                revision.settings.insert(name, setting);
            }
        }
        Ok(read)
    }
}

/// What a revision is addressed by: see [`Registry::store`].
fn digest(seal: &Seal, new: &NewRevision) -> String {
    #[derive(Serialize)]
    struct Digested<'a> {
        component: &'a str,
        grants: Vec<&'a str>,
        settings: BTreeMap<&'a str, String>,
    }
    let mut grants: Vec<&str> = new.grants.iter().map(String::as_str).collect();
    grants.sort_unstable();
    let settings = new.settings.iter().map(|(name, setting)| {
        let place = Place { tenant: &new.tenant, group: &new.group, name };
        (name.as_str(), mark(seal, place, setting))
    });
    let digested = Digested { component: &new.component, grants, settings: settings.collect() };
    let text = serde_json::to_string(&digested).expect("text alone");
    hex::encode(Sha256::digest(text))
}

fn mark(seal: &Seal, place: Place<'_>, setting: &Setting) -> String {
    if setting.secret {
        return format!("secret {}", seal.mark(place, &setting.value));
    }
    format!("value {}", setting.value)
}

async fn next_number(change: &mut Change, new: &NewRevision) -> Result<i64, Failure> {
    let sql = "SELECT MAX(number) FROM revisions WHERE tenant = $1 AND group_name = $2";
    let rows = change.query(sql, vec![text(&new.tenant), text(&new.group)]).await?;
    let newest = rows.rows.first().and_then(|row| row.first()).and_then(integer);
    Ok(newest.unwrap_or(0).saturating_add(1))
}

async fn insert_artifact(change: &mut Change, digest: &str, bytes: Vec<u8>) -> Result<(), Failure> {
    // Asked first, so that bytes that are there already are not sent again.
    let there = "SELECT 1 FROM artifacts WHERE digest = $1";
    if change.query(there, vec![text(digest)]).await?.rows.is_empty() {
        let sql = "INSERT INTO artifacts (digest, bytes) VALUES ($1, $2)";
        change.execute(sql, vec![text(digest), Value::Blob(bytes)]).await?;
    }
    Ok(())
}

async fn insert(change: &mut Change, seal: &Seal, revision: &Revision) -> Result<(), Failure> {
    let sql = "INSERT INTO revisions (tenant, group_name, number, digest, component, bytes, who, source, created_at, grants, routes, imports)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let values = vec![
        text(&revision.tenant),
        text(&revision.group),
        Value::Integer(revision.number),
        text(&revision.digest),
        text(&revision.component),
        Value::Integer(revision.bytes),
        text(&revision.who),
        text(&revision.source),
        Value::Integer(revision.created_at),
        json(&revision.grants),
        json(&revision.routes),
        json(&revision.imports),
    ];
    change.execute(sql, values).await?;
    let sql = "INSERT INTO revision_settings (tenant, group_name, number, name, value, sealed) VALUES ($1, $2, $3, $4, $5, $6)";
    for (name, setting) in &revision.settings {
        let place = Place { tenant: &revision.tenant, group: &revision.group, name };
        let [value, sealed] = settings::columns(seal, place, setting)?;
        let (tenant, group) = (text(&revision.tenant), text(&revision.group));
        let number = Value::Integer(revision.number);
        change.execute(sql, vec![tenant, group, number, text(name), value, sealed]).await?;
    }
    Ok(())
}

/// Where a pointer points once a revision is stored, and what is written about it.
fn moved(
    from: &Pointer,
    revision: &Revision,
    canary: Option<(u8, super::Bounds)>,
) -> Result<(Pointer, Event), Error> {
    let number = revision.number;
    let mut event = Event {
        at: revision.created_at,
        who: revision.who.clone(),
        what: "deployed".to_owned(),
        from: from.active,
        to: Some(number),
        why: String::new(),
    };
    let Some((percent, bounds)) = canary else {
        return Ok((Pointer { active: Some(number), canary: None, ..from.clone() }, event));
    };
    if from.active.is_none() {
        return Err(Error::refused(
            Kind::Unfit,
            format!(
                "group {} has no active revision that a canary could be compared with",
                from.group
            ),
            "deploy it without --percent",
        ));
    }
    "canary began".clone_into(&mut event.what);
    event.why = format!("for {percent} % of the callers");
    let canary = Canary { revision: number, percent, bounds, since: revision.created_at };
    Ok((Pointer { canary: Some(canary), ..from.clone() }, event))
}

/// Forgets what is neither meant by the pointer nor among the newest.
async fn prune(change: &mut Change, pointer: &Pointer, most: usize) -> Result<(), Failure> {
    let sql = "DELETE FROM revisions WHERE tenant = $1 AND group_name = $2 AND number <> $3 AND number <> $4 AND number NOT IN (
             SELECT number FROM revisions WHERE tenant = $1 AND group_name = $2 ORDER BY number DESC LIMIT $5)
         RETURNING component";
    let canary = pointer.canary.as_ref().map_or(0, |canary| canary.revision);
    let values = vec![
        text(&pointer.tenant),
        text(&pointer.group),
        Value::Integer(pointer.active.unwrap_or(0)),
        Value::Integer(canary),
        Value::Integer(count(most)),
    ];
    let gone = change.query(sql, values).await?;
    let sql = "DELETE FROM artifacts WHERE digest = $1 AND NOT EXISTS (SELECT 1 FROM revisions WHERE component = $1)";
    for component in gone.rows.into_iter().flatten() {
        change.execute(sql, vec![component]).await?;
    }
    Ok(())
}

/// Refuses one deploy more than an hour may have.
async fn deploys_within_quota(change: &mut Change, tenant: &Tenant, now: i64) -> Result<(), Error> {
    let sql = "SELECT COUNT(*) FROM revision_events WHERE tenant = $1 AND at > $2 AND what IN ('deployed', 'canary began')";
    let values = vec![text(&tenant.name), Value::Integer(now - HOUR)];
    let most = tenant.quotas.deploys_per_hour;
    within(change, (sql, values), most.saturating_sub(1), || {
        exceeded(
            tenant,
            format!("has deployed {most} times within the last hour"),
            ("deploys_per_hour", most),
            "wait for a while",
        )
    })
    .await
}

/// Refuses a revision that takes more than its tenant may.
async fn within_quotas(change: &mut Change, tenant: &Tenant) -> Result<(), Error> {
    let sql = "SELECT COUNT(*) FROM pointers WHERE tenant = $1 AND active IS NOT NULL";
    let most = tenant.quotas.groups;
    within(change, (sql, vec![text(&tenant.name)]), most, || {
        let what = format!("has {most} groups already");
        exceeded(tenant, what, ("groups", most), "remove one with `wharf remove`")
    })
    .await?;
    let sql = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM (SELECT DISTINCT component, bytes FROM revisions WHERE tenant = $1) AS kept";
    let most = tenant.quotas.artifact_bytes;
    within(change, (sql, vec![text(&tenant.name)]), most, || {
        let what = "would keep more bytes of components than it may".to_owned();
        exceeded(tenant, what, ("artifact_bytes", most), "build a smaller one")
    })
    .await
}

/// Refuses if a statement finds a number above the most.
async fn within(
    change: &mut Change,
    (sql, values): (&str, Vec<Value>),
    most: usize,
    refusal: impl FnOnce() -> Error,
) -> Result<(), Error> {
    let rows = change.query(sql, values).await?;
    match rows.rows.first().and_then(|row| row.first()) {
        Some(Value::Integer(found)) if *found <= count(most) => Ok(()),
        Some(Value::Integer(_)) => Err(refusal()),
        _ => Err(Failure::Failed("a quota cannot be counted".to_owned()).into()),
    }
}

fn exceeded(tenant: &Tenant, what: String, (quota, most): (&str, usize), remedy: &str) -> Error {
    let name = &tenant.name;
    Error::refused(
        Kind::Quota,
        format!("tenant {name} {what}: its quota {quota} is {most}"),
        format!(
            "{remedy}, or ask the host's operator for `wharf tenant set {name} --quota {quota}=<number>`"
        ),
    )
}

fn of_row(row: &[Value]) -> Result<Revision, Failure> {
    let [
        Value::Text(tenant),
        Value::Text(group),
        Value::Integer(number),
        Value::Text(digest),
        Value::Text(component),
        Value::Integer(bytes),
        Value::Text(who),
        Value::Text(source),
        Value::Integer(created_at),
        Value::Text(grants),
        Value::Text(routes),
        Value::Text(imports),
    ] = row
    else {
        return Err(unreadable("revisions"));
    };
    Ok(Revision {
        tenant: tenant.clone(),
        group: group.clone(),
        number: *number,
        digest: digest.clone(),
        component: component.clone(),
        bytes: *bytes,
        who: who.clone(),
        source: source.clone(),
        created_at: *created_at,
        settings: BTreeMap::new(),
        grants: of_json(grants)?,
        routes: of_json(routes)?,
        imports: of_json(imports)?,
    })
}
