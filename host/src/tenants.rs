//! All tenants, by host name. Replaced as a whole when one of them comes, goes or changes its host names, so
//! that no request ever waits for that.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::tenant::{DEFAULT, Tenant};

/// All tenants of a host.
pub struct Tenants {
    book: ArcSwap<Book>,
    /// Held while the book is replaced.
    writing: Mutex<()>,
}

/// Who is who at one moment.
struct Book {
    by_name: BTreeMap<String, Arc<Tenant>>,
    by_host: HashMap<String, Arc<Tenant>>,
    /// By what follows the asterisk, with its dot: `.example.org`.
    by_suffix: HashMap<String, Arc<Tenant>>,
    /// Whose requests are those for any other host name.
    default: Arc<Tenant>,
}

impl Tenants {
    /// The default tenant alone.
    pub fn new(default: Arc<Tenant>) -> Self {
        let by_name = BTreeMap::from([(DEFAULT.to_owned(), default)]);
        Tenants { book: ArcSwap::from_pointee(Book::new(by_name)), writing: Mutex::new(()) }
    }

    /// Whose request it is that was sent to this authority (RFC 3986, section 3.2), as the client wrote it.
    pub fn of_authority(&self, authority: &str) -> Arc<Tenant> {
        let book = self.book.load();
        if book.by_name.len() == 1 {
            return Arc::clone(&book.default);
        }
        Arc::clone(book.of_host(&host(authority)))
    }

    /// The tenant that requests without a known host name belong to.
    pub fn default(&self) -> Arc<Tenant> {
        Arc::clone(&self.book.load().default)
    }

    /// The tenant of this name.
    pub fn named(&self, name: &str) -> Option<Arc<Tenant>> {
        self.book.load().by_name.get(name).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        self.book.load().by_name.values().cloned().collect()
    }

    /// Enters a tenant, in place of an earlier one of its name.
    pub fn put(&self, tenant: Arc<Tenant>) {
        self.change(|tenants| tenants.insert(tenant.name.clone(), tenant));
    }

    /// Takes a tenant out, whose requests in flight are still answered.
    pub fn remove(&self, name: &str) -> Option<Arc<Tenant>> {
        self.change(|tenants| if name == DEFAULT { None } else { tenants.remove(name) })
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Arc<Tenant>>) -> T) -> T {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_name = self.book.load().by_name.clone();
        let changed = change(&mut by_name);
        self.book.store(Arc::new(Book::new(by_name)));
        changed
    }
}

impl Book {
    fn new(by_name: BTreeMap<String, Arc<Tenant>>) -> Self {
        let (mut by_host, mut by_suffix) = (HashMap::new(), HashMap::new());
        for tenant in by_name.values() {
            for host in &tenant.hosts {
                match host.strip_prefix('*') {
                    Some(suffix) => by_suffix.insert(suffix.to_owned(), Arc::clone(tenant)),
                    None => by_host.insert(host.clone(), Arc::clone(tenant)),
                };
            }
        }
        let default = Arc::clone(by_name.get(DEFAULT).expect("the default tenant is always there"));
        Book { by_name, by_host, by_suffix, default }
    }

    fn of_host(&self, host: &str) -> &Arc<Tenant> {
        if let Some(tenant) = self.by_host.get(host) {
            return tenant;
        }
        let mut dots = host.match_indices('.').map(|(dot, _)| &host[dot..]);
        dots.find_map(|suffix| self.by_suffix.get(suffix)).unwrap_or(&self.default)
    }
}

/// The host name of an authority: without the port and a dot at its end, in lower case.
fn host(authority: &str) -> Cow<'_, str> {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(host.to_ascii_lowercase());
    }
    Cow::Borrowed(host)
}
