//! Links between pages: each leads to something, and from README.md every page can be found.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tidegate_test_support::assets;

/// Pages outside docs/ that link into it.
const OTHERS: [&str; 3] = ["CHANGELOG.md", "CONTRIBUTING.md", "charts/tidegate/README.md"];

/// The targets of a page's links into the repository, as written.
fn targets(page: &str) -> Vec<&str> {
    let mut fenced = false;
    let lines = page.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced
    });
    // What is in backquotes is no link, such as a query with `](`.
    let prose = lines.flat_map(|line| line.split('`').step_by(2).collect::<Vec<_>>());
    let targets = prose.flat_map(|text| text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)));
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

/// What the headings of a page are called in links.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Where a link of a page leads, from the root of the repository.
fn resolved(page: &Path, target: &str) -> PathBuf {
    let mut path = page.parent().map(Path::to_owned).unwrap_or_default();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => path.push(part),
        }
    }
    path
}

/// What a link leads to; an error if that is not there.
fn followed(page: &Path, text: &str, target: &str) -> Result<PathBuf> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { page.to_owned() } else { resolved(page, file) };
    let full = assets::repository().join(&path);
    ensure!(full.exists(), "{target} is not there");
    if !anchor.is_empty() {
        let text = if file.is_empty() { text.to_owned() } else { std::fs::read_to_string(full)? };
        ensure!(anchors(&text).contains(anchor), "{target}: no heading is called so");
    }
    Ok(path)
}

#[test]
fn every_link_leads_to_something_and_every_page_is_found_from_the_readme() -> Result<()> {
    let pages = crate::pages()?;
    let (mut problems, mut links) = (Vec::new(), Vec::new());
    for page in pages.iter().cloned().chain(OTHERS.map(PathBuf::from)) {
        let text = std::fs::read_to_string(assets::repository().join(&page)).context("a page")?;
        for target in targets(&text) {
            match followed(&page, &text, target) {
                Ok(to) => links.push((page.clone(), to)),
                Err(error) => problems.push(format!("{}: {error:#}", page.display())),
            }
        }
    }
    // A link to a folder shows what is in it.
    let leads_to = |to: &Path, page: &Path| to == page || page.parent() == Some(to);
    let mut found = BTreeSet::from([PathBuf::from("README.md")]);
    loop {
        let next = pages.iter().filter(|page| {
            !found.contains(*page) && links.iter().any(|(from, to)| found.contains(from) && leads_to(to, page))
        });
        let next: Vec<PathBuf> = next.cloned().collect();
        if next.is_empty() {
            break;
        }
        found.extend(next);
    }
    let lost = pages.difference(&found).map(|page| format!("{}: no link from README.md leads here", page.display()));
    problems.extend(lost);
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn links_are_seen_and_words_in_backquotes_are_none() {
    let page = "See [a](b.md#c) and [d](https://e.example), `x](y)`.\n```text\n[f](g)\n```\n[h](i)\n";
    assert_eq!(targets(page), ["b.md#c", "i"]);
    assert_eq!(anchors("# A b-c's `d` (e)\n"), BTreeSet::from(["a-b-cs-d-e".to_owned()]));
    assert_eq!(resolved(Path::new("docs/how-to/ask.md"), "../refusals.md"), Path::new("docs/refusals.md"));
    followed(Path::new("README.md"), "# A", "docs/none.md").expect_err("no page");
    followed(Path::new("README.md"), "# A", "#b").expect_err("no heading");
    followed(Path::new("README.md"), "# A", "#a").expect("a heading");
}
