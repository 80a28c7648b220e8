//! The agent's terminal: its lines of news, and the table under them that it redraws every second.

use std::time::Duration;

use anyhow::{Context, Result};
use tidegate_test_support::Agent;

/// The agent on a terminal.
pub struct Screen {
    /// The process.
    pub agent: Agent,
}

// === impl Screen ===

impl Screen {
    /// The line of news with `word` (started, ended, …) about `source`, a request or a policy.
    ///
    /// # Errors
    /// When it is not said before the deadline.
    pub async fn news(&self, word: &str, source: &str, deadline: Duration) -> Result<String> {
        let what = format!("the agent's line `{word}` about {source}");
        let wanted = |line: &str| is_news(line) && line.contains(&format!("  {word} ")) && line.contains(source);
        let line = self.agent.process.stdout.wait_for(&what, 0, deadline, wanted).await?;
        Ok(clean(&line).to_owned())
    }

    /// The table as soon as it has a row with all of `texts`; lines from before position `after` do not count.
    ///
    /// # Errors
    /// When there is none before the deadline.
    pub async fn table(&self, texts: &[&str], after: usize, deadline: Duration) -> Result<Vec<String>> {
        let stdout = &self.agent.process.stdout;
        let row = |line: &str| !is_news(line) && texts.iter().all(|text| line.contains(text));
        let found = stdout.wait_for(&format!("a row with {texts:?}"), after, deadline, row).await?;
        let position = stdout.lines().iter().rposition(|line| *line == found).unwrap_or_default();
        // It is whole when it is drawn anew, which is within a second.
        stdout.wait_for("the next drawing", position + 1, deadline, |line| line.starts_with('\x1b')).await?;
        table_around(&stdout.lines(), position).context("a row without a table")
    }

    /// The rows about `source` from position `after` on, each as it is drawn, until the line of news that it has ended.
    ///
    /// # Errors
    /// When the agent draws nothing for as long as `deadline`.
    pub async fn rows_until_end(
        &self,
        source: &str,
        after: usize,
        deadline: Duration,
        mut show: impl FnMut(&str),
    ) -> Result<()> {
        let stdout = &self.agent.process.stdout;
        let mut position = after;
        loop {
            stdout.wait_for("the next drawing", position, deadline, |line| line.contains(source)).await?;
            let (lines, next) = stdout.since(position);
            position = next;
            for line in lines.iter().filter(|line| line.contains(source)) {
                match (is_news(line), line.contains("  ended ")) {
                    (true, true) => return Ok(()),
                    (true, false) => {}
                    (false, _) => show(clean(line)),
                }
            }
        }
    }
}

/// The table that line `position` is in: from its header to where it is drawn anew.
fn table_around(lines: &[String], position: usize) -> Option<Vec<String>> {
    let top = lines[..position].iter().rposition(|line| clean(line).trim_start().starts_with("Account"))?;
    let rows = lines[top + 1..].iter().take_while(|line| !line.starts_with('\x1b') && !is_news(line));
    Some(std::iter::once(&lines[top]).chain(rows).map(|line| clean(line).to_owned()).collect())
}

/// News begins with the time, in UTC.
pub fn is_news(line: &str) -> bool {
    clean(line).starts_with(|c: char| c.is_ascii_digit())
}

/// Without the sequence that erases the table before it is drawn anew.
pub fn clean(line: &str) -> &str {
    match line.strip_prefix('\x1b').and_then(|rest| rest.split_once("\x1b[J")) {
        Some((_up, text)) => text,
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_whole_from_what_is_redrawn() {
        let drawn = "\x1b[2A\x1b[J2026-11-22T10:00:00Z  started     alice\n Account  Left\n alice    9s\n bob      1m\n\
                     \x1b[3A\x1b[J Account  Left\n alice    8s\n\x1b[2A\x1b[J";
        let lines: Vec<String> = drawn.lines().map(str::to_owned).collect();
        assert_eq!(table_around(&lines, 2).unwrap(), [" Account  Left", " alice    9s", " bob      1m"]);
        assert_eq!(table_around(&lines, 5).unwrap(), [" Account  Left", " alice    8s"]);
        assert!(is_news(&lines[0]) && !is_news(&lines[4]));
    }
}
