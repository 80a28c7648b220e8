//! The independent checker: what the API server stored, what agents said and what they keep on disk, against the invariants. Pure:
//! a history in, violations out. It knows nothing of how a fault was made, and nothing of core's own judgement.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidegate_api::names::DECISION_PREFIX;

/// How long after its deadline access may still be there at an endpoint.
const AFTER_DEADLINE: SignedDuration = SignedDuration::from_secs(10);
/// States from which nothing comes back.
const FINAL: [&str; 7] = ["Declined", "Denied", "Withdrawn", "TimedOut", "Expired", "Revoked", "Ended"];

/// Everything that was recorded of a run.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Each state of each request that the API server has stored, in any order, also more than once.
    pub requests: Vec<Version>,
    /// What agents said of grants, each in the order it was said.
    pub agents: Vec<Said>,
    /// What agents had on disk, in the order it was read.
    pub floors: Vec<Floor>,
    /// When the records end.
    pub until: Timestamp,
}

/// A request as the API server stored it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The request.
    pub uid: String,
    /// `<namespace>/<name>`, for people.
    pub name: String,
    /// Its resourceVersion.
    pub version: u64,
    /// Decisions that people wrote, by slot.
    pub decisions: BTreeMap<u64, String>,
    /// Decisions that the controller has taken up, by slot: `<name> <Verb>`.
    pub recorded: BTreeMap<u64, String>,
    /// Its state; empty before there is one.
    pub state: String,
    /// The digest of its grant and the end in status.
    pub grant: Option<(String, Timestamp)>,
}

/// An agent's word on a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Which agent.
    pub agent: String,
    /// Whose request.
    pub uid: String,
    /// Access began, or is over.
    pub started: bool,
    /// When it was said.
    pub at: Timestamp,
    /// The grant's end.
    pub end: Timestamp,
}

/// A sequence an agent had on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// Which agent.
    pub agent: String,
    /// `fleet`, `placement` or a policy's uid.
    pub part: String,
    /// The lowest sequence it accepts.
    pub sequence: u64,
}

/// What must always hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// No access past its deadline + 10 s at any agent.
    I1,
    /// No acknowledged decision is lost.
    I2,
    /// Nothing is granted twice or comes back after its end, and no agent has what nobody granted.
    I3,
    /// Sequences seen by an agent never fall.
    I4,
}

/// An invariant that did not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// What was seen.
    pub what: String,
}

/// Every violation in a history.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    let requests = by_request(&history.requests);
    for versions in requests.values() {
        found.extend(decisions_stay(versions).into_iter().map(|what| Violation { invariant: Invariant::I2, what }));
        found.extend(grants_are_one(versions).into_iter().map(|what| Violation { invariant: Invariant::I3, what }));
    }
    found.extend(ends_in_time(history).into_iter().map(|what| Violation { invariant: Invariant::I1, what }));
    let said = agents_say(history, &requests);
    found.extend(said.into_iter().map(|what| Violation { invariant: Invariant::I3, what }));
    found.extend(floors_rise(&history.floors).into_iter().map(|what| Violation { invariant: Invariant::I4, what }));
    found
}

fn by_request(versions: &[Version]) -> BTreeMap<&str, Vec<&Version>> {
    let mut requests = BTreeMap::<&str, BTreeMap<u64, &Version>>::new();
    for version in versions {
        requests.entry(&version.uid).or_default().insert(version.version, version);
    }
    requests.into_iter().map(|(uid, versions)| (uid, versions.into_values().collect())).collect()
}

