//! What the folder of a new component holds: a template, and what its handlers are built with.
//!
//! The templates lie in `host/templates`, a folder for each language beside `any`, for what is the same in all, and
//! `wit`, for languages that read interfaces. In each of them are `base`, `plugin` for what helps handlers of
//! `wharf:plugin`, `database` for what helps with rows, and what each template adds to them. In names and contents,
//! `{{group}}` stands for the group's name and `{{table}}` for its table's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use toml::{Table, Value};

use crate::database::is_keyword;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
static KIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../components/kit");
static KIT_MACROS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../components/kit-macros");
static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../wit");

/// The manifest that the kit's inherits from.
const WORKSPACE: &str = include_str!("../../Cargo.toml");

/// The versions that the kit was tested with. Cargo forgets those of the workspace that a project does not need.
const LOCK: &str = include_str!("../../Cargo.lock");

/// A language that components are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Rust, with `wharf-kit`.
    Rust,
    /// JavaScript, with componentize-js.
    Js,
    /// Python, with componentize-py.
    Python,
}

/// What a new component does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// Items in a table of their own: listed, added, shown, changed, removed.
    Crud,
    /// One route that greets.
    Empty,
    /// Files that clients upload.
    Upload,
    /// A check of keys around other groups.
    Middleware,
    /// A component of `wasi:http`.
    WasiHttp,
}

impl Language {
    /// Every language there is.
    pub const ALL: [Language; 3] = [Language::Rust, Language::Js, Language::Python];

    /// Its name, on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Js => "js",
            Language::Python => "python",
        }
    }

    /// The folders that hold what its templates are made of, what is its own last.
    fn folders(self) -> &'static [&'static str] {
        match self {
            Language::Rust => &["any", "rust"],
            Language::Js => &["any", "wit", "js"],
            Language::Python => &["any", "wit", "python"],
        }
    }
}

impl Template {
    /// Every template there is, in some language.
    pub const ALL: [Template; 5] = [
        Template::Crud,
        Template::Empty,
        Template::Upload,
        Template::Middleware,
        Template::WasiHttp,
    ];

    /// Its name, on the command line and of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Template::Crud => "crud",
            Template::Empty => "empty",
            Template::Upload => "upload",
            Template::Middleware => "middleware",
            Template::WasiHttp => "wasi-http",
        }
    }

    /// The folders that make it up, in those of its language; of a file that there is twice, the last counts.
    fn layers(self) -> &'static [&'static str] {
        match self {
            Template::Crud => &["base", "plugin", "database", "crud"],
            Template::Empty => &["base", "plugin", "empty"],
            Template::Upload => &["base", "plugin", "database", "upload"],
            Template::Middleware => &["base", "plugin", "middleware"],
            Template::WasiHttp => &["base", "wasi-http"],
        }
    }
}

/// The files of a new component, by their paths in its folder.
pub fn files(group: &str, language: Language, template: Template) -> BTreeMap<PathBuf, Vec<u8>> {
    let words = [
        ("{{group}}", group.to_owned()),
        ("{{table}}", table(group)),
        ("{{garde}}", version_of("garde")),
    ];
    let written = |text: &str| {
        words.iter().fold(text.to_owned(), |text, (word, meant)| text.replace(word, meant))
    };
    let mut files = BTreeMap::new();
    let layers = template.layers().iter().flat_map(|layer| {
        language.folders().iter().map(move |folder| Path::new(folder).join(layer))
    });
    for folder in layers.filter_map(|layer| TEMPLATES.get_dir(layer)) {
        for (path, content) in contents(folder) {
            let path = written(&path.to_string_lossy());
            // Cargo would take it for a package of its own here.
            let path = path.strip_suffix(".tmpl").unwrap_or(&path).into();
            let text = String::from_utf8_lossy(content);
            files.insert(path, written(&text).into_bytes());
        }
    }
    match (language, template) {
        (_, Template::WasiHttp) => {}
        (Language::Rust, _) => {
            for (folder, place) in [(&KIT, "vendor/kit"), (&KIT_MACROS, "vendor/kit-macros")] {
                vendor(folder, Path::new(place), &mut files);
            }
            files.insert("Cargo.lock".into(), LOCK.into());
        }
        (Language::Js | Language::Python, _) => {
            let deps = Path::new("wit/deps/wharf-plugin");
            files.extend(contents(&WIT).map(|(path, content)| (deps.join(path), content.to_vec())));
        }
    }
    files
}

