//! Somebody who reads pages and types what they say, on a control plane of their own. Where a page needs nodes, the harness stands in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tidegate_test_support::{Agent, ControlPlane, Controller, Gateway, Identity, assets, eventually};

use crate::block::{Block, By, Command, Harness, Run};
use crate::said::{self, Names};

/// The longest that one command may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a person looks again until they see what the page shows.
const LOOKS: Duration = Duration::from_secs(30);
/// The minor version of Kubernetes 1 whose kubectl prints what the pages show.
const NEWEST: u32 = 36;
/// Where the pages say that the gateway can be reached, and its admin port, once they are forwarded.
const GATEWAY: &str = "localhost:8443";
const GATEWAY_ADMIN: &str = "localhost:8081";

/// The reader, and all that has become of the pages so far.
pub struct Reader {
    agent: Option<Agent>,
    gateway: Option<Gateway>,
    controller: Option<Controller>,
    people: BTreeMap<String, Identity>,
    names: Names,
    /// `helm` or `kubectl`.
    with: &'static str,
    /// Where commands are typed: the checkout, and nothing that they write ends up there.
    folder: PathBuf,
    control_plane: ControlPlane,
}

/// Lines of a page that show something else than what was printed: from, to, and what was.
pub type Corrections = Vec<(std::ops::Range<usize>, Vec<String>)>;

// === impl Reader ===

