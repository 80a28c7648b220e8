//! kill -9 before and after every write of a full course. A run without fault counts the writes; then each is a fail point, twice, in a
//! fleet of its own: the call is held at the proxy and the controller is killed there. Several fleets are held at once, each at its
//! own point, and one kill meets them all; what follows has to bring every one of them to the end of the run without fault.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::{try_join, try_join_all};
use tidegate_test_support::clock::Stopwatch;
use tidegate_test_support::eventually;
use tidegate_test_support::proxy::{Call, Fault, Handle};

use crate::course::{self, Ending};
use crate::fleet::Fleet;
use crate::installation::{Installation, READY, guard_passes};
use crate::kept::Kept;
use crate::record::Recorder;

/// Fleets that are held at once, at the same write: they come to it within less than the 10 s after which the controller gives one up, and
/// what is over has no more places in the whole installation (`turn_of` in src/controller/wiring.rs).
const TOGETHER: usize = 2;
/// How long the slowest of them may take to reach its point.
const REACHED: Duration = Duration::from_secs(30);

/// One write of a course.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Write {
    ending: Ending,
    verb: &'static str,
    resource: String,
    /// From 1 on, among those of this verb and resource in a fleet.
    number: usize,
}

/// Where the controller dies.
#[derive(Debug, Clone)]
struct Point {
    write: Write,
    fault: Fault,
}

/// A fleet on its way to its point.
struct Victim<'a> {
    fleet: Fleet<'a>,
    point: Point,
    held: Option<Handle>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_killed_before_or_after_any_write_comes_to_the_same_end() -> Result<()> {
    let watch = Stopwatch::start();
    let (installation, mut controller) = Installation::start().await?;
    let recorder = Recorder::start(installation.control_plane).await?;

    let (writes, expected) = without_fault(&installation).await?;
    println!("writes of a course without fault ({:?}):", watch.elapsed());
    for write in &writes {
        println!("  {:?}: {} {} #{}", write.ending, write.verb, write.resource, write.number);
    }
    for needed in ["elevationrequests/status", "elevationrequests", "events", "fleets/status"] {
        ensure!(writes.iter().any(|write| write.resource == needed), "no write to {needed} in {writes:?}");
    }
    let batches = batches(&writes);
    let points: usize = batches.iter().map(Vec::len).sum();
    for (index, batch) in batches.iter().enumerate() {
        let victims = try_join_all(batch.iter().map(|point| Victim::new(&installation, point))).await?;
        controller = killed_at(&installation, controller, victims, &expected)
            .await
            .with_context(|| format!("batch {index}: {batch:?}"))?;
    }
    println!("{points} fail points in {} kills, {:?}", batches.len(), watch.elapsed());
    controller.sound()?;
    recorder.check().await
}

/// The writes of both courses, and what they leave. What not every run does (numbers that follow later) is no fail point.
async fn without_fault(installation: &Installation) -> Result<(BTreeSet<Write>, BTreeMap<Ending, serde_json::Value>)> {
    let endings = [Ending::Revoked, Ending::Revoked, Ending::Expired, Ending::Expired];
    let fleets = try_join_all(endings.map(|_| Fleet::new(installation, "whole"))).await?;
    try_join_all(fleets.iter().map(course::settled)).await?;
    let before = installation.way.accepted().len();
    try_join_all(fleets.iter().zip(endings).map(|(fleet, ending)| course::run(fleet, ending))).await?;
    // What was refused and asked again depends on chance, and so is no fail point.
    let calls = installation.way.accepted().split_off(before);
    let mut outcomes = BTreeMap::new();
    let mut writes = Vec::new();
    for (fleet, ending) in fleets.iter().zip(endings) {
        let outcome = course::outcome(fleet).await?;
        let first = outcomes.entry(ending).or_insert_with(|| outcome.clone());
        ensure!(*first == outcome, "two runs without fault differ: {first:#} and {outcome:#}");
        writes.push(numbered(&calls, fleet.name(), ending));
    }
    let [one, two, three, four] = writes.as_slice() else { bail!("four runs") };
    let whole: BTreeSet<Write> = one.intersection(two).cloned().collect();
    let at_the_end: Vec<Write> = three.intersection(four).cloned().collect();
    // Until it is active one course is like the other.
    let same = |write: &Write| whole.contains(&Write { ending: Ending::Revoked, ..write.clone() });
    let further = at_the_end.into_iter().filter(|write| is_at_the_end(write) || !same(write)).collect();
    let writes = whole.union(&further).filter(|write| !is_a_number(write)).cloned().collect();
    Ok((writes, outcomes))
}

