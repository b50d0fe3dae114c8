//! Where in its source each instruction of a component comes from.
//!
//! A component may carry debug information (DWARF 5), which only programs in the making are meant to be trusted
//! with: a stranger's can be nested and repeated so that reading it takes all memory or stack. So the child that
//! compiles a component reads it, under the same limits, and leaves a plain table. The host looks things up in
//! that, and believes nothing of it but that it is text and numbers.
//!
//! The table has numbers of four bytes, least significant first. How many rows, nodes and texts there are comes
//! first; then the rows, by the offset in the component from which on a node holds; then the nodes, each a function
//! with a file and a line, and the node of the function that it was put into; then where each text ends in the
//! bytes that follow. Instead of a node, a text or a line that is not there stands [`NONE`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

use addr2line::Context;
use addr2line::gimli::{self, Dwarf, EndianSlice, LittleEndian};
use bytes::Bytes;
use wasmparser::{Encoding, Parser, Payload};

use crate::logs::Frame;

/// What stands for nothing.
const NONE: u32 = u32::MAX;

/// Numbers before the rows, in each row, and in each node.
const HEAD: usize = 3;
const ROW: usize = 2;
const NODE: usize = 4;

/// Functions that are told of one instruction, each put into the next.
const DEEPEST: usize = 16;

/// The table of a component; empty if it carries no debug information. A clone is the same table.
#[derive(Clone, Default)]
pub struct Lines(Bytes);

impl Lines {
    pub(super) fn new(table: Bytes) -> Self {
        Lines(table)
    }

    /// The functions that the instruction at an offset of the component belongs to: one that the compiler has put
    /// into another stands before it. None if nothing is known.
    pub fn at(&self, offset: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut node = self.node_at(offset).unwrap_or(NONE);
        while frames.len() < DEEPEST
            && let Some(fields) = self.node(node)
        {
            let [function, file, line, outer] = fields;
            frames.push(Frame {
                function: self.text(function).unwrap_or_default(),
                file: self.text(file),
                line: (line != NONE).then_some(line),
            });
            node = outer;
        }
        frames
    }

    fn number(&self, index: usize) -> Option<u32> {
        let at = index.checked_mul(4)?;
        let bytes = self.0.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn count(&self, index: usize) -> usize {
        self.number(index).map_or(0, |count| count as usize)
    }

    fn node_at(&self, offset: usize) -> Option<u32> {
        let offset = u32::try_from(offset).ok()?;
        let row = |index: usize| HEAD + index * ROW;
        let (mut low, mut high) = (0, self.count(0));
        while low < high {
            let middle = low.midpoint(high);
            if self.number(row(middle))? <= offset { low = middle + 1 } else { high = middle }
        }
        self.number(row(low.checked_sub(1)?) + 1)
    }

    fn node(&self, node: u32) -> Option<[u32; NODE]> {
        let first = HEAD + self.count(0) * ROW + node as usize * NODE;
        if node as usize >= self.count(1) {
            return None;
        }
        let mut fields = [NONE; NODE];
        for (index, field) in fields.iter_mut().enumerate() {
            *field = self.number(first + index)?;
        }
        Some(fields)
    }

    fn text(&self, text: u32) -> Option<String> {
        let (text, texts) = (text as usize, self.count(2));
        if text >= texts {
            return None;
        }
        let ends = HEAD + self.count(0) * ROW + self.count(1) * NODE;
        let begin = if text == 0 { 0 } else { self.number(ends + text - 1)? as usize };
        let end = self.number(ends + text)? as usize;
        let bytes = self.0.get((ends + texts) * 4..)?.get(begin..end)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// Makes the table of a component. What of its debug information cannot be read is left out.
pub(super) fn table(component: &[u8]) -> Vec<u8> {
    let mut table = Table::default();
    for module in modules(component) {
        // What was read of a module before it went wrong is right.
        let _ = table.read(&module);
    }
    table.finish()
}

/// A core module's code, by its place in the component, and its debug information.
#[derive(Default)]
struct Module<'a> {
    code: Range<usize>,
    sections: HashMap<&'a str, &'a [u8]>,
}

/// The core modules of a component that say where they come from.
fn modules(component: &[u8]) -> Vec<Module<'_>> {
    let mut modules: Vec<Module<'_>> = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        match (payload, modules.last_mut()) {
            (Ok(Payload::Version { encoding: Encoding::Module, .. }), _) => {
                modules.push(Module::default());
            }
            (Ok(Payload::CodeSectionStart { range, .. }), Some(module)) => module.code = range,
            (Ok(Payload::CustomSection(section)), Some(module)) => {
                module.sections.insert(section.name(), section.data());
            }
            (Ok(_), _) => {}
            // The compiler has found it valid.
            (Err(_), _) => break,
        }
    }
    modules.retain(|module| module.sections.contains_key(".debug_info"));
    modules
}

