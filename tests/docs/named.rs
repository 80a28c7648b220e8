//! Commands that only a kubelet can answer: `kubectl logs`, `kubectl port-forward`, and `kubectl rollout`, for which the harness stands in.
//! Nothing runs them here, so everything that they name is held against what is installed: namespace, labels, objects, ports, and the words
//! that they look for in the logs.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tidegate_test_support::assets;

/// What is installed: the objects of `install.yaml`, which is rendered from the chart, and the lines of the servers' sources.
pub struct Installed {
    objects: Vec<Value>,
    sources: Vec<String>,
}

// === impl Installed ===

impl Installed {
    /// As the repository has it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of_the_repository() -> Result<Self> {
        let root = assets::repository();
        let manifests = std::fs::read_to_string(root.join("install.yaml"))?;
        Ok(Self { objects: objects(&manifests)?, sources: lines_of(&root.join("src"))? })
    }

    /// Holds a command against it.
    ///
    /// # Errors
    /// When it names something that is not installed, would show less than all, or needs no kubelet.
    pub fn has_all_that_is_named(&self, command: &str) -> Result<()> {
        let line = command.replace("\\\n", " ");
        let (kubectl, filter) = line.split_once('|').map_or((line.as_str(), None), |(left, right)| (left, Some(right)));
        let words: Vec<&str> = kubectl.split_whitespace().collect();
        ensure!(words.first() == Some(&"kubectl"), "not kubectl: {command}");
        let namespace = after(&words, "-n").context("it names no namespace with -n")?;
        ensure!(self.one("Namespace", None, namespace).is_some(), "no namespace {namespace} is installed");
        if words.contains(&"logs") {
            self.logs(&words, namespace)?;
        } else if words.contains(&"port-forward") {
            self.port_forward(&words, namespace)?;
        } else if words.contains(&"rollout") {
            self.rollout(&words, namespace)?;
        } else {
            bail!("no kubelet is needed for it: run it");
        }
        filter.map_or(Ok(()), |filter| self.is_logged(filter.trim()))
    }

    /// `logs deploy/…` shows one Pod of several, maybe the one that stands by; without `--tail` labels show ten lines of each.
    fn logs(&self, words: &[&str], namespace: &str) -> Result<()> {
        let selector = after(words, "-l").context("logs of a single Pod: select all by their labels, with -l")?;
        for option in ["--prefix", "--tail=-1"] {
            ensure!(words.contains(&option), "logs of several Pods need {option}");
        }
        let wanted = selector.split(',').map(|label| label.split_once('=').context("labels are name=value"));
        let wanted: BTreeMap<&str, &str> = wanted.collect::<Result<_>>()?;
        let selected = self.deployments(namespace).filter(|deployment| {
            let labels = &deployment["spec"]["template"]["metadata"]["labels"];
            wanted.iter().all(|(name, value)| labels[*name].as_str() == Some(*value))
        });
        ensure!(selected.count() == 1, "{selector} are not the labels of the Pods of one Deployment");
        Ok(())
    }

    fn port_forward(&self, words: &[&str], namespace: &str) -> Result<()> {
        let (kind, name) = words.iter().find_map(|word| word.split_once('/')).context("it names no object")?;
        let kind = match kind {
            "deployment" => "Deployment",
            "service" => "Service",
            other => bail!("{other} is neither deployment nor service"),
        };
        let object = self.one(kind, Some(namespace), name).with_context(|| format!("no {kind} {name} is installed"))?;
        let (_, port) = words.last().and_then(|ports| ports.split_once(':')).context("it names no two ports")?;
        let port: u64 = port.parse()?;
        let serves = match kind {
            "Service" => numbers(&object["spec"]["ports"], "port"),
            _ => numbers(&object["spec"]["template"]["spec"]["containers"][0]["ports"], "containerPort"),
        };
        ensure!(serves.contains(&port), "{kind} {name} has the ports {serves:?}, not {port}");
        Ok(())
    }

    fn rollout(&self, words: &[&str], namespace: &str) -> Result<()> {
        let mut named = words.iter().filter_map(|word| word.split_once('/')).peekable();
        ensure!(named.peek().is_some(), "it names no object");
        for (kind, name) in named {
            ensure!(kind == "deployment", "{kind} is no deployment");
            ensure!(self.one("Deployment", Some(namespace), name).is_some(), "no Deployment {name} is installed");
        }
        Ok(())
    }

    /// A filter looks for words that a server says.
    fn is_logged(&self, filter: &str) -> Result<()> {
        let words = filter.strip_prefix("grep '").and_then(|rest| rest.strip_suffix('\''));
        let words = words.with_context(|| format!("{filter:?} is not grep '<words>'"))?;
        ensure!(self.sources.iter().any(|line| line.contains(words)), "no server ever says {words:?}");
        Ok(())
    }

    fn deployments(&self, namespace: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| {
            object["kind"] == "Deployment" && object["metadata"]["namespace"].as_str() == Some(namespace)
        })
    }

    fn one(&self, kind: &str, namespace: Option<&str>, name: &str) -> Option<&Value> {
        self.objects.iter().find(|object| {
            let metadata = &object["metadata"];
            object["kind"] == kind && metadata["name"] == name && metadata["namespace"].as_str() == namespace
        })
    }
}

