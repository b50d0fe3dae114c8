//! Components made by hand, below what a language's compiler would let through: `tests/guests/raw/`.
//!
//! Each file there is a part of a core module: functions that stand in place of the well-behaved ones here.

use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve};

use super::guests::root;

/// What every module has: memory, one route, `GET /<attack>`, and what an attack may call.
const FRAME: &str = r#"
    (import "wharf:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 65536))
    (data (i32.const 1024) "GET/ATTACK")
    ;; The route: method, path, access, throttle, and nothing else (the Canonical ABI's record layout).
    (data (i32.const 2048) "\00\04\00\00\03\00\00\00\03\04\00\00\LENGTH\00\00\00")
    (data (i32.const 2076) "\01")
    (func $allocate (param $size i32) (result i32)
      (local $place i32)
      (local.set $place (global.get $free))
      (global.set $free (i32.and (i32.add (i32.add (local.get $place) (local.get $size)) (i32.const 7)) (i32.const -8)))
      (local.get $place))
    (func $print (call $log (i32.const 1) (i32.const 1024) (i32.const 3)))
    (func $respond (param $headers i32) (param $count i32) (param $body i32) (param $length i32) (result i32)
      (i32.store16 (i32.const 16) (i32.const 200))
      (i32.store (i32.const 20) (local.get $headers))
      (i32.store (i32.const 24) (local.get $count))
      (i32.store (i32.const 28) (local.get $body))
      (i32.store (i32.const 32) (local.get $length))
      (i32.const 16))
"#;

/// What a module does where its attack says nothing else: the function's name, and the function.
const BEHAVED: [(&str, &str); 3] = [
    (
        "$realloc",
        "(func $realloc (param i32 i32 i32 i32) (result i32) (call $allocate (local.get 3)))",
    ),
    (
        "$routes",
        "(func $routes (result i32)
           (i32.store (i32.const 8) (i32.const 2048))
           (i32.store (i32.const 12) (i32.const 1))
           (i32.const 8))",
    ),
    (
        "$handle",
        "(func $handle (param i32) (result i32)
           (call $respond (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 3)))",
    ),
];

/// The component of an attack.
pub fn component(attack: &str) -> Vec<u8> {
    let file = root().join(format!("tests/guests/raw/{attack}.wat"));
    encode(attack, &std::fs::read_to_string(file).expect("an attack"))
}

/// A component that answers `GET /<route>` with a text of at most a page, and a status.
pub fn saying(route: &str, text: &str, status: u16) -> Vec<u8> {
    answering(route, text, status, 0)
}

/// The same, after it has computed for so many rounds: a thousand take a microsecond or so.
pub fn answering(route: &str, text: &str, status: u16, rounds: u32) -> Vec<u8> {
    let length = text.len();
    encode(
        route,
        &format!(
            r#"(data (i32.const 4096) "{text}")
               (func $handle (param i32) (result i32)
                 (local $left i32)
                 (local.set $left (i32.const {rounds}))
                 (block $done (loop $again
                   (br_if $done (i32.eqz (local.get $left)))
                   (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                   (br $again)))
                 (drop (call $respond (i32.const 0) (i32.const 0) (i32.const 4096) (i32.const {length})))
                 (i32.store16 (i32.const 16) (i32.const {status}))
                 (i32.const 16))"#
        ),
    )
}

/// A component of these functions and of what they leave out, with a route of this name.
fn encode(name: &str, functions: &str) -> Vec<u8> {
    let defines = |name: &str| functions.contains(&format!("(func {name} "));
    let length = format!("{:02x}", name.len() + 1);
    let frame = FRAME.replace("ATTACK", name).replace("LENGTH", &length);
    let mut text = format!("(module {frame} {functions}\n");
    for (name, function) in BEHAVED {
        if !defines(name) {
            text.push_str(function);
        }
    }
    if defines("$start") {
        text.push_str("(start $start)");
    }
    if defines("$post") {
        text.push_str("(export \"cabi_post_wharf:plugin/handler@0.1.0#handle\" (func $post))");
    }
    text.push_str(
        r#"(export "cabi_realloc" (func $realloc))
           (export "wharf:plugin/handler@0.1.0#routes" (func $routes))
           (export "wharf:plugin/handler@0.1.0#handle" (func $handle)))"#,
    );
    let module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).expect("the package");
    of_package(module, &resolve, package, "plugin")
}

/// A component of one function in which every block depends on every other: it has so many blocks.
pub fn bomb(blocks: usize) -> Vec<u8> {
    const LOCALS: usize = 2000;
    let mut text = String::from("(component (core module (func (export \"f\") (param i64) (local");
    for _ in 0..LOCALS {
        text.push_str(" i64");
    }
    text.push(')');
    for block in 0..blocks {
        let [to, one, two] = [7, 13, 31].map(|step| 1 + block * step % LOCALS);
        write!(
            text,
            "(loop (br_if 0 (i64.eqz (local.get {one}))) (local.set {to} (i64.add (local.get {one}) (local.get {two})))"
        )
        .expect("text grows");
    }
    text.push_str(&")".repeat(blocks));
    text.push_str(")))");
    wat::parse_str(text).expect("valid text")
}

/// A component of this core module and this world, which is called `w`.
pub fn of_world(wit: &str, module: &str) -> Vec<u8> {
    let module = wat::parse_str(module).unwrap_or_else(|error| panic!("{error}\n{module}"));
    let mut resolve = Resolve::default();
    let package = resolve.push_source("world.wit", wit).expect("a package");
    of_package(module, &resolve, package, "w")
}

fn of_package(mut module: Vec<u8>, resolve: &Resolve, package: PackageId, world: &str) -> Vec<u8> {
    let world = resolve.select_world(&[package], Some(world)).expect("the world");
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)
        .expect("the module takes metadata");
    let encoder = ComponentEncoder::default();
    let mut encoder = encoder.validate(false).module(&module).expect("a module");
    encoder.encode().expect("a component")
}
