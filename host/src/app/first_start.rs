//! What a new database gets: the first admin, whose password is given or made up, never built in.

use crate::database::{Failure, Value};
use crate::tenant::Tenant;

/// Letters and digits without those that people confuse.
const ALPHABET: &[u8; 56] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Makes the first admin of the realm `store`, unless there is one; answers with the password if it was made up.
pub(super) async fn admins(
    tenant: &Tenant,
    password: Option<&str>,
) -> Result<Option<String>, String> {
    if exists(tenant).await.map_err(|failure| cannot(&failure))? {
        return Ok(None);
    }
    let made_up = password.is_none().then(made_up_password);
    let chosen = password.or(made_up.as_deref()).unwrap_or_default();
    if chosen.chars().count() < 6 {
        return Err("WHARF_ADMIN_PASSWORD is shorter than 6 characters; choose a longer one".into());
    }
    let hash = tenant.shared.hasher.hash(chosen.to_owned()).await;
    insert(tenant, hash).await.map_err(|failure| cannot(&failure))?;
    Ok(made_up)
}

fn cannot(failure: &Failure) -> String {
    format!("cannot make the first admin: {failure}")
}

async fn exists(tenant: &Tenant) -> Result<bool, Failure> {
    let found = tenant
        .shared
        .database
        .query("SELECT 1 FROM users WHERE realm = 'store' AND username = 'admin'", Vec::new())
        .await?;
    Ok(!found.rows.is_empty())
}

async fn insert(tenant: &Tenant, hash: String) -> Result<(), Failure> {
    let mut transaction = tenant.shared.database.begin().await?;
    transaction
        .execute(
            "INSERT INTO users (realm, name, username, email, phone, invitation_code, status, password, created_at, updated_at)
             VALUES ('store', 'Admin', 'admin', 'admin@admin.com', '12312312312', '999999', 1, $1, $2, $2)",
            vec![Value::Text(hash), Value::Integer(tenant.shared.clock.now())],
        )
        .await?;
    transaction
        .execute(
            "INSERT INTO user_roles (user_id, role_id)
             SELECT users.id, roles.id FROM users, roles
             WHERE users.realm = 'store' AND users.username = 'admin' AND roles.name = 'admin'",
            Vec::new(),
        )
        .await?;
    transaction.commit().await
}

/// 20 characters, each drawn evenly: bytes that would favour the first letters are thrown away.
fn made_up_password() -> String {
    let most = 256 / ALPHABET.len() * ALPHABET.len();
    let mut password = String::new();
    while password.len() < 20 {
        let mut byte = [0];
        getrandom::fill(&mut byte).expect("the operating system gives random bytes");
        if usize::from(byte[0]) < most {
            password.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    password
}
