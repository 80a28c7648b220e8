//! The network loop: trust, certificate, poll, and again. It verifies and stores what comes, hands it on as a [`View`],
//! and reports what people must know; it decides nothing about rights.

mod credentials;

use std::sync::Arc;
use std::time::Duration;

use tidegate_core::interval::Instant;
use tidegate_core::name::Digest;
use tidegate_core::refusal::RefusalCode;
use tidegate_core::wire::limit;
use tokio::sync::{mpsc, watch};

use crate::args::EndpointPath;
use crate::backoff::{Backoff, roll};
use crate::clock;
use crate::event::{EndReason, EnrolmentState, Event};
use crate::gateway::{CallError, Gateway, Line};
use crate::held::{Held, NotTaken};
use crate::identity::Identity;
use crate::poll::{self, Answer, Poll, Rejected};
use crate::store::{Store, StoreError};
use crate::tls;
use crate::trust::Trust;
use crate::watch::View;

/// An answer "unchanged" that comes sooner is not a poll that was held: pause before the next.
const EARLY: Duration = Duration::from_secs(1);

/// What the loop needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// At least one.
    pub gateways: Vec<Gateway>,
    /// This endpoint.
    pub endpoint: EndpointPath,
    /// Pins of the authorities.
    pub pins: Vec<Digest>,
    /// The longest wait between two tries.
    pub max_backoff: Duration,
}

/// The loop's state.
pub struct Network {
    settings: Settings,
    store: Arc<Store>,
    views: watch::Sender<Option<View>>,
    events: mpsc::Sender<Event>,
    backoff: Backoff,
    /// Index of the gateway in use.
    current: usize,
    line: Option<Line>,
    trust: Option<Trust>,
    /// The bundle may have changed: ask before the next poll.
    trust_is_stale: bool,
    identity: Option<Identity>,
    held: Held,
    rejected: Option<Rejected>,
    /// The name of the CertificateSigningRequest that people were told about.
    told: Option<String>,
    /// What people were told last about the gateway.
    connection: Option<String>,
}

/// Why a round did not succeed.
#[derive(Debug)]
enum Trouble {
    /// The gateway cannot be reached or does not serve, or the disk is full: try again, the next one.
    Gateway { message: String, after: Option<Duration> },
    /// What it served was refused and reported: try again, the next one.
    Refused,
    /// Trying again is of no use.
    Fatal(anyhow::Error),
}

// === impl Network ===

impl Network {
    /// Loads what an earlier run left; a view of it is in `views` before any gateway was asked.
    ///
    /// # Errors
    /// The state directory cannot be read, or belongs to another endpoint.
    pub fn load(
        settings: Settings,
        store: Arc<Store>,
        views: watch::Sender<Option<View>>,
        events: mpsc::Sender<Event>,
    ) -> anyhow::Result<Self> {
        let backoff = Backoff::new(settings.max_backoff);
        let held = Held::open(store.clone())?;
        let mut network = Self {
            settings,
            store,
            views,
            events,
            backoff,
            current: 0,
            line: None,
            trust: None,
            trust_is_stale: true,
            identity: None,
            held,
            rejected: None,
            told: None,
            connection: None,
        };
        network.load_trust()?;
        network.load_identity()?;
        network.publish(EndReason::Absent);
        Ok(network)
    }

