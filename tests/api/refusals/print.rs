//! How kubectl prints what the API server answered (`checkErr` in its `pkg/cmd/util`); a test compares it with kubectl itself. What is
//! different every time is replaced.

use kube::core::Status;

/// The longest text on the page, in characters: an answer may repeat what was sent.
const LONGEST: usize = 600;

/// What kubectl prints of this answer.
pub fn printed(status: &Status) -> String {
    if status.reason != "Invalid" {
        let reason = if status.reason.is_empty() { String::new() } else { format!(" ({})", status.reason) };
        return format!("Error from server{reason}: {}", status.message);
    }
    let Some(details) = &status.details else {
        return format!("The request is invalid: {}", status.message);
    };
    let named = !details.kind.is_empty() || !details.name.is_empty();
    let what = if named {
        format!("The {} \"{}\" is invalid", details.kind, details.name)
    } else if details.causes.is_empty() {
        format!("The request is invalid: {}", status.message)
    } else {
        "The request is invalid".to_owned()
    };
    let mut causes: Vec<String> = Vec::new();
    for cause in &details.causes {
        let text = format!("{}: {}", cause.field, cause.message);
        if !causes.contains(&text) {
            causes.push(text);
        }
    }
    match &causes[..] {
        [] => what,
        [one] => format!("{what}: {one}"),
        many => format!("{what}: \n* {}", many.join("\n* ")),
    }
}

/// The same every time and everywhere: the namespace is `berlin`, uids are `<uid>`, and what is too long is cut.
pub fn steady(text: &str, namespace: &str) -> String {
    let text = text.replace(namespace, "berlin");
    let cut: String = text.chars().take(LONGEST).collect();
    let cut = if cut.len() < text.len() { format!("{cut} …") } else { cut };
    cut.split_inclusive(|character: char| !character.is_ascii_hexdigit() && character != '-').map(without_uid).collect()
}

/// `word`, which may end in one character more.
fn without_uid(word: &str) -> String {
    let dashes = |text: &str| text.char_indices().filter(|(_, c)| *c == '-').map(|(at, _)| at).eq([8, 13, 18, 23]);
    match word.split_at_checked(36) {
        Some((uid, rest)) if rest.chars().count() <= 1 && dashes(uid) => format!("<uid>{rest}"),
        Some(_) | None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, Result, ensure};
    use kube::api::{Patch, PatchParams};

    use super::*;
    use crate::fleet::{Fleet, annotate};

    #[test]
    fn what_is_different_every_time_is_replaced() {
        let text = r#"in "adversary-x7k2p": UID 0b5a1c86-6f2e-4d7c-9c54-0a7d3d1f7b11, and 0b5a1c86-6f2e-4d7c-9c54-0a7d3d1f7b11"#;
        assert_eq!(steady(text, "adversary-x7k2p"), r#"in "berlin": UID <uid>, and <uid>"#);
        assert_eq!(steady("sha256-of-something is kept", "x7"), "sha256-of-something is kept");
        assert_eq!(steady(&"ü".repeat(700), "x7"), format!("{} …", "ü".repeat(LONGEST)));
    }

    #[tokio::test]
    async fn kubectl_prints_it_so() -> Result<()> {
        let fleet = Fleet::new("printed").await?;
        fleet.request("r").await?;
        let attempts = [
            annotate("decision.tidegate.dev/1", "carol@corp approve"),
            annotate("decision.tidegate.dev/1", "bob@corp approve for=45"),
            serde_json::json!({"spec": {"account": "root"}}),
            // One wrong field: of several the API server gives now this one first, now that.
            serde_json::json!({"spec": {"endpointName": "A/B"}}),
        ];
        for patch in attempts {
            let tried =
                fleet.requests(&fleet.bob).await?.patch("r", &PatchParams::default(), &Patch::Merge(&patch)).await;
            let Some(kube::Error::Api(status)) = tried.err() else { anyhow::bail!("{patch} was not refused") };
            let text = patch.to_string();
            let args = ["-n", fleet.namespace.name(), "patch", "er", "r", "--type=merge", "-p", text.as_str()];
            let said = fleet.bob.kubectl(args).await?;
            let expected = printed(&status);
            ensure!(said.stderr.trim_end() == expected, "{patch}\nkubectl: {}\nwe:      {expected}", said.stderr);
        }
        let nobody = fleet.control_plane.person("nobody@corp")?;
        let tried = fleet.requests(&nobody).await?.get("r").await;
        let Some(kube::Error::Api(status)) = tried.err() else { anyhow::bail!("reading was not refused") };
        let said = nobody.kubectl(["-n", fleet.namespace.name(), "get", "er", "r"]).await?;
        ensure!(said.stderr.trim_end() == printed(&status), "kubectl: {}", said.stderr);
        status.details.context("details")?;
        Ok(())
    }
}
