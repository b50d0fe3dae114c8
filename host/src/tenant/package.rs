//! What a component carries with it: its manifest and its migrations, as one custom section, so that an
//! artifact is one file whose digest and signature cover everything.

use std::path::Path;

use serde::{Deserialize, Serialize};
use wasm_encoder::{CustomSection, Encode as _, SectionId};
use wasmparser::{Chunk, Parser, Payload};

use super::manifest;
use crate::database::Step;

/// The section's name.
const SECTION: &str = "wharf-plugin";

/// What a component carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// The text of its `wharf-plugin.toml`.
    pub manifest: String,
    /// Its migrations, in their order.
    #[serde(default)]
    pub migrations: Vec<Step>,
}

impl Package {
    /// What a component carries; `None` if it carries nothing.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the component, or with what it carries.
    pub fn of(component: &[u8]) -> Result<Option<Self>, String> {
        let mut found = None;
        for section in sections(component)? {
            if found.is_some() {
                return Err(format!("it has two sections {SECTION}; build it again"));
            }
            let package = serde_json::from_slice(section.data).map_err(|error| {
                format!("its section {SECTION} is not valid: {error}; build it again")
            })?;
            found = Some(package);
        }
        Ok(found)
    }

    /// Reads a manifest, and the migrations in the folder `migrations` beside it.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub fn read(file: &Path) -> Result<Self, String> {
        let unreadable = |file: &Path, error| format!("cannot read {}: {error}", file.display());
        let manifest = std::fs::read_to_string(file).map_err(|error| unreadable(file, error))?;
        manifest::Manifest::parse(&manifest)
            .map_err(|why| format!("the manifest {} {why}", file.display()))?;
        let folder = file.with_file_name("migrations");
        let mut migrations = Vec::new();
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Package { manifest, migrations });
            }
            Err(error) => return Err(unreadable(&folder, error)),
        };
        for entry in entries {
            let path = entry.map_err(|error| unreadable(&folder, error))?.path();
            if path.extension().is_some_and(|extension| extension == "sql")
                && let Some(name) = path.file_stem().and_then(|name| name.to_str())
            {
                let sql =
                    std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
                migrations.push(Step { name: name.to_owned(), sql });
            }
        }
        migrations.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Package { manifest, migrations })
    }

    /// The component without what it carried.
    ///
    /// # Errors
    /// What is wrong with the component.
    pub fn taken_from(component: &[u8]) -> Result<Vec<u8>, String> {
        let mut bare = component.to_vec();
        for section in sections(component)?.into_iter().rev() {
            bare.drain(section.range);
        }
        Ok(bare)
    }

    /// The component with this in it, in place of what it carried before.
    ///
    /// # Errors
    /// What is wrong with the component.
    pub fn put_into(&self, component: &[u8]) -> Result<Vec<u8>, String> {
        let mut packed = Package::taken_from(component)?;
        let data = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        packed.push(SectionId::Custom as u8);
        CustomSection { name: SECTION.into(), data: data.into() }.encode(&mut packed);
        Ok(packed)
    }
}

/// A section of ours, and where it lies with its head.
struct Section<'a> {
    data: &'a [u8],
    range: std::ops::Range<usize>,
}

/// Those of the component itself. What lies in modules and components within it is not looked at.
fn sections(component: &[u8]) -> Result<Vec<Section<'_>>, String> {
    let invalid = |why: &dyn std::fmt::Display| format!("it is not a valid component: {why}");
    let mut parser = Parser::new(0);
    let (mut at, mut found) = (0, Vec::new());
    loop {
        let rest = component.get(at..).ok_or_else(|| invalid(&"it ends in the middle"))?;
        let (consumed, payload) = match parser.parse(rest, true).map_err(|why| invalid(&why))? {
            Chunk::Parsed { consumed, payload } => (consumed, payload),
            Chunk::NeedMoreData(_) => return Err(invalid(&"it ends in the middle")),
        };
        match payload {
            Payload::CustomSection(section) if section.name() == SECTION => {
                found.push(Section { data: section.data(), range: at..at + consumed });
            }
            Payload::CodeSectionStart { size, .. } => {
                parser.skip_section();
                at = at.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
            }
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } => {
                at = at.saturating_add(unchecked_range.len());
            }
            Payload::End(_) => return Ok(found),
            _ => {}
        }
        at = at.saturating_add(consumed);
    }
}
