//! `wharf new`: a component of one's own, which builds, passes its test and serves at once.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::project::{self, Language, Template};
use crate::registry::names;

#[derive(Args)]
#[command(after_help = "Examples:
  wharf new coupons                          items in a table of their own, in Rust
  wharf new coupons --lang js                the same in JavaScript
  wharf new photos --template upload         files that clients upload
  wharf new api-key --template middleware    a check around other groups")]
pub(super) struct New {
    /// The folder to make; its last part is the group's name
    #[arg(value_name = "NAME")]
    folder: PathBuf,
    /// The language
    #[arg(long, value_name = "LANGUAGE", default_value = "rust", value_parser = one_of(Language::ALL, Language::name))]
    lang: Language,
    /// What it does to begin with
    #[arg(long, value_name = "TEMPLATE", default_value = "crud", value_parser = one_of(Template::ALL, Template::name))]
    template: Template,
}

impl New {
    pub(super) fn run(self) -> Result<(), String> {
        let New { folder, lang, template } = self;
        let group = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let group = group.unwrap_or_default();
        names::group(&group).map_err(|error| error.to_string())?;
        let files = project::files(&group, lang, template);
        check_empty(&folder)?;
        for (path, content) in &files {
            write(&folder.join(path), content)?;
        }
        let (folder, kind) = (folder.display(), template.name());
        println!("made {folder}: {kind} in {}\n", lang.name());
        println!(
            "next:\n  cd {folder}\n  wharf dev     serve it, and anew whenever a file is saved\n  wharf test    compare its answers with those that were recorded"
        );
        Ok(())
    }
}

/// One of a few values, by its name.
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    all: [T; N],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let named =
        move |text: String| all.into_iter().find(|one| name(*one) == text).ok_or("no such one");
    PossibleValuesParser::new(all.map(name)).try_map(named)
}

/// Refuses a folder that holds anything.
fn check_empty(folder: &Path) -> Result<(), String> {
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(false) => Ok(()),
        Ok(true) => Err(format!(
            "{} is not empty; choose another name, or remove it first",
            folder.display()
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("cannot read {}: {error}", folder.display())),
    }
}

fn write(file: &Path, content: &[u8]) -> Result<(), String> {
    let written = || {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, content)
    };
    written().map_err(|error| format!("cannot write {}: {error}", file.display()))
}
