//! `sbom write` prints what the programs of a package are made of, as SPDX 2.3; `sbom check` compares such a document with Cargo.lock and
//! with what the compiler was given. `hack/release/sbom.sh` runs it.

mod check;
mod document;
mod lock;
mod tree;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser};

use self::document::Document;
use self::lock::Lock;
use self::tree::Tree;

/// What a program is made of.
#[derive(Parser)]
enum Command {
    /// Prints the document of a package.
    Write(Write),
    /// Compares a document with Cargo.lock and with what was compiled.
    Check {
        /// The document.
        document: PathBuf,
        /// Lists of what was compiled, `name@version`; together they are the document's crates.
        #[arg(required = true)]
        compiled: Vec<PathBuf>,
    },
}

#[derive(Args)]
struct Write {
    /// The name of the document.
    #[arg(long)]
    name: String,
    /// The package whose programs they are.
    #[arg(long)]
    package: String,
    /// What they are built for.
    #[arg(long, required = true)]
    target: Vec<String>,
    /// What the compilers link in by themselves, as `name@version@licence`.
    #[arg(long)]
    library: Vec<String>,
    /// When the document was made, such as 2026-11-22T06:00:00Z.
    #[arg(long)]
    created: String,
}

fn main() -> Result<()> {
    let lock = std::fs::read_to_string("Cargo.lock").context("reading Cargo.lock; run it where that lies")?;
    let lock = Lock::parse(&lock);
    match Command::parse() {
        Command::Write(write) => {
            println!("{}", self::write(&write, &lock)?);
            Ok(())
        }
        Command::Check { document, compiled } => {
            let text = std::fs::read_to_string(&document).with_context(|| format!("reading {}", document.display()))?;
            let mut crates = BTreeSet::new();
            for list in compiled {
                let text = std::fs::read_to_string(&list).with_context(|| format!("reading {}", list.display()))?;
                crates.extend(text.lines().map(str::to_owned));
            }
            let count = check::document(&text, &lock, &crates).with_context(|| document.display().to_string())?;
            println!("sbom: {}: the {count} crates that were compiled, as Cargo.lock has them", document.display());
            Ok(())
        }
    }
}

fn write(write: &Write, lock: &Lock) -> Result<String> {
    let Write { name, package, target, library, created } = write;
    let mut tree = Tree::default();
    for target in target {
        tree.add(&tree::of_cargo(package, target)?)?;
    }
    let document = Document { name, created, tree: &tree, libraries: &document::libraries(library)?, lock };
    Ok(serde_json::to_string_pretty(&document.spdx()?)?)
}
