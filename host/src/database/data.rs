//! A tenant's data, opened when somebody first needs it: of many tenants, most are idle.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::{Database, Failure, Limits, Location, Migrations, Server, Step, Tables};

/// Where a tenant's data lies, and the data once it is open.
pub struct Data {
    server: Server,
    location: Location,
    limits: Limits,
    /// Whether the tables of the built-in API are in it.
    is_api: bool,
    key: [u8; 32],
    opened: OnceCell<Database>,
}

impl Data {
    /// The data at a place, one of several that share the server's connections. Of `key`, the passwords of its
    /// groups' roles are made.
    pub fn new(
        server: &Server,
        location: Location,
        limits: Limits,
        is_api: bool,
        key: [u8; 32],
    ) -> Arc<Self> {
        let server = server.clone();
        Arc::new(Data { server, location, limits, is_api, key, opened: OnceCell::new() })
    }

    /// All of it, as the host reaches it.
    ///
    /// # Errors
    /// A sentence that names the place and the remedy.
    pub async fn whole(&self) -> Result<&Database, String> {
        let open = || async {
            let migrations = if self.is_api { Migrations::api() } else { Migrations::none() };
            Database::open_at(&self.server, &self.location, self.limits, &migrations).await
        };
        self.opened.get_or_try_init(open).await
    }

    /// Removes it for good, with the roles of these groups. Whatever was opened of it must be closed.
    ///
    /// # Errors
    /// A sentence that names the place and what hinders.
    pub async fn remove(&self, groups: &[String]) -> Result<(), String> {
        Database::remove(&self.server, &self.location, &self.limits, groups).await
    }

    /// What is open of it by now.
    pub fn opened(&self) -> Option<&Database> {
        self.opened.get()
    }
}

/// A tenant's data as far as one of its groups may reach it. It lives as long as a revision of the group's.
pub struct Share {
    data: Arc<Data>,
    group: String,
    tables: Tables,
    /// What the revisions of the group reach that serve while this one is opened.
    serving: Tables,
    opened: OnceCell<Database>,
}

impl Share {
    /// The share of a group that may reach these tables, while another revision of it serves with `before`.
    pub fn new(data: &Arc<Data>, group: &str, tables: &Tables, before: Option<&Share>) -> Self {
        let (data, group, tables) = (Arc::clone(data), group.to_owned(), tables.clone());
        let serving = before.map(|before| before.tables.clone()).unwrap_or_default();
        Share { data, group, tables, serving, opened: OnceCell::new() }
    }

    /// Whether another one reaches the same tables of the same data.
    pub fn is_like(&self, other: &Share) -> bool {
        Arc::ptr_eq(&self.data, &other.data) && self.tables == other.tables
    }

    /// Opens it, unless it is open.
    ///
    /// # Errors
    /// A sentence that names a table which is not there, or what else is wrong, and the remedy.
    pub async fn open(&self) -> Result<&Database, String> {
        let open = || async {
            let whole = self.data.whole().await?;
            whole.for_group(&self.group, &self.tables, &self.serving, &self.data.key).await
        };
        self.opened.get_or_try_init(open).await
    }

    /// The database, for a request that needs it.
    ///
    /// # Errors
    /// [`Failure::Away`] where it cannot be opened.
    pub async fn get(&self) -> Result<&Database, Failure> {
        match self.opened.get() {
            Some(database) => Ok(database),
            None => self.open().await.map_err(Failure::Away),
        }
    }

    /// Has its tables take the steps that its component brings; says which were taken now.
    ///
    /// # Errors
    /// A sentence that names the step, what is wrong and what to do.
    pub async fn migrate(&self, steps: &[Step]) -> Result<Vec<String>, String> {
        self.data.whole().await?.apply(&self.group, steps, &self.tables).await
    }

    /// What statements through it may cost.
    pub fn limits(&self) -> &Limits {
        &self.data.limits
    }

    /// Connections of it that are in use.
    pub fn in_use(&self) -> usize {
        self.opened.get().map_or(0, Database::in_use)
    }

    /// Closes its connections, after those in use have been given back.
    pub async fn close(&self) {
        if let Some(database) = self.opened.get() {
            database.close().await;
        }
    }
}
