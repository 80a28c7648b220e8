//! Supported is what is tested: docs/supported-versions.md says on which Kubernetes each command runs, and CI runs it there.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_test_support::assets;

use crate::workflows::workflows;

type Versions = BTreeSet<String>;

fn read(path: &str) -> String {
    std::fs::read_to_string(assets::repository().join(path)).expect("text")
}

/// The exact versions in a text, such as 1.36.3.
fn versions(text: &str) -> Versions {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    words.map(|word| word.trim_matches('.')).filter(|word| word.split('.').count() == 3).map(str::to_owned).collect()
}

/// The rows of the table of the page whose first heading this is, as cells.
fn table(heading: &str) -> Vec<Vec<String>> {
    let page = read("docs/supported-versions.md");
    let lines = page.lines().skip_while(|line| !line.starts_with(&format!("| {heading} |")));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// What CI runs on which versions: what the matrix says, and what a command of the Makefile sets by itself.
fn ci() -> BTreeMap<String, Versions> {
    let workflow = &workflows()["ci"].1;
    let make = &workflow["jobs"]["make"];
    let run = make["steps"].as_array().expect("steps").iter().filter_map(|step| step["run"].as_str());
    assert_eq!(run.collect::<Vec<_>>(), ["make ${{ matrix.target }} K8S=${{ matrix.kubernetes }}"]);
    let matrix = &make["strategy"]["matrix"];
    let list = |name: &str| matrix[name].as_array().expect("a list").iter().map(|item| item.as_str().expect("text"));
    let mut pairs: Vec<(&str, &str)> =
        list("target").flat_map(|target| list("kubernetes").map(move |version| (target, version))).collect();
    for more in matrix["include"].as_array().expect("a list") {
        pairs.push((more["target"].as_str().expect("text"), more["kubernetes"].as_str().expect("text")));
    }
    let makefile = read("Makefile");
    let mut runs: BTreeMap<String, Versions> = BTreeMap::new();
    for (target, version) in pairs {
        let recipe = makefile.split(&format!("\n{target}: ")).nth(1).unwrap_or_else(|| panic!("make {target}"));
        let recipe = recipe.lines().skip(1).take_while(|line| line.starts_with('\t'));
        let own = recipe.filter_map(|line| line.split("TIDEGATE_K8S=").nth(1)?.split(' ').next());
        let versions = runs.entry(target.to_owned()).or_default();
        versions.extend(own.chain([version]).map(str::to_owned));
    }
    runs
}

#[test]
fn what_ci_runs_on_which_kubernetes_is_what_the_page_says() {
    let said: BTreeMap<String, Versions> = table("Command")
        .into_iter()
        .map(|row| {
            let command = row[0].trim_matches('`').strip_prefix("make ").expect("a command").to_owned();
            (command, versions(&row[1]))
        })
        .collect();
    let mut runs = ci();
    // Starts no API server.
    runs.remove("lint");
    assert_eq!(said, runs);
}

/// The pages are typed with each kubectl. The oldest takes a document that begins with a brace for JSON.
#[test]
fn no_page_gives_kubectl_what_the_oldest_cannot_read() {
    let mut pages = assets::files_below(&assets::repository().join("docs")).expect("the pages");
    pages.push(assets::repository().join("README.md"));
    let mut found = Vec::new();
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(page).expect("text");
        let lines = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("{apiVersion:"));
        found.extend(lines.map(|(at, _)| format!("{}:{}", page.display(), at + 1)));
    }
    assert!(
        pages.len() > 20 && found.is_empty(),
        "give apiVersion, kind, metadata and spec lines of their own: {found:#?}"
    );
}

#[test]
fn a_version_is_said_to_be_tested_if_all_tests_run_on_it_and_it_can_be_built() {
    let rows = table("Kubernetes");
    let tested: Versions = rows.iter().flat_map(|row| versions(&row[1])).collect();
    assert!(tested.len() > 1, "{tested:?}");
    assert_eq!(tested, ci()["test"], "what `make test` runs on");
    let known = read("hack/controlplane/build.sh");
    let known = known.lines().filter_map(|line| line.trim().split_once(") module=")).map(|(version, _)| version);
    assert_eq!(tested, known.map(str::to_owned).collect(), "what hack/controlplane/build.sh builds");
    // Each row is about the minor version that it was tested with, or says that it was not tested.
    for row in &rows {
        let with = versions(&row[1]);
        let of_row = with.iter().all(|version| version.starts_with(&format!("{}.", row[0])));
        assert!(of_row && (!with.is_empty() || row[1] == "not tested"), "{row:?}");
    }
    let chart = read("charts/tidegate/Chart.yaml");
    let oldest = rows.last().map(|row| format!("kubeVersion: \">={}.0-0\"", row[0])).expect("a row");
    assert!(chart.contains(&oldest), "the chart installs on something else than {oldest}");
}