/// A table in the making.
#[derive(Default)]
struct Table {
    rows: Vec<(u32, u32)>,
    nodes: Numbered<[u32; NODE]>,
    texts: Numbered<String>,
}

/// Things, each of them once, by numbers.
struct Numbered<T> {
    numbers: HashMap<T, u32>,
    things: Vec<T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Numbered { numbers: HashMap::new(), things: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn number(&mut self, thing: T) -> u32 {
        *self.numbers.entry(thing).or_insert_with_key(|thing| {
            self.things.push(thing.clone());
            small(self.things.len() - 1)
        })
    }
}

/// A number that is smaller than a component is long.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}

impl Table {
    fn read(&mut self, module: &Module<'_>) -> Result<(), gimli::Error> {
        let section = |id: gimli::SectionId| {
            let bytes = module.sections.get(id.name()).copied().unwrap_or_default();
            Ok::<_, gimli::Error>(EndianSlice::new(bytes, LittleEndian))
        };
        let context = Context::from_dwarf(Dwarf::load(section)?)?;
        // Addresses count from the beginning of the code.
        let (code, mut covered) = (&module.code, 0);
        for (address, length, _) in context.find_location_range(0, code.len() as u64)? {
            if address > covered {
                self.rows.push((place(code, covered), NONE));
            }
            let node = self.node(&context, address)?;
            self.rows.push((place(code, address), node));
            covered = address.saturating_add(length);
        }
        self.rows.push((place(code, covered), NONE));
        Ok(())
    }

    /// The node of the innermost function at an address.
    fn node(
        &mut self,
        context: &Context<EndianSlice<'_, LittleEndian>>,
        address: u64,
    ) -> Result<u32, gimli::Error> {
        let mut found = context.find_frames(address).skip_all_loads()?;
        let mut frames = Vec::new();
        while let Some(frame) = found.next()?
            && frames.len() < DEEPEST
        {
            let function = frame.function.as_ref().and_then(|function| function.raw_name().ok());
            let location = frame.location.as_ref();
            let function = function.unwrap_or(Cow::Borrowed("")).into_owned();
            let file = location.and_then(|it| it.file).map(str::to_owned);
            frames.push((function, file, location.and_then(|it| it.line).unwrap_or(NONE)));
        }
        Ok(frames.into_iter().rev().fold(NONE, |outer, (function, file, line)| {
            let file = file.map_or(NONE, |file| self.texts.number(file));
            let function = self.texts.number(function);
            self.nodes.number([function, file, line, outer])
        }))
    }

    fn finish(mut self) -> Vec<u8> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        // Of rows with one offset, the last one holds.
        self.rows.sort_by_key(|(offset, _)| *offset);
        let texts = &self.texts.things;
        let ends = texts.iter().scan(0, |end, text| {
            *end += text.len();
            Some(small(*end))
        });
        let counts = [self.rows.len(), self.nodes.things.len(), texts.len()].map(small);
        let rows = self.rows.iter().flat_map(|(offset, node)| [*offset, *node]);
        let nodes = self.nodes.things.iter().flatten().copied();
        let numbers = counts.into_iter().chain(rows).chain(nodes).chain(ends);
        let texts = texts.iter().flat_map(|text| text.bytes());
        numbers.flat_map(u32::to_le_bytes).chain(texts).collect()
    }
}

/// The offset in the component of an address in its code.
fn place(code: &Range<usize>, address: u64) -> u32 {
    let address = usize::try_from(address).unwrap_or(usize::MAX);
    small(code.start.saturating_add(address).min(code.end))
}
