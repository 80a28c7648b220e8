//! A wall clock of its own for a process under test, to be set at will while it runs: `hack/wallclock`, compiled here and preloaded.
//! It needs a C compiler, and neither root nor a package.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::assets;
use crate::sandbox::Sandbox;

/// The clock, true until it is set.
pub struct WallClock {
    library: PathBuf,
    offset: PathBuf,
}

// === impl WallClock ===

impl WallClock {
    /// Compiles one.
    ///
    /// # Errors
    /// When there is no C compiler, or a file cannot be written.
    pub fn create(sandbox: &Sandbox) -> Result<Self> {
        let source = assets::repository().join("hack/wallclock/wallclock.c");
        let library = sandbox.fresh_path("wallclock", "wallclock.so")?;
        let offset = sandbox.fresh_path("wallclock", "offset")?;
        fs::write(&offset, 0i64.to_ne_bytes()).with_context(|| format!("cannot write {}", offset.display()))?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"]).arg(&library).arg(source);
        let output = compiler.output().context("no C compiler (cc)")?;
        ensure!(output.status.success(), "{compiler:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(Self { library, offset })
    }

    /// Makes it the wall clock of a process that is to be started.
    pub fn of(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("WALLCLOCK_FILE", &self.offset);
    }

    /// Sets it so many seconds before or after the true time, at once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&self, seconds: i64) -> Result<()> {
        // In place: the process has it mapped.
        let file = fs::OpenOptions::new().write(true).open(&self.offset)?;
        Ok(file.write_all_at(&seconds.to_ne_bytes(), 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_process_sees_the_wall_clock_that_was_set_for_it() -> Result<()> {
        let clock = WallClock::create(&*Sandbox::create()?)?;
        for ahead in [0, 3_600, -600] {
            clock.set(ahead)?;
            let mut date = Command::new("date");
            date.arg("+%s");
            clock.of(&mut date);
            let shown: i64 = String::from_utf8(date.output()?.stdout)?.trim().parse()?;
            let by = shown - clock::now().as_second();
            ensure!((ahead - 2..=ahead + 1).contains(&by), "{by} s ahead instead of {ahead}");
        }
        Ok(())
    }
}
