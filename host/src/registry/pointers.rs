//! Which revision of a group answers, and what became of it.

use super::rows::{integer, json, of_json, optional, text, unreadable};
use super::{Change, Error, Event, Kind, Pointer, Registry};
use crate::clock::rfc3339;
use crate::database::{Failure, Rows, Value};

/// Events that are kept of each group. Those of the last hour are kept in any case: they are counted.
const EVENTS: i64 = 200;

const COLUMNS: &str = "SELECT tenant, group_name, active, canary, changes FROM pointers";

impl Registry {
    /// The pointers of a tenant's groups, or of all tenants', also of groups that were removed.
    pub async fn pointers(&self, tenant: Option<&str>) -> Result<Vec<Pointer>, Failure> {
        let (sql, values) = match tenant {
            Some(tenant) => ("WHERE tenant = $1 ORDER BY group_name", vec![text(tenant)]),
            None => ("ORDER BY tenant, group_name", Vec::new()),
        };
        let rows = self.database.query(&format!("{COLUMNS} {sql}"), values).await?;
        rows.rows.iter().map(|row| of_row(row)).collect()
    }

    /// The pointer of a group; one that points nowhere if the group was never deployed.
    pub async fn pointer(&self, tenant: &str, group: &str) -> Result<Pointer, Failure> {
        let sql = format!("{COLUMNS} WHERE tenant = $1 AND group_name = $2");
        let rows = self.database.query(&sql, vec![text(tenant), text(group)]).await?;
        first(&rows, (tenant, group))
    }

    /// Moves a pointer from `base`, which was looked at, to `to`, whose `changes` are of no matter.
    ///
    /// # Errors
    /// It is not `base` any more, or a revision is not kept any more.
    pub async fn point(
        &self,
        tenant: &str,
        group: &str,
        base: &Pointer,
        to: &Pointer,
        event: Event,
    ) -> Result<(), Error> {
        let (mut change, _) = self.begin_of(tenant).await?;
        let now = read(&mut change, (tenant, group)).await?;
        unchanged(&mut change, &now, base.changes).await?;
        let canary = to.canary.as_ref().map(|canary| canary.revision);
        for number in [to.active, canary].into_iter().flatten() {
            kept(&mut change, (tenant, group), number).await?;
        }
        let to = Pointer { changes: now.changes, ..to.clone() };
        write(&mut change, (tenant, group), &to).await?;
        note(&mut change, (tenant, group), &event).await?;
        Ok(change.commit().await?)
    }

    /// Takes a group offline. Its revisions stay, and so does its history.
    ///
    /// # Errors
    /// There is no such group.
    pub async fn remove_group(&self, tenant: &str, group: &str, event: Event) -> Result<(), Error> {
        let (mut change, _) = self.begin_of(tenant).await?;
        let now = read(&mut change, (tenant, group)).await?;
        if now.active.is_none() {
            return Err(Error::refused(
                Kind::Missing,
                format!("tenant {tenant} has no group {group} that answers"),
                format!("look at `wharf tenant show {tenant}`"),
            ));
        }
        let to = Pointer { active: None, canary: None, ..now };
        write(&mut change, (tenant, group), &to).await?;
        note(&mut change, (tenant, group), &event).await?;
        Ok(change.commit().await?)
    }

    /// What became of a group, newest first.
    pub async fn history(&self, tenant: &str, group: &str) -> Result<Vec<Event>, Failure> {
        let sql = "SELECT at, who, what, from_revision, to_revision, why FROM revision_events
             WHERE tenant = $1 AND group_name = $2 ORDER BY id DESC LIMIT $3";
        let most = Value::Integer(EVENTS);
        let rows = self.database.query(sql, vec![text(tenant), text(group), most]).await?;
        rows.rows.iter().map(|row| event_of(row)).collect()
    }
}

/// The pointer of a group as it is within a change.
pub(super) async fn read(
    change: &mut Change,
    (tenant, group): (&str, &str),
) -> Result<Pointer, Failure> {
    let sql = format!("{COLUMNS} WHERE tenant = $1 AND group_name = $2");
    let rows = change.query(&sql, vec![text(tenant), text(group)]).await?;
    first(&rows, (tenant, group))
}

/// Puts a pointer in the place of what it was read as, and counts the change.
pub(super) async fn write(
    change: &mut Change,
    (tenant, group): (&str, &str),
    to: &Pointer,
) -> Result<(), Failure> {
    let sql = "INSERT INTO pointers (tenant, group_name, active, canary, changes) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant, group_name) DO UPDATE SET active = excluded.active, canary = excluded.canary, changes = excluded.changes";
    let canary = to.canary.as_ref().map_or(Value::Null, json);
    let values = vec![
        text(tenant),
        text(group),
        optional(to.active),
        canary,
        Value::Integer(to.changes.saturating_add(1)),
    ];
    change.execute(sql, values).await.map(drop)
}

