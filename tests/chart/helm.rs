//! helm, with folders of its own and, where it is to talk to a cluster, as somebody. Knows nothing of what is in the chart.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;
use tidegate_test_support::servers::SYSTEM_NAMESPACE;
use tidegate_test_support::{Identity, Said, assets};

/// The Kubernetes for which is rendered where there is no cluster; a helm that was built plainly believes in 1.20.
pub const NEWEST: &str = "1.36.3";

/// The name of the release.
pub const RELEASE: &str = "tidegate";

/// helm.
pub struct Helm {
    program: PathBuf,
    folders: TempDir,
    kubeconfig: Option<PathBuf>,
}

// === impl Helm ===

impl Helm {
    /// One that knows no cluster.
    pub fn alone() -> Result<Self> {
        Ok(Self { program: assets::tool("bin/helm")?, folders: tempfile::tempdir()?, kubeconfig: None })
    }

    /// One that acts as somebody.
    pub fn of(identity: &Identity) -> Result<Self> {
        Ok(Self { kubeconfig: Some(identity.kubeconfig().to_owned()), ..Self::alone()? })
    }

    /// A folder of its own, for charts that a test makes.
    pub fn folder(&self) -> &Path {
        self.folders.path()
    }

    /// Runs it in the namespace of the installation, to its end.
    pub async fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<Said> {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(args).args(["--namespace", SYSTEM_NAMESPACE]).stdin(Stdio::null()).kill_on_drop(true);
        command.env("HOME", self.folder());
        for (name, folder) in [("CACHE", "cache"), ("CONFIG", "config"), ("DATA", "data")] {
            command.env(format!("HELM_{name}_HOME"), self.folder().join(folder));
        }
        // Without a cluster there must be none, also not that of whoever runs the tests.
        command.env("KUBECONFIG", self.kubeconfig.as_deref().unwrap_or(Path::new("/dev/null")));
        Ok(Said::of(&command.output().await.with_context(|| format!("cannot run {command:?}"))?))
    }

    /// What the chart renders with these settings (`--set`, `-f`, `--api-versions`), the test's Pod included.
    pub async fn template(&self, settings: &[&str]) -> Result<Said> {
        let chart = chart();
        let args = ["template", RELEASE, &chart, "--kube-version", NEWEST];
        self.run(args.iter().chain(settings)).await
    }
}

/// The chart's folder.
pub fn chart() -> String {
    assets::repository().join("charts/tidegate").display().to_string()
}

/// The files of values that ship with the chart's source: name and path.
pub fn examples() -> Result<Vec<(String, String)>> {
    let folder = assets::repository().join("charts/tidegate/ci");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path().display().to_string();
        let file = path.rsplit('/').next().unwrap_or_default();
        let name =
            file.strip_suffix("-values.yaml").with_context(|| format!("{file} is not named <name>-values.yaml"))?;
        found.push((name.to_owned(), path.clone()));
    }
    found.sort();
    Ok(found)
}

/// The objects of a rendered text.
pub fn objects(yaml: &str) -> Result<Vec<Value>> {
    let documents = yaml.split("\n---").map(serde_saphyr::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    Ok(documents.into_iter().filter(Value::is_object).collect())
}

/// `Kind/name`.
pub fn called(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}
