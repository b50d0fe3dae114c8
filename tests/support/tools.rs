//! Real programs that tests use where they are installed. Where they are not, a test says so and passes,
//! unless the environment says that none may be missing.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Whether a program is there.
pub fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    let found = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        skip(program);
    }
    found
}

/// Tells that tests are left out for want of a program; fails where `WHARF_REQUIRE_ALL=1`.
pub fn skip(program: &str) {
    let required = std::env::var("WHARF_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!required, "{program} was not found, and WHARF_REQUIRE_ALL=1 lets no test be left out");
    // Written past the harness, which would keep it to itself while the test passes.
    let _ = writeln!(
        std::io::stderr(),
        "\nSKIPPED: tests that need {program}, which was not found; install it to run them\n"
    );
}
