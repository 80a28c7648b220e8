//! The search: states as small numbers, each judgement made once.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use super::*;
use crate::decision::Decision;
use crate::endpoint::AccountEntry;

/// Approved at second 0 it ends at 10; asked at 0 it waits until 20.
const SECONDS: [i64; 3] = [0, 10, 20];
const DURATION: u64 = 10;
const PENDING: u64 = 20;

/// A controller that does something wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    Nothing,
    /// It writes its status over whatever stands there.
    WritesWithoutComparing,
    /// It takes approvals of the person who asked for those of somebody else.
    TakesTheAskerForAnother,
    /// It takes two names of one person for two people.
    CountsPeopleTwice,
    /// It judges an ended request as if it had never looked.
    ForgetsTheEnd,
}

/// A request as the API server holds it. Versions need no number: what is written once is never written again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Object {
    lines: Vec<usize>,
    status: Option<Status>,
    finalizer: bool,
    deleting: bool,
    gone: bool,
}

/// What a controller is about to do; a crash makes it idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Controller {
    Idle,
    /// It has judged this object, and has this status to write.
    Decided {
        seen: u32,
        outcome: u32,
    },
    /// It has this object written, and its finalizer to set or take away.
    Written {
        object: u32,
    },
}

/// Everything at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Node {
    object: u32,
    time: usize,
    controllers: [Controller; 2],
    grants: u8,
    ended: bool,
}

/// What a judgement wants written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    status: Status,
    signs: bool,
}

/// What must never be, and the shortest way there.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) what: &'static str,
    pub(super) path: Vec<String>,
}

/// Values by number; equal values have one number.
#[derive(Default)]
struct Numbered<T> {
    values: Vec<T>,
    numbers: HashMap<String, u32>,
}

/// A small world and everything known of it.
pub(super) struct Model {
    world: World,
    alphabet: &'static [&'static str],
    most_lines: usize,
    controllers: usize,
    broken: Broken,
    objects: Numbered<Object>,
    outcomes: Numbered<Outcome>,
    judged: HashMap<(u32, usize), Option<u32>>,
    changed: HashMap<(u32, Change), u32>,
}

/// A change of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Change {
    Line(usize),
    Delete,
    /// The status of this outcome.
    Status(u32),
    Finalizer(bool),
}

/// What happens between two moments.
#[derive(Debug, Clone, Copy)]
enum Action {
    Start,
    Time(usize),
    Changed(Change),
    Look,
    CrashBeforeWriting,
    Refused,
    CrashBeforeFinalizer,
}

// === impl Numbered ===

impl<T: fmt::Debug + Clone> Numbered<T> {
    fn number(&mut self, value: &T) -> u32 {
        let next = u32::try_from(self.values.len()).unwrap();
        let number = *self.numbers.entry(format!("{value:?}")).or_insert(next);
        if number == next {
            self.values.push(value.clone());
        }
        number
    }

    fn get(&self, number: u32) -> &T {
        &self.values[usize::try_from(number).unwrap()]
    }
}

// === impl Model ===

