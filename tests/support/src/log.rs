//! What a child process writes: each stream goes line by line to a file in the sandbox and, bounded, to memory, where
//! tests wait for lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::watch;

/// Lines kept in memory; older ones are only in the file.
const KEPT: usize = 20_000;

/// One output stream of a child. Cheap to clone; clones see the same lines.
#[derive(Clone)]
pub struct Log {
    path: PathBuf,
    lines: Arc<Mutex<Lines>>,
    /// Changes with each line; closed at the end of the stream.
    written: watch::Receiver<usize>,
}

#[derive(Default)]
struct Lines {
    /// How many lines have left `kept`: the index of its first.
    dropped: usize,
    kept: VecDeque<String>,
}

// === impl Log ===

impl Log {
    /// Copies `stream` to `path` and to memory, on a thread of its own, until it ends.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub(crate) fn capture(stream: impl Read + Send + 'static, path: &Path) -> Result<Self> {
        let mut file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let lines = Arc::new(Mutex::new(Lines::default()));
        let (written, receiver) = watch::channel(0);
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut bytes = Vec::new();
            while reader.read_until(b'\n', &mut bytes).is_ok_and(|length| length > 0) {
                // The copy in memory is what tests read; a full disk shows there as well.
                let _lost = file.write_all(&bytes);
                lock(&kept).push(String::from_utf8_lossy(&bytes).trim_end().to_owned());
                written.send_modify(|count| *count += 1);
                bytes.clear();
            }
        });
        Ok(Self { path: path.to_owned(), lines, written: receiver })
    }

    /// Where the whole stream is kept until the sandbox goes.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lines so far, oldest first, without line ends; the latest 20,000.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).kept.iter().cloned().collect()
    }

    /// The last `count` lines as one text.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let lines = lock(&self.lines);
        let skipped = lines.kept.len().saturating_sub(count);
        lines.kept.iter().skip(skipped).map(|line| format!("  | {line}\n")).collect()
    }

    /// How many lines there have been: the `after` that means "from now on".
    #[must_use]
    pub fn position(&self) -> usize {
        let lines = lock(&self.lines);
        lines.dropped + lines.kept.len()
    }

    /// The lines from position `after` on, and the position behind them.
    #[must_use]
    pub fn since(&self, after: usize) -> (Vec<String>, usize) {
        let lines = lock(&self.lines);
        let skipped = after.saturating_sub(lines.dropped);
        (lines.kept.iter().skip(skipped).cloned().collect(), lines.dropped + lines.kept.len())
    }

    /// Waits until the stream has ended and all of it is there.
    pub async fn complete(&self) {
        let mut written = self.written.clone();
        while written.changed().await.is_ok() {}
    }

    /// The first line from position `after` on (0: from the start) that is `wanted`, as soon as it is written.
    ///
    /// # Errors
    /// When the deadline passes or the stream ends before; the text shows the last lines.
    pub async fn wait_for(
        &self,
        what: &str,
        after: usize,
        deadline: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let mut written = self.written.clone();
        let search = async {
            let mut next = after;
            loop {
                written.borrow_and_update();
                if let Some(line) = self.find(&mut next, &wanted) {
                    return Ok(line);
                }
                if written.changed().await.is_err() {
                    // The last line may have come between the search and the end.
                    return self.find(&mut next, &wanted).ok_or_else(|| anyhow!("the stream has ended"));
                }
            }
        };
        match tokio::time::timeout(deadline, search).await {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(ended)) => bail!("{what}: {ended}; its last lines:\n{}", self.tail(30)),
            Err(_elapsed) => {
                bail!("{what}: not within {:.1} s; last lines:\n{}", deadline.as_secs_f64(), self.tail(30))
            }
        }
    }

    /// Looks from `next` on and moves it behind what it has seen.
    fn find(&self, next: &mut usize, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let lines = lock(&self.lines);
        let skipped = next.saturating_sub(lines.dropped);
        let found = lines.kept.iter().skip(skipped).find(|line| wanted(line)).cloned();
        *next = lines.dropped + lines.kept.len();
        found
    }
}

// === impl Lines ===

impl Lines {
    fn push(&mut self, line: String) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
            self.dropped += 1;
        }
        self.kept.push_back(line);
    }
}

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
