//! Tasks without which a process must not go on. The token that they end is a child of the one that says that the process was told
//! to stop: so it is known in the end whether it stops because it was told to.

use std::future::Future;

use tokio_util::sync::CancellationToken;

/// A task without which the process must not go on: when it ends, by a panic too, everything stops and the process is started anew.
pub fn vital<F>(stop: &CancellationToken, task: F) -> impl Future<Output = ()> + Send + use<F>
where
    F: Future<Output = ()> + Send,
{
    let stops = stop.clone().drop_guard();
    async move {
        let _stops = stops;
        task.await;
    }
}

/// The process has come to its end: because it was told to, or because a vital task has ended?
///
/// # Errors
/// Nobody told it to stop.
pub fn told_to_stop(told: &CancellationToken) -> anyhow::Result<()> {
    anyhow::ensure!(told.is_cancelled(), "a task without which this process cannot work has ended, or panicked");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use futures::FutureExt;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::runtime::exit_code;

    /// How a process with this vital task ends, once it has stopped.
    async fn ended(told: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
        let (stop, tasks) = (told.child_token(), TaskTracker::new());
        tasks.spawn(vital(&stop, task));
        stop.cancelled().await;
        tasks.close();
        tasks.wait().await;
        told_to_stop(told)
    }

    #[tokio::test]
    async fn a_vital_task_that_panics_or_ends_stops_all_and_the_process_fails() {
        for task in [async { panic!("by the test") }.boxed(), async {}.boxed()] {
            let told = CancellationToken::new();
            let ended = ended(&told, task).await;
            assert!(!told.is_cancelled(), "nobody told it to");
            let message = ended.as_ref().unwrap_err().to_string();
            assert!(message.contains("without which this process cannot work"), "{message}");
            assert_eq!(exit_code(ended), ExitCode::FAILURE);
        }
    }

    #[tokio::test]
    async fn a_process_that_is_told_to_stop_has_not_failed() {
        let told = CancellationToken::new();
        let waits = told.clone();
        told.cancel();
        assert_eq!(exit_code(ended(&told, async move { waits.cancelled().await }).await), ExitCode::SUCCESS);
    }
}