/// Refuses to change a pointer that is not the one that was looked at.
pub(super) async fn unchanged(change: &mut Change, now: &Pointer, base: i64) -> Result<(), Error> {
    if now.changes == base {
        return Ok(());
    }
    let Pointer { tenant, group, .. } = now;
    let sql = "SELECT at, who, what, from_revision, to_revision, why FROM revision_events
         WHERE tenant = $1 AND group_name = $2 ORDER BY id DESC LIMIT 1";
    let rows = change.query(sql, vec![text(tenant), text(group)]).await?;
    let last = rows.rows.first().map(|row| event_of(row)).transpose()?;
    let what = last.map_or_else(String::new, |event| {
        let revision = event.to.map(|to| format!(": now revision {to}")).unwrap_or_default();
        format!(": {} at {} by {}{revision}", event.what, rfc3339(event.at), event.who)
    });
    Err(Error::refused(
        Kind::Changed,
        format!("group {group} of tenant {tenant} was changed since you began{what}"),
        format!(
            "look at `wharf revisions {group} --tenant {tenant}` and `wharf diff`, then try again"
        ),
    ))
}

/// Refuses a revision that is not kept.
async fn kept(
    change: &mut Change,
    (tenant, group): (&str, &str),
    number: i64,
) -> Result<(), Error> {
    let sql = "SELECT number FROM revisions WHERE tenant = $1 AND group_name = $2 ORDER BY number";
    let rows = change.query(sql, vec![text(tenant), text(group)]).await?;
    let numbers: Vec<i64> =
        rows.rows.iter().filter_map(|row| row.first().and_then(integer)).collect();
    if numbers.contains(&number) {
        return Ok(());
    }
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let remedy = match numbers.as_slice() {
        [] => "deploy it first".to_owned(),
        numbers => format!("those that are kept are {}", numbers.join(", ")),
    };
    let message = format!("group {group} of tenant {tenant} has no revision {number}");
    Err(Error::refused(Kind::Missing, message, remedy))
}

/// Appends to the history of a group, which does not grow without end.
pub(super) async fn note(
    change: &mut Change,
    (tenant, group): (&str, &str),
    event: &Event,
) -> Result<(), Failure> {
    let sql = "INSERT INTO revision_events (tenant, group_name, at, who, what, from_revision, to_revision, why)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = vec![
        text(tenant),
        text(group),
        Value::Integer(event.at),
        text(&event.who),
        text(&event.what),
        optional(event.from),
        optional(event.to),
        text(&event.why),
    ];
    change.execute(sql, values).await?;
    let sql = "DELETE FROM revision_events WHERE tenant = $1 AND group_name = $2 AND at <= $3 AND id NOT IN (
             SELECT id FROM revision_events WHERE tenant = $1 AND group_name = $2 ORDER BY id DESC LIMIT $4)";
    let counted = Value::Integer(event.at - super::revisions::HOUR);
    let values = vec![text(tenant), text(group), counted, Value::Integer(EVENTS)];
    change.execute(sql, values).await.map(drop)
}

fn first(rows: &Rows, (tenant, group): (&str, &str)) -> Result<Pointer, Failure> {
    let nowhere = || {
        let (tenant, group) = (tenant.to_owned(), group.to_owned());
        Ok(Pointer { tenant, group, ..Pointer::default() })
    };
    rows.rows.first().map_or_else(nowhere, |row| of_row(row))
}

fn of_row(row: &[Value]) -> Result<Pointer, Failure> {
    let [Value::Text(tenant), Value::Text(group), active, canary, Value::Integer(changes)] = row
    else {
        return Err(unreadable("pointers"));
    };
    let canary = match canary {
        Value::Text(canary) => Some(of_json(canary)?),
        _ => None,
    };
    Ok(Pointer {
        tenant: tenant.clone(),
        group: group.clone(),
        active: integer(active),
        canary,
        changes: *changes,
    })
}

fn event_of(row: &[Value]) -> Result<Event, Failure> {
    let [Value::Integer(at), Value::Text(who), Value::Text(what), from, to, Value::Text(why)] = row
    else {
        return Err(unreadable("revision_events"));
    };
    Ok(Event {
        at: *at,
        who: who.clone(),
        what: what.clone(),
        from: integer(from),
        to: integer(to),
        why: why.clone(),
    })
}
