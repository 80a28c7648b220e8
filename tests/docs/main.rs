//! Every command in README.md and docs/ is one that a test has run, as the person the page names, with the output that the page shows.
//! TIDEGATE_WRITE_GOLDEN=1 writes what is printed into the pages.

mod block;
mod files;
mod gitops;
mod links;
mod named;
mod reader;
mod said;
mod spoken;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tidegate_test_support::assets;

use self::block::{Block, By, Command, Harness, Run};
use self::named::Installed;
use self::reader::{Corrections, Reader};

/// The pages with commands, in the order in which somebody new reads them: each begins with what the ones before have left.
const READ: [&str; 23] = [
    "docs/getting-started.md",
    "docs/how-to/install.md",
    "docs/how-to/join-computers.md",
    "docs/how-to/write-a-policy.md",
    "docs/how-to/ask.md",
    "docs/how-to/stop.md",
    "docs/runbooks/admission-unprotected.md",
    "docs/runbooks/endpoints-behind.md",
    "docs/runbooks/gateway-down.md",
    "docs/runbooks/grants-overdue.md",
    "docs/runbooks/key-expiring.md",
    "docs/runbooks/keys-unusable.md",
    "docs/runbooks/no-leader.md",
    "docs/runbooks/parts-refused.md",
    "docs/runbooks/policy-invalid.md",
    "docs/runbooks/reconcile-errors.md",
    "docs/runbooks/requests-waiting.md",
    "docs/runbooks/suspended.md",
    "README.md",
    "docs/approvals.md",
    "docs/gitops.md",
    "docs/backup-and-restore.md",
    "docs/upgrade.md",
];
/// Pages whose blocks a test of their own runs, by name.
const ELSEWHERE: [(&str, &str); 3] = [
    ("docs/gitops.md", "tests/docs/gitops.rs"),
    ("docs/uninstall.md", "tests/e2e/uninstall.rs"),
    ("docs/verify.md", "hack/release/check.sh"),
];
/// The pages that say something else to somebody who installs with Helm, likewise.
const READ_WITH_HELM: [&str; 4] =
    ["docs/getting-started.md", "docs/how-to/install.md", "docs/how-to/traces.md", "docs/upgrade.md"];

/// Every page, by its path in the repository.
fn pages() -> Result<BTreeSet<PathBuf>> {
    let root = assets::repository();
    let mut pages = BTreeSet::from([PathBuf::from("README.md")]);
    for path in assets::files_below(&root.join("docs"))? {
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.insert(path.strip_prefix(root)?.to_owned());
        }
    }
    Ok(pages)
}

fn blocks(page: &Path) -> Result<Vec<Block>> {
    let text = std::fs::read_to_string(assets::repository().join(page))?;
    block::of_page(&text).with_context(|| page.display().to_string())
}

