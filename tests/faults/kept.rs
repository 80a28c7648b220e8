//! A controller that is started again whenever it ends by itself, as its Deployment does: who has lost the Lease ends, by design. The
//! logs of all its lives stay readable.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use tidegate_test_support::servers::admin_get;
use tidegate_test_support::{ControlPlane, Controller, Identity, eventually};
use tokio::task::JoinHandle;

use crate::installation::with;

/// Longer than any test.
const ALWAYS: Duration = Duration::from_secs(24 * 60 * 60);

/// What every life is started with.
#[derive(Clone)]
pub struct Start {
    /// Where it works.
    pub control_plane: &'static ControlPlane,
    /// Who it is, and its way to the API server.
    pub identity: Identity,
    /// Arguments beside the usual.
    pub more: &'static [&'static str],
}

/// A controller, and whoever starts it again. Dropped, it lives no more.
pub struct Kept {
    lives: Lives,
    keeping: JoinHandle<()>,
}

/// Oldest first; never empty.
type Lives = Arc<Mutex<Vec<Arc<Controller>>>>;

// === impl Start ===

impl Start {
    async fn life(&self) -> Result<Arc<Controller>> {
        let more = with(self.more);
        Ok(Arc::new(Controller::start_as(self.control_plane, &self.identity, more).await?))
    }
}

// === impl Kept ===

impl Kept {
    /// The first life; it listens, and need not lead.
    pub async fn start(start: Start) -> Result<Self> {
        let first = start.life().await?;
        let lives = Arc::new(Mutex::new(vec![Arc::clone(&first)]));
        let keeping = tokio::spawn(keep(start, first, Arc::clone(&lives)));
        Ok(Self { lives, keeping })
    }

    /// The latest life. It may have ended a moment ago.
    pub fn life(&self) -> Arc<Controller> {
        let lives = lock(&self.lives);
        Arc::clone(lives.last().expect("the first life is there from the start"))
    }

    /// Health, readiness and metrics of the latest life.
    pub fn admin(&self) -> SocketAddr {
        self.life().admin
    }

    /// How often it was started again.
    pub fn restarts(&self) -> usize {
        lock(&self.lives).len() - 1
    }

    /// What all lives have logged, oldest first.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lives).iter().flat_map(|life| life.process.stderr.lines()).collect()
    }

    /// Waits until any life has logged such a line.
    pub async fn says(&self, what: &str, deadline: Duration, wanted: impl Fn(&str) -> bool) -> Result<()> {
        eventually(what, deadline, async || {
            let said = self.lines().iter().any(|line| wanted(line));
            said.then_some(()).with_context(|| format!("its log ends:\n{}", self.life().process.stderr.tail(30)))
        })
        .await
    }

    /// Waits until `/readyz` of the latest life says 200 or, for `false`, 503.
    pub async fn ready_is(&self, wanted: bool, deadline: Duration) -> Result<()> {
        eventually(&format!("readiness {wanted}"), deadline, async || {
            let (code, body) = admin_get(self.admin(), "/readyz").await?;
            ensure!((code == 200) == wanted, "{code}: {body}");
            Ok(())
        })
        .await
        .with_context(|| format!("its log ends:\n{}", self.life().process.stderr.tail(20)))
    }

    /// Lives, has never panicked, and ended only where it had lost the Lease and said so.
    pub fn sound(&self) -> Result<()> {
        if let Some(panic) = self.lines().iter().find(|line| line.contains("panicked at")) {
            return Err(anyhow!("a panic: {panic}"));
        }
        let lives = lock(&self.lives).clone();
        for (number, life) in lives.iter().enumerate() {
            let Some(status) = life.process.status()? else { continue };
            let told = life.process.stderr.lines().iter().any(|line| line.contains("lost the Lease"));
            ensure!(
                status.code() == Some(1) && told,
                "life {number} ended ({status}) for another reason:\n{}",
                life.process.stderr.tail(30)
            );
        }
        Ok(())
    }

    /// kill -9, and nobody starts it again.
    pub async fn kill9(mut self) {
        self.keeping.abort();
        // A start that has begun has an end before the kill.
        let _aborted = (&mut self.keeping).await;
        for life in lock(&self.lives).iter() {
            // Fails where it has ended by itself, which is what is wanted.
            let _ended = life.process.kill9();
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

async fn keep(start: Start, mut life: Arc<Controller>, lives: Lives) {
    while let Ok(status) = life.process.ended(ALWAYS).await {
        println!("a controller ended ({status}); it is started again");
        let next = eventually("the next life", ALWAYS, async || {
            start.life().await.inspect_err(|error| println!("a controller did not start: {error:#}"))
        });
        let Ok(next) = next.await else { return };
        lock(&lives).push(Arc::clone(&next));
        life = next;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
