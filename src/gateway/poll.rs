//! `GET /v1/snapshot`: the long poll. Answers at once when the endpoint's manifest is neither the one the agent has nor the one
//! it refused, else when it changes, when the hold is over, or when this gateway stops.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tidegate_core::refusal::RefusalCode;
use tidegate_core::wire::{Have, ProblemCode, Rejected, header as names, parse_prefer_wait};

use super::App;
use super::auth::{Caller, Peer};
use super::error::HttpError;
use super::index::EndpointKey;
use super::log::{self, Step};
use super::manifest::Rendered;
use super::router::Held;
use super::trace;
use crate::clock;
use crate::metrics::{Counted, Stage};

/// Agents that lose this gateway spread their return over so many seconds.
const RECONNECT_WINDOW: HeaderValue = HeaderValue::from_static("5");
/// An agent that was served polls again at once.
const NEXT_POLL_NOW: HeaderValue = HeaderValue::from_static("0");
/// An agent that was refused waits.
const NEXT_POLL_LATER: HeaderValue = HeaderValue::from_static("5");

/// What a poll says of the manifests that its agent knows.
struct Known<'a> {
    /// Those it has applied, as `If-None-Match` lists them.
    applied: Option<&'a str>,
    /// The one it refused last.
    rejected: Option<Rejected>,
}

/// Handles the route.
pub(super) async fn snapshot(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Extension(held): Extension<Held>,
    headers: HeaderMap,
) -> Response {
    let wait = text(&headers, names::PREFER).and_then(parse_prefer_wait).unwrap_or_default().min(app.poll_hold);
    let call = Call { app: &app, peer: &peer, headers: &headers, held: &held };
    let answer = call.poll(wait).await;
    let served = answer.is_ok();
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    let applied =
        HeaderValue::from_str(&format!("wait={}", wait.as_secs())).unwrap_or(HeaderValue::from_static("wait=0"));
    let next = if served { NEXT_POLL_NOW } else { NEXT_POLL_LATER };
    for (name, value) in
        [(names::PREFERENCE_APPLIED, applied), (names::NEXT_POLL, next), (names::RECONNECT_WINDOW, RECONNECT_WINDOW)]
    {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

/// One call of the route.
struct Call<'a> {
    app: &'a App,
    peer: &'a Peer,
    headers: &'a HeaderMap,
    held: &'a Held,
}

impl Call<'_> {
    async fn poll(&self, wait: Duration) -> Result<Response, HttpError> {
        let Self { app, peer, headers, held } = *self;
        let caller = app.caller(peer)?;
        let agent = text(headers, names::AGENT).unwrap_or_default();
        tracing::debug!(fleet = %caller.key.fleet, endpoint = %caller.key.name, agent, "poll");
        let known = Known {
            applied: text(headers, header::IF_NONE_MATCH.as_str()),
            rejected: text(headers, names::REJECTED).and_then(Rejected::parse),
        };
        let have = text(headers, names::HAVE).map(Have::parse).unwrap_or_default();
        let began = clock::monotonic();
        let over = tokio::time::sleep(spread(wait, random()));
        tokio::pin!(over);
        let mut changes = app.served.subscribe(&caller.key);
        let _counted = Counted::new(app.metrics.waiters());
        let (mut is_over, mut changed_at) = (wait.is_zero(), None);
        loop {
            let rendered = current(app, peer, &caller)?;
            known.report(app, &caller, &rendered);
            if !known.includes(rendered.etag()) {
                let first = handed_out(app, &rendered, changed_at);
                let answer = found(&rendered, &have)?;
                if first {
                    log_grants(app, &caller, &rendered, &have);
                }
                tell_of_grants(app, &caller, &rendered, &have, changed_at.unwrap_or(began));
                return Ok(answer);
            }
            if is_over || app.stopping.is_cancelled() {
                return not_modified(&rendered);
            }
            let _held = held.begin();
            tokio::select! {
                at = changes.changed() => changed_at = Some(at),
                () = app.stopping.cancelled() => {}
                () = &mut over => is_over = true,
            }
        }
    }
}

/// Measures the way of a change: it is handed out now; `changed_at` is when it came, if this poll waited for it. True if this manifest
/// was never handed out before.
fn handed_out(app: &App, rendered: &Rendered, changed_at: Option<Duration>) -> bool {
    let now = clock::monotonic();
    let first = rendered.hand_out(now);
    if let Some(at) = changed_at {
        app.metrics.propagated(Stage::GatewayToWake, now.saturating_sub(at));
    }
    first
}

