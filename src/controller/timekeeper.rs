//! Notices when timers cannot be right any more: the time was corrected, the computer slept, or somebody set its clock. Then every
//! object is looked at again. The time itself is kept in [`crate::clock`].

use std::time::Duration;

use futures::stream::BoxStream;
use kube::Client;
use tidegate_core::timekeeping::Noticed;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::wiring::changes;
use crate::clock;
use crate::metrics::ControllerMetrics;
use crate::runtime::ask_time;

/// How often the clocks are looked at: how late something due after a jump can be.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at the clocks and tells.
#[derive(Debug, Default)]
pub struct Timekeeper {
    ticks: watch::Sender<u64>,
}

// === impl Timekeeper ===

impl Timekeeper {
    /// A tick whenever something may be due that no timer tells of.
    #[must_use]
    pub fn ticks(&self) -> BoxStream<'static, ()> {
        changes(self.ticks.subscribe())
    }

    /// Looks until told to stop.
    pub async fn run(self, client: Client, metrics: ControllerMetrics, stop: CancellationToken) {
        let (mut before, mut jumps) = (clock::readings(), clock::jumps());
        (0..jumps).for_each(|_| metrics.clock_jumped());
        while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            let now = clock::readings();
            let noticed = now.since(&before);
            noticed.iter().for_each(tell);
            before = now;
            if !noticed.is_empty() {
                // What time it really is shows at once, and not at the next answer that happens to come.
                let asked = stop.run_until_cancelled(tokio::time::timeout(EVERY, ask_time(&client))).await;
                if let Some(Ok(Err(error))) = asked {
                    tracing::warn!(%error, "the API server was not there to say what time it is");
                }
            }
            let jumped = clock::jumps() - jumps;
            jumps += jumped;
            (0..jumped).for_each(|_| metrics.clock_jumped());
            if jumped > 0 || !noticed.is_empty() {
                self.ticks.send_modify(|ticks| *ticks += 1);
            }
        }
    }
}

fn tell(noticed: &Noticed) {
    match noticed {
        Noticed::Stepped(by) => {
            let seconds = by.as_secs();
            tracing::info!(seconds, "the wall clock of this computer was set; the time is kept without it");
        }
        Noticed::Slept(by) => {
            let seconds = by.as_secs();
            tracing::info!(seconds, "this computer was suspended; everything is looked at again");
        }
    }
}
