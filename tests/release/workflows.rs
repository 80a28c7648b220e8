//! The workflows: nothing that they run can be exchanged under their feet, no job may more than it needs, and nobody's text becomes a
//! command. That they are workflows at all is actionlint's business, in `make lint`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tidegate_test_support::assets;

/// Every workflow, by its name, with its text.
pub fn workflows() -> BTreeMap<String, (String, Value)> {
    let folder = assets::repository().join(".github/workflows");
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("text");
        let workflow = serde_saphyr::from_str(&text).expect("a workflow");
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), (text, workflow))
    };
    let workflows: BTreeMap<_, _> = files.map(read).collect();
    assert_eq!(workflows.keys().collect::<Vec<_>>(), ["advisories", "ci", "release"]);
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

/// None in a job that is another workflow.
fn steps(job: &Value) -> &[Value] {
    if calls(job).is_some() { &[] } else { job["steps"].as_array().expect("steps") }
}

/// The workflow of this commit that a job is, if it has no steps of its own.
fn calls(job: &Value) -> Option<&str> {
    job["uses"].as_str()
}

/// All that a job runs.
fn commands(job: &Value) -> String {
    steps(job).iter().filter_map(|step| step["run"].as_str()).map(|run| format!("{run}\n")).collect()
}

/// The jobs that must have passed before this one begins.
fn needs(job: &Value) -> BTreeSet<&str> {
    let needs = &job["needs"];
    needs.as_str().into_iter().chain(needs.as_array().into_iter().flatten().filter_map(Value::as_str)).collect()
}

#[test]
fn every_action_is_pinned_by_a_commit_and_says_its_version_and_is_the_same_everywhere() {
    let (mut pins, mut seen) = (BTreeMap::new(), 0);
    for (name, (text, _)) in workflows() {
        for line in text.lines().filter_map(|line| line.trim_start_matches(['-', ' ']).strip_prefix("uses: ")) {
            if line == "./.github/workflows/ci.yaml" {
                // Of the same commit.
                continue;
            }
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
    let uses = jobs().values().flat_map(|job| steps(job).to_vec()).filter(|step| step.get("uses").is_some()).count();
    assert_eq!(seen, uses, "every use was looked at");
    assert!(seen > 5, "{seen}");
}

#[test]
fn a_job_has_a_time_limit_and_the_rights_that_are_written_down_here_and_no_others() {
    let rights = BTreeMap::from([
        ("advisories/crates", json!({"contents": "read"})),
        ("ci/image", json!({"contents": "read"})),
        ("ci/make", json!({"contents": "read"})),
        ("ci/release", json!({"contents": "read"})),
        ("release/tag", json!({"contents": "read"})),
        ("release/ci", json!({"contents": "read"})),
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
    for (name, job) in jobs.iter().filter(|(_, job)| calls(job).is_none()) {
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
    let run = jobs().into_iter().filter(|(_, job)| calls(job).is_none()).map(|(name, _)| name).collect();
    assert_eq!(seen, run, "every job runs something");
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
    assert_eq!(checkouts, jobs().values().filter(|job| calls(job).is_none()).count());
}

#[test]
fn what_is_published_is_of_a_commit_on_main_that_passed_ci_and_somebody_has_allowed_it() {
    let (jobs, workflows) = (jobs(), workflows());
    let job = |name: &str| jobs.get(&format!("release/{name}")).unwrap_or_else(|| panic!("no job {name}"));
    let tag = commands(job("tag"));
    for script in ["hack/release/on-main.sh\n", "hack/release/version.sh \"$GITHUB_REF_NAME\"\n"] {
        assert!(tag.contains(script), "{script} is not run: {tag}");
    }
    assert_eq!(steps(job("tag"))[0]["with"]["fetch-depth"], 0, "main is not there to be compared with");
    assert_eq!(calls(job("ci")), Some("./.github/workflows/ci.yaml"));
    assert!(workflows["ci"].1["on"].get("workflow_call").is_some(), "ci cannot be called");
    for (name, after) in
        [("ci", "tag"), ("build", "tag"), ("publish", "build"), ("publish", "ci"), ("notes", "publish")]
    {
        assert!(needs(job(name)).contains(after), "{name} does not wait for {after}");
    }
    assert_eq!(job("publish")["environment"], "release");
    for (name, body) in jobs.iter().filter(|(name, _)| name.starts_with("release/")) {
        assert!(body.get("if").is_none() && body.get("continue-on-error").is_none(), "{name} may begin all the same");
    }
}

#[test]
fn what_is_built_names_the_registry_it_is_published_to() {
    let release = &workflows()["release"].1;
    assert_eq!(release["env"]["REGISTRY"], "ghcr.io/${{ github.repository_owner }}");
    assert_eq!(release["env"]["SOURCE"], "${{ github.server_url }}/${{ github.repository }}");
    let (build, publish) = (commands(&release["jobs"]["build"]), commands(&release["jobs"]["publish"]));
    assert!(build.contains("REGISTRY=\"${REGISTRY,,}\""), "{build}");
    assert!(publish.contains("hack/release/publish.sh built/release-first \"${REGISTRY,,}\""), "{publish}");
    for job in ["build", "publish", "notes"] {
        let again = release["jobs"][job]["env"].as_object().is_some_and(|env| env.contains_key("REGISTRY"));
        assert!(!again, "{job} has another registry");
    }
}

#[test]
fn every_file_that_a_release_is_said_to_have_is_uploaded() {
    let release = &workflows()["release"].1;
    let signed = steps(&release["jobs"]["publish"]).iter().find(|step| step["with"]["name"] == "signed");
    let paths = signed.expect("what is signed is uploaded")["with"]["path"].as_str().expect("paths").to_owned();
    for files in ["*.tgz", "*.tar.gz", "*.json", "*.yaml", "image.digest", "SHA256SUMS"] {
        assert!(paths.lines().any(|path| path == format!("built/release-first/{files}")), "{files} stays behind");
    }
}

#[test]
fn known_holes_are_looked_for_every_day() {
    let advisories = &workflows()["advisories"].1;
    let cron = advisories["on"]["schedule"][0]["cron"].as_str().expect("a schedule").to_owned();
    assert_eq!(cron.split(' ').skip(2).collect::<Vec<_>>(), ["*"; 3], "not every day: {cron}");
    assert_eq!(commands(&advisories["jobs"]["crates"]), "make advisories\n");
}

#[test]
fn the_image_of_the_dockerfile_is_built_and_tried_and_says_what_the_released_one_says() {
    let image = commands(&workflows()["ci"].1["jobs"]["image"]);
    assert!(image.starts_with("make image-docker ARCHES=\"amd64 arm64\""), "{image}");
    let read = |path: &str| std::fs::read_to_string(assets::repository().join(path)).expect("text");
    let (dockerfile, build) = (read("Dockerfile"), read("hack/image/build.sh"));
    let labels = |text: &str, before: &str, until: char| -> BTreeSet<String> {
        text.split(before).skip(1).filter_map(|rest| rest.split(until).next()).map(str::to_owned).collect()
    };
    let mut released = labels(&build, "$(label ", ' ');
    released.extend(labels(&build, "; label ", ' '));
    released.insert("title".to_owned());
    assert_eq!(labels(&dockerfile, "org.opencontainers.image.", '='), released);
    assert_eq!(released.len(), 5, "{released:?}");
}
