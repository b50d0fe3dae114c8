use wharf_kit::prelude::*;

wharf_kit::component![no_path, no_slash, half_a_brace, same_name, unknown, twice, no_value, no_such_value];

#[get(tag = "coupons")]
fn no_path() {}

#[get("coupons")]
fn no_slash() {}

#[get("/coupons/a{code}")]
fn half_a_brace() {}

#[get("/{a}/{a}")]
fn same_name() {}

#[get("/a", sign_in = "store")]
fn unknown() {}

#[get("/a", tag = "a", tag = "b")]
fn twice() {}

#[get("/a", signed_in)]
fn no_value() {}

#[get("/a", unlimited = true)]
fn no_such_value() {}

fn main() {}