/// The name of a group's table: the group's own, unless that means something else in SQL or in the built-in API.
fn table(group: &str) -> String {
    let name = group.replace('-', "_");
    let is_taken = is_keyword(&name) || ["users", "roles", "permissions"].contains(&&*name);
    if is_taken { format!("{name}_items") } else { name }
}

/// All files of a folder, by their paths in it.
fn contents<'a>(folder: &'a Dir<'a>) -> impl Iterator<Item = (PathBuf, &'a [u8])> {
    let mut folders = vec![folder];
    let mut files = Vec::new();
    while let Some(next) = folders.pop() {
        folders.extend(next.dirs());
        for file in next.files() {
            let path = file.path().strip_prefix(folder.path()).unwrap_or(file.path());
            files.push((path.to_owned(), file.contents()));
        }
    }
    files.into_iter()
}

/// A crate of this workspace, as one of its own: without tests, and with what its manifest inherits written out.
fn vendor(folder: &Dir<'_>, place: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for (path, content) in contents(folder) {
        if path.starts_with("tests") {
            continue;
        }
        let content = match path.to_str() {
            Some("Cargo.toml") => standalone(&String::from_utf8_lossy(content)).into_bytes(),
            _ => content.to_vec(),
        };
        files.insert(place.join(path), content);
    }
}

/// A manifest of this workspace with what it inherits written out (The Cargo Book, Workspaces).
fn standalone(manifest: &str) -> String {
    let read =
        |text: &str| text.parse::<Table>().expect("the manifests of this workspace are TOML");
    let (mut manifest, workspace) = (read(manifest), read(WORKSPACE));
    let shared = |section: &str| workspace["workspace"][section].as_table().expect("a table");
    for unneeded in ["lints", "dev-dependencies"] {
        manifest.remove(unneeded);
    }
    if let Some(Value::Table(package)) = manifest.get_mut("package") {
        for (key, value) in package.iter_mut().filter(|(_, value)| is_inherited(value)) {
            *value = shared("package")[key].clone();
        }
    }
    let write_out = |tables: &mut Table| {
        let Some(Value::Table(dependencies)) = tables.get_mut("dependencies") else { return };
        for (name, value) in dependencies.iter_mut().filter(|(_, value)| is_inherited(value)) {
            *value = inherited(value, &shared("dependencies")[name]);
        }
    };
    write_out(&mut manifest);
    if let Some(Value::Table(targets)) = manifest.get_mut("target") {
        for (_, target) in targets.iter_mut() {
            target.as_table_mut().map(write_out);
        }
    }
    toml::to_string(&manifest).expect("what was read can be written")
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

/// A dependency of the workspace's, with what the member says besides.
fn inherited(member: &Value, shared: &Value) -> Value {
    let mut whole = match shared {
        Value::Table(table) => table.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    };
    for (key, value) in member.as_table().into_iter().flatten() {
        match (key.as_str(), value, whole.get_mut(key)) {
            ("workspace", ..) => {}
            ("features", Value::Array(more), Some(Value::Array(features))) => {
                features.extend(more.iter().cloned());
            }
            _ => drop(whole.insert(key.clone(), value.clone())),
        }
    }
    Value::Table(whole)
}

/// The version of a dependency that this workspace has.
fn version_of(dependency: &str) -> String {
    let workspace: Table = WORKSPACE.parse().expect("the workspace's manifest is TOML");
    let found = &workspace["workspace"]["dependencies"][dependency];
    let version = found.get("version").unwrap_or(found);
    version.as_str().expect("a version").to_owned()
}
