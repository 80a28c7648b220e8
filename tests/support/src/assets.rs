//! Where things lie: the built control plane, our own binaries, the repository and a folder on a real disk. Reads the
//! environment; starts nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The four programs of a control plane; all of them lie in one folder.
pub const PROGRAMS: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kubectl", "etcd"];

/// The Kubernetes version that is started unless `TIDEGATE_K8S` names another; the default of `build.sh`.
const DEFAULT_VERSION: &str = "1.36.3";

/// The folder with the control plane's programs: `KUBEBUILDER_ASSETS` if it has them all, else the cache that
/// `hack/controlplane/build.sh` fills.
///
/// # Errors
/// When neither has all four programs; the text says what to run.
pub fn control_plane_programs() -> Result<PathBuf> {
    if let Some(given) = variable("KUBEBUILDER_ASSETS").map(PathBuf::from)
        && has_all(&given)
    {
        return Ok(given);
    }
    let version = variable("TIDEGATE_K8S").unwrap_or_else(|| DEFAULT_VERSION.to_owned());
    let folder = cache()?.join(format!("controlplane/v{version}"));
    if !has_all(&folder) {
        bail!(
            "no control plane for Kubernetes {version} in {}; run `make controlplane` to build it, or set \
             KUBEBUILDER_ASSETS to a folder that has {}",
            folder.display(),
            PROGRAMS.join(", ")
        );
    }
    Ok(folder)
}

/// Every file in a folder and the folders in it, sorted by path.
///
/// # Errors
/// A folder cannot be read; the text names it.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

/// What `make tools` has put into the cache: a program such as `bin/helm`, or a folder such as `prometheus-operator`.
///
/// # Errors
/// When it is not there; the text says what to run.
pub fn tool(path: &str) -> Result<PathBuf> {
    let tool = cache()?.join("tools").join(path);
    if !tool.exists() {
        bail!("{} does not exist; run `make tools`", tool.display());
    }
    Ok(tool)
}

/// The folder with promtool and prometheus: the cache that `hack/prometheus/build.sh` fills.
///
/// # Errors
/// When they are not there; the text says what to run.
pub fn prometheus_programs() -> Result<PathBuf> {
    let module = repository().join("hack/prometheus/go.mod");
    let module = std::fs::read_to_string(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let version = module.split_whitespace().skip_while(|word| *word != "github.com/prometheus/prometheus").nth(1);
    let folder = cache()?.join("prometheus").join(version.context("go.mod names no version of prometheus")?);
    if !["promtool", "prometheus"].iter().all(|name| folder.join(name).is_file()) {
        bail!("no promtool and prometheus in {}; run `make prometheus` to build them", folder.display());
    }
    Ok(folder)
}

/// Where what was built stays between checkouts.
fn cache() -> Result<PathBuf> {
    let cache = match (variable("XDG_CACHE_HOME"), variable("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => Path::new(&home).join(".cache"),
        (None, None) => {
            bail!("neither HOME nor XDG_CACHE_HOME is set, so there is no cache to look in")
        }
    };
    Ok(cache.join("tidegate"))
}

/// One of our own programs (`controller`, `gateway`, `tidegate-agent`), from the folder this test was built into.
///
/// # Errors
/// When it has not been built.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = programs()?.join(name);
    if !path.is_file() {
        bail!("{} does not exist; build it first: `cargo build --workspace --bins`", path.display());
    }
    Ok(path)
}

/// The folder with our own programs.
///
/// # Errors
/// When nobody knows where this test was built into.
pub fn programs() -> Result<PathBuf> {
    profile_folder()
}

/// The folder with the tools that `make` has installed, such as helm. It may not exist.
///
/// # Errors
/// When there is no cache.
pub fn tools() -> Result<PathBuf> {
    Ok(cache()?.join("tools/bin"))
}

/// The root of the checkout.
#[must_use]
pub fn repository() -> &'static Path {
    // This crate lies two folders below the root.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// A folder for temporary files beside the build's output: there etcd meets a real disk, which a tmpfs is not.
///
/// # Errors
/// When it cannot be created.
pub fn temporary_root() -> Result<PathBuf> {
    let profile = profile_folder()?;
    let folder = profile.parent().unwrap_or(&profile).join("tmp");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// `target/<profile>`: where the running program lies, without the `deps` of test programs.
fn profile_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("the path of the running program is unknown")?;
    let folder = program.parent().context("the running program lies in no folder")?;
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_owned())
}

/// Shall golden files be written instead of compared? The setting `TIDEGATE_WRITE_GOLDEN`.
#[must_use]
pub fn writes_golden() -> bool {
    variable("TIDEGATE_WRITE_GOLDEN").is_some()
}

fn has_all(folder: &Path) -> bool {
    PROGRAMS.iter().all(|name| folder.join(name).is_file())
}

/// A setting of a test binary, from its environment; an empty one counts as absent.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a test binary has no clap; its settings are read here only")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
