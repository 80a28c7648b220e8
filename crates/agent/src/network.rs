//! The network loop: trust, certificate, poll, and again. It verifies and stores what comes, hands it on as a [`View`],
//! says what people must know and where reports go; it decides nothing about rights.

mod bundle;
mod credentials;
mod doubt;
mod refusals;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::interval::Instant;
use tidegate_core::name::Digest;
use tidegate_core::refusal::RefusalCode;
use tidegate_core::wire::{Rejected, SnapshotBody, limit};
use tokio::sync::{mpsc, watch};

use self::doubt::Doubt;
use self::refusals::{Circumstances, Next, Refusals};
use crate::args::EndpointPath;
use crate::backoff::{Backoff, roll};
use crate::clock;
use crate::event::{EndReason, Event};
use crate::gateway::{CallError, Gateway, Line};
use crate::held::{Held, NotTaken};
use crate::identity::Identity;
use crate::poll::{self, Answer, Poll};
use crate::report::Reach;
use crate::store::{Store, StoreError};
use crate::tls;
use crate::trust::Trust;
use crate::watch::{RefusedManifest, View};

/// An answer "unchanged" that comes sooner is not a poll that was held: pause before the next.
const EARLY: Duration = Duration::from_secs(1);
/// Every call but the poll is answered within this time; an enrolment is held for up to 20 s by the gateway.
const CALL: Duration = Duration::from_secs(40);
/// Largest answer of every call but the poll, in bytes.
const SMALL: usize = 1024 * 1024;

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
    /// How long a single gateway has to call the certificate void before it is given up.
    pub void_patience: Duration,
}

/// Who is told what.
#[derive(Debug)]
pub struct Ears {
    /// What was verified.
    pub views: watch::Sender<Option<View>>,
    /// What people must know.
    pub events: mpsc::Sender<Event>,
    /// Where reports go.
    pub reach: watch::Sender<Option<Reach>>,
}

/// The loop's state.
pub struct Network {
    settings: Settings,
    store: Arc<Store>,
    tell: Ears,
    backoff: Backoff,
    /// Index of the gateway in use.
    current: usize,
    line: Option<Line>,
    trust: Option<Trust>,
    /// The bundle may have changed: ask before the next poll.
    trust_is_stale: bool,
    /// Gateways, by index, whose first bundle failed the pin.
    unpinned: BTreeSet<usize>,
    identity: Option<Identity>,
    doubt: Doubt,
    /// People were told that another certificate is asked for.
    replacing: bool,
    held: Held,
    refusals: Refusals,
    /// The manifest refused last.
    refused_manifest: Option<RefusedManifest>,
    /// The boot-time of the last authenticated answer.
    contact: Option<Duration>,
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
    /// It sends again what was refused and reported: try again, the next one.
    Refused,
    /// It calls the certificate void, and nothing confirms that yet: ask the next one soon.
    Doubted,
    /// Trying again is of no use.
    Fatal(anyhow::Error),
}

// === impl Network ===

