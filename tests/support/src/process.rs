//! A child process in a group of its own, inside a sandbox: its logs, its end, and the faults a test does to it. What the
//! child is (API server, controller, agent) is for others to know.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::eventually::eventually;
use crate::log::Log;
use crate::sandbox::Sandbox;
use crate::terminal;

/// How long what a process wrote last is waited for, after its end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Killed with its whole group when dropped, and by the sandbox's watchdog if this process dies first.
pub struct Process {
    name: String,
    id: u32,
    child: Mutex<Child>,
    /// Log lines of our programs.
    pub stderr: Log,
    /// Audit lines of the controller; what the agent prints for people.
    pub stdout: Log,
    sandbox: Arc<Sandbox>,
}

// === impl Process ===

impl Process {
    /// Starts `command` with both outputs captured and no input. `name` appears in messages and names the log files.
    ///
    /// # Errors
    /// When the program cannot be started or a log file cannot be created.
    pub fn spawn(sandbox: &Arc<Sandbox>, name: &str, command: Command) -> Result<Self> {
        Self::start(sandbox, name, command, None)
    }

    /// Like `spawn`, with a terminal of so many columns as standard output: `stdout` is what a person would see, control
    /// sequences included.
    ///
    /// # Errors
    /// As `spawn`, and when there is no terminal to be had.
    pub fn spawn_on_terminal(sandbox: &Arc<Sandbox>, name: &str, mut command: Command, columns: u16) -> Result<Self> {
        let (screen, child) = terminal::open(columns)?;
        command.stdout(child);
        Self::start(sandbox, name, command, Some(screen))
    }

    /// `screen`: where standard output, set by the caller, is read; a pipe without it.
    fn start(sandbox: &Arc<Sandbox>, name: &str, mut command: Command, screen: Option<File>) -> Result<Self> {
        let out = sandbox.fresh_path("logs", &format!("{name}.out"))?;
        let err = sandbox.fresh_path("logs", &format!("{name}.err"))?;
        if screen.is_none() {
            command.stdout(Stdio::piped());
        }
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", command.get_program().display()))?;
        let id = child.id();
        let streams = sandbox.watchdog().add(id).and_then(|()| {
            let stdout: Box<dyn Read + Send> = match screen {
                Some(screen) => Box::new(screen),
                None => Box::new(child.stdout.take().context("stdout is not a pipe")?),
            };
            let stderr = child.stderr.take().context("stderr is not a pipe")?;
            Ok((Log::capture(stdout, &out)?, Log::capture(stderr, &err)?))
        });
        match streams {
            Ok((stdout, stderr)) => {
                let child = Mutex::new(child);
                Ok(Self { name: name.to_owned(), id, child, stderr, stdout, sandbox: Arc::clone(sandbox) })
            }
            Err(error) => {
                // Nobody would know of this child any more: end it before saying why.
                let _ended = child.kill().and_then(|()| child.wait());
                Err(error.context(format!("cannot watch over {name}")))
            }
        }
    }

