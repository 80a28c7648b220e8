//! The shipped agent as a process, its JSON lines as events. Every wait has a deadline and shows what was seen instead.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tidegate_core::name::Digest;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Longer than anything here takes; only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running agent; killed on drop.
pub struct Agent {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<Value>,
    /// How many of the seen events were looked at, by kind.
    passed: BTreeMap<&'static str, usize>,
}

/// A command line of the agent without the environment's settings.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-agent"));
    command.args(args).env_clear().kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Agent {
    pub fn start(gateways: &[&str], pin: Digest, state: &Path) -> Self {
        Self::start_with(gateways, pin, state, &["--max-backoff", "1s"])
    }

    /// With these flags.
    pub fn start_with(gateways: &[&str], pin: Digest, state: &Path, flags: &[&str]) -> Self {
        let gateways = gateways.join(",");
        let (pin, state) = (pin.to_string(), state.to_str().unwrap());
        let args = ["watch", "--gateway", &gateways, "--endpoint", "berlin/ws-042", "--trust", &pin];
        let rest = ["--state-dir", state, "-o", "json"];
        let mut child = command(&[&args, &rest[..], flags].concat()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, seen: Vec::new(), passed: BTreeMap::new() }
    }

    /// The next event of this kind for which `is` holds; others of this kind before it are passed over.
    pub async fn event(&mut self, kind: &'static str, is: impl Fn(&Value) -> bool) -> Value {
        match tokio::time::timeout(PATIENCE, self.next(kind, is)).await {
            Ok(Some(event)) => event,
            Ok(None) => {
                let errors = self.errors().await;
                panic!("the agent stopped before {kind}: {:#?}\n{errors}", self.seen)
            }
            Err(_) => panic!("no {kind} in time: {:#?}", self.seen),
        }
    }

    /// `None` if the agent stopped before.
    async fn next(&mut self, kind: &'static str, is: impl Fn(&Value) -> bool) -> Option<Value> {
        loop {
            let passed = self.passed.entry(kind).or_insert(0);
            while let Some(event) = self.seen.get(*passed) {
                *passed += 1;
                if event["event"] == kind && is(event) {
                    return Some(event.clone());
                }
            }
            let line = self.lines.next_line().await.unwrap()?;
            self.seen.push(serde_json::from_str(&line).unwrap());
        }
    }

    /// The next event of this kind about the grant that answers this request.
    pub async fn grant(&mut self, kind: &'static str, request: &str) -> Value {
        self.event(kind, |event| event["source"]["request"] == request).await
    }

    /// Everything that was seen of this kind.
    pub fn seen(&self, kind: &str) -> Vec<&Value> {
        self.seen.iter().filter(|event| event["event"] == kind).collect()
    }

    /// SIGTERM, and what it left on standard error.
    pub async fn stop(self) -> (ExitStatus, String) {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.wait().await
    }

    /// Waits for its own end.
    pub async fn wait(mut self) -> (ExitStatus, String) {
        let errors = self.errors().await;
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it does not stop").unwrap();
        (status, errors)
    }

    async fn errors(&mut self) -> String {
        let mut text = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        tokio::time::timeout(PATIENCE, stderr.read_to_string(&mut text)).await.expect("it does not stop").unwrap();
        text
    }
}
