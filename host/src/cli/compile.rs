//! `wharf compile-component`, hidden: what the host has a child process of itself do.

use clap::Args;

use crate::compiler::{self, Bounds};
use crate::instance::Costs;

#[derive(Args)]
pub(super) struct Compile {
    /// Bytes of address space that it may take
    #[arg(long)]
    memory_bytes: u64,
    /// Seconds of processor time that it may take
    #[arg(long)]
    processor_seconds: u64,
    /// Have the code count what it costs
    #[arg(long)]
    count_costs: bool,
}

impl Compile {
    pub(super) fn run(self) -> Result<(), String> {
        let Compile { memory_bytes, processor_seconds, count_costs } = self;
        let costs = if count_costs { Costs::Counted } else { Costs::Uncounted };
        compiler::compile(Bounds { memory_bytes, processor_seconds }, costs)
    }
}
