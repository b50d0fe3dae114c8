//! What must hold for any bytes that a client or a tenant hands the host: run on random bytes by
//! `fuzz/host`, and on the files of `fuzz/corpus` by `cargo test`.

use std::sync::OnceLock;

use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::Value;
use tokio::runtime::Runtime;
use wasmtime::component::Component;
use wharf::Clock;
use wharf::capabilities::Grant;
use wharf::chance::Chance;
use wharf::compiler::{Artifact, Lines};
use wharf::database::{Database, Limits, Location, Migrations, Tables};
use wharf::identity::{Caller, Config, Issuer, Issuers, Lifetimes};
use wharf::instance::{self, Engine, Revision};
use wharf::router::Templates;
use wharf::tenant::manifest::Manifest;
use wharf::tenant::{Access, Source};

/// The time of the issuer's clock, in unix seconds.
const NOW: i64 = 1_700_000_000;

const KEY: &str = "the key of the issuer that is fuzzed";

/// After an even first byte, a token as a stranger makes it up: never accepted. After an odd one, claims
/// that are signed with the right key: accepted only if they are this issuer's and in time.
pub fn token(bytes: &[u8]) {
    let Some((mode, rest)) = bytes.split_first() else { return };
    if mode % 2 == 0 {
        let caller = verify(&String::from_utf8_lossy(rest));
        assert!(!matches!(caller, Caller::Identity(_)), "accepted without the key");
        return;
    }
    if let Caller::Identity(identity) = verify(&signed(rest)) {
        // A name that nobody looks at may be no text: whoever holds the key may sign that.
        let Ok(claims) = serde_json::from_slice::<Value>(rest) else { return };
        assert_eq!(claims["iss"], "wharf:fuzz");
        assert_eq!(claims["aud"], identity.subject().realm.as_str());
        assert_eq!(claims["sub"].as_str(), Some(identity.subject().user.to_string().as_str()));
        assert!(claims["exp"].as_i64().is_some_and(|exp| exp > NOW));
        assert!(claims["nbf"].as_i64().is_some_and(|nbf| nbf <= NOW));
    }
}

/// Whether claims that are signed with the right key are accepted.
#[allow(dead_code, reason = "for the test of the corpus")]
pub fn is_accepted(claims: &[u8]) -> bool {
    matches!(verify(&signed(claims)), Caller::Identity(_))
}

fn signed(claims: &[u8]) -> String {
    let head = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9";
    let message = format!("{head}.{}", base64(claims));
    let key = EncodingKey::from_secret(KEY.as_bytes());
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("signed");
    format!("{message}.{signature}")
}

fn verify(text: &str) -> Caller {
    static ISSUER: OnceLock<(Runtime, Issuer)> = OnceLock::new();
    let (runtime, issuer) = ISSUER.get_or_init(|| {
        let runtime = Runtime::new().expect("a runtime");
        let issuer = runtime.block_on(issuer());
        (runtime, issuer)
    });
    runtime.block_on(issuer.verify(text)).expect("the database answers")
}

async fn issuer() -> Issuer {
    // Kept until the process ends: the issuer does not outlive it.
    let folder = tempfile::tempdir().expect("a temporary folder").keep();
    let limits = Limits { rows: 1000, bytes: 1 << 20, ..wharf::Config::default().sql.limits() };
    let location = Location::Sqlite(folder.join("host.db"));
    let database =
        Database::open(&location, limits, &Migrations::host()).await.expect("a database");
    let lifetimes = Lifetimes { usual: Config::default(), realms: [].into() };
    let clock = Clock::manual(NOW);
    let issuers =
        Issuers::open(lifetimes, database, clock, Chance::system()).await.expect("the issuers");
    Issuer::new(&issuers, "fuzz", KEY.as_ref())
}

/// Base64 without padding, for URLs (RFC 4648, section 5).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = [chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)];
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..=chunk.len() {
            let index = (bits >> (18 - 6 * place)) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

/// Templates that the built-in API declares, of every shape.
const TEMPLATES: [&str; 9] = [
    "/",
    "/api/auth/login",
    "/api/user_info",
    "/api/user_info/{username}",
    "/api/user/password/{username}",
    "/uploads/{day}/{file}",
    "/user/{id}",
    "/audit/user/{id}",
    "/{*path}",
];

/// Lines of further templates and, last, a path: what it leads to is what reading the templates segment
/// by segment says, and its parameters are the path's own.
pub fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (further, path) = text.rsplit_once('\n').unwrap_or(("", text));
    let mut templates = Templates::default();
    let mut entered = Vec::new();
    for template in TEMPLATES.into_iter().chain(further.split('\n').take(20)) {
        // A router that has refused a template is thrown away, as the host does with it.
        let mut next = Templates::default();
        let all = entered.iter().copied().chain([template]);
        if all.into_iter().all(|template| next.insert(template.to_owned(), template).is_ok()) {
            entered.push(template);
            templates = next;
        }
    }
    let found = templates.at(path);
    // Templates with more than a parameter in a segment, or a brace in its name, are beyond this reading of them.
    if let Some((template, parameters)) = found.as_ref().filter(|(template, _)| is_plain(template))
    {
        assert_eq!(parameters.len(), template.matches('{').count());
    }
    if entered.iter().all(|template| is_plain(template)) {
        let best = entered
            .iter()
            .filter(|template| fits(template, path))
            .max_by_key(|template| rank(template));
        assert_eq!(found.map(|(template, _)| template), best, "{path:?} among {entered:?}");
    }
}

fn is_plain(template: &str) -> bool {
    template.split('/').all(|segment| {
        let inner = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
        !inner.unwrap_or(segment).contains(['{', '}'])
    })
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(rest), Some(first)) if rest.starts_with("{*") => {
                return !first.is_empty() || given.next().is_some();
            }
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {}
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return false,
        }
    }
}

/// Of several templates that fit, the one that says more in its first segments wins.
fn rank(template: &str) -> Vec<u8> {
    let weight = |segment: &str| match segment {
        rest if rest.starts_with("{*") => 0,
        parameter if parameter.starts_with('{') => 1,
        _ => 2,
    };
    template.split('/').map(weight).collect()
}

/// Bytes that a tenant deploys, in the binary format or as text: they are refused, or linked with nothing
/// but what was granted.
pub fn deploy(bytes: &[u8]) {
    let Ok(bytes) = wat::parse_bytes(bytes) else { return };
    let engine = Engine::shared();
    let Ok(component) = Component::from_binary(engine.wasmtime(), &bytes) else { return };
    let types = component.component_type();
    let imports: Vec<String> =
        types.imports(engine.wasmtime()).map(|(name, _)| name.to_owned()).collect();
    let artifact = Artifact { component, digest: String::new(), lines: Lines::default() };
    let limits = instance::Limits::default();
    let granted = |grants: &[Grant], mount: Option<&str>| Access {
        grants: (grants.to_vec(), Source::Configuration),
        tables: (Tables::default(), Source::Configuration),
        manifest: Manifest { mount: mount.map(str::to_owned), ..Manifest::default() },
    };
    // As a component that declares its routes, and as one that is mounted.
    for mount in [None, Some("/fuzz")] {
        let link =
            |grants| Revision::link(&engine, &artifact, &granted(grants, mount), "fuzz", limits);
        let _ = link(&Grant::ALL);
        if link(&[]).is_ok() {
            for import in &imports {
                let harmless =
                    import.starts_with("wasi:") || import.starts_with("wharf:plugin/http@");
                assert!(harmless, "{import} without a grant");
            }
        }
    }
}
