//! A host for tests that are programs of their own, in whichever language.
//!
//! It says on standard output where it listens, as a line of JSON, and answers each line of standard input with
//! one: `{"url": "http://127.0.0.1:PORT"}` comes first, `{"advance": SECONDS}` moves its clock and is answered
//! `{}`, `{"token": {"realm": …, "id": …, "name": …, "roles": […]}}` is answered `{"token": TEXT}`, and what
//! is none of these `{"error": WHY}`. It stops at the end of its input, so also when the tests are gone.

use std::io::Write as _;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::Setting;
use super::script::User;
use super::stage::Stage;

/// What tests ask of their host beside requests.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Command {
    Advance(i64),
    Token(User),
}

/// Serves one fresh host until standard input ends. `tests` is the folder of the component's tests.
///
/// # Errors
/// A sentence that names what hinders.
pub async fn serve(setting: &Setting, tests: &Path) -> Result<(), String> {
    let stage = Stage::set(setting, tests).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut answer = json!({ "url": stage.origin() });
    // Whoever listens no more has ended.
    while writeln!(std::io::stdout(), "{answer}").is_ok() {
        match lines.next_line().await {
            Ok(Some(line)) => answer = obey(&stage, &line).await,
            Ok(None) | Err(_) => break,
        }
    }
    stage.clear().await;
    Ok(())
}

async fn obey(stage: &Stage, line: &str) -> Value {
    match serde_json::from_str(line) {
        Ok(Command::Advance(seconds)) => {
            stage.advance(seconds);
            json!({})
        }
        Ok(Command::Token(user)) => match stage.token(&user).await {
            Ok(token) => json!({ "token": token }),
            Err(why) => json!({ "error": why }),
        },
        Err(error) => json!({ "error": error.to_string() }),
    }
}
