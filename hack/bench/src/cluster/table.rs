//! Tables and percentiles for the page.

use std::fmt;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table as Rows};

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
