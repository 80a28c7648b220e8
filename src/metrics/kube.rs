//! What both servers report of their dealings with the Kubernetes API: the requests they make, and how fresh their watches are.

use http::{Method, StatusCode, Uri};
use prometheus::{IntCounterVec, IntGaugeVec};
use tidegate_core::interval::Instant;

use super::words::words;
use super::{Kind, Label, Metrics, Word};

/// Counts requests, and says how fresh watches are.
#[derive(Debug, Clone)]
pub struct KubeMetrics {
    requests: IntCounterVec,
    progress: IntGaugeVec,
}

words! {
    /// What a request to the API server is, as RBAC has it.
    KubeVerb {
        /// One object.
        Get = "get",
        /// All objects.
        List = "list",
        /// Changes from now on.
        Watch = "watch",
        /// A new object.
        Create = "create",
        /// The whole object, or the whole of a subresource.
        Update = "update",
        /// A part of it.
        Patch = "patch",
        /// Away with it.
        Delete = "delete",
    }
}

words! {
    /// How a request was answered.
    StatusClass {
        /// It is in progress.
        Informational = "1xx",
        /// It succeeded.
        Success = "2xx",
        /// Look elsewhere, or nothing has changed.
        Redirection = "3xx",
        /// The caller is wrong.
        ClientError = "4xx",
        /// The server is wrong.
        ServerError = "5xx",
        /// There was no answer.
        None = "none",
    }
}

// === impl KubeMetrics ===

impl KubeMetrics {
    /// Registers them. `kinds` are those that this process watches.
    ///
    /// # Errors
    /// They were registered before.
    pub fn new(metrics: &Metrics, kinds: &[Kind]) -> Result<Self, prometheus::Error> {
        let answered = [
            StatusClass::Success,
            StatusClass::Redirection,
            StatusClass::ClientError,
            StatusClass::ServerError,
            StatusClass::None,
        ];
        let labels = vec![Label::of::<KubeVerb>("verb"), Label::among("class", &answered)];
        let help = "Requests to the Kubernetes API by how they were answered; none: not at all.";
        let requests = metrics.counter("kube_requests_total", help, labels)?;
        let help = "When the API server last answered a watch of this kind, in seconds since 1970; until it has, when this process \
                    started. At most about 30 s ago in health, as watches are renewed every 30 s.";
        let labels = vec![Label::among("kind", kinds)];
        let progress = metrics.gauge("watch_progress_timestamp_seconds", help, labels)?;
        Ok(Self { requests, progress })
    }

    /// A request was answered; `None`: it was not.
    pub fn asked(&self, verb: KubeVerb, answer: Option<StatusCode>) {
        let class = answer.map_or(StatusClass::None, StatusClass::of);
        self.requests.with_label_values(&[verb.word(), class.word()]).inc();
    }

    /// The watch of this plural last made progress then. A kind that nobody defined is ignored.
    pub fn watched(&self, plural: &str, progress: Instant) {
        if let Some(kind) = Kind::of_plural(plural) {
            self.progress.with_label_values(&[kind.word()]).set(progress.as_second());
        }
    }
}

// === impl KubeVerb ===

impl KubeVerb {
    /// What this request is. Paths are `/api/v1` or `/apis/<group>/<version>`, then `namespaces/<name>` for what lies in one, then the
    /// plural, then the name.
    #[must_use]
    pub fn of(method: &Method, uri: &Uri) -> Self {
        match *method {
            Method::POST => Self::Create,
            Method::PUT => Self::Update,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            _ if uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true")) => Self::Watch,
            _ if names_an_object(uri.path()) => Self::Get,
            _ => Self::List,
        }
    }
}

fn names_an_object(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let below = match parts.first() {
        Some(&"api") => parts.get(2..),
        Some(&"apis") => parts.get(3..),
        _ => return true,
    };
    match below.unwrap_or_default() {
        [] => true,
        ["namespaces", _, _plural] | [_plural] => false,
        [_, ..] => true,
    }
}

// === impl StatusClass ===

impl StatusClass {
    /// The class of a status.
    #[must_use]
    pub fn of(status: StatusCode) -> Self {
        match status.as_u16() / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_as_rbac_names_it() {
        for (method, uri, verb) in [
            (Method::GET, "/apis/tidegate.dev/v1alpha1/jitpolicies?&limit=500", KubeVerb::List),
            (Method::GET, "/apis/tidegate.dev/v1alpha1/jitpolicies?&watch=true&timeoutSeconds=60", KubeVerb::Watch),
            (Method::GET, "/apis/tidegate.dev/v1alpha1/namespaces/berlin/jitpolicies", KubeVerb::List),
            (Method::GET, "/apis/tidegate.dev/v1alpha1/namespaces/berlin/jitpolicies/dev-tools", KubeVerb::Get),
            (Method::GET, "/apis/tidegate.dev/v1alpha1/namespaces/berlin/jitpolicies/dev-tools/status", KubeVerb::Get),
            (Method::GET, "/api/v1/namespaces", KubeVerb::List),
            (Method::GET, "/api/v1/namespaces/berlin", KubeVerb::Get),
            (Method::GET, "/api/v1/namespaces/berlin/secrets/tidegate-ca", KubeVerb::Get),
            (Method::GET, "/version", KubeVerb::Get),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/berlin/events", KubeVerb::Create),
            (Method::PUT, "/apis/tidegate.dev/v1alpha1/namespaces/berlin/fleets/fleet/status", KubeVerb::Update),
            (Method::PATCH, "/apis/tidegate.dev/v1alpha1/namespaces/berlin/fleets/fleet", KubeVerb::Patch),
            (Method::DELETE, "/apis/tidegate.dev/v1alpha1/namespaces/berlin/locks/stop", KubeVerb::Delete),
        ] {
            assert_eq!(KubeVerb::of(&method, &uri.parse().unwrap()), verb, "{method} {uri}");
        }
    }
}
