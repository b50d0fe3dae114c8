//! Why a call gave no response, in the words of whoever can do something about it, and where the guest was.

use std::fmt;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::capabilities::Guest;
use crate::compiler::Lines;
use crate::logs::{self, Blame, Frame, one_line};

/// Functions of a backtrace that are told, besides those that were inlined into them.
pub(super) const FRAMES: usize = 32;

/// Why a call gave no response, for the log.
#[derive(Debug)]
pub struct CallFailed {
    /// Who is the reason: the component, unless the host is.
    pub blame: Blame,
    /// What happened.
    pub cause: String,
    /// What the component was running, innermost first.
    pub backtrace: Vec<Frame>,
}

impl CallFailed {
    /// A component does what it may not.
    pub fn guests(cause: impl Into<String>) -> Self {
        CallFailed { blame: Blame::Guest, cause: cause.into(), backtrace: Vec::new() }
    }

    /// The host cannot do what it should.
    pub fn hosts(cause: impl Into<String>) -> Self {
        CallFailed { blame: Blame::Host, ..CallFailed::guests(cause) }
    }

    /// What wasmtime says of a call: the setting that was met comes first, then the innermost reason, since the
    /// outer ones repeat that a function was called.
    pub(super) fn of(error: &wasmtime::Error, guest: &Guest) -> Self {
        let backtrace = error.downcast_ref::<WasmBacktrace>();
        let told = backtrace.map(ToString::to_string);
        let reasons: Vec<String> = error.chain().map(ToString::to_string).collect();
        // The backtrace is told apart from the reasons.
        let mut reasons: Vec<&str> = reasons
            .iter()
            .map(String::as_str)
            .filter(|reason| told.as_deref() != Some(reason))
            .collect();
        let trap = error.downcast_ref::<Trap>().map(ToString::to_string);
        if let Some(trap) = trap.as_deref().filter(|trap| reasons.first() != Some(trap)) {
            reasons.retain(|reason| *reason != trap);
            reasons.insert(0, trap);
        }
        let cause = reasons.join(": ");
        let too_much_copied = cause.contains("fuel allocated for hostcalls");
        let met =
            guest.allocations.refused().or(too_much_copied.then_some("limits.host_call_bytes"));
        let is_full = error.is::<PoolConcurrencyLimitError>();
        CallFailed {
            blame: if is_full { Blame::Host } else { Blame::Guest },
            cause: match met {
                Some(setting) => format!("it asked for more than it may ({setting}); {cause}"),
                None => cause,
            },
            backtrace: backtrace
                .map(|backtrace| frames(backtrace, &guest.group.lines))
                .unwrap_or_default(),
        }
    }

    /// The same, for the log.
    pub fn as_failed(&self) -> logs::Failed<'_> {
        logs::Failed { blame: self.blame, cause: &self.cause, backtrace: &self.backtrace }
    }
}

impl fmt::Display for CallFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        if self.backtrace.is_empty() {
            Ok(())
        } else {
            write!(f, ", in {}", one_line(&self.backtrace))
        }
    }
}

impl std::error::Error for CallFailed {}

/// The functions of a backtrace: as they stand in the source, each with those that the compiler has put into it, or
/// without debug information as they are called in the component.
fn frames(backtrace: &WasmBacktrace, lines: &Lines) -> Vec<Frame> {
    let mut frames = Vec::new();
    for info in backtrace.frames() {
        let name = info.func_name().map(demangled);
        let mut known = info.module_offset().map(|offset| lines.at(offset)).unwrap_or_default();
        for frame in &mut known {
            frame.function = demangled(&frame.function);
        }
        match (known.last_mut(), name) {
            // The component's own name of a function says more: it has the path.
            (Some(outermost), Some(name)) => outermost.function = name,
            (Some(_), None) => {}
            (None, name) => known.push(Frame {
                function: name.unwrap_or_else(|| format!("function {}", info.func_index())),
                file: None,
                line: None,
            }),
        }
        frames.append(&mut known);
    }
    frames
}

/// The name of a function as it was written, without what a compiler adds to tell it from others.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
