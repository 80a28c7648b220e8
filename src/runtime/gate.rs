//! The gate that every write to Kubernetes passes: open only until an instant on the boot-time clock, which whoever leads moves ahead.
//! Time alone shuts it, so a process that stood still finds it shut, whichever of its tasks wakes first.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, Response};
use tower::{BoxError, Layer, Service};

use crate::clock;

/// Shared by the clients of a process. New ones are shut.
#[derive(Debug, Clone, Default)]
pub struct WriteGate {
    /// Nanoseconds on the boot-time clock.
    until: Arc<AtomicU64>,
}

/// A write was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this process does not lead, so it writes nothing")]
pub struct Shut;

/// Lets requests other than GET through only while the gate is open.
#[derive(Clone)]
pub struct Gated<S> {
    inner: S,
    gate: WriteGate,
    clock: fn() -> Duration,
}

// === impl WriteGate ===

impl WriteGate {
    /// Open until this instant of [`clock::boot`], and not after it.
    pub fn open_until(&self, until: Duration) {
        self.until.store(u64::try_from(until.as_nanos()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Shut from now on.
    pub fn shut(&self) {
        self.open_until(Duration::ZERO);
    }

    /// May something be written now?
    ///
    /// # Errors
    /// [`Shut`]
    pub fn check(&self, now: Duration) -> Result<(), Shut> {
        if now < Duration::from_nanos(self.until.load(Ordering::Acquire)) { Ok(()) } else { Err(Shut) }
    }
}

impl<S> Layer<S> for WriteGate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: self.clone(), clock: clock::boot }
    }
}

// === impl Gated ===

impl<S, Q, R> Service<Request<Q>> for Gated<S>
where
    S: Service<Request<Q>, Response = Response<R>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        if request.method() == Method::GET {
            return Box::pin(self.inner.call(request));
        }
        let (gate, clock) = (self.gate.clone(), self.clock);
        if let Err(shut) = gate.check(clock()) {
            return Box::pin(async move { Err(shut.into()) });
        }
        let answer = self.inner.call(request);
        // Below lie connecting, waiting and trying again: each step of them asks anew, before it can send anything.
        Box::pin(async move {
            let mut answer = pin!(answer);
            poll_fn(|cx| match gate.check(clock()) {
                Ok(()) => answer.as_mut().poll(cx),
                Err(shut) => Poll::Ready(Err(shut.into())),
            })
            .await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::oneshot;
    use tower::{ServiceExt, service_fn};

    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    /// What came through, of one request of each method.
    async fn passes(gate: &WriteGate) -> Vec<String> {
        let passed = Arc::new(Mutex::new(Vec::new()));
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let seen = Arc::clone(&passed);
            let server = service_fn(move |request: Request<()>| {
                seen.lock().unwrap().push(request.method().to_string());
                async { Ok::<_, BoxError>(Response::new(())) }
            });
            let gated = Gated { inner: server, gate: gate.clone(), clock: || NOW };
            let request = Request::builder().method(method).uri("https://kube/api").body(()).unwrap();
            let answer = gated.oneshot(request).await;
            let came_through = passed.lock().unwrap().iter().any(|seen| seen == method);
            assert_eq!(answer.is_ok(), came_through, "{method}");
            if let Err(error) = answer {
                assert!(error.is::<Shut>(), "{error}");
            }
        }
        passed.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn a_shut_gate_lets_nothing_but_reads_through() {
        let gate = WriteGate::default();
        assert_eq!(passes(&gate).await, ["GET"]);
        gate.open_until(NOW + Duration::from_nanos(1));
        assert_eq!(passes(&gate).await, ["GET", "POST", "PUT", "PATCH", "DELETE"]);
        gate.open_until(NOW);
        assert_eq!(passes(&gate).await, ["GET"], "time has shut it");
        gate.open_until(NOW * 2);
        gate.shut();
        assert_eq!(passes(&gate).await, ["GET"]);
    }

    #[tokio::test]
    async fn a_write_that_has_not_been_sent_when_the_gate_shuts_is_not_sent() {
        let gate = WriteGate::default();
        gate.open_until(NOW * 2);
        let (connected, connecting) = oneshot::channel::<()>();
        let (sent, mut arrived) = oneshot::channel::<()>();
        let (connecting, sent) = (Mutex::new(Some(connecting)), Mutex::new(Some(sent)));
        let server = service_fn(move |_: Request<()>| {
            let (connecting, sent) = (connecting.lock().unwrap().take(), sent.lock().unwrap().take());
            async move {
                connecting.unwrap().await?;
                sent.unwrap().send(()).map_err(|()| "nobody is there")?;
                Ok::<_, BoxError>(Response::new(()))
            }
        });
        let gated = Gated { inner: server, gate: gate.clone(), clock: || NOW };
        let write = tokio::spawn(gated.oneshot(Request::put("https://kube/api").body(()).unwrap()));
        tokio::task::yield_now().await;
        gate.shut();
        connected.send(()).unwrap();
        assert!(write.await.unwrap().unwrap_err().is::<Shut>());
        assert!(arrived.try_recv().is_err(), "it was sent");
    }
}
