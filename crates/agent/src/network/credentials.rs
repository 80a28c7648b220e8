//! Who this is: key and certificate on disk, and when others are asked for. A key in use is never given up before the
//! certificate for the next one is here: the clock may be wrong, or a gateway.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_core::name::Digest;

use super::{CALL, Network, SMALL, Trouble, fatal};
use crate::clock;
use crate::enroll::{self, Enrolment};
use crate::event::{EndReason, EnrolmentState, Event};
use crate::gateway::{CallError, Line};
use crate::identity::{self, Identity, IdentityError};
use crate::store::{Entry, StoreError};
use crate::tls;
use crate::trust::Trust;

/// What a person decided about a key, so that a restart does not ask again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Denial {
    /// Of the key's SubjectPublicKeyInfo.
    key: Digest,
    /// The person's words.
    message: String,
}

impl Network {
    /// Reads key and certificate, and what was in force for them. A pair that does not fit is kept aside; one of another
    /// endpoint is an error.
    pub(super) fn load_identity(&mut self) -> anyhow::Result<()> {
        let Some(trust) = &self.trust else { return Ok(()) };
        let Some(chain) = self.store.read(Entry::Certificate)? else { return Ok(()) };
        let mut why = None;
        for entry in [Entry::Key, Entry::NextKey] {
            let Some(pem) = self.store.read(entry)? else { continue };
            let checked = identity::read_key(&pem)
                .map_err(|e| IdentityError::Unreadable(e.to_string()))
                .and_then(|key| Identity::check(&chain, &key, &self.settings.endpoint, trust));
            match checked {
                Ok(identity) => {
                    if entry == Entry::NextKey {
                        self.store.rename(Entry::NextKey, Entry::Key)?;
                    }
                    self.held.restore(&trust.ring, &identity.me)?;
                    self.identity = Some(identity);
                    self.publish(EndReason::Absent);
                    return Ok(());
                }
                Err(e @ IdentityError::OtherEndpoint(..)) => {
                    let path = self.store.path(Entry::Certificate);
                    anyhow::bail!("{}: {e}; give each endpoint its own --state-dir", path.display());
                }
                Err(e @ (IdentityError::Unreadable(_) | IdentityError::OtherKey | IdentityError::NotIssued(_))) => {
                    why.get_or_insert((entry, e));
                }
            }
        }
        if let Some((entry, e)) = why {
            self.store.set_aside(Entry::Certificate, &e.to_string());
            if entry == Entry::Key {
                self.store.set_aside(Entry::Key, &e.to_string());
            }
        }
        Ok(())
    }

    /// Makes sure that there is a certificate to poll with; answers with a wait while there is none. One that expired by
    /// this computer's clock is used as long as the gateway takes it.
    pub(super) async fn certify(&mut self, trust: &Trust) -> Result<Option<Duration>, Trouble> {
        if self.identity.is_none() {
            self.load_identity().map_err(Trouble::Fatal)?;
        }
        let Some(identity) = &self.identity else { return self.enrol(trust).await };
        if !identity.is_over(clock::now().wall) || self.is_taken(identity, trust).await? {
            return Ok(None);
        }
        let expired = format!("the certificate expired at {}; asking for a new one", identity.not_after);
        self.tell_replacing(expired).await;
        self.enrol(trust).await
    }

    /// Does the gateway, verified, let this certificate in? In TLS 1.3 a client sees the refusal as a connection that breaks
    /// before the first answer; this call is answered at once, so nothing else breaks it.
    async fn is_taken(&self, identity: &Identity, trust: &Trust) -> Result<bool, Trouble> {
        let config = tls::verified(&trust.authorities, Some(identity.for_tls())).map_err(fatal)?;
        match self.fetch_bundle(config).await {
            Ok(_) => {
                tracing::warn!(
                    "the certificate expired by this computer's clock, but not by the gateway's: set the clock"
                );
                Ok(true)
            }
            Err(CallError::Http(e)) => {
                tracing::debug!("the gateway refuses the expired certificate: {e}");
                Ok(false)
            }
            Err(e @ (CallError::Connect(_) | CallError::Tls(_) | CallError::Body(_) | CallError::Late(_))) => {
                Err(e.into())
            }
        }
    }

    /// The gateway does not serve this endpoint: what applies ends now. The certificate is replaced only if it is void for
    /// certain, and kept until then.
    pub(super) async fn forbidden(
        &mut self,
        trust: &Trust,
        void: bool,
        message: String,
        after: Option<Duration>,
    ) -> Result<Duration, Trouble> {
        self.held.clear();
        if !void {
            self.publish(EndReason::CertificateVoid);
            return Err(Trouble::Gateway { message, after });
        }
        let gateway = self.gateway().clone();
        if !self.doubt.heard(&gateway, clock::boot(), self.settings.void_patience) {
            self.tell_connection(
                false,
                &format!("the certificate is void: {message}; it is kept until that is confirmed"),
            )
            .await;
            self.publish(EndReason::CertificateVoid);
            return Err(Trouble::Doubted);
        }
        self.tell_replacing(format!("the certificate is void: {message}; asking for a new one")).await;
        self.publish(EndReason::CertificateVoid);
        Ok(self.enrol(trust).await?.unwrap_or_default())
    }

