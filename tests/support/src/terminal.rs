//! A terminal for a child process: what it shows to a person is read like a log.

use std::fs::File;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Lines of a terminal that nobody scrolls.
const ROWS: u16 = 50;

/// A new terminal of this many columns: the end to read, and the end for the child.
///
/// # Errors
/// When the system gives none.
pub(crate) fn open(columns: u16) -> Result<(File, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let reader = openpt(flags).context("no terminal")?;
    grantpt(&reader)?;
    unlockpt(&reader)?;
    let child = ioctl_tiocgptpeer(&reader, flags)?;
    tcsetwinsize(&child, Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
    Ok((File::from(reader), child))
}