/// Logs the grants that the agent has not had yet. Only of a manifest that is handed out for the first time: an agent that asks for it
/// again and again, and never says what it has, fills no log.
fn log_grants(app: &App, caller: &Caller, rendered: &Rendered, have: &Have) {
    for request in rendered.fresh(have) {
        log::grant(Step::HandedOut, &caller.key, request.as_str(), app.served.traces());
    }
}

/// Traces the grants that the agent has not had yet, since this reading of the monotonic clock.
fn tell_of_grants(app: &App, caller: &Caller, rendered: &Rendered, have: &Have, since: Duration) {
    app.served.traces().tell(|| {
        let about = rendered.fresh(have).filter_map(|request| app.served.grant_of(&caller.key, request));
        let (since, now) = (clock::fine_at(since), clock::fine());
        about.map(|about| trace::handed_out(about, since, now)).collect()
    });
}

/// What the caller receives now. Looks at everything again: in the meantime the endpoint may be gone, or this gateway stale.
pub(super) fn current(app: &App, peer: &Peer, caller: &Caller) -> Result<Arc<Rendered>, HttpError> {
    app.caller(peer)?;
    app.served.manifest(&caller.key).ok_or_else(|| {
        let EndpointKey { fleet, name } = &caller.key;
        let text = format!(
            "The placement of {name} or the fleet part of {fleet} is not signed yet; the controller does that."
        );
        HttpError::new(ProblemCode::NotReady, text)
    })
}

fn found(rendered: &Rendered, have: &Have) -> Result<Response, HttpError> {
    let body = rendered.answer(have).map_err(HttpError::internal)?;
    let kind = HeaderValue::from_static("application/json");
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, kind), (header::ETAG, tag(rendered)?)], body).into_response())
}

fn not_modified(rendered: &Rendered) -> Result<Response, HttpError> {
    Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag(rendered)?)]).into_response())
}

fn tag(rendered: &Rendered) -> Result<HeaderValue, HttpError> {
    HeaderValue::from_str(rendered.etag()).map_err(HttpError::internal)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Does an `If-None-Match` name this tag? `*` does not: an agent names what it has applied.
fn names_tag(tags: &str, tag: &str) -> bool {
    tags.split(',').any(|candidate| candidate.trim() == tag)
}

/// A random point in the last tenth of the hold, so that polls that began together do not end together.
fn spread(hold: Duration, random: u16) -> Duration {
    hold - hold / 10 * u32::from(random) / u32::from(u16::MAX)
}

fn random() -> u16 {
    let mut bytes = [0; 2];
    // Without entropy there is no spread, and still an end.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u16::from_ne_bytes(bytes)
}

// === impl Known ===

impl Known<'_> {
    /// Does the agent know the manifest of this tag? It gets nothing new from it then.
    fn includes(&self, tag: &str) -> bool {
        self.applied.is_some_and(|tags| names_tag(tags, tag)) || self.rejection(tag).is_some()
    }

    fn rejection(&self, tag: &str) -> Option<RefusalCode> {
        self.rejected.as_ref().filter(|rejected| rejected.manifest == tag).map(|rejected| rejected.code)
    }

    /// Whether it applied or refused this manifest: measured, counted and logged once for each time it was rendered.
    fn report(&self, app: &App, caller: &Caller, rendered: &Rendered) {
        let applied = self.applied.is_some_and(|tags| names_tag(tags, rendered.etag()));
        if let Some(took) = applied.then(|| rendered.apply(clock::monotonic())).flatten() {
            app.metrics.propagated(Stage::WakeToApplied, took);
        }
        let Some(code) = self.rejection(rendered.etag()).filter(|code| rendered.refuse(*code)) else { return };
        let Caller { key, .. } = caller;
        tracing::warn!(fleet = %key.fleet, endpoint = %key.name, %code, "an agent refused its manifest");
        app.metrics.rejected(code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_in_its_last_tenth() {
        let hold = Duration::from_secs(50);
        assert_eq!(spread(hold, 0), hold);
        assert_eq!(spread(hold, u16::MAX), Duration::from_secs(45));
        assert!((0..=u16::MAX).all(|r| (Duration::from_secs(45)..=hold).contains(&spread(hold, r))));
        assert_eq!(spread(Duration::ZERO, u16::MAX), Duration::ZERO);
    }

    #[test]
    fn a_tag_is_known_only_if_it_is_named() {
        assert!(names_tag("\"a\"", "\"a\""));
        assert!(names_tag("\"b\", \"a\"", "\"a\""));
        assert!(!names_tag("*", "\"a\""));
        assert!(!names_tag("a", "\"a\""));
        assert!(!names_tag("", "\"a\""));
    }
}
