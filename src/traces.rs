//! Traces: what happened to a request from the decision to the delivery, as spans with a begin and an end. Here is what both servers
//! tell, free of any library; `telemetry::otlp` sends it. The servers share no call, so every id follows from the request's uid:
//! both of them, and a controller that was started anew, add to the same trace.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use tidegate_core::decision::Verb;
use tidegate_core::grant::GrantBody;
use tidegate_core::name::{EndpointName, FleetName, PolicyName, Uid};
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Spans that may wait to be sent, well below 1 KiB each; what comes then is left out and counted.
const WAITING: usize = 4096;

/// The ids of a request are digests of these and its uid.
const TRACE: &str = "tidegate.dev/trace/";
const SPAN: &str = "tidegate.dev/span/";

/// Takes spans, if anybody wants them.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Telling>);

#[derive(Debug, Clone)]
struct Telling {
    queue: Sender<Span>,
    left_out: Arc<AtomicU64>,
}

/// The other end: what was told.
#[derive(Debug)]
pub struct Told {
    /// In the order in which it was told.
    pub queue: Receiver<Span>,
    /// Spans that did not fit into the queue.
    pub left_out: Arc<AtomicU64>,
}

/// A trace, one for each request; written as 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

/// A span within its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId(pub [u8; 8]);

/// One stretch of the way of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Which.
    pub stretch: Stretch,
    /// Whose.
    pub about: About,
    /// When it began.
    pub from: Timestamp,
    /// When it ended; not before it began.
    pub to: Timestamp,
    /// What else there is to say.
    pub details: Vec<Detail>,
}

/// The stretches of the way, in its order. All lie under the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// The whole way: from the first decision that counts, or the request where a rule approves, until the endpoint's word is recorded.
    Request,
    /// From a decision until the controller takes it up.
    Decision,
    /// The controller reads what it depends on and judges.
    Judge,
    /// It signs the grant.
    Sign,
    /// It writes the status, which is what grants.
    Write,
    /// From the signature until a gateway has the grant.
    Reach,
    /// From there until the gateway hands it to the agent.
    HandOut,
    /// From there until the agent says that it holds.
    Apply,
}

/// What each span says of its request. No name of a person, and nothing that a person wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// `metadata.uid` of the request.
    pub request: Uid,
    /// Its namespace.
    pub namespace: String,
    /// The policy it names.
    pub policy: PolicyName,
    /// The endpoint it names.
    pub endpoint: EndpointName,
    /// The endpoint's object, once it is known.
    pub endpoint_uid: Option<Uid>,
}

/// What some spans say besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// The slot of a decision.
    Slot(u32),
    /// What was decided.
    Verb(Verb),
    /// How it came out, in a word of the API.
    Outcome(String),
}

// === impl Traces ===

impl Traces {
    /// Nobody wants them, and none are made.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Somebody wants them: the two ends of one queue.
    #[must_use]
    pub fn told() -> (Self, Told) {
        let (tell, queue) = mpsc::channel(WAITING);
        let left_out = Arc::new(AtomicU64::new(0));
        let telling = Telling { queue: tell, left_out: Arc::clone(&left_out) };
        (Self(Some(telling)), Told { queue, left_out })
    }

