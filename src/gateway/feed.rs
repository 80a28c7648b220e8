//! Feeds the index from watches of our kinds. An object that does not parse is served as far as its metadata goes:
//! without parts, so a mistake takes rights away and never voids a certificate.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tidegate_api::names::{FLEET, condition};
use tidegate_api::{ElevationRequest, Fleet, JitPolicy, ManagedEndpoint, Signed};
use tidegate_core::envelope::Envelope;
use tidegate_core::interval::Instant;
use tidegate_core::name::{FleetName, Uid};
use tidegate_core::state::State;

use super::index::{EndpointObject, FleetObject, Key, Kind, Object, PolicyObject, Reported, RequestObject};
use super::served::Served;
use crate::convert::instant;
use crate::runtime::{Readiness, watch_anew, watch_config};
use crate::{clock, convert};

/// The plurals of the kinds that are watched.
pub const WATCHED: [&str; 4] = ["elevationrequests", "fleets", "jitpolicies", "managedendpoints"];

/// A kind of the index, as Kubernetes has it.
trait Fed: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static {
    const KIND: Kind;
    /// From a name to the index' key.
    fn key(fleet: FleetName, name: &str) -> Option<Key>;
    /// From an object to the index' object; `None` if it cannot be served.
    fn object(self) -> Option<Object>;
    /// From the metadata of an object that does not parse.
    fn bare(metadata: &ObjectMeta) -> Option<Object>;
}

/// Watches all kinds, each anew every `relist`, until one of the feeds ends, which only a defect does.
pub async fn feed(client: Client, served: Arc<Served>, readiness: Arc<Readiness>, relist: Duration) {
    tokio::join!(
        watch::<ManagedEndpoint>(&client, &served, &readiness, relist),
        watch::<Fleet>(&client, &served, &readiness, relist),
        watch::<JitPolicy>(&client, &served, &readiness, relist),
        watch::<ElevationRequest>(&client, &served, &readiness, relist),
    );
}

async fn watch<K: Fed>(client: &Client, served: &Served, readiness: &Readiness, relist: Duration) {
    let api: Api<DeserializeGuard<K>> = Api::all(client.clone());
    let events = watch_anew(api, watch_config(), relist);
    consume(std::pin::pin!(events), served, readiness).await;
}

/// One small loop: an event, then the index.
async fn consume<K: Fed>(
    mut events: impl Stream<Item = watcher::Result<watcher::Event<DeserializeGuard<K>>>> + Unpin,
    served: &Served,
    readiness: &Readiness,
) {
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => listed.extend(read(object).ok()),
            Ok(watcher::Event::InitDone) => {
                served.reset(K::KIND, std::mem::take(&mut listed));
                readiness.filled(&K::plural(&()), clock::monotonic());
            }
            Ok(watcher::Event::Apply(object)) => match read(object) {
                Ok(object) => served.apply(object),
                Err(key) => key.iter().for_each(|key| served.delete(key)),
            },
            Ok(watcher::Event::Delete(object)) => key_of::<K>(object.meta()).iter().for_each(|key| served.delete(key)),
            Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "a watch failed; trying again"),
        }
    }
}

/// The index' object, or the key of one that cannot be served at all.
fn read<K: Fed>(object: DeserializeGuard<K>) -> Result<Object, Option<Key>> {
    let (key, read) = match object.0 {
        Ok(object) => (key_of::<K>(object.meta()), object.object()),
        Err(invalid) => {
            let key = key_of::<K>(&invalid.metadata);
            tracing::warn!(kind = %K::kind(&()), ?key, error = invalid.error, "an object does not parse; its parts are not served");
            (key, K::bare(&invalid.metadata))
        }
    };
    read.ok_or(key)
}

fn key_of<K: Fed>(metadata: &ObjectMeta) -> Option<Key> {
    K::key(fleet(metadata)?, metadata.name.as_deref()?)
}

fn fleet(metadata: &ObjectMeta) -> Option<FleetName> {
    metadata.namespace.as_deref()?.parse().ok()
}

fn uid(metadata: &ObjectMeta) -> Option<Uid> {
    metadata.uid.as_deref()?.parse().ok()
}

/// The envelope in a status; one that does not read counts as absent.
fn envelope(metadata: &ObjectMeta, signed: Option<&Signed>) -> Option<Envelope> {
    match convert::signed(signed?) {
        Ok(signed) => Some(signed.envelope),
        Err(error) => {
            let (fleet, object) = (metadata.namespace.as_deref(), metadata.name.as_deref());
            tracing::warn!(fleet, object, %error, "a signed part does not read and is not served");
            None
        }
    }
}

