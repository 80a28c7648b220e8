//! Writes our kinds: status by compare-and-set and only where it differs, the finalizer, the removal of what has ended. Every
//! write carries the resourceVersion that was judged, so a stale cache or an old leader loses instead of overwriting. None waits for its
//! answer without end, as a pass holds a place; whether it was taken, the next pass sees.

use std::fmt::Debug;
use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::object::HasStatus;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tidegate_api::names::{CONTROLLER, FLEET, REVOKE_FINALIZER};
use tidegate_api::{ElevationRequest, Fleet};

use super::error::Error;
use super::live::in_time;
use crate::convert;

/// A write that takes longer has got lost, or the API server is busy beyond what waiting helps. Longer than a read: what it has begun to
/// write it may finish.
const PATIENCE: Duration = Duration::from_secs(10);

/// Replaces the status of an object that was changed only there. The API server answers 409 if it has changed since it
/// was read.
///
/// # Errors
/// [`Error::Write`]
pub async fn status<K>(client: &Client, object: &K) -> Result<K, Error>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    let api = Api::<K>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let params = PostParams { field_manager: Some(CONTROLLER.to_owned()), ..PostParams::default() };
    let name = object.name_any();
    let replaced = in_time(PATIENCE, api.replace_status(&name, &params, object)).await;
    replaced.map_err(|source| Error::Write { what: "status", source })
}

/// Writes this status, if the object has another one.
///
/// # Errors
/// [`Error::Write`]
pub async fn status_if_changed<K>(client: &Client, object: &K, wanted: K::Status) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope> + HasStatus,
    K: Clone + Debug + Serialize + DeserializeOwned,
    K::Status: PartialEq,
{
    if object.status() == Some(&wanted) {
        return Ok(());
    }
    let mut changed = object.clone();
    *changed.status_mut() = Some(wanted);
    status(client, &changed).await.map(drop)
}

/// Makes the Fleet of a namespace, with the defaults of its schema.
///
/// # Errors
/// [`Error::Write`]
pub async fn fleet(client: &Client, namespace: &str) -> Result<(), Error> {
    let api = Api::<Fleet>::namespaced(client.clone(), namespace);
    let empty = json!({
        "apiVersion": Fleet::api_version(&()), "kind": Fleet::kind(&()), "metadata": {"name": FLEET}, "spec": {},
    });
    let (params, fleet) = (PatchParams::apply(CONTROLLER), Patch::Apply(empty));
    let made = in_time(PATIENCE, api.patch(FLEET, &params, &fleet)).await;
    made.map(drop).map_err(|source| Error::Write { what: "Fleet", source })
}

/// Adds or removes the finalizer that keeps a request until its end is recorded, and gives the request as it is then.
///
/// # Errors
/// [`Error::Write`]
pub async fn finalizer(client: &Client, object: ElevationRequest, wanted: bool) -> Result<ElevationRequest, Error> {
    if convert::is_kept(&object) == wanted {
        return Ok(object);
    }
    let mut finalizers = object.finalizers().to_vec();
    finalizers.retain(|f| f != REVOKE_FINALIZER);
    if wanted {
        finalizers.push(REVOKE_FINALIZER.to_owned());
    }
    let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": object.resource_version()}});
    let api = Api::<ElevationRequest>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let params = PatchParams { field_manager: Some(CONTROLLER.to_owned()), ..PatchParams::default() };
    let (name, patch) = (object.name_any(), Patch::Merge(patch));
    match in_time(PATIENCE, api.patch(&name, &params, &patch)).await {
        Ok(patched) => Ok(patched),
        // Deleted meanwhile: nothing is left to keep.
        Err(kube::Error::Api(status)) if status.code == 404 && !wanted => Ok(object),
        Err(source) => Err(Error::Write { what: "finalizer", source }),
    }
}

/// Deletes a request if it still is what was judged. `false`: it was gone already.
///
/// # Errors
/// [`Error::Write`]; 409 if it has changed since, or another one has its name by now.
pub async fn delete(client: &Client, object: &ElevationRequest) -> Result<bool, Error> {
    let api = Api::<ElevationRequest>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let preconditions = Preconditions { uid: object.uid(), resource_version: object.resource_version() };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match in_time(PATIENCE, api.delete(&object.name_any(), &params)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(source) => Err(Error::Write { what: "the removal of an ended request", source }),
    }
}
