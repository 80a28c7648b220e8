//! The section in docs/benchmarks.md that this program writes, between two marks; the rest of the page is `bench`'s.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table as Rows};

const BEGIN: &str = "<!-- written by bench-cluster -->\n";
const END: &str = "<!-- end of bench-cluster -->\n";

/// A table for people.
pub struct Table(Rows);

// === impl Table ===

impl Table {
    /// With these columns; all but the first hold numbers.
    pub fn new<const N: usize>(columns: [&str; N]) -> Self {
        let mut rows = Rows::new();
        rows.load_style(ASCII_MARKDOWN);
        rows.set_header(columns);
        rows.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        Self(rows)
    }

    /// One more line.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.0)
    }
}

/// The value at this place of the sorted values; 0 for none.
pub fn percentile(mut values: Vec<f64>, place: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * place).round() as usize).copied().unwrap_or_default()
}

/// Puts the section into the page, in place of the one before.
pub fn write(path: &Path, sections: &[String]) -> Result<()> {
    let page = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let around = match (page.find(BEGIN), page.find(END)) {
        (Some(begin), Some(end)) => (page[..begin].to_owned(), page[end + END.len()..].to_owned()),
        _ => (format!("{}\n\n", page.trim_end()), String::new()),
    };
    let section = format!("{BEGIN}## On an API server\n{}\n{END}", sections.join("\n"));
    std::fs::write(path, format!("{}{section}{}", around.0, around.1))?;
    Ok(())
}
