//! The workflows: nothing that they run can be exchanged under their feet, no job may more than it needs, and nobody's text becomes a
//! command. That they are workflows at all is actionlint's business, in `make lint`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tidegate_test_support::assets;

/// Every workflow, by its name, with its text.
fn workflows() -> BTreeMap<String, (String, Value)> {
    let folder = assets::repository().join(".github/workflows");
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("text");
        let workflow = serde_saphyr::from_str(&text).expect("a workflow");
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), (text, workflow))
    };
    let workflows: BTreeMap<_, _> = files.map(read).collect();
    assert_eq!(workflows.keys().collect::<Vec<_>>(), ["ci", "release"]);
    workflows
}

/// Every job as workflow/job.
fn jobs() -> BTreeMap<String, Value> {
    let of = |(name, (_, workflow)): (String, (String, Value))| {
        let jobs = workflow["jobs"].as_object().cloned().expect("jobs");
        jobs.into_iter().map(move |(job, body)| (format!("{name}/{job}"), body))
    };
    workflows().into_iter().flat_map(of).collect()
}

fn steps(job: &Value) -> &Vec<Value> {
    job["steps"].as_array().expect("steps")
}

#[test]
fn every_action_is_pinned_by_a_commit_and_says_its_version_and_is_the_same_everywhere() {
    let (mut pins, mut seen) = (BTreeMap::new(), 0);
    for (name, (text, _)) in workflows() {
        for line in text.lines().filter_map(|line| line.trim_start_matches(['-', ' ']).strip_prefix("uses: ")) {
            let (action, pin) = line.split_once('@').expect("a version");
            let (commit, version) = pin.split_once(" # v").unwrap_or_else(|| panic!("{name}: {line} names no version"));
            let hash = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            assert!(hash, "{name}: {line} is not pinned by a commit");
            assert_eq!(version.split('.').count(), 3, "{name}: {line} names no exact version");
            let first = pins.entry(action.to_owned()).or_insert_with(|| pin.to_owned());
            assert_eq!(first, pin, "{name}: {action} is pinned differently elsewhere");
            seen += 1;
        }
    }
    let uses = jobs().values().flat_map(|job| steps(job).clone()).filter(|step| step.get("uses").is_some()).count();
    assert_eq!(seen, uses, "every use was looked at");
    assert!(seen > 5, "{seen}");
}

#[test]
fn a_job_has_a_time_limit_and_the_rights_that_are_written_down_here_and_no_others() {
    let rights = BTreeMap::from([
        ("ci/make", json!({"contents": "read"})),
        ("ci/release", json!({"contents": "read"})),
        ("release/build", json!({"contents": "read"})),
        (
            "release/publish",
            json!({"contents": "read", "packages": "write", "id-token": "write", "attestations": "write"}),
        ),
        ("release/notes", json!({"contents": "write"})),
    ]);
    let jobs = jobs();
    let have = jobs.iter().map(|(name, job)| (name.as_str(), job["permissions"].clone())).collect();
    assert_eq!(rights, have);
    for (name, job) in &jobs {
        assert!(job["timeout-minutes"].as_u64().is_some_and(|minutes| minutes <= 180), "{name} has no time limit");
        assert_eq!(job["runs-on"], "ubuntu-24.04", "{name}: a machine that changes by itself builds other bytes");
    }
    for (name, (_, workflow)) in workflows() {
        assert_eq!(workflow["permissions"], json!({}), "{name}: a job without a list has no rights");
    }
}

#[test]
fn nothing_from_outside_is_pasted_into_a_command() {
    let mut seen = BTreeSet::new();
    for (name, job) in jobs() {
        for run in steps(&job).iter().filter_map(|step| step["run"].as_str()) {
            for pasted in run.split("${{").skip(1) {
                // What a workflow itself lists. Everything else reaches a command as a variable of its environment.
                let pasted = pasted.split("}}").next().unwrap_or_default().trim();
                assert!(pasted.starts_with("matrix."), "{name}: {pasted} is pasted into {run:?}");
            }
            seen.insert(name.clone());
        }
    }
    assert_eq!(seen.len(), jobs().len(), "every job runs something");
}

#[test]
fn a_checkout_leaves_no_token_behind_and_a_release_takes_nothing_from_a_cache() {
    let mut checkouts = 0;
    for (name, job) in jobs() {
        for step in steps(&job) {
            let uses = step["uses"].as_str().unwrap_or_default();
            if uses.starts_with("actions/checkout@") {
                assert_eq!(step["with"]["persist-credentials"], false, "{name}");
                checkouts += 1;
            }
            let cached = uses.starts_with("actions/cache@") && name.starts_with("release/");
            assert!(!cached, "{name}: whoever can write the cache could write the release");
        }
    }
    assert_eq!(checkouts, jobs().len());
}
