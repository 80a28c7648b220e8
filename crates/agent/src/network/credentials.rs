//! What the loop needs before it may poll: whom to trust, and a certificate of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use tidegate_core::trust::TrustBundle;

use super::{Network, Trouble, fatal};
use crate::clock;
use crate::enroll::{self, Enrolment};
use crate::event::{EndReason, EnrolmentState};
use crate::gateway::{Line, Reply};
use crate::identity::{self, Identity, IdentityError};
use crate::poll;
use crate::store::{Entry, StoreError};
use crate::tls;
use crate::trust::Trust;

/// Every call but the poll is answered within this time; an enrolment is held for up to 20 s by the gateway.
const CALL: Duration = Duration::from_secs(40);
/// Largest answer of every call but the poll, in bytes.
const SMALL: usize = 1024 * 1024;

impl Network {
    pub(super) fn load_trust(&mut self) -> Result<(), StoreError> {
        let Some(bundle) = self.store.read_json::<TrustBundle>(Entry::Trust)? else { return Ok(()) };
        match Trust::check(bundle, &self.settings.pins) {
            Ok(trust) => self.trust = Some(trust),
            Err(e) => self.store.set_aside(Entry::Trust, &e.to_string()),
        }
        Ok(())
    }

    /// The trust in use, asked for anew if it may have changed. Only where there is none is the gateway not verified.
    pub(super) async fn current_trust(&mut self) -> Result<Trust, Trouble> {
        let known = self.trust.clone();
        if let Some(trust) = known.as_ref().filter(|_| !self.trust_is_stale) {
            return Ok(trust.clone());
        }
        let config = match &known {
            Some(trust) => tls::verified(&trust.authorities, None),
            None => tls::unverified(),
        };
        let reply = self.call_once(config.map_err(fatal)?, "/v1/trust").await?;
        if reply.status != StatusCode::OK {
            return Err(Trouble::Gateway {
                message: poll::problem(&reply).1,
                after: poll::retry_after(&reply.headers),
            });
        }
        let checked = serde_json::from_slice::<TrustBundle>(&reply.body)
            .map_err(anyhow::Error::from)
            .and_then(|bundle| Ok(Trust::check(bundle, &self.settings.pins)?));
        match (checked, known) {
            (Ok(trust), _) => {
                self.store.write_json(Entry::Trust, &trust.bundle)?;
                (self.trust, self.trust_is_stale, self.line) = (Some(trust.clone()), false, None);
                Ok(trust)
            }
            (Err(e), Some(trust)) => {
                let message = format!("its new trust bundle is refused, the known one stays: {e}");
                self.tell_connection(false, &message).await;
                self.trust_is_stale = false;
                Ok(trust)
            }
            (Err(e), None) => {
                let gateway = self.gateway();
                Err(Trouble::Fatal(e.context(format!("the trust bundle of {gateway} is refused"))))
            }
        }
    }

    async fn call_once(&self, config: rustls::ClientConfig, path: &str) -> Result<Reply, Trouble> {
        let request = Request::get(path).body(Bytes::new()).map_err(fatal)?;
        Ok(Line::new(self.gateway().clone(), Arc::new(config)).call(request, CALL, SMALL).await?)
    }

    /// Reads key and certificate, and what was in force for them. A pair that does not fit is given up; one of another
    /// endpoint is an error.
    pub(super) fn load_identity(&mut self) -> anyhow::Result<()> {
        let Some(trust) = &self.trust else { return Ok(()) };
        let (Some(key), Some(chain)) = (self.store.read(Entry::Key)?, self.store.read(Entry::Certificate)?) else {
            return Ok(());
        };
        let checked = identity::read_key(&key)
            .map_err(|e| IdentityError::Unreadable(e.to_string()))
            .and_then(|key| Identity::check(&chain, &key, &self.settings.endpoint, trust));
        match checked {
            Ok(identity) => {
                self.held.restore(&trust.ring, &identity.me)?;
                self.identity = Some(identity);
                self.publish(EndReason::Absent);
            }
            Err(e @ IdentityError::OtherEndpoint(..)) => {
                let path = self.store.path(Entry::Certificate);
                anyhow::bail!("{}: {e}; give each endpoint its own --state-dir", path.display());
            }
            Err(e @ (IdentityError::Unreadable(_) | IdentityError::OtherKey | IdentityError::NotIssued(_))) => {
                self.store.set_aside(Entry::Certificate, &e.to_string());
                self.store.remove(Entry::Key)?;
            }
        }
        Ok(())
    }