    /// Tells these spans; never waits. They are not even made while nobody wants them.
    pub fn tell(&self, spans: impl FnOnce() -> Vec<Span>) {
        let Some(Telling { queue, left_out }) = &self.0 else { return };
        for span in spans() {
            if queue.try_send(span).is_err() {
                left_out.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The trace of the request of this uid, for log lines about it; `None` while nobody wants traces.
    #[must_use]
    pub fn of(&self, uid: &str) -> Option<TraceId> {
        self.0.as_ref().map(|_| trace_id(uid))
    }
}

// === impl Span ===

impl Span {
    /// A span from one moment to another. What was cut to a whole second, or comes from another clock, ends no earlier than it begins.
    #[must_use]
    pub fn new(stretch: Stretch, about: About, from: Timestamp, to: Timestamp) -> Self {
        Self { stretch, about, from: from.min(to), to, details: Vec::new() }
    }

    /// It says this too.
    #[must_use]
    pub fn with(mut self, detail: Detail) -> Self {
        self.details.push(detail);
        self
    }

    /// The trace of its request.
    #[must_use]
    pub fn trace(&self) -> TraceId {
        trace_id(self.about.request.as_str())
    }

    /// Its own id; `instance` is the process that tells it, as two gateways tell of the same grant.
    #[must_use]
    pub fn id(&self, instance: &str) -> SpanId {
        let uid = self.about.request.as_str();
        if self.stretch == Stretch::Request {
            return whole_id(uid);
        }
        let (from, to) = (self.from.as_nanosecond(), self.to.as_nanosecond());
        let (stretch, details) = (self.stretch.as_str(), &self.details);
        SpanId(beginning(&format!("{SPAN}{uid}/{stretch}/{from}/{to}/{details:?}/{instance}")))
    }

    /// The span that it is a part of.
    #[must_use]
    pub fn parent(&self) -> Option<SpanId> {
        (self.stretch != Stretch::Request).then(|| whole_id(self.about.request.as_str()))
    }

    /// Names and values of what it says.
    #[must_use]
    pub fn attributes(&self) -> Vec<(&'static str, String)> {
        let About { request, namespace, policy, endpoint, endpoint_uid } = &self.about;
        let mut all = vec![
            ("tidegate.request.uid", request.to_string()),
            ("k8s.namespace.name", namespace.clone()),
            ("tidegate.policy", policy.to_string()),
            ("tidegate.endpoint.name", endpoint.to_string()),
        ];
        all.extend(endpoint_uid.iter().map(|uid| ("tidegate.endpoint.uid", uid.to_string())));
        all.extend(self.details.iter().map(|detail| match detail {
            Detail::Slot(slot) => ("tidegate.decision.slot", slot.to_string()),
            Detail::Verb(verb) => ("tidegate.decision.verb", verb.to_string()),
            Detail::Outcome(outcome) => ("tidegate.outcome", outcome.clone()),
        }));
        all
    }
}

/// The trace of the request of this uid.
fn trace_id(uid: &str) -> TraceId {
    TraceId(beginning(&format!("{TRACE}{uid}")))
}

/// The span that all others of the request are parts of.
fn whole_id(uid: &str) -> SpanId {
    SpanId(beginning(&format!("{SPAN}{uid}")))
}

/// The first bytes of the SHA-256 digest.
fn beginning<const N: usize>(of: &str) -> [u8; N] {
    let mut first = [0; N];
    first.iter_mut().zip(digest(&SHA256, of.as_bytes()).as_ref()).for_each(|(to, from)| *to = *from);
    first
}

// === impl Stretch, About, TraceId ===

impl Stretch {
    /// The name of its spans.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "elevation request",
            Self::Decision => "decision",
            Self::Judge => "judge",
            Self::Sign => "sign grant",
            Self::Write => "write status",
            Self::Reach => "grant reaches gateway",
            Self::HandOut => "hand out grant",
            Self::Apply => "apply grant",
        }
    }
}

impl About {
    /// As a grant says it.
    #[must_use]
    pub fn grant(fleet: &FleetName, grant: &GrantBody) -> Self {
        Self {
            request: grant.request.uid.clone(),
            namespace: fleet.to_string(),
            policy: grant.policy.name.clone(),
            endpoint: grant.endpoint.name.clone(),
            endpoint_uid: Some(grant.endpoint.uid.clone()),
        }
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn about(request: &str) -> About {
        About {
            request: request.parse().unwrap(),
            namespace: "berlin".to_owned(),
            policy: "dev-tools".parse().unwrap(),
            endpoint: "ws-042".parse().unwrap(),
            endpoint_uid: None,
        }
    }

    fn span(stretch: Stretch) -> Span {
        Span::new(stretch, about("uid-1"), at(10), at(20))
    }

    #[test]
    fn ids_follow_from_the_uid_and_stay_what_they_are() {
        // printf tidegate.dev/trace/uid-1 | sha256sum
        assert_eq!(span(Stretch::Sign).trace().to_string(), "86f8430e4c6cf80a8d90116a65ecbc74");
        assert_eq!(hex::encode(span(Stretch::Request).id("a").0), "c30c58dffaaf80d9");
        assert_eq!(span(Stretch::Request).id("a"), span(Stretch::Request).id("b"));
        assert_eq!(span(Stretch::Apply).parent(), Some(span(Stretch::Request).id("a")));
        assert_eq!(span(Stretch::Request).parent(), None);
        assert_ne!(Span::new(Stretch::Sign, about("uid-2"), at(10), at(20)).trace(), span(Stretch::Sign).trace());
    }

    #[test]
    fn no_two_spans_of_a_trace_share_an_id() {
        let decision = |slot| span(Stretch::Decision).with(Detail::Slot(slot));
        let later = Span::new(Stretch::Reach, about("uid-1"), at(10), at(21));
        let spans = [span(Stretch::Request), decision(1), decision(2), span(Stretch::Reach), later];
        let mut ids: Vec<_> = spans.iter().map(|span| span.id("a").0).collect();
        ids.push(span(Stretch::Reach).id("another gateway").0);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 6);
    }

    #[test]
    fn a_span_does_not_end_before_it_begins() {
        let span = Span::new(Stretch::Reach, about("uid-1"), at(21), at(20));
        assert_eq!((span.from, span.to), (at(20), at(20)));
    }

    #[test]
    fn while_nobody_wants_them_none_are_made_and_what_does_not_fit_is_counted() {
        Traces::off().tell(|| unreachable!("nobody wants it"));
        assert_eq!(Traces::off().of("uid-1"), None);
        let (traces, mut told) = Traces::told();
        assert_eq!(traces.of("uid-1"), Some(span(Stretch::Sign).trace()));
        traces.tell(|| vec![span(Stretch::Sign); WAITING + 3]);
        assert_eq!(told.left_out.load(Ordering::Relaxed), 3);
        assert_eq!(told.queue.try_recv().unwrap(), span(Stretch::Sign));
    }

    #[test]
    fn a_span_says_what_it_is_about() {
        let said = span(Stretch::Decision).with(Detail::Verb(Verb::Deny)).with(Detail::Outcome("Counted".to_owned()));
        let said = said.attributes();
        let said: Vec<String> = said.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            said,
            [
                "tidegate.request.uid=uid-1",
                "k8s.namespace.name=berlin",
                "tidegate.policy=dev-tools",
                "tidegate.endpoint.name=ws-042",
                "tidegate.decision.verb=deny",
                "tidegate.outcome=Counted",
            ]
        );
    }
}
