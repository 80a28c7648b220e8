//! Enrolment: the forms of `POST /v1/enroll` and what its answers mean. Pure; `network.rs` sends and stores.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use rcgen::KeyPair;
use tidegate_core::name::EndpointName;
use tidegate_core::spiffe::EndpointId;
use tidegate_core::wire::{EnrollPending, EnrollRequest, EnrollResponse, ProblemCode};

use crate::gateway::Reply;
use crate::identity::certificate_request;
use crate::poll::{problem, retry_after};
use crate::text::shown;

/// The wait before asking again, if the gateway names none.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// The longest wait before asking again, whatever the gateway names.
const ASK_AGAIN_MOST: Duration = Duration::from_secs(60);

/// What the gateway said.
#[derive(Debug, PartialEq, Eq)]
pub enum Enrolment {
    /// A certificate chain (PEM), not checked yet.
    Issued(String),
    /// A person has to approve.
    Pending {
        /// Name of the CertificateSigningRequest.
        object: String,
        /// For people: the command that approves, on a line of its own.
        message: String,
        /// When to ask again.
        after: Duration,
    },
    /// A person refused: this key gets no certificate.
    Denied(String),
    /// Something else; the same call may work later.
    Failed {
        /// For people.
        message: String,
        /// The gateway's wish.
        after: Option<Duration>,
    },
}

/// The call.
///
/// # Errors
/// The certificate request cannot be made.
pub fn request(key: &KeyPair, id: &EndpointId) -> anyhow::Result<Request<Bytes>> {
    let csr = certificate_request(key, id)?;
    let body = EnrollRequest { fleet: id.fleet.clone(), endpoint: id.endpoint.clone(), csr };
    let request = Request::post("/v1/enroll").header(header::CONTENT_TYPE, "application/json");
    Ok(request.body(serde_json::to_vec(&body)?.into())?)
}

/// The answer.
#[must_use]
pub fn read(reply: &Reply) -> Enrolment {
    let after = retry_after(&reply.headers);
    let not_understood =
        |e: serde_json::Error| Enrolment::Failed { message: format!("its answer is not understood: {e}"), after };
    match reply.status {
        StatusCode::OK => serde_json::from_slice(&reply.body)
            .map_or_else(not_understood, |EnrollResponse { certificate }| Enrolment::Issued(certificate)),
        StatusCode::ACCEPTED => {
            serde_json::from_slice(&reply.body).map_or_else(not_understood, |pending| waiting(pending, after))
        }
        _ => {
            let (code, message) = problem(reply);
            if code == ProblemCode::Denied { Enrolment::Denied(message) } else { Enrolment::Failed { message, after } }
        }
    }
}

/// The line to be copied is made here from a checked name: the gateway's own text is never offered as a command.
fn waiting(pending: EnrollPending, after: Option<Duration>) -> Enrolment {
    let EnrollPending { certificate_signing_request: object, message } = pending;
    let message = match object.parse::<EndpointName>() {
        Ok(name) => format!(
            "waiting for approval; somebody who may approve endpoints runs:\n  kubectl certificate approve {name}"
        ),
        Err(_) => format!("waiting for approval: {}", shown(&message)),
    };
    let after = after.unwrap_or(ASK_AGAIN).clamp(Duration::from_secs(1), ASK_AGAIN_MOST);
    Enrolment::Pending { object: shown(&object), message, after }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use tidegate_core::wire::Problem;

    use super::*;

    fn reply(status: u16, body: impl serde::Serialize) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        let body = serde_json::to_vec(&body).unwrap().into();
        Reply { status: StatusCode::from_u16(status).unwrap(), headers, body }
    }

    fn pending(name: &str) -> Enrolment {
        let body = EnrollPending { certificate_signing_request: name.to_owned(), message: "see\u{1b}[2J".to_owned() };
        read(&reply(202, body))
    }

    #[test]
    fn while_it_waits_the_command_that_approves_is_shown() {
        let Enrolment::Pending { object, message, after } = pending("berlin.ws-042.0123456789abcdef") else { panic!() };
        assert_eq!(object, "berlin.ws-042.0123456789abcdef");
        assert!(message.ends_with("\n  kubectl certificate approve berlin.ws-042.0123456789abcdef"), "{message}");
        assert_eq!(after, Duration::from_secs(7));
    }

    #[test]
    fn a_name_that_is_no_name_never_becomes_a_command() {
        for bad in ["x; rm -rf ~", "$(id)", "a b", "--all", "", "x\n  kubectl delete ns y"] {
            let Enrolment::Pending { message, .. } = pending(bad) else { panic!() };
            assert!(!message.contains("kubectl") && !message.contains('\u{1b}'), "{message}");
        }
    }

    #[test]
    fn the_other_answers_are_told_apart() {
        let issued = EnrollResponse { certificate: "PEM".to_owned() };
        assert_eq!(read(&reply(200, issued)), Enrolment::Issued("PEM".to_owned()));
        let denied = read(&reply(403, Problem::new(ProblemCode::Denied, "by bob")));
        assert_eq!(denied, Enrolment::Denied("by bob".to_owned()));
        for (status, code) in
            [(404, ProblemCode::EndpointNotFound), (503, ProblemCode::NotReady), (400, ProblemCode::BadRequest)]
        {
            let answer = read(&reply(status, Problem::new(code, "why")));
            assert_eq!(answer, Enrolment::Failed { message: "why".to_owned(), after: Some(Duration::from_secs(7)) });
        }
        assert!(matches!(read(&reply(200, "nonsense")), Enrolment::Failed { .. }));
        assert!(matches!(read(&reply(502, "nonsense")), Enrolment::Failed { .. }));
    }
}