    /// Its process id, which is also its group's.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Sends `signal` to the group.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = self.child();
        // Asked under the lock: an id that has been reaped could be somebody else's.
        if let Some(status) = child.try_wait()? {
            return Err(anyhow!("{} has ended already ({status}):\n{}", self.name, self.stderr.tail(30)));
        }
        self.signal_group(signal).with_context(|| format!("cannot send {signal:?} to {}", self.name))
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill9(&self) -> Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        Ok(self.child().wait()?)
    }

    /// SIGTERM; see `ended` for what it does with it.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn sigterm(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGSTOP: it is there and does nothing, until `cont`.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn cont(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// How it ended, or `None` while it lives.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn status(&self) -> Result<Option<ExitStatus>> {
        Ok(self.child().try_wait()?)
    }

    /// `Ok` while it lives.
    ///
    /// # Errors
    /// When it has ended; the text shows its last log lines.
    pub fn lives(&self) -> Result<()> {
        match self.status()? {
            None => Ok(()),
            Some(status) => {
                Err(anyhow!("{} has ended ({status}); its last lines:\n{}", self.name, self.stderr.tail(30)))
            }
        }
    }

    /// Waits until it has ended by itself, and what it wrote last has been read.
    ///
    /// # Errors
    /// When it still lives at the deadline.
    pub async fn ended(&self, deadline: Duration) -> Result<ExitStatus> {
        let status = eventually(&format!("the end of {}", self.name), deadline, async || {
            self.status()?.ok_or_else(|| anyhow!("it lives; its last lines:\n{}", self.stderr.tail(30)))
        })
        .await?;
        // Children that it has left may hold its streams open.
        let _open = tokio::time::timeout(LAST_WORDS, async {
            self.stdout.complete().await;
            self.stderr.complete().await;
        })
        .await;
        Ok(status)
    }

    fn signal_group(&self, signal: Signal) -> Result<()> {
        let group = i32::try_from(self.id).ok().and_then(Pid::from_raw).context("no process id")?;
        Ok(kill_process_group(group, signal)?)
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} at the time of the panic:\n{}", self.name, self.stderr.tail(30));
        }
        // Fails when it has ended already, which is what is wanted.
        let _ended = self.kill9();
        self.sandbox.watchdog().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Result<Process> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::spawn(&Sandbox::create()?, "shell", command)
    }

    #[tokio::test]
    async fn a_line_is_found_whether_it_comes_before_or_after_the_wait() -> Result<()> {
        let process = shell("echo one; echo two; exec tail -f /dev/null")?;
        assert_eq!(process.stdout.wait_for("the second line", 0, DEADLINE, |line| line == "two").await?, "two");
        assert_eq!(process.stdout.wait_for("the first line", 0, DEADLINE, |line| line == "one").await?, "one");
        let position = process.stdout.position();
        let missed = process.stdout.wait_for("a third", position, Duration::from_millis(50), |_any| true).await;
        assert!(missed.is_err(), "an old line was taken for a new one");
        Ok(())
    }

    #[tokio::test]
    async fn the_end_of_the_stream_ends_the_wait_and_shows_the_last_lines() -> Result<()> {
        let process = shell("echo port taken >&2; exit 3")?;
        let failure = process.stderr.wait_for("listening", 0, DEADLINE, |line| line == "listening").await;
        let text = format!("{:#}", failure.expect_err("it never listened"));
        assert!(text.contains("has ended") && text.contains("port taken"), "{text}");
        assert_eq!(process.ended(DEADLINE).await?.code(), Some(3));
        assert!(format!("{:#}", process.lives().expect_err("it has ended")).contains("port taken"));
        Ok(())
    }

    #[tokio::test]
    async fn a_child_on_a_terminal_knows_its_size_and_its_end_is_seen() -> Result<()> {
        let mut command = Command::new("sh");
        command.args(["-c", "test -t 1 && stty size <&1; echo done"]);
        let process = Process::spawn_on_terminal(&Sandbox::create()?, "shell", command, 97)?;
        assert_eq!(process.stdout.wait_for("its size", 0, DEADLINE, |line| line.ends_with("97")).await?, "50 97");
        assert!(process.ended(DEADLINE).await?.success());
        process.stdout.wait_for("its last line", 0, DEADLINE, |line| line == "done").await?;
        let more = process.stdout.wait_for("more", process.stdout.position(), DEADLINE, |_any| true).await;
        assert!(format!("{:#}", more.expect_err("it is over")).contains("has ended"));
        Ok(())
    }

    #[tokio::test]
    async fn a_signal_reaches_the_children_too() -> Result<()> {
        let process = shell("tail -f /dev/null & echo child $!; wait")?;
        let line = process.stdout.wait_for("the child's id", 0, DEADLINE, |line| line.starts_with("child ")).await?;
        let child: i32 = line.trim_start_matches("child ").parse()?;
        process.kill9()?;
        let child = Pid::from_raw(child).context("no process id")?;
        eventually("the child's end", DEADLINE, async || match rustix::process::test_kill_process(child) {
            Ok(()) => Err(anyhow!("it lives")),
            Err(_gone) => Ok(()),
        })
        .await
    }
}