impl Model {
    pub(super) fn new(
        alphabet: &'static [&'static str],
        most_lines: usize,
        controllers: usize,
        broken: Broken,
    ) -> Self {
        let mut world = World::new(request());
        world.stages(&[("managers", 1), ("security", 1)]);
        world.terms().pending_timeout = Duration::from_secs(PENDING);
        world.terms().duration.default = Duration::from_secs(DURATION);
        if broken != Broken::CountsPeopleTwice {
            let identities = ["bob@corp", "bob-admin@corp"].map(|name| name.parse().unwrap()).into();
            let bob = AccountEntry { identities, groups: BTreeSet::new() };
            world.endpoint().accounts.insert("bob".parse().unwrap(), bob);
        }
        Self {
            world,
            alphabet,
            most_lines,
            controllers,
            broken,
            objects: Numbered { values: Vec::new(), numbers: HashMap::new() },
            outcomes: Numbered { values: Vec::new(), numbers: HashMap::new() },
            judged: HashMap::new(),
            changed: HashMap::new(),
        }
    }

    /// How often `step` was asked.
    pub(super) fn judgements(&self) -> usize {
        self.judged.len()
    }

    /// Visits every state that can be reached; how many there are.
    pub(super) fn search(&mut self) -> Result<usize, Violation> {
        let object = Object { lines: Vec::new(), status: None, finalizer: false, deleting: false, gone: false };
        let object = self.objects.number(&object);
        let first = Node { object, time: 0, controllers: [Controller::Idle; 2], grants: 0, ended: false };
        let mut known = HashMap::from([(first, 0usize)]);
        let mut ways: Vec<(Node, usize, Action)> = vec![(first, 0, Action::Start)];
        let mut queue = VecDeque::from([0usize]);
        while let Some(index) = queue.pop_front() {
            let node = ways[index].0;
            for (what, next) in self.nexts(node) {
                if known.contains_key(&next) {
                    continue;
                }
                let number = ways.len();
                known.insert(next, number);
                ways.push((next, index, what));
                if let Some(what) = self.wrong(node, next) {
                    return Err(Violation { what, path: self.path(&ways, number) });
                }
                queue.push_back(number);
            }
        }
        Ok(ways.len())
    }

    /// Everything that can happen next.
    fn nexts(&mut self, node: Node) -> Vec<(Action, Node)> {
        let mut nexts = Vec::new();
        if node.time + 1 < SECONDS.len() {
            nexts.push((Action::Time(node.time + 1), Node { time: node.time + 1, ..node }));
        }
        let object = self.objects.get(node.object);
        let (can_grow, can_end) = (object.lines.len() < self.most_lines, !object.deleting);
        let lines = (0..self.alphabet.len()).filter(|_| can_grow).map(Change::Line);
        let changes: Vec<Change> = lines.chain([Change::Delete]).filter(|_| can_end).collect();
        for change in changes {
            nexts.push((Action::Changed(change), Node { object: self.change(node.object, change), ..node }));
        }
        for controller in 0..self.controllers {
            nexts.extend(self.moves(node, controller));
        }
        // Which of two controllers is which makes no difference.
        for (_, next) in &mut nexts {
            next.controllers[..self.controllers].sort();
        }
        nexts
    }

    /// The object with a change.
    fn change(&mut self, number: u32, change: Change) -> u32 {
        if let Some(known) = self.changed.get(&(number, change)) {
            return *known;
        }
        let mut object = self.objects.get(number).clone();
        match change {
            Change::Line(line) => object.lines.push(line),
            Change::Delete => (object.deleting, object.gone) = (true, !object.finalizer),
            Change::Status(outcome) => object.status = Some(self.outcomes.get(outcome).status.clone()),
            Change::Finalizer(keep) => (object.finalizer, object.gone) = (keep, object.deleting && !keep),
        }
        let changed = self.objects.number(&object);
        self.changed.insert((number, change), changed);
        changed
    }

    /// What one controller can do next. One that decides on an old cache is one that looked earlier.
    fn moves(&mut self, node: Node, controller: usize) -> Vec<(Action, Node)> {
        let with = |doing: Controller| {
            let mut controllers = node.controllers;
            controllers[controller] = doing;
            Node { controllers, ..node }
        };
        match node.controllers[controller] {
            Controller::Idle => self.looks(node).into_iter().map(|doing| (Action::Look, with(doing))).collect(),
            Controller::Decided { seen, outcome } => {
                let crash = (Action::CrashBeforeWriting, with(Controller::Idle));
                [crash, self.writes(node, seen, outcome, with(Controller::Idle), controller)].into()
            }
            Controller::Written { object } => {
                let crash = (Action::CrashBeforeFinalizer, with(Controller::Idle));
                let done = self.finalizes(node, object).map(|change| {
                    (Action::Changed(change), Node { object: self.change(object, change), ..with(Controller::Idle) })
                });
                std::iter::once(crash).chain(done).collect()
            }
        }
    }

    fn looks(&mut self, node: Node) -> Option<Controller> {
        if self.objects.get(node.object).gone {
            return None;
        }
        Some(match self.judge(node.object, node.time) {
            Some(outcome) => Controller::Decided { seen: node.object, outcome },
            None => Controller::Written { object: node.object },
        })
    }

    /// What is to be written of this object at this time; nothing if it stands there.
    fn judge(&mut self, number: u32, time: usize) -> Option<u32> {
        if let Some(known) = self.judged.get(&(number, time)) {
            return *known;
        }
        let object = self.objects.get(number).clone();
        let lines = object.lines.iter().map(|line| self.alphabet[*line]);
        let lines = lines.map(|line| match self.broken {
            Broken::TakesTheAskerForAnother => line.replace("alice@corp approve", "zoe@corp approve"),
            Broken::Nothing | Broken::WritesWithoutComparing | Broken::CountsPeopleTwice | Broken::ForgetsTheEnd => {
                line.to_owned()
            }
        });
        let mut request = self.world.request.clone();
        request.decisions = (1u32..).zip(lines).collect();
        request.deleting = object.deleting;
        request.status = object.status.clone();
        if self.broken == Broken::ForgetsTheEnd {
            request.status = request.status.filter(|status| !status.state.is_final());
        }
        let step = step(&request, &self.world.context(), at(SECONDS[time]));
        let changed = step.status.filter(|status| Some(status) != object.status.as_ref());
        let outcome = changed.map(|status| Outcome { status, signs: step.sign.is_some() });
        let outcome = outcome.map(|outcome| self.outcomes.number(&outcome));
        self.judged.insert((number, time), outcome);
        outcome
    }

    /// Writes a status, if what was judged still stands there.
    fn writes(&mut self, node: Node, seen: u32, outcome: u32, idle: Node, controller: usize) -> (Action, Node) {
        let stands = node.object == seen || self.broken == Broken::WritesWithoutComparing;
        if !stands || self.objects.get(node.object).gone {
            return (Action::Refused, idle);
        }
        let (signs, ends) = {
            let Outcome { status, signs } = self.outcomes.get(outcome);
            (*signs, status.state.is_final())
        };
        let change = Change::Status(outcome);
        let object = self.change(node.object, change);
        let mut next = Node { object, grants: node.grants + u8::from(signs), ended: node.ended || ends, ..idle };
        next.controllers[controller] = Controller::Written { object };
        (Action::Changed(change), next)
    }

    /// The finalizer as it has to be, if it is not yet, and if the object is still what was written.
    fn finalizes(&self, node: Node, written: u32) -> Option<Change> {
        let object = self.objects.get(node.object);
        let status = object.status.as_ref()?;
        let keep = status.accepted_at.is_some() && !status.state.is_final();
        // To an object that is being deleted nothing can be added.
        let is_due = node.object == written && object.finalizer != keep && !(keep && object.deleting);
        is_due.then_some(Change::Finalizer(keep))
    }

    /// What must never be.
    fn wrong(&self, before: Node, now: Node) -> Option<&'static str> {
        let object = self.objects.get(now.object);
        let granted = object.status.as_ref().is_some_and(|status| status.state.is_granted());
        let active = object.status.as_ref().is_some_and(|status| status.state == State::Active);
        if active && !self.is_approved(object) {
            return Some("Active without the stages met by distinct people");
        }
        if now.grants > 1 {
            return Some("granted twice");
        }
        let is_final = object.status.as_ref().is_some_and(|status| status.state.is_final());
        if now.ended && (granted || !is_final) {
            return Some("came back after its end");
        }
        // The finalizer holds the object until the end is recorded.
        let had_finalizer = self.objects.get(before.object).finalizer;
        (object.gone && had_finalizer && granted).then_some("gone without an end")
    }

    fn path(&self, ways: &[(Node, usize, Action)], mut index: usize) -> Vec<String> {
        let mut path = Vec::new();
        while index != 0 {
            let (_, before, action) = ways[index];
            path.push(match action {
                Action::Start | Action::Look => "a controller looks".to_owned(),
                Action::Time(time) => format!("it is second {}", SECONDS[time]),
                Action::Changed(Change::Line(line)) => self.alphabet[line].to_owned(),
                Action::Changed(Change::Delete) => "it is deleted".to_owned(),
                Action::Changed(Change::Status(outcome)) => {
                    format!("it writes {}", self.outcomes.get(outcome).status.state)
                }
                Action::Changed(Change::Finalizer(keep)) => format!("it writes the finalizer ({keep})"),
                Action::CrashBeforeWriting => "it crashes before it writes".to_owned(),
                Action::Refused => "its write is refused".to_owned(),
                Action::CrashBeforeFinalizer => "it crashes before the finalizer".to_owned(),
            });
            index = before;
        }
        path.reverse();
        path
    }

    /// Told from what people wrote alone: two different people, none of them the one who asked, one for each stage.
    fn is_approved(&self, object: &Object) -> bool {
        let approvals: Vec<(String, Option<String>)> = object
            .lines
            .iter()
            .filter_map(|line| self.alphabet[*line].parse::<Decision>().ok())
            .filter(|decision| decision.verb == Verb::Approve)
            .map(|d| (d.by.to_string().replace("-admin", ""), d.stage.map(|stage| stage.to_string())))
            .filter(|(person, _)| person != "alice@corp")
            .collect();
        let fits = |stage: &Option<String>, wanted: &str| stage.as_deref().is_none_or(|stage| stage == wanted);
        approvals.iter().any(|(first, stage)| {
            fits(stage, "managers") && approvals.iter().any(|(other, stage)| other != first && fits(stage, "security"))
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.path.join("; "))
    }
}