/// Numbers of requests follow every 5 s, so how often depends on how long a course takes. The fleet part that names what was revoked
/// is always written, in the first of these writes or a later one.
fn is_a_number(write: &Write) -> bool {
    write.resource == "jitpolicies/status" || write.resource == "fleets/status" && write.number > 1
}

/// Pending, Active, then the end; the finalizer comes and goes.
fn is_at_the_end(write: &Write) -> bool {
    match write.resource.as_str() {
        "elevationrequests/status" => write.number >= 3,
        "elevationrequests" => write.number >= 2,
        "events" => write.number >= 4,
        _ => false,
    }
}

fn numbered(calls: &[Call], namespace: &str, ending: Ending) -> BTreeSet<Write> {
    let mut numbers = BTreeMap::new();
    let here = calls.iter().filter(|call| call.is_write() && call.namespace.as_deref() == Some(namespace));
    let numbered = here.map(|call| {
        let number = numbers.entry((call.verb, call.resource.clone())).or_insert(0);
        *number += 1;
        Write { ending, verb: call.verb, resource: call.resource.clone(), number: *number }
    });
    numbered.collect()
}

/// Fail points that are held together. The controller waits 2 s for an Event and goes on: each point of one is held alone.
fn batches(writes: &BTreeSet<Write>) -> Vec<Vec<Point>> {
    let both = |write: &Write| {
        [Fault::HoldBefore, Fault::HoldAfter].map(|fault| Point { write: write.clone(), fault }).to_vec()
    };
    let (events, others): (Vec<&Write>, Vec<&Write>) = writes.iter().partition(|write| write.resource == "events");
    let others: Vec<Point> = others.into_iter().flat_map(both).collect();
    let events = events.into_iter().flat_map(both).map(|point| vec![point]);
    events.chain(others.chunks(TOGETHER).map(<[Point]>::to_vec)).collect()
}

/// Runs the victims' courses, kills the controller once all of them are held, starts the next, and compares what they leave.
async fn killed_at(
    installation: &Installation,
    controller: Kept,
    mut victims: Vec<Victim<'_>>,
    expected: &BTreeMap<Ending, serde_json::Value>,
) -> Result<Kept> {
    guard_passes(&controller).await?;
    try_join_all(victims.iter().map(|victim| course::settled(&victim.fleet))).await?;
    for victim in &mut victims {
        victim.arm(installation);
    }
    let handles: Vec<Handle> = victims.iter_mut().filter_map(|victim| victim.held.take()).collect();
    let kill = async {
        eventually("every victim at its point", REACHED, async || {
            let missing = handles.iter().zip(&victims).find(|(handle, _)| handle.held() == 0);
            if let Some((handle, victim)) = missing {
                bail!("{:?} is not held (met {} times)", victim.point, handle.hits());
            }
            Ok(())
        })
        .await
        .with_context(|| format!("its log ends:\n{}", controller.life().process.stderr.tail(60)))?;
        controller.kill9().await;
        // What is held must be lost, not passed on late.
        eventually("the end of the held calls", REACHED, async || {
            ensure!(handles.iter().all(|handle| handle.held() == 0), "still held");
            Ok(())
        })
        .await?;
        drop(handles);
        installation.controller().await
    };
    let courses = try_join_all(victims.iter().map(|victim| course::run(&victim.fleet, victim.point.write.ending)));
    let (next, _) = try_join(kill, courses).await?;
    for victim in &victims {
        let expected = &expected[&victim.point.write.ending];
        eventually("the end of the run without fault", READY, async || {
            let outcome = course::outcome(&victim.fleet).await?;
            ensure!(outcome == *expected, "{:?}: {outcome:#}\nwithout fault: {expected:#}", victim.point);
            Ok(())
        })
        .await?;
    }
    Ok(next)
}

// === impl Victim ===

impl<'a> Victim<'a> {
    async fn new(installation: &'a Installation, point: &Point) -> Result<Self> {
        Ok(Self { fleet: Fleet::new(installation, "killed").await?, point: point.clone(), held: None })
    }

    /// From now on the call of its point is held.
    fn arm(&mut self, installation: &Installation) {
        let Point { write, fault } = self.point.clone();
        let namespace = self.fleet.name().to_owned();
        let matches = move |call: &Call| {
            call.is_write() && call.is(write.verb, &write.resource) && call.namespace.as_ref() == Some(&namespace)
        };
        self.held = Some(installation.way.fault_once(fault, self.point.write.number, matches));
    }
}
