//! How what a component exports differs from what a handler exports, function by function: its author is to
//! see at a glance what to change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Handle, Interface, Resolve, SourceMap, Type, TypeDefKind, WorldItem};

/// The interface that a handler exports.
const HANDLER: &str = "wharf:plugin/handler@0.1.0";

/// Where it is written.
const SOURCES: [(&str, &str); 2] = [
    ("handler.wit", include_str!("../../../wit/handler.wit")),
    ("http.wit", include_str!("../../../wit/http.wit")),
];

/// Leaves that are looked at: types can be nested so that a few of them have billions.
const MOST_LEAVES: usize = 2_000;

/// Differences that are told; whoever built against something else altogether learns nothing from more.
const MOST: usize = 8;

/// What differs, as the end of a sentence; `None` if nothing does, the component exports no handler or it cannot
/// be read.
pub(super) fn difference(component: &[u8]) -> Option<String> {
    let Ok(DecodedWasm::Component(found, world)) = decode(component) else { return None };
    let (expected, interface) = expected()?;
    let wanted = leaves(&expected, &expected.interfaces[interface]);
    let exports = &found.worlds[world].exports;
    let exported = exports.values().find_map(|item| match item {
        WorldItem::Interface { id, .. } if found.id_of(*id).as_deref() == Some(HANDLER) => {
            Some(leaves(&found, &found.interfaces[*id]))
        }
        _ => None,
    })?;
    let told = |(place, found): (&String, &String)| match wanted.get(place) {
        None => Some(format!("{place} ({found}) is not expected")),
        Some(wanted) if wanted != found => {
            Some(format!("{place} is {found}, and {wanted} is expected"))
        }
        Some(_) => None,
    };
    let mut told: Vec<String> = exported.iter().filter_map(told).collect();
    let missing = wanted.iter().filter(|(place, _)| !exported.contains_key(*place));
    told.extend(missing.map(|(place, wanted)| format!("{place} is missing ({wanted})")));
    if told.is_empty() {
        return None;
    }
    let more = told.len().saturating_sub(MOST);
    told.truncate(MOST);
    let mut told = told.join("; ");
    if more > 0 {
        let _ = write!(told, "; and {more} more");
    }
    Some(told)
}

fn expected() -> Option<(Resolve, wit_parser::InterfaceId)> {
    let mut sources = SourceMap::default();
    for (file, text) in SOURCES {
        sources.push_str(file, text);
    }
    let mut resolve = Resolve::default();
    let group = sources.parse().ok()?;
    let package = resolve.push_group(group).ok()?;
    let interface = *resolve.packages[package].interfaces.get("handler")?;
    Some((resolve, interface))
}

/// Every function of an interface, taken apart: where a value lies, and its type.
fn leaves(resolve: &Resolve, interface: &Interface) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    for (name, function) in &interface.functions {
        leaves.insert(name.clone(), "func".to_owned());
        for parameter in &function.params {
            let place = format!("{name}({})", parameter.name);
            take_apart(resolve, parameter.ty, place, &mut leaves);
        }
        if let Some(result) = function.result {
            take_apart(resolve, result, format!("{name} ->"), &mut leaves);
        }
    }
    leaves
}

fn take_apart(
    resolve: &Resolve,
    r#type: Type,
    place: String,
    leaves: &mut BTreeMap<String, String>,
) {
    if leaves.len() >= MOST_LEAVES {
        return;
    }
    let mut go = |r#type: Option<Type>, place: String, what: &str| match r#type {
        Some(r#type) => take_apart(resolve, r#type, place, leaves),
        None => {
            leaves.insert(place, what.to_owned());
        }
    };
    let id = match r#type {
        Type::Id(id) => id,
        plain => return go(None, place, &format!("{plain:?}").to_lowercase()),
    };
    match &resolve.types[id].kind {
        TypeDefKind::Type(of) => go(Some(*of), place, ""),
        TypeDefKind::Record(record) => {
            for field in &record.fields {
                go(Some(field.ty), format!("{place}.{}", field.name), "");
            }
        }
        TypeDefKind::Tuple(tuple) => {
            for (index, of) in tuple.types.iter().enumerate() {
                go(Some(*of), format!("{place}.{index}"), "");
            }
        }
        TypeDefKind::Variant(variant) => {
            for case in &variant.cases {
                go(case.ty, format!("{place}.{}", case.name), "a case");
            }
        }
        TypeDefKind::Enum(cases) => {
            let names: Vec<&str> = cases.cases.iter().map(|case| &*case.name).collect();
            go(None, place, &format!("enum of {}", names.join(", ")));
        }
        TypeDefKind::Flags(flags) => {
            let names: Vec<&str> = flags.flags.iter().map(|flag| &*flag.name).collect();
            go(None, place, &format!("flags of {}", names.join(", ")));
        }
        TypeDefKind::List(of) => go(Some(*of), format!("{place}[]"), ""),
        TypeDefKind::Option(of) => go(Some(*of), format!("{place}?"), ""),
        TypeDefKind::Result(result) => {
            go(result.ok, format!("{place} ok"), "nothing");
            go(result.err, format!("{place} err"), "nothing");
        }
        TypeDefKind::Handle(Handle::Own(of) | Handle::Borrow(of)) => {
            let name = resolve.types[*of].name.clone().unwrap_or_default();
            go(None, place, &format!("a handle of {name}"));
        }
        other => go(None, place, other.as_str()),
    }
}
