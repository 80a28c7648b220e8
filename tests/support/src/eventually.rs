//! Waiting for something to become true. The only place in tests that may let time pass without an event to wait for.

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::clock::Stopwatch;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Asks `probe` until it answers `Ok`, at growing intervals of 20 to 250 ms. `Err` means "not yet" and says what was
/// seen, so `?` inside the probe makes any failed call a reason to ask again.
///
/// # Errors
/// When `deadline` has passed since the call; the text names `what` and what the last probe saw.
pub async fn eventually<T, F, P>(what: &str, deadline: Duration, mut probe: F) -> Result<T>
where
    F: FnMut() -> P,
    P: Future<Output = Result<T>>,
{
    let watch = Stopwatch::start();
    let mut pause = FIRST_PAUSE;
    let mut last = None;
    while let Some(left) = deadline.checked_sub(watch.elapsed()) {
        match tokio::time::timeout(left, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => last = Some(seen),
            Err(_elapsed) => {
                last = Some(last.unwrap_or_else(|| anyhow!("nothing: the first probe did not come back")));
                break;
            }
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    let seen = last.unwrap_or_else(|| anyhow!("nothing: there was no time for a probe"));
    Err(seen.context(format!("{what}: not within {:.1} s; last seen", deadline.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn the_first_good_answer_is_returned() -> Result<()> {
        let asked = Cell::new(0);
        let answer = eventually("three probes", Duration::from_secs(5), async || {
            asked.set(asked.get() + 1);
            if asked.get() < 3 { Err(anyhow!("asked {} times", asked.get())) } else { Ok(asked.get()) }
        })
        .await?;
        assert_eq!(answer, 3);
        Ok(())
    }

    #[tokio::test]
    async fn a_missed_deadline_tells_what_was_seen_last() {
        let failure =
            eventually::<(), _, _>("the moon", Duration::from_millis(30), async || Err(anyhow!("clouds"))).await;
        let text = format!("{:#}", failure.expect_err("nothing was ever seen"));
        assert!(text.contains("the moon") && text.contains("clouds"), "{text}");
    }

    #[tokio::test]
    async fn a_probe_that_hangs_is_cut_at_the_deadline() {
        let failure = eventually::<(), _, _>("an answer", Duration::from_millis(30), std::future::pending).await;
        assert!(failure.is_err());
    }
}
