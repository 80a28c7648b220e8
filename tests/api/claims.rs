//! Every test that `docs/threat-model.md` names exists: as a test in the sources, or as a line of the adversary suite's table.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use tidegate_test_support::assets;

use crate::adversary::table;

const PAGE: &str = "docs/threat-model.md";
/// How a line of the table is named.
const CASE: &str = "case: ";

/// What stands in the last column of the tables with the heading `Test`.
fn named(page: &str) -> Vec<Vec<String>> {
    let mut of_tests = false;
    let mut rows = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        match (line.starts_with('|'), cells.last()) {
            (false, _) => of_tests = false,
            (true, Some(&"Test")) => of_tests = true,
            (true, Some(tests)) if of_tests && !line.starts_with("|---") => {
                rows.push(tests.split('`').skip(1).step_by(2).map(str::to_owned).collect());
            }
            (true, _) => {}
        }
    }
    rows
}

/// Names of the functions that are tests: under an attribute, or in a block of properties.
fn tests(source: &str) -> impl Iterator<Item = String> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_test = |line: &&str| line.starts_with("#[") && (line.contains("test]") || line.contains("test("));
    let name = |line: &&str| {
        let rest = line.split_once("fn ")?.1;
        rest.split_once(['(', '<']).map(|(name, _)| name.to_owned())
    };
    let starts: Vec<usize> = lines.iter().enumerate().filter(|(_, line)| is_test(line)).map(|(at, _)| at).collect();
    let found: Vec<String> = starts.into_iter().filter_map(|at| lines[at..].iter().find_map(name)).collect();
    found.into_iter()
}

#[test]
fn each_claim_of_the_threat_model_names_tests_that_exist() -> Result<()> {
    let mut known = BTreeSet::new();
    for folder in ["crates", "src", "tests"] {
        let files = assets::files_below(&assets::repository().join(folder))?;
        for source in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
            known.extend(tests(&std::fs::read_to_string(source)?));
        }
    }
    ensure!(known.len() > 500, "only {} tests were found", known.len());
    let cases: BTreeSet<String> = table::cases().into_iter().map(|case| format!("{CASE}{}", case.what)).collect();
    let rows = named(&std::fs::read_to_string(assets::repository().join(PAGE))?);
    ensure!(rows.len() > 40, "only {} claims were found in {PAGE}", rows.len());
    ensure!(rows.iter().all(|tests| !tests.is_empty()), "a claim in {PAGE} names no test");
    let missing: Vec<&String> =
        rows.iter().flatten().filter(|name| !known.contains(*name) && !cases.contains(*name)).collect();
    ensure!(missing.is_empty(), "{PAGE} names tests that do not exist: {missing:#?}");
    Ok(())
}

#[test]
fn a_row_without_its_test_and_a_function_that_is_no_test_are_noticed() {
    let page =
        "| Claim | Test |\n|---|---|\n| one | `a`, `case: b, c` |\n| two | none |\n\n| Word | Means |\n| x | `y` |\n";
    assert_eq!(named(page), [vec!["a".to_owned(), "case: b, c".to_owned()], vec![]]);
    let source = "fn helper() {}\n#[tokio::test]\n#[ignore = \"slow\"]\nasync fn one() -> Result<()> {\n#[test]\nfn two(x in 0..3) {";
    assert_eq!(tests(source).collect::<Vec<_>>(), ["one", "two"]);
}
