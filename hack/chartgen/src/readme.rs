//! The table of values: the comment above each value in values.yaml is its description, what stands there its default. A value without a
//! comment is refused. The rest of README.md is written by hand.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const BEGIN: &str = "<!-- values: written by make generate from values.yaml -->\n";
const END: &str = "<!-- end of values -->\n";

/// A value and what its comment says.
#[derive(Debug, PartialEq)]
struct Described {
    /// `gateway.tls.existingSecret`.
    path: String,
    text: String,
}

/// Writes the table into README.md of the chart in this folder.
///
/// # Errors
/// A value without a comment, a README without the two marks, or a file that cannot be read or written.
pub fn write(chart: &Path) -> Result<()> {
    let read = |name: &str| {
        let path = chart.join(name);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let (values, readme) = (read("values.yaml")?, read("README.md")?);
    let (head, rest) = readme.split_once(BEGIN).context("README.md has no mark where the values begin")?;
    let (_, tail) = rest.split_once(END).context("README.md has no mark where the values end")?;
    let table = table(&values)?;
    let path = chart.join("README.md");
    fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).with_context(|| format!("writing {}", path.display()))
}

fn table(values: &str) -> Result<String> {
    let parsed: Value = serde_saphyr::from_str(values).context("values.yaml")?;
    let mut table = String::from("| Value | Default | What it is |\n|---|---|---|\n");
    for Described { path, text } in described(values)? {
        let pointer = format!("/{}", path.replace('.', "/"));
        let value = parsed.pointer(&pointer).with_context(|| format!("{path} is not read as it is written"))?;
        // The members of a group follow.
        let is_group = value.as_object().is_some_and(|members| !members.is_empty()) && !is_whole(&path);
        let default = if is_group { String::new() } else { format!("`{value}`") };
        table.push_str(&format!("| `{path}` | {default} | {} |\n", text.replace('|', "\\|")));
    }
    Ok(table)
}

/// Kubernetes defines the members of such an object: it is described as one value.
fn is_whole(path: &str) -> bool {
    path.rsplit('.').next() == Some("resources")
}

/// Every commented value, in the order of the file.
fn described(values: &str) -> Result<Vec<Described>> {
    let (mut all, mut parents, mut comment) = (Vec::new(), Vec::<(usize, String)>::new(), Vec::new());
    for (number, line) in values.lines().enumerate() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.trim().to_owned());
        } else if text.is_empty() {
            comment.clear();
        } else if let Some((key, _)) = text.split_once(':').filter(|(key, _)| key.chars().all(char::is_alphanumeric)) {
            parents.retain(|(of, _)| *of < indent);
            if parents.iter().any(|(_, name)| is_whole(name)) {
                continue;
            }
            parents.push((indent, key.to_owned()));
            let path = parents.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(".");
            if comment.is_empty() {
                bail!("values.yaml:{}: {path} has no comment", number + 1);
            }
            all.push(Described { path, text: comment.join(" ") });
            comment.clear();
        } else {
            bail!("values.yaml:{}: this is neither a comment nor a value: {line}", number + 1);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &str = "# The gateway.\ngateway:\n  # Names by which\n  # it is reached.\n  hostnames: []\n  # How much | it takes.\n  \
        resources:\n    limits: {memory: 1Mi}\n# Off?\nsuspended: false\n";

    #[test]
    fn every_value_has_its_comment_and_default_in_the_order_of_the_file() -> Result<()> {
        let rows: Vec<_> = table(VALUES)?.lines().skip(2).map(str::to_owned).collect();
        let expected = [
            "| `gateway` |  | The gateway. |",
            "| `gateway.hostnames` | `[]` | Names by which it is reached. |",
            r#"| `gateway.resources` | `{"limits":{"memory":"1Mi"}}` | How much \| it takes. |"#,
            "| `suspended` | `false` | Off? |",
        ];
        assert_eq!(rows, expected);
        Ok(())
    }

    #[test]
    fn a_value_without_a_comment_is_refused_by_its_line() {
        let refused = described("# One.\na: 1\nb: 2\n").expect_err("b has no comment");
        assert_eq!(refused.to_string(), "values.yaml:3: b has no comment");
    }
}
