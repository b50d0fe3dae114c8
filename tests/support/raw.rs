//! Components made by hand, below what a language's compiler would let through: `tests/guests/raw/`.
//!
//! Each file there is a part of a core module: functions that stand in place of the well-behaved ones here.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

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
    let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).expect("the package");
    let world = resolve.select_world(&[package], Some("plugin")).expect("the world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("the module takes metadata");
    let mut encoder = ComponentEncoder::default();
    let encoder = encoder.validate(false).module(&module).expect("a module");
    encoder.encode().expect("a component")
}
