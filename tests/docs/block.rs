//! A page's commands: every fenced block with commands, what the comment before it says of it, and where it stands.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};

/// Why a block is not run as it stands. Closed, so that no block goes unread for another reason.
pub const NOT_RUN: [&str; 6] = [
    "builds for minutes; CI builds it",
    "needs a kubelet",
    "needs an image registry",
    "needs a published release",
    "is a make target that CI runs",
    "is a make target for a quiet machine",
];

/// Who runs a block and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// A person runs it.
    As(By),
    /// The harness does what a cluster does by itself.
    Harness(Harness),
    /// A test of its own runs it, by this name.
    Elsewhere(String),
    /// Only a kubelet can answer it: what it names is held against what is installed (see `named`).
    Named,
    /// One of `NOT_RUN`.
    Not(String),
}

/// How a person runs a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct By {
    /// The user name; `admin` is the administrator of the cluster.
    pub person: String,
    /// Its last command is refused.
    pub fails: bool,
    /// Only where Tidegate is installed with this, `helm` or `kubectl`.
    pub with: Option<String>,
    /// Only on this minor version of Kubernetes 1 and newer ones.
    pub since: u32,
}

/// What the harness does where the page needs nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harness {
    /// Starts controller and gateways, as kubelets do once the Deployments are there.
    StartsServers,
    /// Starts the controller anew, as `kubectl rollout restart` does.
    RestartsController,
    /// Leaves the agent running that the block starts, with the address of a gateway of its own.
    StartsAgent,
    /// Waits until that agent has said what the block shows.
    HearsAgent,
}

/// Commands of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line of its first command in the page, from 0.
    pub line: usize,
    /// How it is run.
    pub run: Run,
    /// Its commands, in order.
    pub commands: Vec<Command>,
}

/// One command, and what the page says it prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// As typed, without prompts.
    pub text: String,
    /// The lines that it prints; `None` where the page shows none (```bash).
    pub output: Option<Vec<String>>,
    /// The lines of the page that hold the output.
    pub lines: Range<usize>,
}

/// All blocks of a page.
///
/// # Errors
/// A block with commands that no comment stands before, or a comment that says nothing known.
pub fn of_page(text: &str) -> Result<Vec<Block>> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut blocks, mut at) = (Vec::new(), 0);
    while at < lines.len() {
        let line = lines[at];
        if line.starts_with("<!-- setup") {
            let end = ends(&lines, at, "-->")?;
            let run = run(line.strip_prefix("<!-- setup").unwrap_or_default().trim())?;
            let commands = typed(&lines[at + 1..end], at + 1);
            blocks.push(Block { line: at + 1, run, commands });
            at = end + 1;
        } else if let Some(language) =
            line.strip_prefix("```").filter(|language| !language.is_empty() || !line.is_empty())
        {
            let end = ends(&lines, at + 1, "```")?;
            let body = &lines[at + 1..end];
            let language = match at.checked_sub(1).map(|before| lines[before]) {
                Some("<!-- agent says -->") => "said",
                Some("<!-- applied -->") => "applied",
                Some(_) | None => language,
            };
            if let Some(commands) = commands(language, body, at + 1)? {
                let marker = at.checked_sub(1).map(|before| lines[before]).unwrap_or_default();
                let run = marker.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
                let run = run.with_context(|| format!("line {}: no comment says who runs this block", at + 1))?;
                blocks.push(Block {
                    line: at + 1,
                    run: self::run(run).with_context(|| format!("line {at}"))?,
                    commands,
                });
            }
            at = end + 1;
        } else {
            // Elsewhere it would be a block for whoever reads, and none here.
            ensure!(!line.trim_start().starts_with("```"), "line {}: a block begins at the margin", at + 1);
            at += 1;
        }
    }
    Ok(blocks)
}

/// The commands of a page that says nothing of who runs them: those of its blocks, without prompts and output.
///
/// # Errors
/// A block that does not end.
pub fn unmarked(text: &str) -> Result<Vec<Command>> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut commands, mut at) = (Vec::new(), 0);
    while at < lines.len() {
        if lines[at].starts_with("```") {
            let end = ends(&lines, at + 1, "```")?;
            if ["```console", "```bash", "```sh"].contains(&lines[at]) {
                commands.extend(typed(&lines[at + 1..end], at + 1));
            }
            at = end;
        }
        at += 1;
    }
    Ok(commands)
}

