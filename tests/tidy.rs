//! Who may know what: the rules of the house, held against its source.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::guests::root;

/// Every Rust file below a folder, with its path relative to the folder and its code without comments.
fn sources(folder: &str) -> Vec<(String, String)> {
    let base = root().join(folder);
    let mut found = Vec::new();
    let mut folders = vec![base.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((relative(&path, &base), code(&path)));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds sources");
    found
}

fn relative(path: &Path, base: &Path) -> String {
    path.strip_prefix(base).expect("a path below").to_string_lossy().into_owned()
}

fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a file");
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether the code names a crate or module as a word of a path.
fn names(code: &str, name: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

/// That only these rooms, and the files below them, name a crate.
#[track_caller]
fn assert_only(name: &str, rooms: &[&str]) {
    for (file, code) in sources("host/src") {
        let room = file.split(['/', '.']).next().unwrap_or_default();
        if !rooms.contains(&room) {
            assert!(
                !names(&code, name),
                "host/src/{file} names {name}; only {} may",
                rooms.join(", ")
            );
        }
    }
}

#[test]
fn only_a_few_rooms_know_wasmtime() {
    assert_only("wasmtime", &["bindings", "capabilities", "compiler", "instance"]);
    assert_only("wasmtime_wasi", &["capabilities"]);
    assert_only("wasmtime_wasi_http", &["capabilities", "instance"]);
}

#[test]
fn only_a_few_rooms_ask_the_system_for_limits() {
    assert_only("rustix", &["build", "capabilities", "cli", "compiler"]);
}

#[test]
fn only_the_database_knows_sqlx() {
    assert_only("sqlx", &["database", "cli"]);
    for name in ["libsqlite3_sys", "pbkdf2", "sqlparser"] {
        assert_only(name, &["database"]);
    }
}

#[test]
fn only_the_corridor_and_calls_to_other_hosts_know_hyper() {
    assert_only("hyper", &["listener", "request", "response", "admin", "cli", "outbound"]);
    assert_only("hyper_util", &["listener", "outbound"]);
    // What `wasi:http` takes and gives are bodies.
    assert_only("http_body_util", &["request", "response", "capabilities", "instance"]);
    assert_only("http_body", &["instance"]);
}

#[test]
fn only_one_room_knows_where_files_lie_how_requests_are_counted_and_what_the_time_is_elsewhere() {
    assert_only("object_store", &["blobs"]);
    assert_only("governor", &["admission"]);
    assert_only("jiff", &["clock", "users"]);
    assert_only("csv", &["users", "cli"]);
}

#[test]
fn only_the_listener_and_calls_to_other_hosts_know_tls_and_how_http_is_parsed() {
    for name in ["rustls", "tokio_rustls"] {
        assert_only(name, &["listener", "outbound"]);
    }
    for name in ["httparse", "memchr"] {
        assert_only(name, &["listener"]);
    }
    assert_only("webpki_roots", &["outbound"]);
    // The command line makes the certificate that `wharf dev --tls` serves with.
    assert_only("rcgen", &["cli"]);
}

#[test]
fn only_the_admin_api_knows_axum_and_only_the_command_line_asks_it() {
    assert_only("axum", &["admin"]);
    assert_only("tower_service", &["admin"]);
    assert_only("reqwest", &["cli", "testing"]);
    assert_only("indicatif", &["cli"]);
}

#[test]
fn only_one_room_knows_how_components_are_built_and_who_saves_their_sources() {
    for name in ["cargo_metadata", "WalkBuilder"] {
        assert_only(name, &["build"]);
    }
    assert_only("notify", &["dev"]);
    assert_only("ansi_to_html", &["response"]);
}

#[test]
fn only_the_compiler_reads_debug_information_and_only_the_command_line_paints() {
    assert_only("addr2line", &["compiler"]);
    assert_only("rustc_demangle", &["instance"]);
    for name in ["anstyle", "clap", "clap_complete"] {
        assert_only(name, &["cli"]);
    }
    // What compilers say is seen in the terminal, and where a group answers with it.
    assert_only("anstream", &["build", "cli", "dev", "response"]);
    // What strangers write is made plain in one room.
    assert_only("escape_default", &["plain"]);
}

#[test]
fn only_identity_knows_how_tokens_are_signed() {
    assert_only("jsonwebtoken", &["identity"]);
}

#[test]
fn only_the_registry_knows_how_secrets_are_encrypted_and_signatures_verified() {
    assert_only("aws_lc_rs", &["registry", "listener", "outbound"]);
    assert_only("minisign_verify", &["registry"]);
    // The command line makes keys and signatures, and the registry's errors name the tool.
    assert_only("minisign", &["cli", "registry"]);
}

#[test]
fn a_capability_knows_no_other_and_nothing_of_http() {
    let rooms: Vec<(String, String)> = sources("host/src/capabilities");
    for (file, code) in &rooms {
        for (other, _) in rooms.iter().filter(|(other, _)| other != file) {
            let other = other.trim_end_matches(".rs");
            for path in [format!("super::{other}"), format!("capabilities::{other}")] {
                assert!(!code.contains(&path), "capabilities/{file} imports {path}");
            }
        }
        for name in ["hyper", "router", "request::", "StatusCode", "listener"] {
            assert!(!code.contains(name), "capabilities/{file} names {name}");
        }
    }
}

#[test]
fn host_and_components_meet_in_the_wit_package_alone() {
    for (file, code) in sources("host/src") {
        for name in ["wharf_kit", "wharf_kit_macros", "wharf_realms"] {
            assert!(!names(&code, name), "host/src/{file} names {name}");
        }
    }
    for (file, code) in sources("components") {
        for name in ["wharf::", "wasmtime", "sqlx", "hyper", "host/src"] {
            assert!(
                !code.contains(name)
                    || (name == "wharf::"
                        && code.replace("wharf::plugin", "").find(name).is_none()),
                "components/{file} names {name}"
            );
        }
    }
}

/// It is for everybody's components, as a crate that is published would be.
#[test]
fn the_kit_knows_nothing_of_the_realms_that_the_built_in_groups_serve() {
    for crate_of_it in ["kit", "kit-macros"] {
        let folder = format!("components/{crate_of_it}");
        for (file, code) in sources(&folder) {
            for name in ["wharf_realms", "STORE", "CLINIC", "CONSOLE", "clinic", "console"] {
                assert!(!names(&code, name), "{folder}/{file} names {name}");
            }
        }
        let manifest = std::fs::read_to_string(root().join(&folder).join("Cargo.toml"));
        assert!(!manifest.expect("a manifest").contains("realms"), "{folder} depends on realms");
    }
}

/// A package of the kit holds what lies in its folder: a link in the repository, and never a copy that differs.
#[test]
fn the_kit_carries_the_interfaces_of_the_host() {
    let files = |folder: &str| -> Vec<(String, String)> {
        let entries = std::fs::read_dir(root().join(folder)).expect("a folder").flatten();
        let mut files: Vec<_> = entries
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, std::fs::read_to_string(entry.path()).expect("a file"))
            })
            .collect();
        files.sort();
        files
    };
    assert_eq!(files("components/kit/wit"), files("wit"));
}

