//! Hears the API server's time: each answer carries it in its `Date` header (RFC 9110, section 6.6.1). What follows from it is core's.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::DATE;
use http::{HeaderMap, Request, Response};
use jiff::fmt::rfc2822::DateTimeParser;
use kube::Client;
use tidegate_core::interval::Instant;
use tidegate_core::timekeeping::Answer;
use tower::{Layer, Service};

use crate::clock;

/// Reads the time off every answer.
#[derive(Debug, Clone, Copy)]
pub struct HearTime;

/// A service whose answers are heard.
#[derive(Debug, Clone)]
pub struct Hearing<S> {
    inner: S,
}

/// Asks the API server for nothing but an answer, so that its time is known.
///
/// # Errors
/// It did not answer.
pub async fn ask_time(client: &Client) -> Result<(), kube::Error> {
    match client.apiserver_version().await {
        // A refusal tells the time as well.
        Ok(_) | Err(kube::Error::Api(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The header's time: UTC in whole seconds.
fn date(headers: &HeaderMap) -> Option<Instant> {
    let text = headers.get(DATE)?.to_str().ok()?;
    DateTimeParser::new().parse_timestamp(text).ok().map(Instant::from)
}

// === impl HearTime ===

impl<S> Layer<S> for HearTime {
    type Service = Hearing<S>;

    fn layer(&self, inner: S) -> Hearing<S> {
        Hearing { inner }
    }
}

// === impl Hearing ===

impl<S, Q, R> Service<Request<Q>> for Hearing<S>
where
    S: Service<Request<Q>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let sent = clock::boot();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            // What fails may come from something in between, with a clock of its own.
            let believed = !response.status().is_server_error();
            if let Some(date) = date(response.headers()).filter(|_| believed)
                && let Some(jump) = clock::heard(&Answer { date, sent, received: clock::boot() })
            {
                let clock::Jump { from, to } = jump;
                tracing::warn!(%from, %to, "the time was corrected to that of the API server");
            }
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_the_api_server_writes_it_and_anything_else_is_none() {
        let headers = |value: &str| HeaderMap::from_iter([(DATE, value.parse().unwrap())]);
        let read = date(&headers("Sun, 22 Nov 2026 07:35:01 GMT"));
        assert_eq!(read, Some("2026-11-22T07:35:01Z".parse().unwrap()));
        for other in ["", "now", "1795332901", "2026-11-22T07:35:01Z"] {
            assert_eq!(date(&headers(other)), None, "{other}");
        }
        assert_eq!(date(&HeaderMap::new()), None);
    }
}
