//! docs/benchmarks.md has two writers: `bench` and, between two marks at its end, `bench-cluster`. Each leaves the other's part alone.

use std::path::Path;

use anyhow::{Context, Result};

const BEGIN: &str = "<!-- written by bench-cluster -->\n";
const END: &str = "<!-- end of bench-cluster -->\n";

/// The page in its two parts.
pub struct Page {
    /// What `bench` writes.
    pub rest: String,
    /// What `bench-cluster` writes; empty before the first time.
    pub cluster: String,
}

// === impl Page ===

impl Page {
    /// Reads the page, lets one part be written anew, and writes it.
    pub fn edit(path: &Path, change: impl FnOnce(&mut Self)) -> Result<()> {
        let page = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let (rest, marked) = page.split_once(BEGIN).unwrap_or((&page, ""));
        let cluster = marked.split_once(END).map(|(cluster, _)| cluster).unwrap_or_default();
        let mut page = Self { rest: rest.to_owned(), cluster: cluster.to_owned() };
        change(&mut page);
        let Self { rest, cluster } = page;
        let marked = match cluster.trim_end() {
            "" => String::new(),
            cluster => format!("\n{BEGIN}{cluster}\n{END}"),
        };
        std::fs::write(path, format!("{}\n{marked}", rest.trim_end()))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}
