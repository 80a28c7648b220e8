//! A namespace with the objects that attempts are made on, and the attempt itself: one HTTP request, by default a dry run, so
//! that one world serves the whole table.

use anyhow::{Context, Result, bail};
use http::Request;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::PostParams;
use kube::core::Status;
use serde_json::{Map, Value, json};
use tidegate_api::names::FLEET;
use tidegate_test_support::{ControlPlane, Namespace, objects};

use super::attempt::{Answer, Case, How, Needs, Target};
use super::cast::{Cast, Who};
use super::{APPROVED_POLICY, STAMPING_LABEL};

/// Whether the policies are in force while the objects are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Made {
    /// They are, and each object comes about as it may.
    ByTheRules,
    /// They are not, so that there are objects from before.
    Before,
}

/// A namespace of the cast, ready to be tried.
pub struct World<'a> {
    cast: &'a Cast,
    /// The namespace.
    pub namespace: String,
    made: Made,
    minor: u32,
    /// A CertificateSigningRequest's `spec.request`.
    csr: String,
    /// Uid and resourceVersion of the request that was deleted before `reborn`.
    unborn: (String, String),
}

// === impl World: making ===

impl<'a> World<'a> {
    /// Makes one. `prefix` is how its namespace begins.
    pub async fn make(cast: &'a Cast, control_plane: &ControlPlane, prefix: &str, made: Made) -> Result<Self> {
        let namespace: Namespace<'_> = control_plane.namespace(prefix).await?;
        let pem = rcgen::CertificateParams::default().serialize_request(&rcgen::KeyPair::generate()?)?.pem()?;
        let mut this = Self {
            cast,
            namespace: namespace.name().to_owned(),
            made,
            minor: control_plane.minor(),
            csr: base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem),
            unborn: Default::default(),
        };
        let admin = cast.client(Who::Admin)?;
        let bindings: Api<RoleBinding> = Api::namespaced(admin, &this.namespace);
        for binding in cast.bindings() {
            bindings.create(&PostParams::default(), &binding).await?;
        }
        // The authorizer sees bindings in their order; this one is waited for.
        namespace.bind(&control_plane.person(cast.user(Who::Bob))?, "tidegate-approver").await?;
        this.furnish().await.context("making the objects of a world")?;
        Ok(this)
    }

    async fn furnish(&mut self) -> Result<()> {
        let policy = serde_json::to_value(objects::policy_on_request(APPROVED_POLICY)?)?;
        let policy = self.send(Who::Admin, "POST", "jitpolicies", Some(policy)).await?;
        let renewed = serde_json::to_value(objects::policy_on_request("renewed-tools")?)?;
        for _ in 0..2 {
            self.send(Who::Admin, "DELETE", "jitpolicies/renewed-tools", None).await.ok();
            self.send(Who::Admin, "POST", "jitpolicies", Some(renewed.clone())).await?;
        }
        self.settle().await?;
        for name in ["fresh", "decided", "held", "deleting", "other", "renewed", "reborn", "foreign", "mutant-probe"] {
            let created = self.ask(Who::Alice, name, &[]).await?;
            if name == "reborn" {
                self.unborn = (text(&created, "/metadata/uid"), text(&created, "/metadata/resourceVersion"));
            }
        }
        self.send(Who::Admin, "DELETE", "elevationrequests/reborn", None).await?;
        self.ask(Who::Alice, "reborn", &[]).await?;
        self.ask(Who::Erin, "erins", &[]).await?;
        self.ask(Who::Hana, "behalf", &[]).await?;
        self.ask(Who::Admin, "admins", &[]).await?;
        let query = "elevationrequests/decided?fieldManager=bobs-tool";
        let annotations = json!({"decision.tidegate.dev/1": "bob@corp approve"});
        let applied = self.applied(Target::Decided, &json!({"metadata": {"annotations": annotations}}));
        self.patch(Who::Bob, query, "apply-patch+yaml", applied).await?;
        let hold = |uid: &str| {
            json!({"metadata": {
                "finalizers": ["tidegate.dev/revoke", "example.org/hold"], "labels": {"team": "dev"},
                "ownerReferences": [{"apiVersion": "tidegate.dev/v1alpha1", "kind": "JitPolicy", "name": APPROVED_POLICY, "uid": uid}],
            }})
        };
        let held = hold(&text(&policy, "/metadata/uid"));
        self.patch(Who::Controller, "elevationrequests/held", "merge-patch+json", held).await?;
        let foreign = json!({"metadata": {"finalizers": ["example.org/hold"]}});
        self.patch(Who::Controller, "elevationrequests/foreign", "merge-patch+json", foreign).await?;
        let finalizer = json!({"metadata": {"finalizers": ["tidegate.dev/revoke"]}});
        self.patch(Who::Controller, "elevationrequests/deleting", "merge-patch+json", finalizer).await?;
        self.send(Who::Admin, "DELETE", "elevationrequests/deleting", None).await?;
        self.fill("full-32", 0).await?;
        self.fill("full-48", 16).await?;
        if self.made == Made::Before {
            self.ask(Who::Alice, "early", &[("example.org/note".to_owned(), "before".to_owned())]).await?;
            let second = ("decision.tidegate.dev/2".to_owned(), "bob@corp approve".to_owned());
            self.ask(Who::Alice, "gap", &[second]).await?;
        }
        if self.has(Needs::NoStamping) {
            self.ask(Who::Alice, "unstamped", &[]).await?;
        }
        Ok(())
    }

    /// The Fleet, a Lock and the endpoints.
    async fn settle(&self) -> Result<()> {
        let ours = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "tidegate.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        self.send(Who::Admin, "POST", "fleets", Some(ours("Fleet", FLEET, json!({})))).await?;
        let stop = json!({"target": {"identities": ["mallory@corp"]}, "effect": "DeclineNew"});
        self.send(Who::Admin, "POST", "locks", Some(ours("Lock", "stop", stop))).await?;
        let statuses =
            [("ws-042", endpoint_status()), ("ws-043", Value::Null), ("ws-044", json!({"observedGeneration": 1}))];
        for (name, status) in statuses {
            let endpoint = serde_json::to_value(objects::endpoint(name, "alice@corp", "alice")?)?;
            let mut endpoint = self.send(Who::Admin, "POST", "managedendpoints", Some(endpoint)).await?;
            if !status.is_null() {
                endpoint["status"] = status;
                self.send(Who::Controller, "PUT", &format!("managedendpoints/{name}/status"), Some(endpoint)).await?;
            }
        }
        Ok(())
    }

    /// A request with 32 approvals and so many denials, all Bob's.
    async fn fill(&self, name: &str, denials: usize) -> Result<()> {
        let decision = |slot: usize| {
            let verb = if slot <= 32 { "approve" } else { "deny" };
            (format!("decision.tidegate.dev/{slot}"), format!("bob@corp {verb}"))
        };
        let decisions: Vec<_> = (1..=32 + denials).map(decision).collect();
        if self.made == Made::Before {
            self.ask(Who::Alice, name, &decisions).await?;
            return Ok(());
        }
        self.ask(Who::Alice, name, &[]).await?;
        for (key, value) in decisions {
            let patch = json!({"metadata": {"annotations": {key: value}}});
            self.patch(Who::Bob, &format!("elevationrequests/{name}"), "merge-patch+json", patch).await?;
        }
        Ok(())
    }

    async fn ask(&self, who: Who, name: &str, annotations: &[(String, String)]) -> Result<Value> {
        let mut request = self.wish(who)?;
        request["metadata"]["name"] = json!(name);
        if !annotations.is_empty() {
            let map: Map<String, Value> = annotations.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
            request["metadata"]["annotations"] = Value::Object(map);
        }
        if name == "unstamped" && self.made == Made::Before {
            request["metadata"]["labels"] = json!({STAMPING_LABEL: "off"});
        }
        match name {
            "other" => request["spec"]["policyName"] = json!("other-tools"),
            "behalf" => request["spec"]["onBehalf"] = json!(true),
            "renewed" => request["spec"]["policyName"] = json!("renewed-tools"),
            _ => {}
        }
        self.send(who, "POST", "elevationrequests", Some(request)).await.with_context(|| name.to_owned())
    }

    /// A good request of `who`.
    fn wish(&self, who: Who) -> Result<Value> {
        let request = objects::request("wished", APPROVED_POLICY, "ws-042", "alice", self.cast.user(who))?;
        Ok(serde_json::to_value(request)?)
    }

    async fn send(&self, who: Who, method: &str, path: &str, body: Option<Value>) -> Result<Value> {
        self.request(who, method, &self.url(path), "application/json", body).await
    }

    async fn patch(&self, who: Who, path: &str, kind: &str, body: Value) -> Result<Value> {
        self.request(who, "PATCH", &self.url(path), &format!("application/{kind}"), Some(body)).await
    }

    fn url(&self, path: &str) -> String {
        format!("/apis/tidegate.dev/v1alpha1/namespaces/{}/{path}", self.namespace)
    }

    async fn request(&self, who: Who, method: &str, url: &str, kind: &str, body: Option<Value>) -> Result<Value> {
        let mut request = Request::builder().method(method).uri(url).header("content-type", kind);
        for (name, value) in self.cast.headers(who) {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(String::new, |body| body.to_string());
        Ok(self.cast.client(who)?.request(request.body(body.into_bytes())?).await?)
    }

    /// What server-side apply sends of `target`, with these fields.
    fn applied(&self, target: Target, fields: &Value) -> Value {
        let name = if target == Target::New { "applied" } else { target.path().1 };
        let mut whole = fields.clone();
        whole["apiVersion"] = json!("tidegate.dev/v1alpha1");
        whole["kind"] = json!(target.kind());
        whole["metadata"]["name"] = json!(name);
        whole
    }
}