    /// Asks for a certificate for the next key; answers with a wait while there is none.
    async fn enrol(&mut self, trust: &Trust) -> Result<Option<Duration>, Trouble> {
        let key = self.next_key()?;
        let digest = identity::digest(&key);
        if let Some(denial) = self.store.read_json::<Denial>(Entry::Denial)?.filter(|denial| denial.key == digest) {
            return Err(self.denied(denial.message).await);
        }
        let id = identity::requested_id(trust, &self.settings.endpoint);
        let config = tls::verified(&trust.authorities, None).map_err(fatal)?;
        let request = enroll::request(&key, &id).map_err(Trouble::Fatal)?;
        let reply = Line::new(self.gateway().clone(), Arc::new(config)).call(request, CALL, SMALL).await?;
        match enroll::read(&reply) {
            Enrolment::Issued(chain) => {
                let identity = Identity::check(&chain, &key, &self.settings.endpoint, trust)
                    .map_err(|e| Trouble::Gateway { message: e.to_string(), after: Some(CALL) })?;
                let message = format!("enrolled as {id} until {}", identity.not_after);
                self.adopt(identity, &chain)?;
                self.tell_enrolment(EnrolmentState::Enrolled, message).await;
                Ok(None)
            }
            Enrolment::Pending { object, message, after } => {
                if self.told.as_ref() != Some(&object) {
                    self.told = Some(object.clone());
                    let (state, certificate_signing_request, key) =
                        (EnrolmentState::Pending, Some(object), Some(digest));
                    self.tell(Event::Enrolment { state, certificate_signing_request, key, message }).await;
                }
                Ok(Some(after))
            }
            Enrolment::Denied(message) => {
                if let Err(e) = self.store.write_json(Entry::Denial, &Denial { key: digest, message: message.clone() })
                {
                    tracing::error!("{e}: a restart will ask again");
                }
                Err(self.denied(message).await)
            }
            Enrolment::Failed { message, after } => {
                Err(Trouble::Gateway { message: format!("enrolment: {message}"), after })
            }
        }
    }

    /// The new certificate is here: it and its key replace the old ones. If this breaks off after the certificate is written,
    /// [`Network::load_identity`] finds the key where it was.
    fn adopt(&mut self, identity: Identity, chain: &str) -> Result<(), StoreError> {
        self.store.write(Entry::Certificate, chain.as_bytes())?;
        self.store.rename(Entry::NextKey, Entry::Key)?;
        if self.identity.as_ref().is_some_and(|old| old.me != identity.me) {
            self.held.clear();
            self.publish(EndReason::Absent);
        }
        (self.identity, self.line, self.told) = (Some(identity), None, None);
        self.refusals.over();
        self.is_served();
        Ok(())
    }

    /// A person refused the key. It stays, with the denial: a restart must not ask that person again and again.
    async fn denied(&self, message: String) -> Trouble {
        let (endpoint, path) = (&self.settings.endpoint, self.store.path(Entry::NextKey));
        let message = format!(
            "enrolment of {}/{} was denied; to ask with a new key, remove {} and start the agent again: {message}",
            endpoint.fleet,
            endpoint.name,
            path.display()
        );
        self.tell_enrolment(EnrolmentState::Denied, message.clone()).await;
        Trouble::Fatal(anyhow::anyhow!(message))
    }

    /// The key to enrol with: on disk before it is shown to anybody.
    fn next_key(&self) -> Result<rcgen::KeyPair, Trouble> {
        if let Some(pem) = self.store.read(Entry::NextKey)? {
            match identity::read_key(&pem) {
                Ok(key) => return Ok(key),
                Err(e) => self.store.set_aside(Entry::NextKey, &e.to_string()),
            }
        }
        let key = identity::new_key().map_err(fatal)?;
        self.store.write(Entry::NextKey, identity::write_key(&key).as_bytes())?;
        Ok(key)
    }

    /// Says once that another certificate is asked for.
    async fn tell_replacing(&mut self, message: String) {
        if !self.replacing {
            self.replacing = true;
            self.tell_enrolment(EnrolmentState::Void, message).await;
        }
    }

    async fn tell_enrolment(&self, state: EnrolmentState, message: String) {
        self.tell(Event::Enrolment { state, certificate_signing_request: None, key: None, message }).await;
    }
}