    /// Makes sure that there is a certificate; answers with a wait while there is none.
    pub(super) async fn enrol(&mut self, trust: &Trust) -> Result<Option<Duration>, Trouble> {
        if self.identity.is_none() {
            self.load_identity().map_err(Trouble::Fatal)?;
        }
        match &self.identity {
            Some(identity) if !identity.is_over(clock::now().wall) => return Ok(None),
            Some(identity) => {
                let message = format!("the certificate expired at {}; asking for a new one", identity.not_after);
                self.forget_identity(message).await?;
            }
            None => {}
        }
        let key = self.key()?;
        let id = identity::requested_id(trust, &self.settings.endpoint);
        let config = tls::verified(&trust.authorities, None).map_err(fatal)?;
        let request = enroll::request(&key, &id).map_err(Trouble::Fatal)?;
        let reply = Line::new(self.gateway().clone(), Arc::new(config)).call(request, CALL, SMALL).await?;
        match enroll::read(&reply) {
            Enrolment::Issued(chain) => {
                let identity = Identity::check(&chain, &key, &self.settings.endpoint, trust)
                    .map_err(|e| Trouble::Gateway { message: e.to_string(), after: Some(CALL) })?;
                self.store.write(Entry::Certificate, chain.as_bytes())?;
                let message = format!("enrolled as {id} until {}", identity.not_after);
                (self.identity, self.told) = (Some(identity), None);
                self.tell_enrolment(EnrolmentState::Enrolled, None, message).await;
                Ok(None)
            }
            Enrolment::Pending { object, message, after } => {
                if self.told.as_ref() != Some(&object) {
                    self.told = Some(object.clone());
                    self.tell_enrolment(EnrolmentState::Pending, Some(object), message).await;
                }
                Ok(Some(after))
            }
            Enrolment::Denied(message) => {
                self.store.remove(Entry::Key)?;
                let message =
                    format!("enrolment of {id} was denied: {message}; start the agent again to ask with a new key");
                self.tell_enrolment(EnrolmentState::Denied, None, message.clone()).await;
                Err(Trouble::Fatal(anyhow::anyhow!(message)))
            }
            Enrolment::Failed { message, after } => {
                Err(Trouble::Gateway { message: format!("enrolment: {message}"), after })
            }
        }
    }

    /// The key to enrol with: on disk before it is shown to anybody.
    fn key(&self) -> Result<rcgen::KeyPair, Trouble> {
        if let Some(pem) = self.store.read(Entry::Key)? {
            match identity::read_key(&pem) {
                Ok(key) => return Ok(key),
                Err(e) => self.store.set_aside(Entry::Key, &e.to_string()),
            }
        }
        let key = identity::new_key().map_err(fatal)?;
        self.store.write(Entry::Key, identity::write_key(&key).as_bytes())?;
        Ok(key)
    }

    /// Gives up key and certificate; the next round asks with a new key. Without the key the certificate is of no use,
    /// so the key goes first.
    pub(super) async fn forget_identity(&mut self, message: String) -> Result<(), Trouble> {
        (self.identity, self.line) = (None, None);
        self.tell_enrolment(EnrolmentState::Void, None, message).await;
        self.store.remove(Entry::Key)?;
        Ok(self.store.remove(Entry::Certificate)?)
    }
}