fn objects(manifests: &str) -> Result<Vec<Value>> {
    let documents = manifests.split("\n---").map(serde_saphyr::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    Ok(documents.into_iter().filter(Value::is_object).collect())
}

/// All lines of all Rust files below a folder but comments, which no server says.
fn lines_of(folder: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for path in assets::files_below(folder)? {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)?;
            lines.extend(text.lines().filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned));
        }
    }
    Ok(lines)
}

/// The word after an option.
fn after<'a>(words: &[&'a str], option: &str) -> Option<&'a str> {
    words.iter().position(|word| *word == option).and_then(|at| words.get(at + 1)).copied()
}

fn numbers(list: &Value, field: &str) -> Vec<u64> {
    list.as_array().into_iter().flatten().filter_map(|port| port[field].as_u64()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_and_ports_of_what_is_installed_are_right() {
        let installed = Installed::of_the_repository().expect("install.yaml");
        for command in [
            "kubectl -n tidegate-system logs -l app.kubernetes.io/component=controller --prefix --tail=-1 \\\n  | grep 'keys are not there yet'",
            "kubectl -n tidegate-system port-forward service/tidegate-gateway 8443:8443",
            "kubectl -n tidegate-system port-forward deployment/tidegate-gateway 8081:8081",
            "kubectl -n tidegate-system rollout status deployment/tidegate-controller deployment/tidegate-gateway",
        ] {
            installed.has_all_that_is_named(command).expect(command);
        }
    }

    #[test]
    fn what_is_not_installed_or_shows_half_is_an_error() {
        let installed = Installed::of_the_repository().expect("install.yaml");
        let logs = "kubectl -n tidegate-system logs -l app.kubernetes.io/component=controller --prefix --tail=-1";
        for (command, why) in [
            ("kubectl -n tidegate-system logs deploy/tidegate-controller".to_owned(), "logs of a single Pod"),
            (logs.replace(" --prefix", ""), "need --prefix"),
            (logs.replace(" --tail=-1", ""), "need --tail=-1"),
            (logs.replace("=controller", "=control"), "are not the labels"),
            (
                logs.replace("app.kubernetes.io/component=controller", "app.kubernetes.io/name=tidegate"),
                "of one Deployment",
            ),
            (logs.replace("-n tidegate-system", "-n tidegate"), "no namespace tidegate"),
            (logs.replace("-n tidegate-system ", ""), "names no namespace"),
            (format!("{logs} | grep 'all is well'"), "no server ever says"),
            (format!("{logs} | wc -l"), "is not grep"),
            ("kubectl -n tidegate-system port-forward deployment/tidegate-gate 8081:8081".to_owned(), "no Deployment"),
            ("kubectl -n tidegate-system port-forward service/tidegate-gateway 8443:8081".to_owned(), "has the ports"),
            ("kubectl -n tidegate-system rollout status deployment/tidegate".to_owned(), "no Deployment"),
            ("kubectl -n tidegate-system rollout status".to_owned(), "names no object"),
            ("kubectl -n tidegate-system get pods".to_owned(), "run it"),
        ] {
            let error = format!("{:#}", installed.has_all_that_is_named(&command).expect_err(&command));
            assert!(error.contains(why), "{command}: {error}");
        }
    }
}
