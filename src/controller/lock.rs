//! Lock: says that it holds, and how many grants it has ended. What it stops is judged where requests and the fleet part are.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use tidegate_api as api;
use tidegate_api::names::condition;
use tidegate_core::lock::{Effect, Lock};
use tidegate_core::state::State;

use super::error::Error;
use super::policy::{ready, stalled};
use super::{Context, Guarded, apply, in_fleet, read, requeue};
use crate::clock;
use crate::convert;

/// One pass over a lock.
///
/// # Errors
/// See [`Error`].
pub async fn reconcile(object: Arc<Guarded<api::Lock>>, context: Arc<Context>) -> Result<Action, Error> {
    let object = read(&object)?;
    let now = clock::now();
    let lock = convert::lock(object);
    let (conditions, ended) = match &lock {
        Ok(lock) if !lock.is_in_force(now) => {
            (vec![ready(true, "Closed", "it has expired and stops nothing".to_owned())], ended(object, lock, &context))
        }
        Ok(lock) => (vec![ready(true, "Compiled", in_words(lock).to_owned())], ended(object, lock, &context)),
        Err(error) => {
            let message = format!("{error}; nothing new is granted in this namespace until it is deleted");
            (vec![ready(false, "Invalid", message), stalled("Invalid", "the Lock")], 0)
        }
    };
    let generation = object.metadata.generation;
    let before = object.status.clone().unwrap_or_default();
    let status = api::LockStatus {
        observed_generation: generation,
        conditions: convert::merge(&before.conditions, conditions, generation, &convert::time(now)),
        // What it ended stays counted after the requests are gone.
        ended: Some(ended.max(before.ended.unwrap_or_default())),
    };
    apply::status_if_changed(&context.client, object, status).await?;
    Ok(requeue(lock.ok().and_then(|lock| lock.expires_at).filter(|end| *end > now)))
}

fn in_words(lock: &Lock) -> &'static str {
    match lock.effect {
        Effect::DeclineNew => "new requests are declined",
        Effect::EndAccess => "new requests are declined, and access that was granted ends",
    }
}

/// Requests that say that this Lock ended them.
fn ended(object: &api::Lock, lock: &Lock, context: &Context) -> i64 {
    let requests = in_fleet(&context.requests, object.namespace().as_deref());
    let by_this = |request: &api::ElevationRequest| {
        let status = request.status.as_ref();
        status.is_some_and(|status| {
            status.state.as_deref() == Some(State::Revoked.as_str())
                && status.conditions.iter().any(|c| c.type_ == condition::ACTIVE && lock.has_said(&c.message))
        })
    };
    let count = requests.iter().filter(|request| read(request).is_ok_and(by_this)).count();
    i64::try_from(count).unwrap_or(i64::MAX)
}
