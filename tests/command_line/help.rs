//! Help, completions, colours and exit codes.

use std::process::{Command, Output, Stdio};

use super::{Serving, folder, serve};
use crate::support::guests::{self, wharf};
use crate::support::tools;

/// Every command that does something, with the names that lead to it.
fn commands() -> Vec<(String, clap::Command)> {
    fn below(name: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
        let parts = command.get_subcommands().filter(|part| !part.is_hide_set());
        let parts: Vec<&clap::Command> = parts.filter(|part| part.get_name() != "help").collect();
        if parts.is_empty() {
            found.push((name.to_owned(), command.clone()));
        }
        for part in parts {
            below(format!("{name} {}", part.get_name()).trim(), part, found);
        }
    }
    let mut found = Vec::new();
    below("", &wharf::cli::command(), &mut found);
    assert!(found.len() > 25, "{}", found.len());
    found
}

/// Commands that list nothing: they do something, or print what a program reads in any case.
const NO_LISTINGS: [&str; 15] = [
    "new",
    "serve",
    "build",
    "dev",
    "schema",
    "import users",
    "export users",
    "tenant create",
    "tenant set",
    "tenant delete",
    "token revoke",
    "remove",
    "key new",
    "sign",
    "completions",
];

#[test]
fn every_listing_comes_as_json() {
    for (name, command) in commands() {
        let has_json = command.get_arguments().any(|argument| argument.get_id() == "json");
        let is_exception = NO_LISTINGS.contains(&&*name);
        assert!(
            has_json != is_exception,
            "wharf {name}: --json {has_json}, exception {is_exception}"
        );
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_command_without_a_word() {
    let mut command = wharf();
    let command = command.arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("wharf starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}

#[test]
fn every_command_has_an_example() {
    for (name, command) in commands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(
            help.contains("Example") && help.contains(&format!("wharf {name}")),
            "wharf {name}"
        );
        assert!(command.get_about().is_some(), "wharf {name} says what it does");
        for argument in command.get_arguments().filter(|it| it.get_id() != "help") {
            assert!(
                argument.get_help().is_some(),
                "wharf {name}: {} is explained",
                argument.get_id()
            );
        }
    }
}

#[test]
fn exit_codes_are_told_and_kept() {
    let ask = |arguments: &[&str]| wharf().args(arguments).output().expect("wharf runs");
    let help = ask(&["help"]);
    assert_eq!(help.status.code(), Some(0));
    let help = String::from_utf8(help.stdout).expect("text");
    for told in ["Exit codes:", "0  It is done", "1  It was refused", "2  It was called wrongly"] {
        assert!(help.contains(told), "{told} in: {help}");
    }
    assert_eq!(ask(&["schema"]).status.code(), Some(0));
    let failed = ask(&["sign", "nowhere.wasm"]);
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(String::from_utf8_lossy(&failed.stderr).starts_with("error: "));
    for wrong in [&["sign"][..], &["grant", "acme", "--revoke"], &["completions", "ksh"]] {
        assert_eq!(ask(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn what_is_mistyped_names_the_nearest() {
    for (arguments, nearest) in [
        (&["tenent", "list"][..], "'tenant'"),
        (&["log"], "'logs'"),
        (&["logs", "--folow"], "'--follow'"),
        (&["deploy", "a.wasm", "--tenat", "acme"], "'--tenant'"),
        (&["completions", "fsh"], "'fish'"),
    ] {
        let output = wharf().args(arguments).output().expect("wharf runs");
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("similar") && error.contains(nearest), "{arguments:?}: {error}");
    }
}

#[test]
fn shells_are_told_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = wharf().args(["completions", shell]).output().expect("wharf runs");
        assert_eq!(output.status.code(), Some(0));
        let script = String::from_utf8(output.stdout).expect("text");
        for (name, _) in commands() {
            let last = name.rsplit(' ').next().expect("a name");
            assert!(script.contains(last), "{shell}: {name}");
        }
        assert!(!script.contains('\u{1b}'));
    }
    // A real shell takes it, and completes.
    if !tools::is_installed("bash") {
        return;
    }
    let script = r#"
        source <("$0" completions bash)
        COMP_WORDS=(wharf tenant sh) COMP_CWORD=2
        _wharf wharf sh tenant
        printf '%s ' "${COMPREPLY[@]}""#;
    let output = Command::new("bash").args(["-c", script]).arg(guests::program()).output();
    let output = output.expect("bash runs");
    let completed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(completed.trim(), "show", "{}", String::from_utf8_lossy(&output.stderr));
}

/// Colours, and other commands of terminals.
fn is_coloured(output: &Output) -> bool {
    [&output.stdout, &output.stderr].into_iter().any(|text| text.contains(&0x1b))
}

#[test]
fn colours_are_for_terminals_alone() {
    let folder = folder();
    let doctor = || {
        let mut command = wharf();
        command.args(["doctor", "--listen", "127.0.0.1:0", "--admin", "off", "--data"]);
        command.arg(folder.path().join("data")).arg("--components").arg(guests::guest("hello"));
        command.arg("--cache").arg(guests::cache());
        command
    };
    let unknown = || {
        let mut command = wharf();
        command.arg("unknown");
        command
    };
    let failing = || {
        let mut command = wharf();
        command.args(["sign", "nowhere.wasm"]);
        command
    };
    let commands: [&dyn Fn() -> Command; 3] = [&doctor, &unknown, &failing];
    for command in commands {
        let with =
            |name: &str, value: &str| command().env(name, value).output().expect("wharf runs");
        assert!(!is_coloured(&with("TERM", "xterm-256color")), "a pipe is no terminal");
        assert!(is_coloured(&with("CLICOLOR_FORCE", "1")), "it can have colours");
        let forced = command().env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output();
        assert!(!is_coloured(&forced.expect("wharf runs")), "NO_COLOR does without");
        if tools::is_installed("script") {
            assert!(is_coloured(&on_terminal(&command(), &[])), "a terminal has colours");
            assert!(!is_coloured(&on_terminal(&command(), &[("NO_COLOR", "1")])));
            assert!(!is_coloured(&on_terminal(&command(), &[("TERM", "dumb")])));
        }
    }
}

/// What a command prints to a terminal, which `script` (util-linux) is here.
fn on_terminal(command: &Command, settings: &[(&str, &str)]) -> Output {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| format!("'{}'", word.to_str().expect("UTF-8")));
    let line = quoted.collect::<Vec<_>>().join(" ");
    let mut terminal = Command::new("script");
    guests::forget(&mut terminal);
    terminal.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm");
    terminal.envs(settings.iter().copied()).current_dir(guests::root());
    terminal.output().expect("script runs")
}

#[test]
fn the_log_of_a_host_is_coloured_on_terminals_alone() {
    for (settings, expected) in [
        (&[("CLICOLOR_FORCE", "1")][..], true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&[], false),
    ] {
        let folder = folder();
        let mut command = serve(folder.path(), &guests::guest("hello"));
        command.envs(settings.iter().copied());
        let (_, printed) = Serving::start(command).stop("TERM");
        assert!(printed.contains("loaded"), "{printed}");
        assert_eq!(printed.contains('\u{1b}'), expected, "{settings:?}: {printed}");
    }
}