#[test]
fn there_is_no_unsafe_code_without_a_reason() {
    for (file, code) in sources("host/src") {
        let unsafe_blocks = code.matches("unsafe {").count();
        let text = std::fs::read_to_string(root().join("host/src").join(&file)).expect("a file");
        assert_eq!(text.matches("// SAFETY:").count(), unsafe_blocks, "host/src/{file}");
    }
}

#[test]
fn the_top_level_holds_what_it_should() {
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "SECURITY.md",
        "components",
        "fuzz",
        "host",
        "migrations",
        "tests",
        "wharf-plugin.schema.json",
        "wharf.example.toml",
        "wit",
    ];
    let top = top_level();
    let top: BTreeSet<&str> =
        top.iter().map(String::as_str).filter(|name| !name.starts_with('.')).collect();
    assert_eq!(top, BTreeSet::from(expected));
}

/// What git knows of the top level; outside of a clone, what lies there but for what is built.
fn top_level() -> BTreeSet<String> {
    let listed = Command::new("git").args(["ls-files"]).current_dir(root()).output();
    if let Some(listed) = listed.ok().filter(|listed| listed.status.success()) {
        let files = String::from_utf8_lossy(&listed.stdout).into_owned();
        return files.lines().filter_map(|file| Some(file.split('/').next()?.to_owned())).collect();
    }
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let entries = std::fs::read_dir(root()).expect("the root").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !ignored.contains(&name.as_str())).collect()
}

#[test]
fn both_databases_have_the_same_steps() {
    let steps = |engine: &str| -> Vec<PathBuf> {
        let base = root().join("migrations").join(engine);
        let mut steps = Vec::new();
        for owner in ["host", "api"] {
            let entries = std::fs::read_dir(base.join(owner)).expect("a folder").flatten();
            steps.extend(entries.map(|entry| Path::new(owner).join(entry.file_name())));
        }
        steps.sort();
        steps
    };
    assert_eq!(steps("sqlite"), steps("postgres"));
}

/// The promises of SECURITY.md are as good as the tests that they name.
#[test]
fn every_test_that_security_md_names_is_there() {
    let tests: String = sources("tests").into_iter().map(|(_, code)| code).collect();
    let text = std::fs::read_to_string(root().join("SECURITY.md")).expect("a file");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.contains("| tests |"));
    let mut promises = 0;
    for row in rows {
        let named = row.rsplit('|').nth(1).unwrap_or_default();
        let is_name = |name: &&str| name.contains('_') && !name.contains([' ', '=', '/', '.']);
        let names: Vec<&str> = named.split('`').skip(1).step_by(2).filter(is_name).collect();
        assert!(!names.is_empty(), "no test is named: {row}");
        for name in names {
            assert!(
                tests.contains(&format!("fn {name}(")),
                "SECURITY.md names {name}, which is no test"
            );
        }
        promises += 1;
    }
    assert!(promises > 10, "the tables were read");
}
