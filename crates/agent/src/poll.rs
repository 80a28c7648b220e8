//! The poll: the forms of `GET /v1/snapshot`, what its answers and headers mean, all bounded. Pure; `network.rs` sends,
//! verifies and stores.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use tidegate_core::name::Digest;
use tidegate_core::wire::{self, Have, Problem, ProblemCode, Rejected, SnapshotBody, limit};

use crate::about;
use crate::gateway::Reply;
use crate::text::shown;

/// The longest wait that a header may ask for.
const MOST: Duration = Duration::from_secs(3600);
/// How long after the hold an answer may still take.
pub const GRACE: Duration = Duration::from_secs(20);
/// Largest answer, in bytes: room for the parts of the largest manifest that is sensible, not for 1 MiB each.
pub const LARGEST: usize = 64 * 1024 * 1024;

/// What the agent says with a poll.
#[derive(Debug, Default)]
pub struct Poll<'a> {
    /// The ETag of what is applied; none if nothing is.
    pub applied: Option<&'a str>,
    /// The manifest refused last.
    pub rejected: Option<&'a Rejected>,
    /// Digests of the parts on disk.
    pub have: Vec<&'a Digest>,
}

/// What the gateway said.
#[derive(Debug)]
pub enum Answer {
    /// A manifest and parts, nothing verified.
    Snapshot {
        /// Its ETag.
        etag: String,
        /// The rest.
        body: SnapshotBody,
    },
    /// Nothing new.
    Unchanged,
    /// The certificate is void (true), or the endpoint may not be served for another reason.
    Forbidden {
        /// The certificate will never work again.
        void: bool,
        /// For people.
        message: String,
    },
    /// Something else; the same call may work later.
    Failed {
        /// For people.
        message: String,
        /// The gateway's wish.
        after: Option<Duration>,
    },
}

/// What the gateway asks of the next poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long to wait before it.
    pub next_poll: Duration,
    /// Over which time reconnections are to be spread.
    pub reconnect_window: Option<Duration>,
}

impl Poll<'_> {
    /// The call.
    ///
    /// # Errors
    /// An ETag that the gateway sent is not fit for a header.
    pub fn request(&self) -> Result<Request<Bytes>, http::Error> {
        let mut request = Request::get("/v1/snapshot")
            .header(wire::header::PREFER, format!("wait={}", limit::POLL_HOLD.as_secs()))
            .header(wire::header::AGENT, about::VERSION);
        if let Some(etag) = self.applied {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(rejected) = self.rejected {
            request = request.header(wire::header::REJECTED, rejected.to_string());
        }
        if !self.have.is_empty() {
            request = request.header(wire::header::HAVE, Have::of(self.have.iter().copied()).to_string());
        }
        request.body(Bytes::new())
    }
}

/// The answer.
#[must_use]
pub fn read(reply: &Reply) -> Answer {
    let after = retry_after(&reply.headers);
    let failed = |message: &str| Answer::Failed { message: message.to_owned(), after };
    match reply.status {
        StatusCode::NOT_MODIFIED => Answer::Unchanged,
        StatusCode::OK => {
            let Some(etag) = text(&reply.headers, header::ETAG.as_str()).filter(|etag| is_etag(etag)) else {
                return failed("its snapshot has no proper ETag");
            };
            match serde_json::from_slice(&reply.body) {
                Ok(body) => Answer::Snapshot { etag: etag.to_owned(), body },
                Err(e) => failed(&format!("its snapshot is not understood: {e}")),
            }
        }
        StatusCode::FORBIDDEN => {
            let (code, message) = problem(reply);
            Answer::Forbidden { void: code == ProblemCode::CertificateVoid, message }
        }
        StatusCode::CONFLICT => failed("this agent is too old for the gateway: update it"),
        _ => failed(&problem(reply).1),
    }
}

/// What the headers ask for; every value is bounded.
#[must_use]
pub fn pace(headers: &HeaderMap) -> Pace {
    Pace {
        next_poll: seconds(headers, wire::header::NEXT_POLL).unwrap_or_default(),
        reconnect_window: seconds(headers, wire::header::RECONNECT_WINDOW),
    }
}

/// `Retry-After` in seconds, bounded; the form with a date is not read, as no header's clock is believed.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    seconds(headers, header::RETRY_AFTER.as_str())
}

