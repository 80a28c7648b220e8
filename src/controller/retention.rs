//! Takes ended requests away once they have been kept for `--retention`. When that is is core's (`tidegate_core::retention`).

use kube::ResourceExt;
use tidegate_api::ElevationRequest;
use tidegate_core::interval::{Instant, format_duration};
use tidegate_core::lifecycle::{Event, EventKind};
use tidegate_core::request::Request;

use super::error::Error;
use super::{Context, apply};
use crate::{audit, clock, convert};

/// Deletes a request whose time has come, as it was judged; else says when that will be. `None`: not while it is as it is.
///
/// # Errors
/// [`Error::Write`], a conflict too: it has changed since, and stays until it has been looked at again.
pub async fn retire(object: &ElevationRequest, request: &Request, context: &Context) -> Result<Option<Instant>, Error> {
    let now = clock::now();
    let Some(due) = convert::record(object, request).due_at(context.retention) else { return Ok(None) };
    if now < due {
        return Ok(Some(due));
    }
    if !apply::delete(&context.client, object).await? {
        return Ok(None);
    }
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let kept = format_duration(context.retention);
    let trace_id = context.traces.of(request.reference.uid.as_str()).map(tracing::field::display);
    tracing::info!(namespace, request = name, trace_id, kept, "an ended request was kept long enough and is removed");
    if let Ok(fleet) = namespace.parse() {
        let message = format!("removed; ended requests are kept for {kept}, declined ones for 1h at most");
        let event = Event { kind: EventKind::Removed, slot: None, by: None, message };
        audit::record(&mut std::io::stdout().lock(), &fleet, request, &event, now);
    }
    Ok(None)
}
