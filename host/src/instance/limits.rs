//! What one call may take, and who says no when it takes more.

use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

/// What one call may take. Every field is a setting in `[limits]`, and in `[groups.<group>.limits]`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of linear memory; the hard cap of every instance is 64 MiB.
    pub memory_bytes: usize,
    /// Core instances that a component is made of; at most 20.
    pub instances: usize,
    /// Tables of all of them; at most 20.
    pub tables: usize,
    /// Elements of each table; at most 20,000.
    pub table_elements: usize,
    /// Handles of resources that are open at once.
    pub handles: usize,
    /// Milliseconds that the guest itself may compute, waiting not counted.
    pub compute_milliseconds: u64,
    /// Milliseconds that the whole call may take, host calls included.
    pub call_milliseconds: u64,
    /// Calls to the host, those of the language's own runtime included.
    pub host_calls: u64,
    /// Bytes that the arguments of one host call may take in the host's memory.
    pub host_call_bytes: usize,
    /// Bytes of a response's body and headers.
    pub response_bytes: usize,
    /// Milliseconds from a request to the last byte of its answer, where the answer is streamed.
    pub stream_milliseconds: u64,
    /// Bytes of a request's body that is streamed to the guest.
    pub stream_request_bytes: usize,
    /// Bytes of an answer that the guest streams, headers included.
    pub stream_response_bytes: usize,
    /// Bytes of log lines, and as many again of standard output and error.
    pub log_bytes: usize,
    /// Requests to groups of its own tenant, each sent while another is answered, that one may be within.
    pub nesting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory_bytes: MOST_MEMORY,
            instances: MOST_INSTANCES,
            tables: MOST_TABLES,
            table_elements: MOST_ELEMENTS,
            handles: 1_000,
            compute_milliseconds: 2_000,
            call_milliseconds: 30_000,
            host_calls: 100_000,
            host_call_bytes: 32 * 1024 * 1024,
            response_bytes: 16 * 1024 * 1024,
            stream_milliseconds: 300_000,
            stream_request_bytes: 64 * 1024 * 1024,
            stream_response_bytes: 64 * 1024 * 1024,
            log_bytes: 64 * 1024,
            nesting: 4,
        }
    }
}

/// Instances that may be alive at once in this process. A request holds one; the admission of each tenant
/// keeps well below it.
pub(super) const SLOTS: usize = 1_000;

/// The core instances that they are made of, together.
pub(super) const CORE_INSTANCES: usize = 4 * SLOTS;

/// Instances that may be kept besides those, to answer another request.
pub(super) const MOST_KEPT: usize = 128;

/// The size of a memory slot in the pool.
pub(super) const MOST_MEMORY: usize = 64 * 1024 * 1024;

/// Core instances of one component.
pub(super) const MOST_INSTANCES: usize = 20;

/// Tables of one component.
pub(super) const MOST_TABLES: usize = 20;

/// The size of a table slot in the pool.
pub(super) const MOST_ELEMENTS: usize = 20_000;

impl Limits {
    /// Refuses what no instance can have.
    ///
    /// # Errors
    /// A sentence that names the setting and the remedy.
    pub fn check(&self) -> Result<(), String> {
        let caps = [
            ("memory_bytes", self.memory_bytes, MOST_MEMORY),
            ("instances", self.instances, MOST_INSTANCES),
            ("tables", self.tables, MOST_TABLES),
            ("table_elements", self.table_elements, MOST_ELEMENTS),
        ];
        let over = caps.into_iter().find(|(_, value, most)| value > most);
        over.map_or(Ok(()), |(name, value, most)| {
            Err(format!("limits.{name} is {value}, and no instance can have more than {most}; set it to that or less"))
        })
    }

    /// Calls for which the pool has memory at once, however large their components are.
    pub fn most_calls(&self) -> usize {
        (CORE_INSTANCES / self.instances.max(1)).min(SLOTS)
    }

    /// What says no to the instance of one call.
    pub fn allocations(&self) -> Allocations {
        Allocations { limits: *self, refused: None, memory: 0 }
    }
}

/// What an instance asks for while it runs, and whether it was refused some of it.
pub struct Allocations {
    limits: Limits,
    refused: Option<&'static str>,
    /// Bytes of linear memory that it has.
    memory: usize,
}

impl Allocations {
    /// The setting that refused it something, if one did: guests seldom say so before they trap.
    pub fn refused(&self) -> Option<&'static str> {
        self.refused
    }

    /// Bytes of linear memory that the instance has.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Takes over what the instance has from an earlier request that it has answered.
    pub(super) fn go_on_from(&mut self, earlier: &Allocations) {
        self.memory = earlier.memory;
    }

    fn allow(&mut self, desired: usize, most: usize, setting: &'static str) -> bool {
        let allowed = desired <= most;
        if !allowed {
            self.refused = Some(setting);
        }
        allowed
    }
}

impl ResourceLimiter for Allocations {
    fn memory_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = self.allow(desired, self.limits.memory_bytes, "limits.memory_bytes");
        if allowed {
            self.memory = desired;
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.allow(desired, self.limits.table_elements, "limits.table_elements"))
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        1
    }
}