/// The code and text of an error, whatever its body is.
#[must_use]
pub fn problem(reply: &Reply) -> (ProblemCode, String) {
    match serde_json::from_slice::<Problem>(&reply.body) {
        Ok(problem) => (problem.code, shown(&problem.detail)),
        Err(_) => (ProblemCode::Unknown, format!("it answered {}", reply.status)),
    }
}

fn seconds(headers: &HeaderMap, name: &str) -> Option<Duration> {
    let seconds = text(headers, name)?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MOST))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A strong entity tag of sensible length: quoted, visible ASCII.
fn is_etag(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    inner.is_some_and(|t| (1..=128).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_graphic() && b != b'"'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_core::refusal::RefusalCode;

    use super::*;

    fn reply(status: u16, headers: &[(&'static str, &str)], body: &str) -> Reply {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Reply { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_owned().into() }
    }

    #[test]
    fn the_first_poll_asks_for_everything() {
        let request = Poll::default().request().unwrap();
        assert_eq!(request.uri(), "/v1/snapshot");
        assert_eq!(request.headers()["prefer"], "wait=55");
        assert_eq!(request.headers()["tidegate-agent"], env!("CARGO_PKG_VERSION"));
        assert!(request.headers().get("if-none-match").is_none() && request.headers().get("tidegate-have").is_none());
    }

    #[test]
    fn a_later_poll_names_what_is_applied_held_and_refused() {
        let digest = Digest::of(b"abc");
        let rejected = Rejected { manifest: "\"b\"".to_owned(), code: RefusalCode::BadSignature };
        let poll = Poll { applied: Some("\"a\""), rejected: Some(&rejected), have: vec![&digest] };
        let request = poll.request().unwrap();
        assert_eq!(request.headers()["if-none-match"], "\"a\"");
        assert_eq!(request.headers()["tidegate-rejected"], "\"b\"; code=bad_signature");
        assert_eq!(request.headers()["tidegate-have"], "ba7816bf8f01cfea");
    }

    #[test]
    fn answers_are_told_apart() {
        let body = r#"{"manifest":{},"parts":{}}"#;
        assert!(
            matches!(read(&reply(200, &[("etag", "\"a\"")], body)), Answer::Snapshot { etag, .. } if etag == "\"a\"")
        );
        assert!(matches!(read(&reply(304, &[], "")), Answer::Unchanged));
        let void = serde_json::to_string(&Problem::new(ProblemCode::CertificateVoid, "gone")).unwrap();
        assert!(matches!(read(&reply(403, &[], &void)), Answer::Forbidden { void: true, .. }));
        assert!(matches!(read(&reply(403, &[], "no")), Answer::Forbidden { void: false, .. }));
        let busy = read(&reply(503, &[("retry-after", "9")], ""));
        assert!(matches!(busy, Answer::Failed { after: Some(after), .. } if after == Duration::from_secs(9)));
        assert!(matches!(read(&reply(409, &[], "")), Answer::Failed { message, .. } if message.contains("too old")));
    }

    #[test]
    fn a_snapshot_without_a_proper_etag_or_form_is_a_failure() {
        let body = r#"{"manifest":{},"parts":{}}"#;
        for (headers, body) in [
            (vec![], body),
            (vec![("etag", "a")], body),
            (vec![("etag", "W/\"a\"")], body),
            (vec![("etag", "\"\"")], body),
            (vec![("etag", "\"a\"")], "{}"),
            (vec![("etag", "\"a\"")], "<html>"),
        ] {
            assert!(matches!(read(&reply(200, &headers, body)), Answer::Failed { .. }), "{headers:?} {body}");
        }
    }

    #[test]
    fn the_gateways_wishes_are_bounded() {
        let headers = [("tidegate-next-poll", "999999999"), ("tidegate-reconnect-window", "30")];
        let pace = pace(&reply(304, &headers, "").headers);
        assert_eq!(pace, Pace { next_poll: MOST, reconnect_window: Some(Duration::from_secs(30)) });
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(status in 100u16..600, etag in "[ -~]{0,20}", body in any::<String>()) {
            let _ = read(&reply(status, &[("etag", etag.as_str()), ("retry-after", etag.as_str())], &body));
        }
    }
}
