//! One line of the table: who tries what on which object, and what the API server has to answer.

use serde_json::{Value, json};
use tidegate_api::names::FLEET;

use super::cast::Who;

/// An object that stands in every world, or the collection of its kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// Requests that do not exist yet.
    New,
    /// Alice's request, without a decision.
    Fresh,
    /// Alice's, with one decision by Bob, applied by the field manager `bobs-tool`.
    Decided,
    /// Alice's, with both finalizers, a label and an owner.
    Held,
    /// Alice's, being deleted, with the finalizer.
    Deleting,
    /// Erin's, who is an approver.
    Erins,
    /// The administrator's.
    Admins,
    /// Alice's, under another policy.
    Other,
    /// Alice's, under a policy that was deleted and made again by the same name.
    Renewed,
    /// Alice's, deleted and made again by the same name. `$UID` and `$VERSION` in a body are those of the first.
    Reborn,
    /// Alice's, with 32 approvals.
    Full32,
    /// Alice's, with 32 approvals and 16 denials.
    Full48,
    /// Alice's, with a foreign annotation from before the policies.
    Early,
    /// Alice's, where the API server does not stamp.
    Unstamped,
    /// Alice's, with a foreign finalizer only.
    Foreign,
    /// Hana's, made on behalf of somebody.
    Behalf,
    /// Alice's, with a decision in slot 2 and none in slot 1, from before the policies.
    Gap,
    /// Alice's, by which the mutation test knows which policy is in force.
    Probe,
    /// The JitPolicy dev-tools.
    Policy,
    /// The Fleet, with its settings.
    Settings,
    /// A Lock.
    Stop,
    /// The ManagedEndpoint ws-042, with a status of which each key is written.
    Endpoint,
    /// The ManagedEndpoint ws-043, whose status nobody has written.
    Bare,
    /// The ManagedEndpoint ws-044, of whose status only observedGeneration is written.
    Partly,
    /// CertificateSigningRequests.
    Certificates,
}

/// What is done.
#[derive(Clone, Debug)]
pub enum How {
    /// A merge patch.
    Merge(Value),
    /// A JSON patch.
    Json(Value),
    /// A server-side apply of these fields beside name and kind: manager, whether forced, fields.
    Apply(&'static str, bool, Value),
    /// The object as it is, changed by this, as PUT.
    Put(fn(&mut Value)),
    /// A POST of this, merged into a good object.
    Post(fn(&mut Value)),
    /// A DELETE.
    Delete,
}

/// What has to be answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It works, and the object has this at this JSON pointer.
    Allowed(&'static str, Value),
    /// It is refused by the rule with this text; the first is what else the message has to name: the policy, or what refuses.
    Refused(&'static str, String),
}

/// What a case needs that not every world has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// The mutating policies.
    Stamping,
    /// Their absence.
    NoStamping,
    /// An object from before the policies.
    Before,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is tried, for people; unique.
    pub what: String,
    /// By whom.
    pub who: Who,
    /// On what.
    pub on: Target,
    /// `status`, or empty.
    pub subresource: &'static str,
    /// How.
    pub how: How,
    /// What has to be answered.
    pub answer: Answer,
    /// Where it can be tried.
    pub needs: Needs,
}

// === impl Target ===

impl Target {
    /// Plural and name; no name for a collection.
    pub fn path(self) -> (&'static str, &'static str) {
        let request = "elevationrequests";
        match self {
            Self::New => (request, ""),
            Self::Fresh => (request, "fresh"),
            Self::Decided => (request, "decided"),
            Self::Held => (request, "held"),
            Self::Deleting => (request, "deleting"),
            Self::Erins => (request, "erins"),
            Self::Admins => (request, "admins"),
            Self::Other => (request, "other"),
            Self::Renewed => (request, "renewed"),
            Self::Reborn => (request, "reborn"),
            Self::Full32 => (request, "full-32"),
            Self::Full48 => (request, "full-48"),
            Self::Early => (request, "early"),
            Self::Unstamped => (request, "unstamped"),
            Self::Foreign => (request, "foreign"),
            Self::Behalf => (request, "behalf"),
            Self::Gap => (request, "gap"),
            Self::Probe => (request, "mutant-probe"),
            Self::Policy => ("jitpolicies", super::APPROVED_POLICY),
            Self::Settings => ("fleets", FLEET),
            Self::Stop => ("locks", "stop"),
            Self::Endpoint => ("managedendpoints", "ws-042"),
            Self::Bare => ("managedendpoints", "ws-043"),
            Self::Partly => ("managedendpoints", "ws-044"),
            Self::Certificates => ("certificatesigningrequests", ""),
        }
    }

    /// The kind of `path`.
    pub fn kind(self) -> &'static str {
        match self.path().0 {
            "jitpolicies" => "JitPolicy",
            "fleets" => "Fleet",
            "locks" => "Lock",
            "managedendpoints" => "ManagedEndpoint",
            "certificatesigningrequests" => "CertificateSigningRequest",
            _ => "ElevationRequest",
        }
    }
}

// === impl Case ===

/// A line of the table.
pub fn case(what: impl Into<String>, who: Who, on: Target, how: How, answer: Answer) -> Case {
    Case { what: what.into(), who, on, subresource: "", how, answer, needs: Needs::Nothing }
}

impl Case {
    /// On the subresource status.
    pub fn status(mut self) -> Self {
        self.subresource = "status";
        self
    }

    /// On this subresource.
    pub fn subresource(mut self, name: &'static str) -> Self {
        self.subresource = name;
        self
    }

    /// Only where this is so.
    pub fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }
}

/// It works.
pub fn ok() -> Answer {
    Answer::Allowed("", Value::Null)
}

/// It works, and the object then has `value` at `pointer`; null stands for nothing.
pub fn shows(pointer: &'static str, value: impl Into<Value>) -> Answer {
    Answer::Allowed(pointer, value.into())
}

/// The policy on decisions refuses it with this text.
pub fn no(text: impl Into<String>) -> Answer {
    Answer::Refused("decisions.tidegate.dev", text.into())
}

/// Something else than the policy on decisions refuses it.
pub fn not(by: &'static str, text: impl Into<String>) -> Answer {
    Answer::Refused(by, text.into())
}

/// A merge patch that sets annotation `key`.
pub fn note(key: &str, value: &str) -> How {
    How::Merge(json!({"metadata": {"annotations": {key: value}}}))
}

/// A merge patch that writes decision `slot`.
pub fn decide(slot: usize, text: &str) -> How {
    note(&format!("decision.tidegate.dev/{slot}"), text)
}
