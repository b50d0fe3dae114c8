//! A group that tries what no group may, one route an attempt.

use std::sync::atomic::{AtomicU32, Ordering};

use wharf_kit::bindings::wharf::plugin::log::Level;
use wharf_kit::database::{self, Error as Refusal, Transaction};
use wharf_kit::{Endpoint, Error, Request, Response, answer, cache, json, log, params, random};

wharf_kit::export!(ENDPOINTS);

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/ok", ok).summary("Behaves, to show that the host goes on."),
    Endpoint::get("/trap", trap).summary("Panics."),
    Endpoint::get("/loop", endless).summary("Computes for ever."),
    Endpoint::get("/grow", grow).summary("Takes memory without end."),
    Endpoint::get("/recurse/{depth}", recurse).summary("Overflows its stack."),
    Endpoint::get("/sleep", sleep).summary("Waits for an hour in a call of the host's."),
    Endpoint::get("/calls", calls).summary("Calls the host a million times."),
    Endpoint::get("/argument", argument).summary("Hands the host 50 MiB in one call."),
    Endpoint::get("/handles", handles).summary("Opens handles and keeps them."),
    Endpoint::get("/remember/{secret}", remember).summary("Leaves a secret all over its memory."),
    Endpoint::get("/search/{secret}", search).summary("Looks for what others left in its memory."),
    Endpoint::get("/status", status).summary("Answers with a status that is none."),
    Endpoint::get("/split", split).summary("Hides a header in another's value."),
    Endpoint::get("/large", large).summary("Answers with more than it may."),
    Endpoint::get("/log", chatter).summary("Logs without end, with line breaks to forge lines."),
    Endpoint::get("/uses", uses).summary("Counts its calls in its own memory."),
    Endpoint::get("/print", print).summary("Prints to standard output."),
    Endpoint::get("/environment", environment)
        .summary("Looks for files and variables of the host."),
    Endpoint::get("/random", too_random).summary("Asks for more randomness than one call gives."),
    Endpoint::get("/transaction", abandon).summary("Leaves a transaction open."),
    Endpoint::get("/transaction/trap", abandon_and_trap).summary("Traps within a transaction."),
    Endpoint::get("/transaction/sleep", hold).summary("Keeps a transaction's locks for an hour."),
    Endpoint::get("/transactions", two).summary("Begins a transaction within another."),
    Endpoint::post("/statement", statement).summary("Sends any statement."),
    Endpoint::get("/count", count).summary("Counts in the cache."),
    Endpoint::get("/fill", fill).summary("Fills the cache."),
    Endpoint::post("/query", query).summary("Sends any statement, and lets the kit answer for it."),
    Endpoint::post("/statements", statements).summary("Sends a statement again and again."),
    Endpoint::post("/parameters", parameters).summary("Sends many or large parameters."),
    Endpoint::post("/transaction/statements", within).summary("Sends statements in a transaction."),
];

fn ok(_: &Request) -> Result<Response, Error> {
    Ok(answer::json(200, &json!("ok")))
}

fn trap(_: &Request) -> Result<Response, Error> {
    #[inline(never)]
    fn fails(number: u32) -> u32 {
        assert!(std::hint::black_box(number) == 0, "on purpose");
        number
    }
    Ok(answer::json(200, &json!(fails(1))))
}