// === impl World: trying ===

impl World<'_> {
    /// Whether a case with these needs can be tried here.
    pub fn has(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::Stamping => self.minor >= 36,
            Needs::NoStamping => self.minor < 36 || self.made == Made::Before,
            Needs::Before => self.made == Made::Before,
        }
    }

    /// Tries it and gives the refusal that it had to get, if it had to; the error says what was answered instead.
    pub async fn judge(&self, case: &Case, dry_run: bool) -> Result<Option<Status>> {
        let answer = self.attempt(case, dry_run).await;
        let how = if dry_run { "dry run" } else { "real" };
        let what = format!("{} ({:?}, {:?}, {how})", case.what, case.who, case.on);
        match (&case.answer, answer) {
            (Answer::Allowed(pointer, value), Ok(object)) => {
                let seen = object.pointer(pointer).unwrap_or(&Value::Null);
                if pointer.is_empty() || seen == value {
                    return Ok(None);
                }
                bail!("{what}: {pointer} is {seen}, not {value}");
            }
            (Answer::Allowed(..), Err(error)) => bail!("{what}: this had to be allowed: {error:#}"),
            (Answer::Refused(by, text), Ok(_)) => bail!("{what}: this had to be refused by {by}: {text}"),
            (Answer::Refused(by, text), Err(error)) => {
                let Ok(kube::Error::Api(status)) = error.downcast::<kube::Error>() else {
                    bail!("{what}: not refused by {by} with `{text}`, but not judged at all");
                };
                if status.message.contains(by) && status.message.contains(text.as_str()) {
                    return Ok(Some(*status));
                }
                bail!("{what}: not refused by {by} with `{text}`, but: {:.600}", status.message);
            }
        }
    }

    async fn attempt(&self, case: &Case, dry_run: bool) -> Result<Value> {
        let (plural, name) = case.on.path();
        let mut url = if case.on == Target::Certificates {
            format!("/apis/certificates.k8s.io/v1/{plural}")
        } else {
            self.url(plural)
        };
        for part in [name, case.subresource].into_iter().filter(|part| !part.is_empty()) {
            url = format!("{url}/{part}");
        }
        let mut query = if dry_run { "?dryRun=All".to_owned() } else { "?".to_owned() };
        let (method, kind, body) = match &case.how {
            How::Merge(patch) => ("PATCH", "application/merge-patch+json", Some(patch.clone())),
            How::Json(patch) => ("PATCH", "application/json-patch+json", Some(patch.clone())),
            How::Apply(manager, force, fields) => {
                query.push_str(&format!("&fieldManager={manager}&force={force}"));
                if case.on == Target::New {
                    url.push_str("/applied");
                }
                ("PATCH", "application/apply-patch+yaml", Some(self.applied(case.on, fields)))
            }
            How::Put(change) => {
                let mut object = self.send(Who::Admin, "GET", &format!("{plural}/{name}"), None).await?;
                change(&mut object);
                ("PUT", "application/json", Some(object))
            }
            How::Post(change) => {
                let mut object = self.fresh(case)?;
                change(&mut object);
                ("POST", "application/json", Some(object))
            }
            How::Delete => ("DELETE", "application/json", None),
        };
        let body = body.map(|body| self.with_marks(&body)).transpose()?;
        self.request(case.who, method, &format!("{url}{query}"), kind, body).await
    }

    /// What a POST begins with.
    fn fresh(&self, case: &Case) -> Result<Value> {
        if case.on == Target::Certificates {
            return Ok(json!({
                "apiVersion": "certificates.k8s.io/v1", "kind": case.on.kind(),
                "metadata": {"name": self.namespace, "labels": {"world": self.namespace}},
                "spec": {"request": self.csr, "signerName": "tidegate.dev/endpoint", "usages": ["client auth"]},
            }));
        }
        self.wish(case.who)
    }

    /// Puts what only this world knows into a body.
    fn with_marks(&self, body: &Value) -> Result<Value> {
        let (uid, version) = &self.unborn;
        Ok(serde_json::from_str(&body.to_string().replace("$UID", uid).replace("$VERSION", version))?)
    }
}

fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Each key: the controller's first, which the gateway must not change, then the gateway's.
fn endpoint_status() -> Value {
    let digest = format!("sha256:{}", "0".repeat(64));
    json!({
        "observedGeneration": 1,
        "conditions": [{"type": "Enrolled", "status": "True", "reason": "Issued", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "certificate": {"serialNumber": "01", "publicKeyDigest": digest, "expirationTime": "2027-01-01T00:00:00Z"},
        "signed": {"digest": digest, "sequence": 1, "envelope": {
            "payloadType": "application/vnd.tidegate.placement.v1+json", "payload": "e30=", "signatures": [{"keyid": "k", "sig": "AA=="}],
        }},
        "agent": {"version": "0.1.0", "platform": "Linux"},
        "applied": {"manifest": digest, "time": "2026-01-01T00:00:00Z"},
        "rejected": {"digest": digest, "code": "rollback", "message": ""},
        "grants": [{"requestUID": "00000000-0000-0000-0000-000000000000", "appliedTime": "2026-01-01T00:00:00Z"}],
        "contact": {"startTime": "2026-01-01T00:00:00Z"},
    })
}