impl Reader {
    /// A reader with an empty cluster, who installs with `helm` or `kubectl`.
    pub async fn new(with: &'static str) -> Result<Self> {
        let control_plane = ControlPlane::start().await?;
        let folder = control_plane.sandbox().fresh_folder("checkout")?;
        for entry in std::fs::read_dir(assets::repository())? {
            let entry = entry?;
            std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name()))?;
        }
        let (people, names) = (BTreeMap::new(), Names::default());
        Ok(Self { agent: None, gateway: None, controller: None, people, names, with, folder, control_plane })
    }

    /// What it types its commands at.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// Does what the blocks of a page say, in order. What they show otherwise is an error, or a correction when golden files are written.
    pub async fn reads(&mut self, blocks: &[Block]) -> Result<Corrections> {
        let mut corrections = Vec::new();
        for block in blocks {
            let done = match &block.run {
                Run::Not(_) | Run::Named | Run::Elsewhere(_) => Ok(()),
                Run::As(by) => self.types(by, &block.commands, &mut corrections).await,
                Run::Harness(what) => self.stands_in(*what, &block.commands).await,
            };
            done.with_context(|| format!("line {}", block.line + 1))?;
        }
        Ok(corrections)
    }

    async fn types(&mut self, by: &By, commands: &[Command], corrections: &mut Corrections) -> Result<()> {
        let elsewhere = by.with.as_ref().is_some_and(|with| with != self.with);
        if elsewhere || by.since > self.control_plane.minor() {
            return Ok(());
        }
        let who = self.person(&by.person).await?;
        for (at, command) in commands.iter().enumerate() {
            let text = self.in_command(&command.text);
            let fails = by.fails && at + 1 == commands.len();
            let shown = command.output.as_ref();
            let printed = self.until_shown(&who, &text, fails, shown).await.with_context(|| format!("$ {text}"))?;
            if let Some(shown) = shown {
                self.names.learn(shown, &printed)?;
                if self.prints_as_shown() && !said::same(shown, &printed) {
                    corrections.push((command.lines.clone(), printed));
                }
            }
        }
        Ok(())
    }

    /// A command of the page with the words of this run. What the page forwards a port to answers where it listens.
    fn in_command(&self, text: &str) -> String {
        let text = self.names.in_command(text);
        self.gateway.as_ref().map_or(text.clone(), |gateway| {
            text.replace(GATEWAY, &gateway.agents.to_string()).replace(GATEWAY_ADMIN, &gateway.admin.to_string())
        })
    }

    /// What a command prints. Somebody who only looks looks again until they see what the page shows.
    async fn until_shown(
        &self,
        who: &Identity,
        text: &str,
        fails: bool,
        shown: Option<&Vec<String>>,
    ) -> Result<Vec<String>> {
        let last = RefCell::new(Vec::new());
        let judge = async || {
            let (success, printed) = self.run(who, text).await?;
            // It says no with its status as well.
            let asks = text.contains("auth can-i");
            ensure!(
                asks || success != fails,
                "it {}:\n{}",
                if success { "worked" } else { "failed" },
                printed.join("\n")
            );
            match shown {
                Some(shown) if self.prints_as_shown() && !said::same(shown, &printed) => {
                    // Twice the same is what will be seen.
                    let settled = !looks_only(text) || said::same(&last.replace(printed.clone()), &printed);
                    ensure!(
                        assets::writes_golden() && settled,
                        "it prints\n{}\nbut the page shows\n{}",
                        printed.join("\n"),
                        shown.join("\n")
                    );
                    Ok(printed)
                }
                Some(_) | None => Ok(printed),
            }
        };
        if looks_only(text) { eventually("what the page shows", LOOKS, judge).await } else { judge().await }
    }

    /// The pages show what kubectl of the newest version prints.
    fn prints_as_shown(&self) -> bool {
        self.control_plane.minor() >= NEWEST
    }

    async fn run(&self, who: &Identity, text: &str) -> Result<(bool, Vec<String>)> {
        let tools = [assets::control_plane_programs()?, assets::tools()?, assets::programs()?];
        let path = std::env::join_paths(tools.into_iter().chain([PathBuf::from("/usr/bin"), PathBuf::from("/bin")]))?;
        let mut bash = tokio::process::Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &format!("exec 2>&1\n{text}")]).current_dir(&self.folder);
        bash.env_clear().env("PATH", path).env("HOME", who.home()).env("KUBECONFIG", who.kubeconfig());
        let output = tokio::time::timeout(PATIENCE, bash.stdin(Stdio::null()).kill_on_drop(true).output()).await;
        let output = output.with_context(|| format!("it took more than {PATIENCE:?}"))??;
        let printed = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        Ok((output.status.success(), printed))
    }

    async fn person(&mut self, name: &str) -> Result<Identity> {
        if name == "admin" {
            return Ok(self.control_plane.admin().clone());
        }
        if let Some(known) = self.people.get(name) {
            return Ok(known.clone());
        }
        let account = name.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
        let person = match account {
            Some((namespace, name)) => self.control_plane.service_account(namespace, name).await?,
            None => self.control_plane.person(name)?,
        };
        self.people.insert(name.to_owned(), person.clone());
        Ok(person)
    }

    // --- what nodes would do ---

    async fn stands_in(&mut self, what: Harness, commands: &[Command]) -> Result<()> {
        match what {
            Harness::StartsServers => {
                let controller = Controller::start(&self.control_plane).await?;
                let gateway = Gateway::start(&self.control_plane).await?;
                controller.ready(LOOKS).await?;
                controller.guard_passes(LOOKS).await?;
                gateway.ready(LOOKS).await?;
                (self.controller, self.gateway) = (Some(controller), Some(gateway));
            }
            Harness::RestartsController => {
                let old = self.controller.take().context("no controller runs")?;
                old.process.sigterm()?;
                old.process.ended(LOOKS).await?;
                let controller = Controller::start(&self.control_plane).await?;
                controller.ready(LOOKS).await?;
                self.controller = Some(controller);
            }
            Harness::StartsAgent => self.agent_starts(commands).await?,
            Harness::HearsAgent => self.agent_says(commands).await?,
        }
        Ok(())
    }

    async fn agent_starts(&mut self, commands: &[Command]) -> Result<()> {
        let [command] = commands else { bail!("one command starts the agent") };
        ensure!(self.gateway.is_some(), "no gateway runs");
        let text = self.in_command(&command.text);
        let mut words = text.split_whitespace().filter(|word| *word != "\\");
        ensure!(words.next() == Some("tidegate-agent"), "not the agent: {text}");
        self.agent = Some(Agent::start(&self.control_plane, words)?);
        self.agent_says(commands).await
    }

    /// Every line that the page shows is among those that the agent has written.
    async fn agent_says(&mut self, commands: &[Command]) -> Result<()> {
        let process = &self.agent.as_ref().context("no agent runs")?.process;
        for line in commands.iter().flat_map(|command| command.output.iter().flatten()) {
            let said = eventually("what the agent says", LOOKS, async || {
                let lines = [process.stderr.lines(), process.stdout.lines()].concat();
                let like = lines.iter().find(|said| said::same(std::slice::from_ref(line), std::slice::from_ref(said)));
                like.cloned().with_context(|| format!("it has not said {line:?}, but\n{}", lines.join("\n")))
            });
            let said = said.await?;
            self.names.learn(std::slice::from_ref(line), &[said])?;
        }
        Ok(())
    }
}

/// Does the command change nothing, so that it can be given again?
fn looks_only(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let looks = ["get", "describe", "explain", "events", "auth", "diff", "wait"];
    words.next() == Some("kubectl")
        && words.any(|word| looks.contains(&word))
        && !text.contains('|')
        && !text.contains('>')
}
