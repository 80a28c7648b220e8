//! Measures what Tidegate does, per item, and where it can be compared side by side with another. Nothing here is asserted: what
//! is measured is told as it is, targets that were missed too. `make bench` runs it.

mod cedar;
mod clock;
mod evaluate;
mod fleet;
mod measure;
mod page;
mod report;
mod work;

use std::path::PathBuf;

use clap::Parser;

#[derive(Parser)]
struct Args {
    /// Fewer operations in a round: some two minutes instead of some ten.
    #[arg(long)]
    short: bool,
    /// Rounds that count; one more comes before them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Write the page to this file too.
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let Args { short, rounds, write } = Args::parse();
    let effort = if short { 1 } else { 5 };
    let mut sections = Vec::new();
    for section in [work::compile, work::select, work::render, evaluate::evaluate] {
        let section = section(rounds, effort)?;
        println!("{section}");
        sections.push(section);
    }
    if let Some(path) = write {
        page::Page::edit(&path, |page| page.rest = report::page(&sections, rounds, short))?;
    }
    Ok(())
}
