//! Bodies of answers: whole ones, and those of watches, which are passed on line by line, as the rules of the moment want it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, Incoming};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::call::Call;
use super::fault::{Fault, Rules};

/// Any body.
pub(super) type AnyBody = BoxBody<Bytes, io::Error>;

/// Lines that may wait for the caller to read them.
const AHEAD: usize = 64;

/// Passes a watch on.
pub(super) struct Pump {
    call: Call,
    rules: Arc<Rules>,
    to: mpsc::Sender<io::Result<Bytes>>,
    /// What has come of a line that is not whole.
    partial: Vec<u8>,
    /// An event that waits for the one that is to overtake it.
    kept: Option<Vec<u8>>,
    /// Nothing is passed on any more.
    mute: bool,
}

struct Pumped(mpsc::Receiver<io::Result<Bytes>>);

/// The watch is over for the caller.
struct Over;

// === impl Pump ===

impl Pump {
    /// The body of `call`, as `rules` want it.
    pub(super) fn start(from: Incoming, call: Call, rules: Arc<Rules>) -> AnyBody {
        let (to, lines) = mpsc::channel(AHEAD);
        let pump = Self { call, rules, to, partial: Vec::new(), kept: None, mute: false };
        tokio::spawn(pump.run(from));
        Pumped(lines).boxed()
    }

    async fn run(mut self, mut from: Incoming) {
        let mut changes = self.rules.changes();
        loop {
            if self.obey().await.is_err() {
                return;
            }
            let frame = tokio::select! {
                _ = changes.changed() => continue,
                () = self.to.closed() => return,
                frame = from.frame() => frame,
            };
            match frame {
                Some(Ok(frame)) => {
                    let bytes = frame.into_data().unwrap_or_default();
                    if self.pass(&bytes).await.is_err() {
                        return;
                    }
                }
                // A silent connection does not even end.
                Some(Err(_)) | None if self.mute => {
                    self.to.closed().await;
                    return;
                }
                Some(Err(error)) => {
                    let _gone = self.to.send(Err(io::Error::other(error))).await;
                    return;
                }
                None => return,
            }
        }
    }

    /// What the rules of this moment do to the watch itself.
    async fn obey(&mut self) -> Result<(), Over> {
        match self.rules.of_running(&self.call) {
            Some(Fault::Silent | Fault::Mute) => self.mute = true,
            Some(Fault::Cut) => {
                let _gone = self.to.send(Err(io::ErrorKind::ConnectionReset.into())).await;
                return Err(Over);
            }
            Some(Fault::Gone) => {
                let event = json!({"type": "ERROR", "object": status(410)});
                let _gone = self.to.send(Ok(Bytes::from(format!("{event}\n")))).await;
                return Err(Over);
            }
            Some(Fault::HoldBefore | Fault::HoldAfter | Fault::Delay(_) | Fault::Answer(_)) | None => {}
            Some(Fault::Duplicate | Fault::Reorder | Fault::Hide(_)) => {}
        }
        Ok(())
    }

    async fn pass(&mut self, bytes: &[u8]) -> Result<(), Over> {
        self.partial.extend_from_slice(bytes);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let rest = self.partial.split_off(end + 1);
            let line = std::mem::replace(&mut self.partial, rest);
            if self.mute {
                continue;
            }
            let lines = match self.rules.of_running(&self.call) {
                Some(fault) => fault.change(line, &mut self.kept),
                // What waited comes late, now that nothing is wrong any more.
                None => self.kept.take().into_iter().chain([line]).collect(),
            };
            for line in lines {
                self.to.send(Ok(line.into())).await.map_err(|_| Over)?;
            }
        }
        Ok(())
    }
}

impl Body for Pumped {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|next| next.map(|bytes| bytes.map(Frame::data)))
    }
}

/// A `Status` object with this code.
pub(super) fn status(code: u16) -> Value {
    let reason = match code {
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the proxy of a test says so", "reason": reason, "code": code,
    })
}
