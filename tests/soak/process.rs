//! What the program holds, as the operating system and the program itself tell.

use std::time::{Duration, Instant};

use crate::support::serving::Serving;

/// What the program held at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Resident memory in bytes.
    pub resident: u64,
    /// Open file descriptors.
    pub descriptors: usize,
    /// Sockets among them.
    pub sockets: usize,
    pub threads: u64,
    /// Requests in components, and such that wait for a place there.
    pub requests: u64,
    pub waiting: u64,
    /// Connections to the database that are held.
    pub connections: u64,
}

impl Sample {
    pub fn has_nothing_in_hand(&self) -> bool {
        self.requests + self.waiting + self.connections == 0
    }
}

/// Looks at the program.
pub async fn look(serving: &Serving) -> Sample {
    let (requests, waiting, connections) = in_hand(serving).await;
    let process = format!("/proc/{}", serving.child.id());
    let status = std::fs::read_to_string(format!("{process}/status")).expect("it runs");
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.split_whitespace()
            .next()
            .and_then(|value| value.parse::<u64>().ok())
            .expect("a number")
    };
    let open = std::fs::read_dir(format!("{process}/fd")).expect("it runs").flatten();
    // One that was closed meanwhile leads nowhere.
    let open: Vec<_> = open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
    Sample {
        resident: number("VmRSS:") * 1024,
        descriptors: open.len(),
        sockets: open.iter().filter(|place| place.to_string_lossy().starts_with("socket:")).count(),
        threads: number("Threads:"),
        requests,
        waiting,
        connections,
    }
}

/// What it says that it has in hand, when it is asked with SIGUSR1.
async fn in_hand(serving: &Serving) -> (u64, u64, u64) {
    const LINE: &str = "in hand";
    let before = serving.rest().matches(LINE).count();
    serving.signal("USR1");
    let asked = Instant::now();
    loop {
        let log = serving.rest();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(LINE)).collect();
        if lines.len() > before && log.ends_with('\n') {
            let number = |name: &str| {
                let (_, value) = lines[before].split_once(name).expect("a field");
                let value = value.split_whitespace().next().expect("a value");
                value.parse().expect("a number")
            };
            return (number("requests="), number("waiting="), number("connections="));
        }
        assert!(asked.elapsed() < Duration::from_mins(1), "it tells what it has in hand: {log}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