impl Network {
    /// Loads what an earlier run left; a view of it is told before any gateway was asked.
    ///
    /// # Errors
    /// The state directory cannot be read, or belongs to another endpoint.
    pub fn load(settings: Settings, store: Arc<Store>, tell: Ears) -> anyhow::Result<Self> {
        let backoff = Backoff::new(settings.max_backoff);
        let held = Held::open(store.clone())?;
        let mut network = Self {
            settings,
            store,
            tell,
            backoff,
            current: 0,
            line: None,
            trust: None,
            trust_is_stale: true,
            unpinned: BTreeSet::new(),
            identity: None,
            doubt: Doubt::default(),
            replacing: false,
            held,
            refusals: Refusals::default(),
            refused_manifest: None,
            contact: None,
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
                // A certificate that is in order after all should not be missed for long.
                Err(Trouble::Doubted) => self.give_way(None).min(self.settings.void_patience / 4),
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
        if let Some(wait) = self.certify(&trust).await? {
            return Ok(wait);
        }
        self.poll(&trust).await
    }

    async fn poll(&mut self, trust: &Trust) -> Result<Duration, Trouble> {
        let Some(identity) = &self.identity else { return Ok(Duration::ZERO) };
        let me = identity.me.clone();
        let config = tls::verified(&trust.authorities, Some(identity.for_tls())).map_err(fatal)?;
        let mut line = self.line.take().unwrap_or_else(|| self.connect(config));
        let have = if self.refusals.want_all_parts() { Vec::new() } else { self.held.digests() };
        let parts_were_named = !have.is_empty();
        let request =
            Poll { applied: self.held.etag(), rejected: self.refusals.named(), have }.request().map_err(fatal)?;
        let asked = clock::boot();
        let reply = line.call(request, limit::POLL_HOLD + poll::GRACE, poll::LARGEST).await?;
        let at_once = clock::boot().saturating_sub(asked) < EARLY;
        let pace = poll::pace(&reply.headers);
        if let Some(window) = pace.reconnect_window {
            self.backoff.set_window(window);
        }
        let wait = match poll::read(&reply) {
            Answer::Snapshot { etag, body } => {
                let unchanged = self.held.etag() == Some(&etag);
                let taken = self.held.take(etag.clone(), &body, &trust.ring, &me);
                self.is_answered();
                self.note(&body, taken.as_ref().err());
                match self.judged(etag, taken, Circumstances { parts_were_named, at_once }).await {
                    Next::Poll(wait) if unchanged && at_once => wait.max(self.backoff.pause(roll())),
                    Next::Poll(wait) => wait,
                    Next::GiveWay => return Err(Trouble::Refused),
                }
            }
            Answer::Unchanged => {
                self.is_answered();
                self.publish(EndReason::Absent);
                self.tell_connection(true, "connected").await;
                // Newer keys, which would prove what was refused, may have come without another manifest.
                self.trust_is_stale |= self.refusals.want_newer_keys();
                self.refusals.unchanged();
                if at_once { self.backoff.pause(roll()) } else { Duration::ZERO }
            }
            Answer::Forbidden { void, message } => {
                let after = poll::retry_after(&reply.headers);
                return self.forbidden(trust, void, message, after).await;
            }
            Answer::Failed { message, after } => return Err(Trouble::Gateway { message, after }),
        };
        self.line = Some(line);
        Ok(pace.next_poll.max(wait))
    }

    /// A line to the gateway in use; reports go there as well.
    fn connect(&self, config: rustls::ClientConfig) -> Line {
        let reach = Reach { gateway: self.gateway().clone(), tls: Arc::new(config) };
        self.tell.reach.send_replace(Some(reach.clone()));
        Line::new(reach.gateway, reach.tls)
    }

    /// The gateway answered a poll: that is contact, whatever it said.
    fn is_answered(&mut self) {
        self.contact = Some(clock::boot());
        self.is_served();
    }

    /// The gateway takes the certificate.
    fn is_served(&mut self) {
        self.doubt.dispelled();
        self.replacing = false;
    }

    /// A snapshot was taken or refused: say so, then hand on what is in force now.
    async fn judged(&mut self, etag: String, taken: Result<(), NotTaken>, how: Circumstances) -> Next {
        let next = match taken {
            Ok(()) => {
                self.refusals.over();
                self.tell_connection(true, "connected").await;
                Next::Poll(Duration::ZERO)
            }
            Err(NotTaken { code, message }) => {
                let rejected = code.map(|code| Rejected { manifest: etag, code });
                if !rejected.as_ref().is_some_and(|rejected| self.refusals.is_known(rejected)) {
                    let code = code.map_or("apply_failed", RefusalCode::as_str).to_owned();
                    self.tell(Event::Refused { code, message: crate::text::shown(&message) }).await;
                }
                let next = self.refusals.refused(rejected, how);
                self.trust_is_stale = self.refusals.want_newer_keys();
                next
            }
        };
        self.publish(EndReason::Absent);
        next
    }

    /// Remembers what was refused, for as long as the gateway is told that it was.
    fn note(&mut self, body: &SnapshotBody, refusal: Option<&NotTaken>) {
        let Some(NotTaken { code: Some(code), message }) = refusal else { return };
        let digest = Digest::of(body.manifest.get().as_bytes());
        self.refused_manifest = Some(RefusedManifest { digest, code: *code, message: message.clone() });
    }

    fn publish(&self, absence: EndReason) {
        let snapshot = self.held.snapshot().cloned();
        let issued = snapshot.as_ref().and_then(|s| s.issued_time());
        let certified = self.identity.as_ref().map(|identity| identity.not_before);
        let view = View {
            manifest: self.held.etag().unwrap_or_default().trim_matches('"').to_owned(),
            applied: self.held.digest(),
            refused: self.held.refused().to_vec(),
            refused_manifest: self.refused_manifest.clone().filter(|_| self.refusals.named().is_some()),
            signed: issued.max(certified).unwrap_or(Instant::from_second(0)),
            contact: self.contact,
            snapshot,
            absence,
        };
        self.tell.views.send_replace(Some(view));
    }

    async fn tell(&self, event: Event) {
        if self.tell.events.send(event).await.is_err() {
            tracing::debug!("nobody listens any more");
        }
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
