//! What a new database gets: the first admins, whose password is given or made up, never built in.

use crate::database::{Database, Failure, Value};
use crate::tenant::Tenant;

/// Letters and digits without those that people confuse.
const ALPHABET: &[u8; 56] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// The realms that get an admin, and what makes one of a user.
const ADMINS: [(&str, &str, Insert); 2] = [
    (
        "store",
        "INSERT INTO users (realm, name, username, email, phone, invitation_code, status, password, created_at, updated_at)
         VALUES ('store', 'Admin', 'admin', 'admin@admin.com', '12312312312', '999999', 1, $1, $2, $2)",
        "INSERT INTO user_roles (user_id, role_id)
         SELECT users.id, roles.id FROM users, roles
         WHERE users.realm = 'store' AND users.username = 'admin' AND roles.name = 'admin'",
    ),
    (
        "console",
        "INSERT INTO users (realm, name, username, status, password, created_at, updated_at)
         VALUES ('console', 'admin', 'admin', 1, $1, $2, $2)",
        "INSERT INTO console_users (user_id, position, level)
         SELECT id, 'admin', 1 FROM users WHERE realm = 'console' AND username = 'admin'",
    ),
];

/// A statement.
type Insert = &'static str;

/// Makes the first admin of each realm that has none; answers with their password if it was made up.
pub(super) async fn admins(
    tenant: &Tenant,
    password: Option<&str>,
) -> Result<Option<String>, String> {
    let cannot = |failure: Failure| format!("cannot make the first admins: {failure}");
    let mut missing = Vec::new();
    for admin in ADMINS {
        if !exists(tenant, admin.0).await.map_err(cannot)? {
            missing.push(admin);
        }
    }
    if missing.is_empty() {
        return Ok(None);
    }
    let made_up = password.is_none().then(made_up_password);
    let chosen = password.or(made_up.as_deref()).unwrap_or_default();
    let plain = chosen.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !plain || !(6..=16).contains(&chosen.len()) {
        return Err("WHARF_ADMIN_PASSWORD is not 6 to 16 letters, digits, dashes and underscores, and the API's sign-in takes no others; choose another one".into());
    }
    let hash = tenant.shared.hasher.hash(chosen.to_owned()).await;
    let hash = hash.map_err(|_| "cannot make the first admins: their password was not hashed in time; raise passwords.wait_milliseconds")?;
    for (_, user, rights) in missing {
        insert(tenant, user, rights, &hash).await.map_err(cannot)?;
    }
    Ok(made_up)
}

async fn data(tenant: &Tenant) -> Result<&Database, Failure> {
    tenant.shared.data.whole().await.map_err(Failure::Away)
}

async fn exists(tenant: &Tenant, realm: &str) -> Result<bool, Failure> {
    let sql = "SELECT 1 FROM users WHERE realm = $1 AND username = 'admin'";
    let found = data(tenant).await?.query(sql, vec![Value::Text(realm.to_owned())]).await?;
    Ok(!found.rows.is_empty())
}

async fn insert(tenant: &Tenant, user: Insert, rights: Insert, hash: &str) -> Result<(), Failure> {
    let mut transaction = data(tenant).await?.begin().await?;
    let now = tenant.shared.clock.now();
    transaction.execute(user, vec![Value::Text(hash.to_owned()), Value::Integer(now)]).await?;
    transaction.execute(rights, Vec::new()).await?;
    transaction.commit().await
}

/// 16 characters, each drawn evenly: bytes that would favour the first letters are thrown away.
fn made_up_password() -> String {
    let most = 256 / ALPHABET.len() * ALPHABET.len();
    let mut password = String::new();
    while password.len() < 16 {
        let mut byte = [0];
        getrandom::fill(&mut byte).expect("the operating system gives random bytes");
        if usize::from(byte[0]) < most {
            password.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    password
}
