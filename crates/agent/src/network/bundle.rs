//! Whom to trust: the bundle on disk, asked for anew where it may have changed. Only where there is none is the gateway not
//! verified; then the pin decides, and a gateway that fails it is passed over.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use tidegate_core::trust::TrustBundle;

use super::{CALL, Network, SMALL, Trouble, fatal};
use crate::gateway::{CallError, Line, Reply};
use crate::poll;
use crate::store::{Entry, StoreError};
use crate::tls;
use crate::trust::{Trust, TrustError};

/// Why what a gateway served is no bundle to go by.
#[derive(Debug, thiserror::Error)]
enum Disbelief {
    /// Not a bundle: something between here and the gateway may have answered.
    #[error("its trust bundle is not understood: {0}")]
    Form(#[from] serde_json::Error),
    /// A bundle, but not the pinned authority's.
    #[error(transparent)]
    Pin(#[from] TrustError),
}

impl Network {
    pub(super) fn load_trust(&mut self) -> Result<(), StoreError> {
        let Some(bundle) = self.store.read_json::<TrustBundle>(Entry::Trust)? else { return Ok(()) };
        match Trust::check(bundle, &self.settings.pins) {
            Ok(trust) => self.trust = Some(trust),
            Err(e) => self.store.set_aside(Entry::Trust, &e.to_string()),
        }
        Ok(())
    }

    /// The trust in use, asked for anew if it may have changed.
    pub(super) async fn current_trust(&mut self) -> Result<Trust, Trouble> {
        let known = self.trust.clone();
        if let Some(trust) = known.as_ref().filter(|_| !self.trust_is_stale) {
            return Ok(trust.clone());
        }
        let config = match &known {
            Some(trust) => tls::verified(&trust.authorities, None),
            None => tls::unverified(),
        };
        let reply = self.fetch_bundle(config.map_err(fatal)?).await?;
        if reply.status != StatusCode::OK {
            return Err(Trouble::Gateway {
                message: poll::problem(&reply).1,
                after: poll::retry_after(&reply.headers),
            });
        }
        let believed = serde_json::from_slice::<TrustBundle>(&reply.body)
            .map_err(Disbelief::from)
            .and_then(|bundle| Ok(Trust::check(bundle, &self.settings.pins)?));
        match (believed, known) {
            (Ok(trust), known) => {
                self.store.write_json(Entry::Trust, &trust.bundle)?;
                if known.is_none_or(|known| known.bundle != trust.bundle) {
                    self.refusals.keys_changed();
                    self.line = None;
                }
                (self.trust, self.trust_is_stale) = (Some(trust.clone()), false);
                Ok(trust)
            }
            (Err(e), Some(trust)) => {
                let message = format!("its new trust bundle is refused, the known one stays: {e}");
                self.tell_connection(false, &message).await;
                self.trust_is_stale = false;
                Ok(trust)
            }
            (Err(e @ Disbelief::Form(_)), None) => Err(Trouble::Gateway { message: e.to_string(), after: None }),
            (Err(Disbelief::Pin(e)), None) => Err(self.unpinned(e)),
        }
    }

    /// A gateway that is not the pinned authority's is passed over, for it may be somebody in between; if every one is, the
    /// pin is wrong.
    fn unpinned(&mut self, error: TrustError) -> Trouble {
        self.unpinned.insert(self.current);
        let (refused, all) = (self.unpinned.len(), self.settings.gateways.len());
        if refused < all {
            return Trouble::Gateway { message: format!("its trust bundle is refused: {error}"), after: None };
        }
        let gateway = self.gateway();
        let context = if all == 1 {
            format!("the trust bundle of {gateway} is refused")
        } else {
            format!("the trust bundles of all {all} gateways are refused, that of {gateway}")
        };
        Trouble::Fatal(anyhow::Error::from(error).context(context))
    }

    /// Asks the gateway for its bundle; a call that every gateway answers, whoever asks.
    pub(super) async fn fetch_bundle(&self, config: rustls::ClientConfig) -> Result<Reply, CallError> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = Uri::from_static("/v1/trust");
        Line::new(self.gateway().clone(), Arc::new(config)).call(request, CALL, SMALL).await
    }
}
