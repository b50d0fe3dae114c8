//! A host under load for a long time, a part of it hostile: afterwards it holds no more than before.
//!
//! `WHARF_REQUESTS` says how many requests, 20,000 by default; `.ci/soak` sends a million to the release
//! build. The report lies in `target/soak`: `report.csv`, and `report.svg` as a plot.

mod load;
mod process;
mod report;
mod vanish;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::guests;
use crate::support::serving::{Serving, serve};
use load::Load;
use process::Sample;

/// Guests that misbehave when they are asked to; what they are asked is in [`load::ATTACKS`].
const HOSTILE: &[&str] = &["hostile"];

/// A share of all requests goes ahead of the baseline, so that pools and caches are as full as they get.
const WARM_UP: u64 = 10;

/// What the program may hold more than at the baseline, in bytes: what its allocator keeps for later.
const RESIDENT: u64 = 32 * 1024 * 1024;

/// Components of the API and those that attack it, with their manifests, in one folder.
fn components(folder: &Path) -> PathBuf {
    let all = folder.join("components");
    std::fs::create_dir(&all).expect("a folder");
    let folders = HOSTILE.iter().map(|guest| guests::guest(guest)).chain([guests::built_in()]);
    for file in folders.flat_map(|folder| std::fs::read_dir(folder).expect("a folder").flatten()) {
        std::fs::copy(file.path(), all.join(file.file_name())).expect("a copy");
    }
    all
}

/// Guests that compute for ever are stopped soon, so that there is time for other requests; only they, since
/// a busy machine lets everybody wait.
const SHORT: &str = "groups.hostile.limits.compute_milliseconds = 100\n";

fn start(folder: &Path, limits: &str) -> Serving {
    let settings = folder.join("wharf.toml");
    // One connection for each group, which is open by the time of the baseline.
    let text = format!("throttle.enabled = false\nsql.connections = 1\n{limits}");
    std::fs::write(&settings, text).expect("the folder is writable");
    let mut command = serve(folder, &components(folder));
    command.arg("--config").arg(settings);
    // Of the log, only what the host is asked for: a line for each trap would be all that is measured.
    command.args(["--log", "off,wharf::cli::serve=info"]).env("WHARF_CAPTCHA_REVEAL", "1");
    Serving::start(command)
}

/// How long to wait for it: connections to a database go when they have been idle for a minute.
const PATIENCE: Duration = Duration::from_mins(3);

/// Looks at the program until it holds what is expected; fails when that takes too long.
async fn until(serving: &Serving, what: &str, expected: impl Fn(&Sample) -> bool) -> Sample {
    let asked = Instant::now();
    loop {
        let sample = process::look(serving).await;
        if expected(&sample) {
            return sample;
        }
        assert!(asked.elapsed() < PATIENCE, "{what}: {sample:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the program holds when all clients have hung up and nothing is in hand any more.
async fn baseline(serving: &Serving, load: &Load, fresh: &Sample) -> Sample {
    load.hang_up();
    until(serving, "clients have hung up, nothing is in hand", |sample| {
        sample.has_nothing_in_hand() && sample.sockets <= fresh.sockets
    })
    .await
}

/// Sends requests while somebody looks at the program now and then; returns what was seen.
async fn run(serving: &Serving, load: &Arc<Load>, requests: u64) -> Vec<(Duration, u64, Sample)> {
    let (began, over) = (Instant::now(), AtomicBool::new(false));
    let looking = async {
        let mut seen = Vec::new();
        while !over.load(Ordering::Acquire) {
            let sample = process::look(serving).await;
            seen.push((began.elapsed(), load.sent(), sample));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        seen
    };
    let sending = async {
        load.send(requests).await;
        over.store(true, Ordering::Release);
    };
    tokio::join!(looking, sending).0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_time_under_attack_leaves_nothing_behind() {
    let requests = std::env::var("WHARF_REQUESTS")
        .map_or(20_000, |value| value.parse().expect("WHARF_REQUESTS is a number"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let serving = start(folder.path(), SHORT);
    let fresh = process::look(&serving).await;
    let load = Load::new(&serving.url).await;
    run(&serving, &load, requests / WARM_UP).await;
    let baseline = baseline(&serving, &load, &fresh).await;

    let began = Instant::now();
    let mut seen = run(&serving, &load, requests).await;
    let took = began.elapsed();
    load.hang_up();
    let what = format!("as little is held as at the baseline, {baseline:?}");
    let after = until(&serving, &what, |sample| {
        sample.has_nothing_in_hand()
            && sample.descriptors <= baseline.descriptors
            && sample.threads <= baseline.threads
            && sample.resident <= baseline.resident + RESIDENT
    })
    .await;
    seen.push((began.elapsed(), load.sent(), after));
    let folder = guests::root().join("target/soak");
    report::write(&folder, &seen);
    println!(
        "{requests} requests in {took:.1?}, {} of them hostile; {}\nbaseline {baseline:?}\nafter    {after:?}\nreport: {}",
        load.attacks(),
        load.latencies(),
        folder.display()
    );
    let (code, printed) = serving.stop("TERM");
    assert_eq!(code, Some(0), "{printed}");
}
