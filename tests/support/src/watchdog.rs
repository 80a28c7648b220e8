//! Ends what we started, however we end. A small shell in its own process group reads a pipe that only this process holds
//! open; when the pipe closes (return, panic, Ctrl-C, SIGKILL) it kills every registered process group and removes the
//! sandbox's folder. Statics are never dropped and SIGKILL runs no handler, so this is the one mechanism for all of them.
//! `setpriv --pdeathsig` is no substitute: it fires when the *thread* that forked ends, and each test is a thread.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
folder=$1
groups=' '
while read -r verb group; do
    case $verb in
        add) groups="$groups$group " ;;
        remove)
            case $groups in
                *" $group "*) groups="${groups%% "$group" *} ${groups#* "$group" }" ;;
            esac ;;
    esac
done
for group in $groups; do
    kill -s KILL -- "-$group"
done
tries=0
until rm -rf -- "$folder" || [ "$tries" -ge 10 ]; do
    tries=$((tries + 1))
    sleep 1
done
"#;

/// Kills and removes what it knows of once it is dropped or this process is gone.
pub(crate) struct Watchdog {
    pipe: Mutex<Option<ChildStdin>>,
    shell: Child,
}

// === impl Watchdog ===

impl Watchdog {
    /// Starts the watchdog of `folder`, which is removed at the end.
    ///
    /// # Errors
    /// When `sh` cannot be started.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "tidegate-watchdog"])
            .arg(folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start sh, the watchdog")?;
        let pipe = shell.stdin.take();
        Ok(Self { pipe: Mutex::new(pipe), shell })
    }

    /// From now on `group` (a process group id) is killed with us.
    ///
    /// # Errors
    /// When the watchdog is gone.
    pub(crate) fn add(&self, group: u32) -> Result<()> {
        self.tell("add", group).context("the watchdog is gone")
    }

    /// `group` has ended and been reaped: its id may soon belong to somebody else.
    pub(crate) fn remove(&self, group: u32) {
        // If the watchdog is gone there is nothing to protect from it.
        let _gone = self.tell("remove", group);
    }

    fn tell(&self, verb: &str, group: u32) -> std::io::Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        match pipe.as_mut() {
            Some(pipe) => pipe.write_all(format!("{verb} {group}\n").as_bytes()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Wait, so that after a drop everything is gone. It cannot fail for a child that nobody else reaps.
        let _reaped = self.shell.wait();
    }
}