#[test]
fn every_block_with_commands_says_who_runs_it_or_why_nobody_does() -> Result<()> {
    let (mut unread, mut problems) = (Vec::new(), Vec::new());
    for page in pages()? {
        match blocks(&page) {
            Err(error) => problems.push(format!("{error:#}")),
            Ok(blocks) => {
                problems.extend(blocks.iter().filter_map(|block| nobody_runs(&page, block)));
                let is_run = blocks.iter().any(|block| matches!(block.run, Run::As(_) | Run::Harness(_)));
                let is_read = READ.iter().chain(&READ_WITH_HELM).any(|read| Path::new(read) == page);
                unread.extend((is_run && !is_read).then_some(page));
            }
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    ensure!(unread.is_empty(), "no test reads {unread:?}: add them to READ");
    Ok(())
}

/// A block that a test of its own is said to run, and does not name.
fn nobody_runs(page: &Path, block: &Block) -> Option<String> {
    let Run::Elsewhere(name) = &block.run else { return None };
    let test = ELSEWHERE.iter().find(|(of, _)| Path::new(of) == page).map(|(_, test)| assets::repository().join(test));
    let source = test.and_then(|test| std::fs::read_to_string(test).ok()).unwrap_or_default();
    let named = source.contains(&format!("\"{name}\""));
    (!named).then(|| format!("{} line {}: no test runs {name}", page.display(), block.line))
}

#[test]
fn what_only_a_kubelet_can_answer_names_what_is_installed() -> Result<()> {
    let (installed, mut problems) = (Installed::of_the_repository()?, Vec::new());
    for page in pages()? {
        let stands_in = [Harness::StartsServers, Harness::RestartsController].map(Run::Harness);
        for block in blocks(&page)?.iter().filter(|block| block.run == Run::Named || stands_in.contains(&block.run)) {
            let wrong = block.commands.iter().filter_map(|command| {
                let error = installed.has_all_that_is_named(&command.text).err()?;
                Some(format!("{} line {}: {}: {error:#}", page.display(), block.line, command.text))
            });
            problems.extend(wrong);
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn a_command_in_a_sentence_is_one_that_a_block_types() -> Result<()> {
    let pages = pages()?;
    let typed: Vec<Block> = pages.iter().map(|page| blocks(page)).collect::<Result<Vec<_>>>()?.concat();
    let mut problems = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(assets::repository().join(&page))?;
        let untyped = spoken::commands(&text).into_iter().filter(|command| !spoken::is_typed(command, &typed));
        problems.extend(untyped.map(|command| format!("{}: {command}", page.display())));
    }
    ensure!(problems.is_empty(), "no test runs these; put them into blocks:\n{}", problems.join("\n"));
    Ok(())
}

/// With it an upgrade keeps the defaults of the chart before, and misses what is new; `--reset-then-reuse-values` is meant.
#[test]
fn no_command_keeps_the_defaults_of_an_older_chart() -> Result<()> {
    for page in pages()? {
        for block in blocks(&page)? {
            let keeps = |text: &str| text.split_whitespace().any(|word| word == "--reuse-values");
            let wrong = block.commands.iter().any(|command| keeps(&command.text));
            ensure!(!wrong, "{} line {}: --reuse-values", page.display(), block.line);
        }
    }
    Ok(())
}

/// Reads pages in order; what they show is what is printed, or they are corrected when golden files are written.
async fn read(reader: &mut Reader, pages: &[&str]) -> Result<()> {
    for page in pages {
        let corrections = reader.reads(&blocks(Path::new(page))?).await.with_context(|| (*page).to_owned())?;
        correct(Path::new(page), corrections)?;
    }
    Ok(())
}

fn correct(page: &Path, corrections: Corrections) -> Result<()> {
    if corrections.is_empty() {
        return Ok(());
    }
    let file = assets::repository().join(page);
    let text = std::fs::read_to_string(&file)?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // From the end, as earlier lines then stay where they are.
    for (range, printed) in corrections.into_iter().rev() {
        lines.splice(range, printed);
    }
    Ok(std::fs::write(file, lines.join("\n") + "\n")?)
}

#[tokio::test]
async fn the_pages_do_what_they_say_for_somebody_new() -> Result<()> {
    read(&mut Reader::new("kubectl").await?, &READ).await
}

/// The chart's README is shown by registries of charts, so it holds no comments of ours.
#[tokio::test]
#[ignore = "needs helm and the chart; `make test-chart` runs it"]
async fn installing_with_helm_works_as_the_readme_of_the_chart_says() -> Result<()> {
    let text = std::fs::read_to_string(assets::repository().join("charts/tidegate/README.md"))?;
    let mut commands = block::unmarked(&text)?;
    ensure!(commands.iter().any(|command| command.text.starts_with("helm install")), "it does not say how to install");
    // It starts a Pod.
    commands.retain(|command| !command.text.starts_with("helm test"));
    let packed = format!("tidegate-{}.tgz", env!("CARGO_PKG_VERSION"));
    for command in &mut commands {
        for (word, meant) in [
            ("<registry>", "registry.example"),
            ("tidegate-<version>.tgz", packed.as_str()),
            ("<chart>", packed.as_str()),
        ] {
            command.text = command.text.replace(word, meant);
        }
    }
    commands.insert(0, Command { text: "helm package charts/tidegate".to_owned(), output: None, lines: 0..0 });
    let run = Run::As(By { person: "admin".to_owned(), ..By::default() });
    Reader::new("helm").await?.reads(&[Block { line: 0, run, commands }]).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs helm and the chart; `make test-chart` runs it"]
async fn installing_with_helm_does_what_the_pages_say() -> Result<()> {
    read(&mut Reader::new("helm").await?, &READ_WITH_HELM).await
}