fn ends(lines: &[&str], from: usize, with: &str) -> Result<usize> {
    let end = lines.iter().enumerate().skip(from).find(|(_, line)| **line == with);
    end.map(|(at, _)| at).with_context(|| format!("line {from}: nothing ends this with {with}"))
}

/// The commands of a fenced block; `None` if it holds none.
fn commands(language: &str, body: &[&str], first: usize) -> Result<Option<Vec<Command>>> {
    let prompts = body.iter().any(|line| line.starts_with("$ "));
    match language {
        "console" => {
            ensure!(
                body.first().is_some_and(|line| line.starts_with("$ ")),
                "line {first}: a console begins with a prompt"
            );
            Ok(Some(shown(body, first)))
        }
        "applied" => {
            let text = format!("kubectl apply -f - <<'END'\n{}\nEND", body.join("\n"));
            Ok(Some(vec![Command { text, output: None, lines: first..first }]))
        }
        "said" => {
            let output = Some(body.iter().map(|line| (*line).to_owned()).collect());
            Ok(Some(vec![Command { text: String::new(), output, lines: first..first + body.len() }]))
        }
        "bash" | "sh" => {
            ensure!(!prompts, "line {first}: prompts are for ```console, where output follows");
            Ok(Some(typed(body, first)))
        }
        "" | "text" | "yaml" | "json" | "mermaid" => {
            let looks = |line: &&str| {
                ["$ ", "kubectl ", "helm ", "make ", "docker ", "cargo "].iter().any(|start| line.starts_with(start))
            };
            match body.iter().find(|line| looks(line)) {
                Some(line) => bail!("line {first}: {line:?} is a command: say ```console or ```bash"),
                None => Ok(None),
            }
        }
        other => bail!("line {first}: ```{other} is none of console, bash, text, yaml, json and mermaid"),
    }
}

/// Commands without output: one a line, and what belongs to it.
fn typed(body: &[&str], first: usize) -> Vec<Command> {
    let (mut commands, mut at) = (Vec::new(), 0);
    while at < body.len() {
        let end = at + length(&body[at..]);
        let text = body[at..end].join("\n");
        if !text.trim().is_empty() && !text.starts_with('#') {
            commands.push(Command { text, output: None, lines: first + end..first + end });
        }
        at = end;
    }
    commands
}

/// Commands after a prompt, each with what it prints.
fn shown(body: &[&str], first: usize) -> Vec<Command> {
    let (mut commands, mut at) = (Vec::new(), 0);
    while at < body.len() {
        let end = at + length(&body[at..]);
        let output = body[end..].iter().take_while(|line| !line.starts_with("$ ")).map(|line| (*line).to_owned());
        let output: Vec<String> = output.collect();
        let lines = first + end..first + end + output.len();
        let text = body[at..end].join("\n");
        at = end + output.len();
        commands.push(Command { text: text.trim_start_matches("$ ").to_owned(), output: Some(output), lines });
    }
    commands
}

/// How many lines the command takes that begins here: until the end of its here-document, and on while lines end in a backslash.
fn length(body: &[&str]) -> usize {
    let mut lines = 1;
    while body.get(lines - 1).is_some_and(|line| line.ends_with('\\')) && lines < body.len() {
        lines += 1;
    }
    let word = body[..lines].iter().find_map(|line| line.split_once("<<'")?.1.split('\'').next());
    match word {
        Some(word) => body.iter().position(|line| *line == word).map_or(lines, |end| end + 1),
        None => lines,
    }
}

