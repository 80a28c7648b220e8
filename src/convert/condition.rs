//! Conditions as the Kubernetes API conventions have them: a list by type, with a transition time that moves only when the
//! status does.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What a condition is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its type.
    pub type_: &'static str,
    /// `Some(true)` True, `Some(false)` False, `None` Unknown.
    pub status: Option<bool>,
    /// A CamelCase word.
    pub reason: String,
    /// For people; at most 1024 characters are written.
    pub message: String,
}

/// Longest message, as the schema bounds it.
const MAX_MESSAGE: usize = 1024;

/// The next list of conditions: the wanted ones, in their order, each with the transition time of the previous condition of its
/// type if the status stayed. Types that are not wanted disappear.
#[must_use]
pub fn merge(previous: &[Condition], wanted: Vec<Wanted>, generation: Option<i64>, now: &Time) -> Vec<Condition> {
    wanted
        .into_iter()
        .map(|Wanted { type_, status, reason, message }| {
            let status = status.map_or("Unknown", |s| if s { "True" } else { "False" });
            let before = previous.iter().find(|c| c.type_ == type_ && c.status == status);
            Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason,
                message: message.chars().take(MAX_MESSAGE).collect(),
                observed_generation: generation,
                last_transition_time: before.map_or_else(|| now.clone(), |c| c.last_transition_time.clone()),
            }
        })
        .collect()
}