/// I2 of one request, its versions in order.
fn decisions_stay(versions: &[&Version]) -> Vec<String> {
    let mut lost = Vec::new();
    let Some(last) = versions.last() else { return lost };
    let closed = versions.iter().find(|version| version.is_final()).map(|version| version.version);
    let mut first_seen = BTreeMap::<u64, (&str, u64)>::new();
    for version in versions {
        for (slot, (line, since)) in &first_seen {
            if version.decisions.get(slot).map(String::as_str) != Some(*line) {
                let (name, now) = (&version.name, version.decisions.get(slot));
                lost.push(format!(
                    "decision {slot} of {name}, {line:?} since {since}, is {now:?} at {}",
                    version.version
                ));
            }
        }
        for (slot, line) in &version.decisions {
            first_seen.entry(*slot).or_insert((line, version.version));
        }
    }
    for (slot, (line, since)) in first_seen {
        if closed.is_some_and(|closed| since >= closed) {
            continue;
        }
        let mut words = line.split([' ', ':']);
        let wanted = format!("{} {}", words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let recorded = last.recorded.get(&slot);
        if recorded.is_none_or(|recorded| !recorded.eq_ignore_ascii_case(&wanted)) {
            let (name, state) = (&last.name, &last.state);
            lost.push(format!("decision {slot} of {name} ({state}), {line:?}, is recorded as {recorded:?}"));
        }
    }
    lost
}

/// I3 of one request, as stored.
fn grants_are_one(versions: &[&Version]) -> Vec<String> {
    let mut wrong = Vec::new();
    let grants: BTreeSet<&String> = versions.iter().filter_map(|version| Some(&version.grant.as_ref()?.0)).collect();
    if let (Some(first), true) = (versions.first(), grants.len() > 1) {
        wrong.push(format!("{} was granted {} times: {grants:?}", first.name, grants.len()));
    }
    for pair in versions.windows(2) {
        let [before, after] = pair else { continue };
        if before.is_final() && after.state != before.state {
            wrong.push(format!("{} went from {} to {:?} at {}", after.name, before.state, after.state, after.version));
        }
        if before.is_final() && after.grant.is_some() {
            wrong.push(format!("{} is {} and has a grant at {}", after.name, after.state, after.version));
        }
    }
    wrong
}

/// I1.
fn ends_in_time(history: &History) -> Vec<String> {
    let begun = history.agents.iter().filter(|said| said.started);
    let late = begun.filter_map(|begun| {
        let limit = begun.end.checked_add(AFTER_DEADLINE).ok()?;
        let same = |said: &&Said| !said.started && said.agent == begun.agent && said.uid == begun.uid;
        // The first end after this start; one before it is another matter (I3).
        let over = history.agents.iter().filter(same).map(|said| said.at).find(|at| *at >= begun.at);
        (over.unwrap_or(history.until) > limit).then(|| {
            let over = over.map_or("has not ended".to_owned(), |at| format!("ended at {at}"));
            format!("{}: request {} was to end at {} and {over}", begun.agent, begun.uid, begun.end)
        })
    });
    late.collect()
}

/// I3, at the agents.
fn agents_say(history: &History, requests: &BTreeMap<&str, Vec<&Version>>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut over = BTreeSet::new();
    for said in &history.agents {
        let (agent, uid) = (&said.agent, &said.uid);
        if !said.started {
            over.insert((agent, uid));
            continue;
        }
        if over.contains(&(agent, uid)) {
            wrong.push(format!("{agent}: request {uid} began again at {} after its end", said.at));
        }
        let granted = requests.get(uid.as_str()).into_iter().flatten();
        let mut ends = granted.filter_map(|version| Some(version.grant.as_ref()?.1));
        if !ends.any(|end| end == said.end) {
            wrong.push(format!("{agent}: request {uid} began with the end {}, which nobody granted", said.end));
        }
    }
    wrong
}

/// I4.
fn floors_rise(floors: &[Floor]) -> Vec<String> {
    let mut highest = BTreeMap::<(&str, &str), u64>::new();
    let mut fallen = Vec::new();
    for Floor { agent, part, sequence } in floors {
        let before = highest.entry((agent, part)).or_insert(*sequence);
        if sequence < before {
            fallen.push(format!("{agent}: {part} fell from {before} to {sequence}"));
        }
        *before = (*before).max(*sequence);
    }
    fallen
}

// === impl Version ===

impl Version {
    /// A request as the API server writes it; `None` if that is no stored request.
    #[must_use]
    pub fn read(object: &Value) -> Option<Self> {
        let (meta, status) = (&object["metadata"], &object["status"]);
        let annotations = meta["annotations"].as_object().into_iter().flatten();
        let decisions = annotations.filter_map(|(key, line)| {
            let slot = key.strip_prefix(DECISION_PREFIX)?.parse().ok()?;
            Some((slot, line.as_str()?.to_owned()))
        });
        let recorded = status["decisions"].as_array().into_iter().flatten().filter_map(|decision| {
            let (by, verb) =
                (decision["by"].as_str().unwrap_or_default(), decision["verb"].as_str().unwrap_or_default());
            Some((decision["slot"].as_u64()?, format!("{by} {verb}")))
        });
        let digest = status["signed"]["digest"].as_str();
        let end = status["expirationTime"].as_str().and_then(|text| text.parse().ok());
        Some(Self {
            uid: meta["uid"].as_str()?.to_owned(),
            name: format!("{}/{}", meta["namespace"].as_str()?, meta["name"].as_str()?),
            version: meta["resourceVersion"].as_str()?.parse().ok()?,
            decisions: decisions.collect(),
            recorded: recorded.collect(),
            state: status["state"].as_str().unwrap_or_default().to_owned(),
            grant: digest.map(str::to_owned).zip(end),
        })
    }

    fn is_final(&self) -> bool {
        FINAL.contains(&self.state.as_str())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}
