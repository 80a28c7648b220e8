//! One JSON line per transition on standard output, apart from the logs on standard error. A log collector keeps them until the
//! audit store does.

use std::io::Write;

use serde::Serialize;
use tidegate_core::interval::{Instant, Interval};
use tidegate_core::lifecycle::{Event, EventKind};
use tidegate_core::name::FleetName;
use tidegate_core::request::Request;
use tidegate_core::state::State;

/// One transition of a request. `RequestIdentifier` and `TicketIdentifier` are on every record of the field's products.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    time: Instant,
    target: &'static str,
    event: EventKind,
    #[serde(rename = "RequestIdentifier")]
    request_identifier: &'a str,
    #[serde(rename = "TicketIdentifier")]
    ticket_identifier: &'a str,
    fleet: &'a str,
    request: &'a str,
    policy: &'a str,
    endpoint: &'a str,
    account: &'a str,
    requester: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    state: State,
    #[serde(flatten)]
    access: Option<Interval>,
    message: &'a str,
}

/// Writes the line of one event. A failing standard output is logged once per line: there is nowhere else to go.
pub fn record(out: &mut impl Write, fleet: &FleetName, request: &Request, event: &Event, now: Instant) {
    let Some(status) = &request.status else { return };
    let record = Record {
        time: now,
        target: "audit",
        event: event.kind,
        request_identifier: request.reference.uid.as_str(),
        ticket_identifier: &request.wish.ticket,
        fleet: fleet.as_str(),
        request: request.reference.name.as_str(),
        policy: request.wish.policy.as_str(),
        endpoint: request.wish.endpoint.as_str(),
        account: request.wish.account.as_str(),
        requester: request.wish.requester.as_str(),
        identity: status.identity.as_ref().map(|identity| identity.as_str()),
        by: event.by.as_ref().map(|by| by.as_str()),
        state: status.state,
        access: status.granted,
        message: &event.message,
    };
    let written = serde_json::to_string(&record).map_err(std::io::Error::from).and_then(|line| writeln!(out, "{line}"));
    if let Err(error) = written {
        tracing::error!(%error, request = %request.reference.name, "an audit line could not be written");
    }
}
