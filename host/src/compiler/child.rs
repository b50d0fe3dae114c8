//! The process that compiles: the same program, with a hidden command, nothing of the host's in its
//! environment, and limits on what it may take. It reads a component from its standard input and writes
//! to its standard output how many bytes of machine code it makes of it, these, and the table of its source's lines.

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, Signal};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::Config;
use super::lines::{self, Lines};
use crate::instance::{Costs, Engine};

/// The command that the child is called with.
pub const COMMAND: &str = "compile-component";

/// The allocator would take a gibibyte of address space at once, in KiB; this much at a time is enough.
const ALLOCATOR: (&str, &str) = ("MIMALLOC_ARENA_RESERVE", "65536");

/// Bytes of what the child says when it fails.
const LONGEST_REASON: u64 = 4096;

/// What the child bounds itself to before it looks at the component.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of address space.
    pub memory_bytes: u64,
    /// Seconds of processor time.
    pub processor_seconds: u64,
}

/// Has a child compile a component; gives back what it makes, which [`apart`] takes apart.
///
/// # Errors
/// What is wrong with the component, or which limit it met.
pub(super) async fn run(
    program: &Path,
    config: Config,
    costs: Costs,
    bytes: &[u8],
) -> Result<Vec<u8>, String> {
    let mut child = Command::new(program)
        .arg(COMMAND)
        .args(["--memory-bytes", &config.memory_bytes.to_string()])
        .args(["--processor-seconds", &config.processor_seconds.to_string()])
        .args((costs == Costs::Counted).then_some("--count-costs"))
        .env_clear()
        .env(ALLOCATOR.0, ALLOCATOR.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot start the compiler {}: {error}", program.display()))?;
    let (input, code, reason) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let most = u64::try_from(config.artifact_bytes).unwrap_or(u64::MAX);
    let work = async {
        let send = async {
            if let Some(mut input) = input {
                // A child that has given up reads no further, and says why.
                let _ = input.write_all(bytes).await;
            }
        };
        let ((), stdout, stderr) =
            tokio::join!(send, up_to(most + 1, code), up_to(LONGEST_REASON, reason));
        let status = child.wait().await?;
        Ok::<_, std::io::Error>(Output { status, stdout: stdout?, stderr: stderr? })
    };
    let output = tokio::time::timeout(Duration::from_secs(config.seconds), work)
        .await
        .map_err(|_| {
            format!("compiling it took longer than {} s (compile.seconds)", config.seconds)
        })?
        .map_err(|error| format!("the compiler broke off: {error}"))?;
    if output.stdout.len() > config.artifact_bytes {
        return Err(format!(
            "it becomes more than {most} bytes of machine code (compile.artifact_bytes)"
        ));
    }
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(refusal(output.status, &String::from_utf8_lossy(&output.stderr), config))
}

/// Machine code, and the table of the lines that it comes from; `None` if these are no bytes of a child's.
pub(super) fn apart(made: &[u8]) -> Option<(&[u8], Lines)> {
    let (length, made) = made.split_first_chunk()?;
    let (code, table) =
        made.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    Some((code, Lines::new(Bytes::copy_from_slice(table))))
}

/// Reads so many bytes at most, and then closes, so that whoever writes more stops.
async fn up_to(most: u64, from: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(from) = from {
        from.take(most).read_to_end(&mut read).await?;
    }
    Ok(read)
}

/// Why a child has not compiled.
fn refusal(status: ExitStatus, said: &str, config: Config) -> String {
    let out_of_memory = said.contains("memory allocation") || said.contains("Cannot allocate");
    if status.signal() == Some(Signal::XCPU.as_raw()) {
        return format!(
            "compiling it took more than {} s of processor time (compile.processor_seconds)",
            config.processor_seconds
        );
    }
    if out_of_memory {
        return format!(
            "compiling it took more than {} bytes of memory (compile.memory_bytes)",
            config.memory_bytes
        );
    }
    match status.code() {
        Some(1) => said.trim().to_owned(),
        _ => format!("the compiler stopped ({status}): {}", said.trim()),
    }
}

/// What the child does: all of it happens in a process of its own.
///
/// # Errors
/// What is wrong with the component.
pub fn compile(bounds: Bounds, costs: Costs) -> Result<(), String> {
    bound(bounds).map_err(|error| format!("cannot bound the compiler: {error}"))?;
    let mut component = Vec::new();
    std::io::stdin()
        .read_to_end(&mut component)
        .map_err(|error| format!("cannot read the component: {error}"))?;
    let code = Engine::compile(&component, costs)?;
    let made = [&(code.len() as u64).to_le_bytes()[..], &code, &lines::table(&component)].concat();
    std::io::stdout()
        .write_all(&made)
        .map_err(|error| format!("cannot hand the machine code over: {error}"))
}

fn bound(bounds: Bounds) -> rustix::io::Result<()> {
    use rustix::process as own;
    let to = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    own::setrlimit(Resource::As, to(bounds.memory_bytes))?;
    // The signal at the first limit says which it was; the second cannot be survived.
    let (current, maximum) = (bounds.processor_seconds, bounds.processor_seconds + 1);
    let processor = Rlimit { current: Some(current), maximum: Some(maximum) };
    own::setrlimit(Resource::Cpu, processor)?;
    own::setrlimit(Resource::Core, to(0))?;
    own::setrlimit(Resource::Fsize, to(0))?;
    // Requests come first; and when the host is gone, nobody waits for the result.
    own::nice(10)?;
    #[cfg(target_os = "linux")]
    own::set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}
