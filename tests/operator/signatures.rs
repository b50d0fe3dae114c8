//! Artifacts that have to be signed.

use std::process::{Command, Output};

use reqwest::Method;
use serde_json::json;

use super::{hello, host_with_acme};
use crate::support::guests::wharf;
use crate::support::{Ask as _, TestHost};

fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("wharf runs");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text").trim().to_owned()
}

/// Deploys a file; what is printed to either output.
fn deploy(host: &TestHost, file: &std::path::Path) -> (bool, String) {
    let mut command = wharf();
    command.arg("deploy").arg(file).args(["--tenant", "acme", "--host", &host.admin_origin()]);
    let output = command.arg("--data").arg(host.data()).output().expect("wharf runs");
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(printed).expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_demands_signatures_takes_those_of_its_key_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = host_with_acme().await;
    let at = |name: &str| host.folder().join(name);
    let public = run(wharf().args(["key", "new", "--out"]).arg(at("acme.key")));
    run(wharf().args(["key", "new", "--out"]).arg(at("other.key")));
    let mode = std::fs::metadata(at("acme.key")).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let written = std::fs::read_to_string(at("acme.key.pub")).expect("a file");
    assert_eq!(written.lines().nth(1), Some(public.as_str()));
    let again = wharf().args(["key", "new", "--out"]).arg(at("acme.key")).output();
    assert!(!again.expect("wharf runs").status.success(), "a key is not written over");
    let change = json!({ "signer": public });
    let changed = host.operate(Method::PATCH, "tenants/acme").json(&change).answer().await;
    assert_eq!(changed.status, 200, "{changed:?}");

    let file = at("hello.wasm");
    std::fs::write(&file, hello(0)).expect("the folder is writable");
    let sign = |key: &str| run(wharf().arg("sign").arg(&file).arg("--key").arg(at(key)));
    let (is_done, unsigned) = deploy(&host, &file);
    assert!(!is_done && unsigned.contains("sign"), "{unsigned}");
    sign("other.key");
    let (is_done, others) = deploy(&host, &file);
    assert!(!is_done && others.contains("signature"), "{others}");
    assert_eq!(sign("acme.key"), format!("{}.minisig", file.display()));
    let (is_done, signed) = deploy(&host, &file);
    assert!(is_done, "{signed}");
    // The same signature for other bytes.
    std::fs::write(&file, hello(1)).expect("the folder is writable");
    let (is_done, changed) = deploy(&host, &file);
    assert!(!is_done && changed.contains("signature"), "{changed}");
}

#[test]
fn a_key_with_a_password_takes_it() {
    use std::io::Write as _;
    use std::process::Stdio;
    let folder = tempfile::tempdir().expect("a folder");
    let (key, file) = (folder.path().join("a.key"), folder.path().join("a.wasm"));
    std::fs::write(&file, "anything").expect("the folder is writable");
    let with = |command: &mut Command, password: &str| {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("wharf runs");
        let mut input = child.stdin.take().expect("its input");
        writeln!(input, "{password}").expect("it reads");
        drop(input);
        child.wait_with_output().expect("it ends")
    };
    let made = with(wharf().args(["key", "new", "--password", "--out"]).arg(&key), "secret");
    assert!(made.status.success(), "{made:?}");
    let sign = || {
        let mut command = wharf();
        command.arg("sign").arg(&file).arg("--key").arg(&key);
        command
    };
    let without = sign().output().expect("wharf runs");
    let without = String::from_utf8(without.stderr).expect("text");
    assert!(without.contains("--password"), "{without}");
    let wrong = with(sign().arg("--password"), "wrong");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("is the password right?"), "{wrong:?}");
    let right = with(sign().arg("--password"), "secret");
    assert!(right.status.success(), "{right:?}");
    let public = std::fs::read_to_string(folder.path().join("a.key.pub")).expect("a file");
    let signature = std::fs::read_to_string(folder.path().join("a.wasm.minisig")).expect("a file");
    let public = public.lines().nth(1).expect("a key");
    wharf::registry::signature::verify(public, &signature, b"anything").expect("it is right");
    wharf::registry::signature::verify(public, &signature, b"something").expect_err("it is not");
}
