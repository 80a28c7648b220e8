//! `tidegate-agent watch -o json` of one endpoint, and what it reports.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidegate_test_support::{Agent, ControlPlane, Gateway};

/// Something that takes a moment, on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// A running agent.
pub struct Watching {
    /// The process, and the folder with its state.
    pub agent: Agent,
}

/// One line of its report.
#[derive(Debug)]
pub struct Report(pub Value);

// === impl Watching ===

impl Watching {
    /// Starts one for `endpoint`, `<namespace>/<name>`; it is not enrolled yet.
    pub fn start(control_plane: &ControlPlane, gateways: &[&Gateway], endpoint: &str) -> Result<Self> {
        let folder = control_plane.sandbox().fresh_folder("agent")?;
        Self::start_in(control_plane, folder, gateways, endpoint)
    }

    /// Starts one in the folder that an earlier one has left.
    pub fn start_in(
        control_plane: &ControlPlane,
        folder: PathBuf,
        gateways: &[&Gateway],
        endpoint: &str,
    ) -> Result<Self> {
        Self::run(control_plane, folder, Agent::watch_args(gateways, endpoint)?)
    }

    /// Starts one in the folder that an earlier one has left, without a gateway to talk to.
    pub fn start_offline(
        control_plane: &ControlPlane,
        folder: PathBuf,
        gateways: &[&Gateway],
        endpoint: &str,
    ) -> Result<Self> {
        let mut args = Agent::watch_args(gateways, endpoint)?;
        args.retain(|arg| !arg.starts_with("--gateway="));
        // Nothing can listen on the discard port without being root.
        args.push("--gateway=https://127.0.0.1:9".to_owned());
        Self::run(control_plane, folder, args)
    }

    /// Starts one that is given another pin, 64 hex digits.
    pub fn start_with_pin(control_plane: &ControlPlane, gateway: &Gateway, endpoint: &str, pin: &str) -> Result<Self> {
        let mut args = Agent::watch_args(&[gateway], endpoint)?;
        args.retain(|arg| !arg.starts_with("--trust="));
        args.push(format!("--trust=sha256:{pin}"));
        Self::run(control_plane, control_plane.sandbox().fresh_folder("agent")?, args)
    }

    fn run(control_plane: &ControlPlane, folder: PathBuf, mut args: Vec<String>) -> Result<Self> {
        // Quick to come back: what is tested is that it does.
        args.extend(["--max-backoff=1s", "-o=json"].map(str::to_owned));
        Ok(Self { agent: Agent::start_in(control_plane, folder, args)? })
    }

    /// The first report from position `after` on that is `wanted`.
    pub async fn report(
        &self,
        what: &str,
        after: usize,
        deadline: Duration,
        wanted: impl Fn(&Report) -> bool,
    ) -> Result<Report> {
        let stdout = &self.agent.process.stdout;
        let line = stdout.wait_for(what, after, deadline, |line| Report::read(line).is_some_and(|r| wanted(&r))).await;
        let line = line.with_context(|| format!("the agent's log:\n{}", self.agent.process.stderr.tail(10)))?;
        Report::read(&line).with_context(|| format!("not a report: {line}"))
    }

    /// The report that what `source` (a request's or a policy's name) gave has started.
    pub async fn started(&self, source: &str, deadline: Duration) -> Result<Report> {
        self.report(&format!("the start of {source}"), 0, deadline, |r| r.is("started", source)).await
    }

    /// The report that what `source` gave has ended.
    pub async fn ended(&self, source: &str, deadline: Duration) -> Result<Report> {
        self.report(&format!("the end of {source}"), 0, deadline, |r| r.is("ended", source)).await
    }

    /// All reports of `event` about `source` so far.
    pub fn all(&self, event: &str, source: &str) -> Vec<Report> {
        let lines = self.agent.process.stdout.lines();
        lines.iter().filter_map(|line| Report::read(line)).filter(|report| report.is(event, source)).collect()
    }
}

// === impl Report ===

impl Report {
    fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().map(Self)
    }

    /// Is this `event` about a right that the request or policy `source` gave?
    pub fn is(&self, event: &str, source: &str) -> bool {
        let from = &self.0["source"];
        let name = if from["kind"] == "grant" { &from["request"] } else { &from["policy"] };
        self.0["event"] == event && name == source
    }

    /// When the agent said it.
    pub fn time(&self) -> Result<Timestamp> {
        self.instant("time")
    }

    /// When the right begins.
    pub fn start(&self) -> Result<Timestamp> {
        self.instant("startTime")
    }

    /// When the right ends.
    pub fn end(&self) -> Result<Timestamp> {
        self.instant("endTime")
    }

    fn instant(&self, field: &str) -> Result<Timestamp> {
        let text = self.0[field].as_str().with_context(|| format!("no {field} in {}", self.0))?;
        Ok(text.parse()?)
    }

    /// It was said at `instant` or up to a second later.
    pub fn is_on_time(&self, instant: Timestamp) -> Result<()> {
        on_time(&self.0.to_string(), self.time()?, instant, SignedDuration::from_secs(1))
    }
}

/// `happened` is `due` or up to `late` after it.
pub fn on_time(what: &str, happened: Timestamp, due: Timestamp, late: SignedDuration) -> Result<()> {
    let by = happened.duration_since(due);
    anyhow::ensure!((SignedDuration::ZERO..=late).contains(&by), "{by:?} after {due} (at most {late:?}): {what}");
    Ok(())
}
