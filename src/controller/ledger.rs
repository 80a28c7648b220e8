//! Open requests by fleet, on this controller: filled from a live list before the first judgement, and told of every later one. One
//! judgement at a time decides what is counted, so that parallel requests cannot pass the cap together.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt;
use kube::{Api, Client, ResourceExt};
use tidegate_api::{ElevationRequest, ManagedEndpoint};
use tidegate_core::endpoint::Endpoint;
use tidegate_core::interval::Instant;
use tidegate_core::ledger::{Ledger, OpenRequests, is_open};
use tidegate_core::lifecycle::Step;
use tidegate_core::name::{Identity, Uid};
use tidegate_core::request::Request;

use super::error::Error;
use super::{Guarded, live, read};
use crate::convert;

/// The ledger of every fleet.
#[derive(Debug, Default)]
pub struct Ledgers {
    fleets: Mutex<HashMap<String, Ledger>>,
}

// === impl Ledgers ===

impl Ledgers {
    /// Everything that is open now, read live.
    ///
    /// # Errors
    /// [`Error::Fetch`]
    pub async fn load(&self, client: &Client) -> Result<(), Error> {
        let what = "the open requests";
        let fetch = |source| Error::Fetch { what, source: Arc::new(source) };
        let mut endpoints = HashMap::new();
        let mut every = pin!(live::each(Api::<Guarded<ManagedEndpoint>>::all(client.clone())));
        while let Some(object) = every.try_next().await.map_err(fetch)? {
            let parsed = read(&object).ok().and_then(|object| convert::endpoint(object).ok());
            endpoints.extend(parsed.map(|endpoint| ((object.namespace(), object.name_any()), endpoint)));
        }
        let mut every = pin!(live::each(Api::<Guarded<ElevationRequest>>::all(client.clone())));
        while let Some(object) = every.try_next().await.map_err(fetch)? {
            let Ok(object) = read(&object) else { continue };
            let Ok(request) = convert::request(object) else { continue };
            let on = (object.namespace(), object.spec.endpoint_name.clone());
            let person = person(&request, endpoints.get(&on));
            let fleet = object.namespace().unwrap_or_default();
            self.lock().entry(fleet).or_default().note(&request, request.status.as_ref(), &person, None);
        }
        Ok(())
    }

    /// Judges a request on what is open beside it, and notes what becomes of it, before another one is judged.
    pub fn judge(
        &self,
        fleet: &str,
        request: &Request,
        endpoint: Option<&Endpoint>,
        judge: impl FnOnce(&OpenRequests) -> Step,
    ) -> Step {
        let person = person(request, endpoint);
        let mut fleets = self.lock();
        let ledger = fleets.entry(fleet.to_owned()).or_default();
        let step = judge(&ledger.beside(request, &person));
        ledger.note(request, step.status.as_ref(), &person, step.pending_until);
        step
    }

    /// What is recorded of a request is what counts. `until` is when a pending one times out.
    pub fn note(&self, fleet: &str, request: &Request, endpoint: Option<&Endpoint>, until: Option<Instant>) {
        let person = person(request, endpoint);
        let mut fleets = self.lock();
        fleets.entry(fleet.to_owned()).or_default().note(request, request.status.as_ref(), &person, until);
    }

    /// A judgement may not have been written: what was open counts until the next pass knows, and so does what would be.
    pub fn keep(&self, fleet: &str, request: &Request, endpoint: Option<&Endpoint>) {
        if request.status.as_ref().is_some_and(|status| is_open(status.state)) {
            self.note(fleet, request, endpoint, None);
        }
    }

    /// What is open beside a request at the moment, for a first look that decides nothing.
    #[must_use]
    pub fn beside(&self, fleet: &str, request: &Request, endpoint: Option<&Endpoint>) -> OpenRequests {
        let person = person(request, endpoint);
        self.lock().get(fleet).map(|ledger| ledger.beside(request, &person)).unwrap_or_default()
    }

    /// A request is gone.
    pub fn forget(&self, fleet: &str, uid: &Uid) {
        let mut fleets = self.lock();
        if let Some(ledger) = fleets.get_mut(fleet) {
            ledger.forget(uid);
            if ledger.is_empty() {
                fleets.remove(fleet);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Ledger>> {
        // Nothing in here panics half way through a change.
        self.fleets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The person behind the request's account, under all names.
fn person(request: &Request, endpoint: Option<&Endpoint>) -> Vec<Identity> {
    let entry = endpoint.and_then(|endpoint| endpoint.accounts.get(&request.wish.account));
    entry.map(|entry| entry.identities.clone()).unwrap_or_default()
}
