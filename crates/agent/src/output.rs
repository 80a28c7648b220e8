//! Standard output: JSON lines, text lines, or a table that is redrawn in place with what people should see above it.
//! Events and rows are given; nothing is decided here.

use std::io::{self, IsTerminal, Stdout, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use tidegate_core::interval::format_duration;

use crate::args::Output;
use crate::event::{Event, Obstacle};
use crate::text::shown;
use crate::watch::{Row, Standing};

/// Size of a terminal that does not tell.
const COLUMNS: u16 = 100;
const LINES: u16 = 24;

/// How output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Lines,
    /// A table of this many lines stands at the bottom.
    Table(u16),
}

/// The only writer of standard output.
#[derive(Debug)]
pub struct Printer {
    form: Form,
    out: Stdout,
}

// === impl Printer ===

impl Printer {
    /// A table needs a terminal; elsewhere people get lines.
    #[must_use]
    pub fn new(output: Output) -> Self {
        let out = io::stdout();
        let form = match output {
            Output::Json => Form::Json,
            Output::Table if out.is_terminal() => Form::Table(0),
            Output::Table => Form::Lines,
        };
        Self { form, out }
    }

    /// Does this form show the time that is left, so that it wants to be redrawn every second?
    #[must_use]
    pub fn counts_down(&self) -> bool {
        matches!(self.form, Form::Table(_))
    }

    /// Prints one event. What enrolment waits for is for people: it goes to standard error too, on a terminal only there.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn event(&mut self, event: &Event, at: Timestamp) -> io::Result<()> {
        match self.form {
            Form::Json => writeln!(self.out, "{}", event.to_json(at))?,
            Form::Lines => writeln!(self.out, "{}", event.to_line(at))?,
            Form::Table(_) => {
                self.erase()?;
                if !matches!(event, Event::Snapshot { .. } | Event::Enrolment { .. }) {
                    writeln!(self.out, "{}", event.to_line(at))?;
                }
            }
        }
        if let Event::Enrolment { key, message, .. } = event {
            if let Some(key) = key {
                eprintln!("tidegate-agent: key {key}");
            }
            for line in message.lines() {
                eprintln!("tidegate-agent: {}", shown(line));
            }
        }
        self.out.flush()
    }

    /// Redraws the table, if there is one.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn rows(&mut self, rows: &[Row]) -> io::Result<()> {
        if !self.counts_down() {
            return Ok(());
        }
        let (columns, lines) = self.size();
        let text = table(rows, columns, usize::from(lines.saturating_sub(3)));
        self.erase()?;
        // What does not fit, for narrow columns need several lines, could not be erased again.
        let mut drawn = 0;
        for line in text.lines().take(usize::from(lines.saturating_sub(1))) {
            writeln!(self.out, "{}", line.trim_end())?;
            drawn += 1;
        }
        self.form = Form::Table(drawn);
        self.out.flush()
    }

    fn erase(&mut self) -> io::Result<()> {
        if let Form::Table(lines @ 1..) = self.form {
            write!(self.out, "\x1b[{lines}A\x1b[J")?;
            self.form = Form::Table(0);
        }
        Ok(())
    }

    fn size(&self) -> (u16, u16) {
        match rustix::termios::tcgetwinsize(&self.out) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            Ok(_) | Err(_) => (COLUMNS, LINES),
        }
    }
}

/// The table, at most `columns` wide; of its rows at most `most`.
fn table(rows: &[Row], columns: u16, most: usize) -> String {
    if rows.is_empty() {
        return "No elevation applies now or later.".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
    table.set_header(["Account", "Right", "Mode", "State", "Ends", "Left"]);
    for Row { right, standing, left } in rows.iter().take(most) {
        table.add_row([
            shown(right.account.as_str()),
            shown(&right.source.to_string()),
            format!("{:?}", right.mode),
            standing.word().to_owned(),
            right.interval.end.to_string(),
            standing.remaining(*left),
        ]);
    }
    let hidden = rows.len().saturating_sub(most);
    if hidden > 0 { format!("{table}\n… and {hidden} more: see -o json") } else { table.to_string() }
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Upcoming => "upcoming",
            Self::Active => "active",
            Self::Withheld(Obstacle::Clock) => "withheld: clock",
            Self::Withheld(Obstacle::Offline) => "withheld: offline",
        }
    }

    /// The countdown: full seconds, rounded up, so that it never shows less than there is.
    fn remaining(self, left: Duration) -> String {
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let text = format_duration(Duration::from_secs(seconds));
        match self {
            Self::Upcoming => format!("begins in {text}"),
            Self::Active | Self::Withheld(_) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_core::elevation::Mode;
    use tidegate_core::interval::{Instant, Interval};

    use super::*;
    use crate::event::{RightReport, Source};

    fn row(account: &str, standing: Standing, left: Duration) -> Row {
        let source = Source::Policy { policy: "dev-tools".parse().unwrap(), uid: "u".parse().unwrap() };
        let interval = Interval { start: Instant::from_second(0), end: Instant::from_second(3600) };
        let right = RightReport { account: account.parse().unwrap(), source, mode: Mode::AnyApplication, interval };
        Row { right, standing, left }
    }

    #[test]
    fn the_table_shows_who_what_until_when_and_how_long() {
        let rows = [
            row("alice", Standing::Active, Duration::from_millis(749_001)),
            row("bob", Standing::Upcoming, Duration::from_secs(60)),
            row("carol", Standing::Withheld(Obstacle::Offline), Duration::from_secs(60)),
        ];
        let text = table(&rows, 120, 20);
        for expected in
            ["Account", "alice", "policy dev-tools", "AnyApplication", "active", "1970-01-01T01:00:00Z", "12m30s"]
        {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
        assert!(text.contains("begins in 1m") && text.contains("withheld: offline"), "{text}");
    }

    #[test]
    fn the_table_keeps_to_the_size_of_the_terminal() {
        let rows: Vec<Row> = (0..50).map(|_| row("alice", Standing::Active, Duration::ZERO)).collect();
        let text = table(&rows, 80, 10);
        assert!(text.contains("and 40 more"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn an_account_that_reorders_text_is_shown_escaped() {
        let text = table(&[row("a\u{202e}b", Standing::Active, Duration::ZERO)], 120, 20);
        assert!(text.contains("a\\u{202e}b"), "{text}");
    }
}