/// What a comment says: `run`, `run as=alice@corp fails`, `applied` of a manifest, `servers start`, …, `run: <name>` for a test of
/// its own, `names only: needs a kubelet`, `not run: <reason>`.
fn run(marker: &str) -> Result<Run> {
    if let Some(reason) = marker.strip_prefix("not run: ") {
        ensure!(NOT_RUN.contains(&reason), "{reason:?} is none of the reasons {NOT_RUN:?}");
        return Ok(Run::Not(reason.to_owned()));
    }
    if let Some(name) = marker.strip_prefix("run: ") {
        return Ok(Run::Elsewhere(name.to_owned()));
    }
    match marker {
        "names only: needs a kubelet" => return Ok(Run::Named),
        "applied" => return Ok(Run::As(By { person: "admin".to_owned(), ..By::default() })),
        "agent says" => return Ok(Run::Harness(Harness::HearsAgent)),
        "servers start" => return Ok(Run::Harness(Harness::StartsServers)),
        "controller restarts" => return Ok(Run::Harness(Harness::RestartsController)),
        "agent starts" => return Ok(Run::Harness(Harness::StartsAgent)),
        _ => {}
    }
    let mut by = By { person: "admin".to_owned(), ..By::default() };
    for word in marker.split_whitespace() {
        match word.split_once('=') {
            Some(("as", name)) => by.person = name.to_owned(),
            Some(("with", tool @ ("helm" | "kubectl"))) => by.with = Some(tool.to_owned()),
            Some(("since", version)) => by.since = version.strip_prefix("1.").unwrap_or(version).parse()?,
            None if word == "run" => {}
            None if word == "fails" => by.fails = true,
            _ => bail!("{word:?} says nothing: run, as=<person>, fails, with=helm, since=1.36, or not run: <reason>"),
        }
    }
    Ok(Run::As(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(page: &str) -> Block {
        let blocks = of_page(page).expect("a page");
        assert_eq!(blocks.len(), 1, "{blocks:?}");
        blocks.into_iter().next().expect("one")
    }

    #[test]
    fn a_console_has_commands_with_their_output() {
        let page = "Text.\n<!-- run as=alice@corp fails -->\n```console\n$ one \\\n  more\nsaid\n$ two <<'END'\n$ no prompt\nEND\n```\n";
        let block = only(page);
        assert_eq!(block.run, Run::As(By { person: "alice@corp".to_owned(), fails: true, ..By::default() }));
        assert_eq!(block.commands[0].text, "one \\\n  more");
        assert_eq!(
            (block.commands[0].output.clone(), block.commands[0].lines.clone()),
            (Some(vec!["said".to_owned()]), 5..6)
        );
        assert_eq!(block.commands[1].text, "two <<'END'\n$ no prompt\nEND");
        assert_eq!((block.commands[1].output.clone(), block.commands[1].lines.clone()), (Some(vec![]), 9..9));
    }

    #[test]
    fn blocks_without_comments_hold_commands_too() {
        let page = "```console\nhelm install \\\n  tidegate\nhelm test\n```\n```yaml\na: 1\n```\n";
        let commands: Vec<String> = unmarked(page).expect("a page").into_iter().map(|command| command.text).collect();
        assert_eq!(commands, ["helm install \\\n  tidegate", "helm test"]);
    }

    #[test]
    fn a_setup_is_run_and_not_seen() {
        let block = only("<!-- setup as=bob@corp\n# why\none\ntwo\n-->\n");
        assert_eq!(block.commands.iter().map(|command| command.text.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn a_block_that_nobody_answers_for_is_an_error() {
        for (page, why) in [
            ("```bash\nkubectl get er\n```\n", "no comment says who runs this block"),
            ("<!-- a remark -->\n```bash\nkubectl get er\n```\n", "says nothing"),
            ("<!-- not run: too long -->\n```bash\nkubectl get er\n```\n", "none of the reasons"),
            ("```text\n$ kubectl get er\n```\n", "is a command"),
            ("```\nmake demo\n```\n", "is a command"),
            ("<!-- run -->\n```console\nkubectl get er\n```\n", "begins with a prompt"),
            ("<!-- run -->\n```bash\nkubectl get er\n", "nothing ends this"),
            ("1. Look:\n   <!-- run -->\n   ```bash\n   kubectl get er\n   ```\n", "begins at the margin"),
        ] {
            let error = format!("{:#}", of_page(page).expect_err(page));
            assert!(error.contains(why), "{page:?}: {error}");
        }
    }

    #[test]
    fn text_and_manifests_hold_no_commands() {
        assert_eq!(of_page("```yaml\nkind: Lock\n```\n\n```text\nverb approve\n```\n").expect("a page"), []);
    }
}