// === impl Fed ===

impl Fed for ManagedEndpoint {
    const KIND: Kind = Kind::Endpoint;

    fn key(fleet: FleetName, name: &str) -> Option<Key> {
        Some(Key::Endpoint(fleet, name.parse().ok()?))
    }

    fn object(self) -> Option<Object> {
        let Object::Endpoint(bare) = Self::bare(&self.metadata)? else { return None };
        let agent = self.status.as_ref().and_then(|status| status.agent.as_ref()).map(convert::agent);
        let Self { metadata, status, .. } = self;
        let status = status.unwrap_or_default();
        let signed = envelope(&metadata, status.signed.as_ref());
        let reported =
            Reported { agent: status.agent, applied: status.applied, rejected: status.rejected, grants: status.grants };
        let reported = Arc::new(reported);
        Some(Object::Endpoint(EndpointObject { agent, reported, signed, ..bare }))
    }

    fn bare(metadata: &ObjectMeta) -> Option<Object> {
        let name = metadata.name.as_deref()?.parse().ok()?;
        Some(Object::Endpoint(EndpointObject {
            fleet: fleet(metadata)?,
            name,
            uid: uid(metadata)?,
            agent: None,
            reported: Arc::default(),
            signed: None,
        }))
    }
}

impl Fed for Fleet {
    const KIND: Kind = Kind::Fleet;

    /// Another one of the namespace does not count.
    fn key(fleet: FleetName, name: &str) -> Option<Key> {
        (name == FLEET).then_some(Key::Fleet(fleet))
    }

    fn object(self) -> Option<Object> {
        if self.metadata.name.as_deref() != Some(FLEET) {
            return None;
        }
        let signed = envelope(&self.metadata, self.status.as_ref().and_then(|status| status.signed.as_ref()));
        Some(Object::Fleet(FleetObject { fleet: fleet(&self.metadata)?, signed }))
    }

    /// What it says of the fleet is in its status, and that does not read.
    fn bare(_: &ObjectMeta) -> Option<Object> {
        None
    }
}

impl Fed for JitPolicy {
    const KIND: Kind = Kind::Policy;

    fn key(fleet: FleetName, name: &str) -> Option<Key> {
        Some(Key::Policy(fleet, name.parse().ok()?))
    }

    fn object(self) -> Option<Object> {
        let signed = envelope(&self.metadata, self.status.as_ref().and_then(|status| status.signed.as_ref()));
        let name = self.metadata.name.as_deref()?.parse().ok()?;
        Some(Object::Policy(PolicyObject { fleet: fleet(&self.metadata)?, name, uid: uid(&self.metadata)?, signed }))
    }

    /// Without its content a policy reaches nobody.
    fn bare(_: &ObjectMeta) -> Option<Object> {
        None
    }
}

impl Fed for ElevationRequest {
    const KIND: Kind = Kind::Request;

    fn key(fleet: FleetName, name: &str) -> Option<Key> {
        Some(Key::Request(fleet, name.parse().ok()?))
    }

    fn object(self) -> Option<Object> {
        let Self { metadata, spec, status } = self;
        let status = status.unwrap_or_default();
        let state =
            status.state.as_deref().and_then(|word| State::ALL.into_iter().find(|state| state.as_str() == word));
        let active = status.conditions.iter().find(|c| c.type_ == condition::ACTIVE);
        let finished = status.conditions.iter().find(|c| c.type_ == condition::FINISHED && c.status == "True");
        let ended = finished.map(|c| instant(&c.last_transition_time));
        let created = metadata.creation_timestamp.as_ref().map(instant);
        Some(Object::Request(RequestObject {
            fleet: fleet(&metadata)?,
            name: metadata.name.as_deref()?.parse().ok()?,
            uid: uid(&metadata)?,
            endpoint: spec.endpoint_name.parse().ok()?,
            endpoint_uid: status.endpoint.and_then(|endpoint| endpoint.uid.parse().ok()),
            account: spec.account.parse().ok()?,
            state,
            message: active.map(|c| c.message.clone()).unwrap_or_default(),
            expiration_time: status.expiration_time.as_ref().map(instant),
            since: ended.or(created).unwrap_or(Instant::from_second(0)),
            deleting: metadata.deletion_timestamp.is_some(),
            signed: envelope(&metadata, status.signed.as_ref()),
        }))
    }

    /// Without its content nobody knows whose it is.
    fn bare(_: &ObjectMeta) -> Option<Object> {
        None
    }
}

#[cfg(test)]
mod tests;