fn endless(_: &Request) -> Result<Response, Error> {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

fn grow(_: &Request) -> Result<Response, Error> {
    let mut taken = Vec::new();
    loop {
        taken.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

fn recurse(request: &Request) -> Result<Response, Error> {
    fn deeper(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 64]);
        if depth == 0 { frame[0] } else { deeper(depth - 1) + frame[63] }
    }
    let depth = request.path("depth").parse().unwrap_or(0);
    Ok(answer::json(200, &json!(deeper(depth))))
}

fn sleep(_: &Request) -> Result<Response, Error> {
    std::thread::sleep(std::time::Duration::from_hours(1));
    Ok(answer::json(200, &json!("awake")))
}

fn calls(_: &Request) -> Result<Response, Error> {
    let total: i64 = (0..1_000_000).map(|_| wharf_kit::clock::now()).sum();
    Ok(answer::json(200, &json!(total)))
}

fn argument(_: &Request) -> Result<Response, Error> {
    cache::set("hostile:argument", &vec![1; 50 << 20], 60);
    Ok(answer::json(200, &json!("taken")))
}

fn handles(_: &Request) -> Result<Response, Error> {
    let mut kept = Vec::new();
    loop {
        kept.push(wasip2::clocks::monotonic_clock::subscribe_duration(1));
    }
}

/// Fills the stack, what the program was built with, and the heap.
fn remember(request: &Request) -> Result<Response, Error> {
    let secret = request.path("secret");
    let secret = secret.as_bytes();
    let mut heap = secret.repeat((1 << 20) / secret.len().max(1));
    let mut stack = [0_u8; 16 << 10];
    for (place, byte) in stack.iter_mut().zip(secret.iter().cycle()) {
        *place = *byte;
    }
    std::hint::black_box((&mut heap, &mut stack));
    std::mem::forget(heap);
    Ok(answer::json(200, &json!("remembered")))
}

/// Looks at all of its memory, stack and static data and what it can get besides, for a secret that is
/// named backwards: else it would find the question.
fn search(request: &Request) -> Result<Response, Error> {
    let backwards = request.path("secret");
    let backwards = backwards.as_bytes();
    let fresh = std::hint::black_box(Vec::<u8>::with_capacity(2 << 20));
    let end = fresh.as_ptr() as usize + fresh.capacity();
    // SAFETY: there is none: the attack is to read memory that nothing was written to. It is mapped, and
    // the first addresses are left out since no slice may begin at 0.
    #[expect(unsafe_code, reason = "it reads what it may not")]
    let memory = unsafe { std::slice::from_raw_parts(16 as *const u8, end - 16) };
    let is_secret = |window: &[u8]| window.iter().eq(backwards.iter().rev());
    Ok(answer::json(200, &json!(memory.windows(backwards.len().max(1)).any(is_secret))))
}

fn status(_: &Request) -> Result<Response, Error> {
    Ok(Response { status: 99, headers: Vec::new(), body: Vec::new() })
}

fn split(_: &Request) -> Result<Response, Error> {
    let headers = vec![("x-harmless".to_owned(), b"a\r\nset-cookie: token=stolen".to_vec())];
    Ok(Response { status: 200, headers, body: Vec::new() })
}

fn large(_: &Request) -> Result<Response, Error> {
    Ok(Response { status: 200, headers: Vec::new(), body: vec![b'x'; 2_000_000] })
}

/// What a terminal takes for commands: the screen is cleared, text turns red, and runs the other way.
const COMMANDS: &str = "\u{1b}[2J\u{9b}31m\u{202e}";

fn chatter(_: &Request) -> Result<Response, Error> {
    for number in 0..10_000 {
        log::write(
            Level::Info,
            &format!("line {number}\n1970-01-01T00:00:00Z ERROR forged {COMMANDS}"),
        );
    }
    Ok(answer::json(200, &json!("logged")))
}

fn uses(_: &Request) -> Result<Response, Error> {
    static USES: AtomicU32 = AtomicU32::new(0);
    Ok(answer::json(200, &json!(USES.fetch_add(1, Ordering::Relaxed) + 1)))
}

fn print(_: &Request) -> Result<Response, Error> {
    println!("printed by the guest");
    Ok(answer::json(200, &json!("printed")))
}

fn environment(_: &Request) -> Result<Response, Error> {
    Ok(answer::json(
        200,
        &json!({
            "variables": std::env::vars().count(),
            "arguments": std::env::args().count(),
            "file": std::fs::read("/etc/hostname").is_ok(),
            "folder": std::fs::read_dir("/").is_ok(),
            "socket": std::net::TcpStream::connect("127.0.0.1:80").is_ok(),
        }),
    ))
}

fn too_random(_: &Request) -> Result<Response, Error> {
    Ok(answer::json(200, &json!(random::bytes(65_537).len())))
}

fn write() -> Result<Transaction, Error> {
    let transaction = Transaction::begin()?;
    transaction.execute("INSERT INTO invitation_codes (code) VALUES ($1)", params!["abandoned"])?;
    Ok(transaction)
}

fn abandon(_: &Request) -> Result<Response, Error> {
    let transaction = write()?;
    std::mem::forget(transaction);
    Ok(answer::json(200, &json!("left open")))
}

fn abandon_and_trap(_: &Request) -> Result<Response, Error> {
    let _transaction = write()?;
    panic!("within a transaction")
}

fn hold(request: &Request) -> Result<Response, Error> {
    let _transaction = write()?;
    sleep(request)
}

fn two(_: &Request) -> Result<Response, Error> {
    let _first = Transaction::begin()?;
    let second = match Transaction::begin() {
        Err(Refusal::Denied(reason)) => reason,
        Ok(_) | Err(_) => "not denied".to_owned(),
    };
    Ok(answer::json(200, &json!(second)))
}

fn statement(request: &Request) -> Result<Response, Error> {
    let sql = request.input().text("sql");
    let told = match database::query(&sql, &[]) {
        Ok(rows) => format!("{} rows", rows.len()),
        Err(refusal) => format!("{refusal:?}"),
    };
    Ok(answer::json(200, &json!(told)))
}

fn count(_: &Request) -> Result<Response, Error> {
    Ok(answer::json(200, &json!(cache::increment("hostile:count", 60))))
}

fn fill(_: &Request) -> Result<Response, Error> {
    for number in 0..200 {
        cache::set(&format!("hostile:{number}"), &[0; 10_000], 60);
    }
    let kept = (0..200).filter(|number| cache::get(&format!("hostile:{number}")).is_some()).count();
    Ok(answer::json(200, &json!(kept)))
}

fn query(request: &Request) -> Result<Response, Error> {
    let rows = database::query(&request.input().text("sql"), &[])?;
    Ok(answer::json(200, &json!(rows.len())))
}

fn statements(request: &Request) -> Result<Response, Error> {
    let input = request.input();
    let (sql, times) = (input.text("sql"), number(request, "times"));
    let done = (0..times).map(|_| database::query(&sql, &[])).take_while(Result::is_ok).count();
    let refusal = database::query(&sql, &[]).err();
    Ok(answer::json(200, &json!({ "done": done, "then": format!("{refusal:?}") })))
}

fn parameters(request: &Request) -> Result<Response, Error> {
    let text = "x".repeat(number(request, "bytes"));
    let count = number(request, "count");
    let places: Vec<String> = (1..=count).map(|number| format!("${number}")).collect();
    let sql = format!("SELECT 1 FROM user_addresses WHERE province IN ({})", places.join(", "));
    let values = vec![database::Value::from(text); count];
    let told = match database::query(&sql, &values) {
        Ok(rows) => format!("{} rows", rows.len()),
        Err(refusal) => format!("{refusal:?}"),
    };
    Ok(answer::json(200, &json!(told)))
}

/// Answers how each ended, and whether what they did was kept.
fn within(request: &Request) -> Result<Response, Error> {
    let transaction = Transaction::begin()?;
    let run = |sql: &str| match transaction.execute(sql, &[]) {
        Ok(rows) => format!("{rows} rows"),
        Err(refusal) => format!("{refusal:?}"),
    };
    let told: Vec<String> = request.input().text("sql").lines().map(run).collect();
    let kept = transaction.commit().is_ok();
    Ok(answer::json(200, &json!({ "told": told, "kept": kept })))
}

fn number(request: &Request, name: &str) -> usize {
    request.input().text(name).parse().unwrap_or(0)
}
