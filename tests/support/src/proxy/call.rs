//! What a request to the API server is about, read from its method and address alone: the words of RBAC and of the audit log.

use std::fmt;

use http::{Method, Uri};

/// One request, in the words of RBAC.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; of addresses that name no resource the
    /// method in lower case.
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural, with `/<subresource>` where there is one; of addresses that name no resource the whole path.
    pub resource: String,
    /// The namespace, where it is in one.
    pub namespace: Option<String>,
    /// The object, where one is named.
    pub name: Option<String>,
    /// Nothing is to be kept.
    pub dry_run: bool,
}

// === impl Call ===

impl Call {
    /// Reads a request line.
    #[must_use]
    pub fn of(method: &Method, uri: &Uri) -> Self {
        let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let has = |wanted: &str| uri.query().is_some_and(|query| query.split('&').any(|pair| pair == wanted));
        let dry_run = has("dryRun=All");
        let (group, rest) = match parts.as_slice() {
            ["api", _version, rest @ ..] => ("", rest),
            ["apis", group, _version, rest @ ..] => (*group, rest),
            _ => ("", [].as_slice()),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, resource, rest @ ..] if !["status", "finalize"].contains(resource) => {
                (Some((*namespace).to_owned()), [&[*resource], rest].concat())
            }
            rest => (None, rest.to_vec()),
        };
        let Some((plural, rest)) = rest.split_first() else {
            let (resource, group) = (uri.path().to_owned(), group.to_owned());
            return Self { verb: plain(method), group, resource, namespace: None, name: None, dry_run };
        };
        let name = rest.first().map(|name| (*name).to_owned());
        let resource = match rest.get(1) {
            Some(subresource) => format!("{plural}/{subresource}"),
            None => (*plural).to_owned(),
        };
        let verb = match (method.as_str(), name.is_some()) {
            ("GET", _) if has("watch=true") || has("watch=1") => "watch",
            ("GET", false) => "list",
            ("DELETE", false) => "deletecollection",
            ("PUT", _) => "update",
            ("POST", _) => "create",
            (_, _) => plain(method),
        };
        Self { verb, group: group.to_owned(), resource, namespace, name, dry_run }
    }

    /// Does it change something that is kept?
    #[must_use]
    pub fn is_write(&self) -> bool {
        !self.dry_run && ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb)
    }

    /// Is it `verb` on `resource` (a plural, with its subresource)?
    #[must_use]
    pub fn is(&self, verb: &str, resource: &str) -> bool {
        self.verb == verb && self.resource == resource
    }
}

fn plain(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "get",
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "other",
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        if let Some(namespace) = &self.namespace {
            write!(f, " in {namespace}")?;
        }
        if self.dry_run { f.write_str(" (dry run)") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(method: &str, uri: &str) -> String {
        Call::of(&method.parse().unwrap(), &uri.parse().unwrap()).to_string()
    }

    #[test]
    fn every_form_of_address_is_told_apart() {
        let ours = "/apis/tidegate.dev/v1alpha1";
        let table = [
            ("GET", format!("{ours}/jitpolicies?limit=500"), "list jitpolicies"),
            ("GET", format!("{ours}/jitpolicies?&watch=true&timeoutSeconds=60"), "watch jitpolicies"),
            ("GET", format!("{ours}/namespaces/a/jitpolicies/p"), "get jitpolicies p in a"),
            ("PUT", format!("{ours}/namespaces/a/fleets/fleet/status?"), "update fleets/status fleet in a"),
            (
                "POST",
                format!("{ours}/namespaces/a/elevationrequests?dryRun=All"),
                "create elevationrequests in a (dry run)",
            ),
            ("PATCH", "/apis/events.k8s.io/v1/namespaces/a/events/e".to_owned(), "patch events e in a"),
            ("DELETE", "/api/v1/namespaces/a".to_owned(), "delete namespaces a"),
            ("DELETE", "/api/v1/namespaces/a/secrets".to_owned(), "deletecollection secrets in a"),
            ("PUT", "/api/v1/namespaces/a/finalize".to_owned(), "update namespaces/finalize a"),
            ("POST", "/api/v1/namespaces/a/serviceaccounts/s/token".to_owned(), "create serviceaccounts/token s in a"),
            ("GET", "/version".to_owned(), "get /version"),
        ];
        for (method, uri, expected) in table {
            assert_eq!(text(method, &uri), expected);
        }
    }

    #[test]
    fn a_dry_run_and_a_read_are_no_writes() {
        let write = |method: &str, uri: &str| Call::of(&method.parse().unwrap(), &uri.parse().unwrap()).is_write();
        assert!(write("PATCH", "/api/v1/namespaces/a/configmaps/b"));
        assert!(!write("PATCH", "/api/v1/namespaces/a/configmaps/b?fieldManager=x&dryRun=All"));
        assert!(!write("GET", "/api/v1/namespaces/a/configmaps/b"));
    }
}
