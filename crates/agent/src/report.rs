//! The report to the gateway, `PUT /v1/status`: a loop of its own on a connection of its own, so that it delays neither
//! a poll nor an end. One report is under way at a time, and the latest one wins.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use rustls::ClientConfig;
use tidegate_core::wire::StatusReport;
use tokio::sync::watch;

use crate::backoff::{Backoff, roll};
use crate::gateway::{CallError, Gateway, Line, Reply};
use crate::poll;

/// A report is answered within this time.
const CALL: Duration = Duration::from_secs(40);
/// After a report that was taken the next one waits for so long: what changes one thing after the other, as when a Lock ends a dozen
/// grants, is told in a few reports and not in one for each, of which a gateway would refuse some.
const BETWEEN: Duration = Duration::from_millis(500);
/// Largest answer, in bytes.
const SMALL: usize = 64 * 1024;

/// The gateway that is polled, and how it is reached: a new one with every new connection of the poll.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Where.
    pub gateway: Gateway,
    /// Whom to trust, and as whom.
    pub tls: Arc<ClientConfig>,
}

/// The loop's state.
pub struct Reporter {
    reports: watch::Receiver<Option<StatusReport>>,
    reach: watch::Receiver<Option<Reach>>,
    /// The report that a gateway took last.
    taken: watch::Sender<Option<StatusReport>>,
    backoff: Backoff,
    line: Option<Line>,
}

/// What a round came to.
#[derive(Debug, PartialEq, Eq)]
enum Round {
    /// There is nothing to say until there is another report.
    Said,
    /// After this wait: the same again, which the gateway did not take, or what there is to say by then.
    Again(Duration),
    /// The gateway is too old to be told anything.
    Unheard,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Taken,
    NoSuchRoute,
    Failed(Option<Duration>),
}

// === impl Reporter ===

impl Reporter {
    /// A loop that sends the latest of `reports`, and says in `taken` which one a gateway took. No wait between two
    /// tries exceeds `max_backoff`.
    #[must_use]
    pub fn new(
        reports: watch::Receiver<Option<StatusReport>>,
        reach: watch::Receiver<Option<Reach>>,
        taken: watch::Sender<Option<StatusReport>>,
        max_backoff: Duration,
    ) -> Self {
        Self { reports, reach, taken, backoff: Backoff::new(max_backoff), line: None }
    }

    /// Runs until nobody has anything to report any more.
    pub async fn run(mut self) {
        loop {
            let (reports, reach) = (&mut self.reports, &mut self.reach);
            let found = match Self::latest(reports, reach, &self.taken) {
                Some((report, reach)) => self.send(report, reach).await,
                None => Round::Said,
            };
            let is_connected_anew = match found {
                Round::Said => tokio::select! {
                    changed = self.reports.changed() => changed.map(|()| false),
                    changed = self.reach.changed() => changed.map(|()| true),
                },
                Round::Again(wait) => tokio::select! {
                    () = tokio::time::sleep(wait) => Ok(false),
                    changed = self.reach.changed() => changed.map(|()| true),
                },
                Round::Unheard => self.reach.changed().await.map(|()| true),
            };
            match is_connected_anew {
                Ok(true) => self.line = None,
                Ok(false) => {}
                Err(_) => return,
            }
        }
    }

    /// The report to send now, and to whom; none if there is no gateway, or it knows everything.
    fn latest(
        reports: &mut watch::Receiver<Option<StatusReport>>,
        reach: &mut watch::Receiver<Option<Reach>>,
        taken: &watch::Sender<Option<StatusReport>>,
    ) -> Option<(StatusReport, Reach)> {
        let (report, reach) = (reports.borrow_and_update().clone(), reach.borrow_and_update().clone());
        report.filter(|report| taken.borrow().as_ref() != Some(report)).zip(reach)
    }

    async fn send(&mut self, report: StatusReport, reach: Reach) -> Round {
        let gateway = reach.gateway.clone();
        let mut line = self.line.take().unwrap_or_else(|| Line::new(reach.gateway, reach.tls));
        let reply = match request(&report) {
            Ok(request) => line.call(request, CALL, SMALL).await,
            Err(e) => {
                tracing::error!("the status report cannot be written: {e}");
                return Round::Unheard;
            }
        };
        match read(&reply) {
            Answer::Taken => {
                self.backoff.succeeded();
                self.taken.send_replace(Some(report));
                self.line = Some(line);
                Round::Again(BETWEEN)
            }
            Answer::NoSuchRoute => {
                tracing::warn!(%gateway, "it takes no status reports; nothing is reported until the next connection");
                Round::Unheard
            }
            Answer::Failed(after) => {
                let wait = self.backoff.failed(after, roll());
                tracing::info!(%gateway, "status report: {}; next try in {:.1} s", why(&reply), wait.as_secs_f32());
                Round::Again(wait)
            }
        }
    }
}

fn request(report: &StatusReport) -> anyhow::Result<Request<Bytes>> {
    report.check()?;
    let body = Bytes::from(serde_json::to_vec(report)?);
    Ok(Request::put("/v1/status").header(header::CONTENT_TYPE, "application/json").body(body)?)
}

fn read(reply: &Result<Reply, CallError>) -> Answer {
    match reply {
        Ok(reply) if reply.status.is_success() => Answer::Taken,
        Ok(Reply {
            status: StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED,
            ..
        }) => Answer::NoSuchRoute,
        Ok(reply) => Answer::Failed(poll::retry_after(&reply.headers)),
        Err(_) => Answer::Failed(None),
    }
}

fn why(reply: &Result<Reply, CallError>) -> String {
    match reply {
        Ok(reply) => poll::problem(reply).1,
        Err(e) => e.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::about;

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        let headers: HeaderMap =
            retry_after.into_iter().map(|after| (header::RETRY_AFTER, after.parse().unwrap())).collect();
        read(&Ok(Reply { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::new() }))
    }

    #[test]
    fn a_report_is_what_the_gateway_reads() {
        let report = StatusReport { agent: about::facts(), applied: None, rejected: Vec::new(), grants: Vec::new() };
        let request = request(&report).unwrap();
        assert_eq!((request.method().as_str(), request.uri().path()), ("PUT", "/v1/status"));
        assert_eq!(StatusReport::parse(request.body()).unwrap(), report);
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(answer(204, None), Answer::Taken);
        for old in [404, 405, 501] {
            assert_eq!(answer(old, Some("1")), Answer::NoSuchRoute, "{old}");
        }
        assert_eq!(answer(429, Some("7")), Answer::Failed(Some(Duration::from_secs(7))));
        for failed in [400, 403, 500, 503] {
            assert_eq!(answer(failed, None), Answer::Failed(None), "{failed}");
        }
        assert_eq!(read(&Err(CallError::Late(CALL))), Answer::Failed(None));
    }
}