    /// Runs until something happens that no further try can mend, and says what.
    pub async fn run(mut self) -> anyhow::Error {
        loop {
            let wait = match self.round().await {
                Ok(wait) => {
                    self.backoff.succeeded();
                    wait
                }
                Err(Trouble::Fatal(error)) => return error,
                Err(Trouble::Refused) => self.give_way(None),
                Err(Trouble::Gateway { message, after }) => {
                    self.tell_connection(false, &message).await;
                    self.give_way(after)
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// The next gateway, after the returned wait.
    fn give_way(&mut self, asked: Option<Duration>) -> Duration {
        self.line = None;
        self.current = (self.current + 1) % self.settings.gateways.len().max(1);
        let wait = self.backoff.failed(asked, roll());
        tracing::info!(gateway = %self.gateway(), "next try in {:.1} s", wait.as_secs_f32());
        wait
    }

    fn gateway(&self) -> &Gateway {
        &self.settings.gateways[self.current]
    }

    /// One round; answers with the wait before the next.
    async fn round(&mut self) -> Result<Duration, Trouble> {
        let trust = self.current_trust().await?;
        if let Some(wait) = self.enrol(&trust).await? {
            return Ok(wait);
        }
        self.poll(&trust).await
    }

    async fn poll(&mut self, trust: &Trust) -> Result<Duration, Trouble> {
        let Some(identity) = &self.identity else { return Ok(Duration::ZERO) };
        let mut line = match self.line.take() {
            Some(line) => line,
            None => {
                let config = tls::verified(&trust.authorities, Some(identity.for_tls())).map_err(fatal)?;
                Line::new(self.gateway().clone(), Arc::new(config))
            }
        };
        let missed = self.rejected.as_ref().is_some_and(|r| r.code == RefusalCode::Truncated);
        let have = if missed { Vec::new() } else { self.held.digests() };
        let request =
            Poll { applied: self.held.etag(), rejected: self.rejected.as_ref(), have }.request().map_err(fatal)?;
        let asked = clock::boot();
        let reply = line.call(request, limit::POLL_HOLD + poll::GRACE, poll::LARGEST).await?;
        let pace = poll::pace(&reply.headers);
        if let Some(window) = pace.reconnect_window {
            self.backoff.set_window(window);
        }
        match poll::read(&reply) {
            Answer::Snapshot { etag, body } => {
                let me = identity.me.clone();
                let unchanged = self.held.etag() == Some(&etag);
                let taken = self.held.take(etag.clone(), &body, &trust.ring, &me);
                self.judged(etag, taken).await?;
                self.line = Some(line);
                let early = if unchanged { self.pause(asked) } else { Duration::ZERO };
                Ok(pace.next_poll.max(early))
            }
            Answer::Unchanged => {
                self.tell_connection(true, "connected").await;
                self.line = Some(line);
                Ok(pace.next_poll.max(self.pause(asked)))
            }
            Answer::Forbidden { void, message } => {
                self.held.clear();
                if void {
                    let message = format!("the certificate is void: {message}; asking for a new one");
                    let forgotten = self.forget_identity(message).await;
                    self.publish(EndReason::CertificateVoid);
                    return forgotten.and(Err(Trouble::Refused));
                }
                self.publish(EndReason::CertificateVoid);
                Err(Trouble::Gateway { message, after: poll::retry_after(&reply.headers) })
            }
            Answer::Failed { message, after } => Err(Trouble::Gateway { message, after }),
        }
    }

    /// A snapshot was taken or refused: say so, then hand on what is in force now.
    async fn judged(&mut self, etag: String, taken: Result<(), NotTaken>) -> Result<(), Trouble> {
        let Err(NotTaken { code, message }) = taken else {
            self.rejected = None;
            self.tell_connection(true, "connected").await;
            self.publish(EndReason::Absent);
            return Ok(());
        };
        let rejected = code.map(|code| Rejected { etag, code });
        self.trust_is_stale = matches!(code, Some(RefusalCode::WrongKey | RefusalCode::BadSignature));
        if rejected.is_none() || rejected != self.rejected {
            let code = code.map_or("apply_failed", RefusalCode::as_str).to_owned();
            self.tell(Event::Refused { code, message: crate::text::shown(&message) }).await;
        }
        self.rejected = rejected;
        self.publish(EndReason::Absent);
        Err(Trouble::Refused)
    }

    /// How long to pause after an answer that should have been held but was not.
    fn pause(&self, asked: Duration) -> Duration {
        let held = clock::boot().saturating_sub(asked) >= EARLY;
        if held { Duration::ZERO } else { self.backoff.pause(roll()) }
    }

    fn publish(&self, absence: EndReason) {
        let snapshot = self.held.snapshot().cloned();
        let issued = snapshot.as_ref().and_then(|s| s.issued_time());
        let certified = self.identity.as_ref().map(|identity| identity.not_before);
        let view = View {
            manifest: self.held.etag().unwrap_or_default().trim_matches('"').to_owned(),
            refused: self.held.refused().to_vec(),
            signed: issued.max(certified).unwrap_or(Instant::from_second(0)),
            snapshot,
            absence,
        };
        self.views.send_replace(Some(view));
    }

    async fn tell(&self, event: Event) {
        if self.events.send(event).await.is_err() {
            tracing::debug!("nobody listens any more");
        }
    }

    async fn tell_enrolment(
        &self,
        state: EnrolmentState,
        certificate_signing_request: Option<String>,
        message: String,
    ) {
        self.tell(Event::Enrolment { state, certificate_signing_request, message }).await;
    }

    /// Says it once: the same news of the same gateway is not repeated.
    async fn tell_connection(&mut self, up: bool, message: &str) {
        let gateway = self.gateway().to_string();
        let news = format!("{gateway} {message}");
        if self.connection.as_ref() != Some(&news) {
            self.connection = Some(news);
            self.tell(Event::Connection { up, gateway, message: crate::text::shown(message) }).await;
        }
    }
}

fn fatal(error: impl Into<anyhow::Error>) -> Trouble {
    Trouble::Fatal(error.into())
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Gateway { message: error.to_string(), after: None }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Gateway { message: error.to_string(), after: None }
    }
}
