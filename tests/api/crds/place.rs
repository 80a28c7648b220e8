//! Where objects of a kind are tried: a namespace with one small object of the kind, and the two who may write its
//! halves.

use anyhow::{Context, Result};
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::core::Status;
use kube::{Api, Resource};
use serde_json::{Value, json};

use crate::fleet::Fleet;

/// A namespace with one object of a kind.
pub struct Place {
    /// The namespace and its people.
    pub fleet: Fleet,
    resource: ApiResource,
    /// As an administrator.
    pub objects: Api<DynamicObject>,
    statuses: Api<DynamicObject>,
    small: DynamicObject,
    dry_run: PostParams,
}

/// The smallest spec of a kind.
pub fn smallest(kind: &str) -> Value {
    let endpoints = json!({"selector": {}});
    match kind {
        "JitPolicy" => json!({
            "targets": {"endpoints": endpoints, "accounts": {"everyone": true}},
            "elevation": {"mode": "AnyApplication"},
            "access": {"type": "OnRequest", "onRequest": {}},
        }),
        "ElevationRequest" => json!({"policyName": "p", "endpointName": "e", "account": "a"}),
        "Lock" => json!({"target": {}, "effect": "DeclineNew"}),
        _ => json!({}),
    }
}

// === impl Place ===

impl Place {
    /// A new one, with the smallest object of kind `K` in it.
    pub async fn new<K: Resource<DynamicType = ()>>(prefix: &str) -> Result<Self> {
        let fleet = Fleet::new(prefix).await?;
        let resource = ApiResource::erase::<K>(&());
        let namespace = fleet.namespace.name();
        let objects = Api::namespaced_with(fleet.control_plane.admin().client().await?, namespace, &resource);
        let statuses = Api::namespaced_with(fleet.controller().await?.client().await?, namespace, &resource);
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let mut place = Self { small: DynamicObject::new("", &resource), fleet, resource, objects, statuses, dry_run };
        let spec = place.own("spec", smallest(&place.resource.kind));
        place.small = place.objects.create(&PostParams::default(), &place.object("fleet", &spec)?).await?;
        Ok(place)
    }

    /// An object of the kind.
    pub fn object(&self, name: &str, spec: &Value) -> Result<DynamicObject> {
        let object = json!({
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {"name": name, "namespace": self.fleet.namespace.name()},
            "spec": spec,
        });
        serde_json::from_value(object).with_context(|| format!("not an object: {spec}"))
    }

    /// The spec of a request with the only requester that admission lets an administrator name.
    pub fn own(&self, part: &str, mut value: Value) -> Value {
        if part == "spec" && self.resource.kind == "ElevationRequest" {
            value["requester"] = json!(self.fleet.control_plane.admin().user());
        }
        value
    }

    /// Stores `status` for the object that is there.
    pub async fn write_status(&self, status: Value) -> Result<()> {
        let mut object = self.small.clone();
        object.data["status"] = status;
        self.statuses.replace_status("fleet", &PostParams::default(), &object).await?;
        Ok(())
    }

    /// What `kubectl` prints for an administrator, with this namespace as its own.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let namespace = ["-n", self.fleet.namespace.name()];
        self.fleet.control_plane.admin().kubectl(args.iter().chain(&namespace)).await?.ok()
    }

    /// Writes `value` as spec of a new object, or as status of the one that is there, as a dry run.
    pub async fn try_part(&self, part: &str, value: &Value) -> Result<Result<DynamicObject, Status>> {
        let answer = if part == "spec" {
            // A Fleet has one name only; a dry run of a second one asks for its form all the same.
            let mut object = self.object("fleet", value)?;
            if self.resource.kind != "Fleet" {
                object.metadata.name = Some("other".to_owned());
                self.objects.create(&self.dry_run, &object).await
            } else {
                object.metadata.resource_version.clone_from(&self.small.metadata.resource_version);
                self.objects.replace("fleet", &self.dry_run, &object).await
            }
        } else {
            let mut object = self.small.clone();
            object.data[part] = value.clone();
            self.statuses.replace_status("fleet", &self.dry_run, &object).await
        };
        match answer {
            Ok(object) => Ok(Ok(object)),
            Err(kube::Error::Api(status)) => Ok(Err(*status)),
            Err(error) => Err(error.into()),
        }
    }
}
