//! Tables for people: on standard output, and as a page of the documentation.

use std::fmt;
use std::process::Command;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use crate::measure::Line;

/// What belongs together.
pub struct Section {
    /// A word.
    pub title: &'static str,
    /// What one operation is.
    pub about: &'static str,
    /// What was measured.
    pub lines: Vec<Line>,
    /// What it means.
    pub findings: Vec<String>,
}

/// A time with three digits.
pub fn nanoseconds(time: f64) -> String {
    match time {
        ..1.0 => format!("{time:.3} ns"),
        ..10.0 => format!("{time:.1} ns"),
        ..1e3 => format!("{time:.0} ns"),
        ..1e6 => format!("{:.2} µs", time / 1e3),
        _ => format!("{:.2} ms", time / 1e6),
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header(["what", "items", "median", "spread of medians", "p99", "CPU", "median per item"]);
        for line in &self.lines {
            let spread = format!("{} to {}", nanoseconds(line.spread.0), nanoseconds(line.spread.1));
            table.add_row([
                line.name.to_owned(),
                format!("{} {}", line.items, line.item),
                nanoseconds(line.median),
                spread,
                nanoseconds(line.p99),
                nanoseconds(line.cpu),
                nanoseconds(line.per_item()),
            ]);
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        writeln!(f, "## {}\n{}\n\n{table}", self.title, self.about)?;
        if !self.findings.is_empty() {
            writeln!(f)?;
        }
        self.findings.iter().try_for_each(|finding| writeln!(f, "- {finding}."))
    }
}

/// The page.
pub fn page(sections: &[Section], rounds: usize, is_short: bool) -> String {
    let sections: Vec<String> = sections.iter().map(Section::to_string).collect();
    let command = if is_short { "make bench SHORT=1" } else { "make bench" };
    format!(
        "# Benchmarks\n\n\
         Written by `{command}`. Everything of a section is measured in one process on one thread, in turns: one round that does not \
         count, then {rounds}. *Median* is the median of the rounds' medians, *spread* the smallest and the greatest of them, *p99* the \
         median of the rounds' 99th percentiles, *CPU* the processor time of one operation. Each operation is timed by itself, which \
         adds some 20 ns to all of them and their clock readings to *CPU*. Nothing here is asserted by a test: compare ratios, not times.\n\n\
         {}\n\n{}",
        machine(),
        sections.join("\n")
    )
}

fn machine() -> String {
    let said = |file: &str, line: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let found = text.lines().find(|text| text.starts_with(line)).unwrap_or_default();
        found.rsplit(": ").next().unwrap_or_default().trim().to_owned()
    };
    let rustc = Command::new("rustc")
        .arg("--version")
        .output()
        .map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "Measured on {} with {cores} cores, Linux {}, {}; Tidegate {}, Cedar (crate cedar-policy) {}; release build with thin LTO.",
        said("/proc/cpuinfo", "model name"),
        said("/proc/sys/kernel/osrelease", ""),
        rustc.unwrap_or_else(|_| "rustc unknown".to_owned()),
        env!("CARGO_PKG_VERSION"),
        cedar_policy::get_sdk_version(),
    )
}
