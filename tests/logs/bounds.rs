//! How much is kept, and of whom.

use super::{Config, TestHost, host, logs, message, visit};
use crate::support::Ask as _;

/// A host that keeps so much.
async fn keeping(kept: logs::Config) -> TestHost {
    host(|config: &mut Config| config.logs = kept).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_lines_go() {
    // Three quarters of eight are for what guests write.
    let host = keeping(logs::Config { lines: 8, ..logs::Config::default() }).await;
    for _ in 0..9 {
        visit(&host, "acme", "/print").await;
    }
    let before = host.log("acme", "").await;
    assert_eq!(before.len(), 6, "{before:?}");
    visit(&host, "acme", "/trap").await;
    let after = host.log("acme", "").await;
    assert_eq!(after.len(), 6);
    let last = after.last().expect("a line");
    assert!(message(last).contains("unreachable"), "{after:?}");
    assert!(!after.contains(&before[0]), "the oldest is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_take_no_more_bytes_than_they_may() {
    let bytes = 64 * 1024;
    let host = keeping(logs::Config { bytes, ..logs::Config::default() }).await;
    for _ in 0..3 {
        assert_eq!(visit(&host, "acme", "/log").await, 200);
    }
    let log = host.log("acme", "").await;
    let kept: usize = log.iter().map(|line| message(line).len()).sum();
    assert!(kept > bytes / 16 && kept < bytes * 3 / 4, "{kept} bytes in {} lines", log.len());
    assert!(message(log.last().expect("a line")).contains("limits.log_bytes"));
    // A line that is larger than all that may be kept is not.
    let host = keeping(logs::Config { bytes: 64, ..logs::Config::default() }).await;
    visit(&host, "acme", "/print").await;
    assert!(host.log("acme", "").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tenants_share_what_there_is_for_all() {
    let config = logs::Config { total_bytes: 128 * 1024, ..logs::Config::default() };
    let host = keeping(config).await;
    assert_eq!(visit(&host, "acme", "/log").await, 200);
    let alone = host.log("acme", "").await.len();
    // With the default tenant, there are two so far.
    for number in 0..6 {
        host.tenant(&format!("tenant-{number}")).await;
    }
    let among_others = host.log("acme", "").await.len();
    assert!(among_others > 0 && among_others * 3 < alone, "{among_others} of {alone}");
    visit(&host, "acme", "/log").await;
    assert!(host.log("acme", "").await.len() <= among_others + 1, "its part does not grow");
}

/// Whoever sends bad requests must not be able to hide what a guest wrote.
#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_drive_out_no_lines_of_guests() {
    let host = keeping(logs::Config { lines: 8, ..logs::Config::default() }).await;
    visit(&host, "acme", "/print").await;
    let large = vec![b' '; 2_000_000];
    for _ in 0..20 {
        let request = host.post("/statement").header("host", "acme.localhost");
        assert_eq!(request.body(large.clone()).answer().await.status, 413);
    }
    let log = host.log("acme", "").await;
    assert_eq!(log.len(), 3, "{log:?}");
    assert_eq!(message(&log[0]), "printed by the guest");
    assert!(log[1..].iter().all(|line| line["blame"] == "client"), "{log:?}");
}
