//! The controller's Secrets: made once where they are absent, taken as they are where they exist, never overwritten but for the
//! gateway's certificate, which is renewed. Keys of one's own lie in Secrets that are named. Secrets: `tidegate-signing`, `tidegate-ca`, `tidegate-gateway-tls`; ConfigMap
//! `tidegate-trust` (public: the trust bundle and the pin).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_core::interval::Instant;
use tidegate_core::key::SigningKey;
use tidegate_core::trust::TrustBundle;

use crate::args::{Host, OwnKeys};
use crate::metrics::{ControllerMetrics, KeyName};
use crate::signing::{self, Authority, SigningError};

/// Key of the signing Secret.
const SIGNING_KEY: &str = "signing.key";
const TLS_CRT: &str = "tls.crt";
const TLS_KEY: &str = "tls.key";
const CA_CRT: &str = "ca.crt";
const TRUST_JSON: &str = "trust.json";
const PIN: &str = "pin";

/// Names of the objects.
pub const SIGNING_SECRET: &str = "tidegate-signing";
/// See [`SIGNING_SECRET`].
pub const CA_SECRET: &str = "tidegate-ca";
/// See [`SIGNING_SECRET`].
pub const GATEWAY_SECRET: &str = "tidegate-gateway-tls";
/// See [`SIGNING_SECRET`].
pub const TRUST_CONFIG_MAP: &str = "tidegate-trust";

/// The keys a running controller works with.
#[derive(Debug)]
pub struct Keys {
    /// Signs parts.
    pub signing: SigningKey,
    /// Signs certificates and the trust bundle.
    pub authority: Authority,
}

/// Why keys are not there. The text names the object and what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The API server refused.
    #[error("{object}: {source}")]
    Api {
        /// Which Secret or ConfigMap.
        object: String,
        /// Its answer.
        source: kube::Error,
    },
    /// What lies there is no key material.
    #[error(
        "Secret {object}: {problem}. It is never overwritten: restore it from a backup, or delete it and new keys are made; docs/backup-and-restore.md says what follows"
    )]
    Unusable {
        /// Which Secret.
        object: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A Secret that the settings name is not there.
    #[error(
        "Secret {object} is not there: create it, or take --{flag} away and new keys are made; docs/backup-and-restore.md says what follows"
    )]
    Missing {
        /// Its name.
        object: String,
        /// Which setting names it.
        flag: &'static str,
    },
    /// Making a key failed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Whose keys they are, and which of them are not made but given.
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// Names the installation in certificates and the trust bundle.
    pub trust_domain: String,
    /// The names of the gateway.
    pub hosts: Vec<Host>,
    /// Secrets that are not made.
    pub given: OwnKeys,
}

/// Where the objects are, and for whom.
#[derive(Clone)]
pub struct KeyStore {
    client: Client,
    namespace: String,
    settings: KeySettings,
    metrics: ControllerMetrics,
}

impl KeyStore {
    /// Keys in this namespace.
    #[must_use]
    pub fn new(client: Client, namespace: String, settings: KeySettings, metrics: ControllerMetrics) -> Self {
        Self { client, namespace, settings, metrics }
    }

    /// Loads the keys, making those that are absent, and brings the gateway's certificate and the trust bundle up to date.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub async fn ensure(&self, now: Instant) -> Result<Keys, KeysError> {
        let authority = self.told(KeyName::Authority, self.authority(now).await);
        let signing = self.told(KeyName::Signing, self.signing().await);
        let keys = Keys { authority: authority?, signing: signing? };
        self.told(KeyName::Gateway, self.refresh(&keys, now).await)?;
        Ok(keys)
    }

    /// Says in the metrics whether this key is there: without one of them nothing is judged, and readiness does not tell.
    fn told<T>(&self, key: KeyName, found: Result<T, KeysError>) -> Result<T, KeysError> {
        self.metrics.key_loaded(key, found.is_ok());
        found
    }

    /// Renews what ends: the gateway's certificate when a third of its life is left or its names changed. Publishes the trust
    /// bundle if it says something else than before.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub async fn refresh(&self, keys: &Keys, now: Instant) -> Result<(), KeysError> {
        // The trust bundle says of the signing key that it ends with the authority.
        for key in [KeyName::Signing, KeyName::Authority] {
            self.metrics.key_expires(key, keys.authority.not_after());
        }
        let gateway = self.gateway(&keys.authority, now).await?;
        if let Ok(facts) = text(GATEWAY_SECRET, &gateway, TLS_CRT).map(|pem| signing::facts(pem.as_bytes()))? {
            self.metrics.key_expires(KeyName::Gateway, facts.not_after);
        }
        self.trust(keys, now).await
    }

    async fn authority(&self, now: Instant) -> Result<Authority, KeysError> {
        let make = || {
            let issued = Authority::generate(&self.settings.trust_domain, now)?;
            Ok(tls_secret([(TLS_CRT, issued.certificate), (TLS_KEY, issued.key)]))
        };
        let (name, secret) = self.key(self.settings.given.ca_secret.as_deref(), "ca-secret", CA_SECRET, make).await?;
        let (certificate, key) = (text(name, &secret, TLS_CRT)?, text(name, &secret, TLS_KEY)?);
        Authority::load(&certificate, &key).map_err(|error| unusable(name, &error))
    }

    async fn signing(&self) -> Result<SigningKey, KeysError> {
        let make = || {
            let data = BTreeMap::from([(SIGNING_KEY.to_owned(), ByteString(signing::generate_key()?.into_bytes()))]);
            Ok(Secret { data: Some(data), ..Secret::default() })
        };
        let (name, secret) =
            self.key(self.settings.given.signing_secret.as_deref(), "signing-secret", SIGNING_SECRET, make).await?;
        signing::signing_key(&text(name, &secret, SIGNING_KEY)?).map_err(|error| unusable(name, &error))
    }

    /// The Secret of a key and its name: the one that the setting names, which must be there, else our own, made once.
    async fn key<'a>(
        &self,
        given: Option<&'a str>,
        flag: &'static str,
        own: &'a str,
        make: impl Fn() -> Result<Secret, KeysError>,
    ) -> Result<(&'a str, Secret), KeysError> {
        let Some(name) = given else { return Ok((own, self.get_or_create(own, make).await?)) };
        let found = Api::<Secret>::namespaced(self.client.clone(), &self.namespace).get_opt(name).await;
        let found = found.map_err(|source| KeysError::Api { object: name.to_owned(), source })?;
        found.map(|secret| (name, secret)).ok_or_else(|| KeysError::Missing { object: name.to_owned(), flag })
    }

    /// The Secret with the gateway's certificate, renewed if it is time.
    async fn gateway(&self, authority: &Authority, now: Instant) -> Result<Secret, KeysError> {
        let make = || {
            let issued = authority.issue_gateway(&self.settings.hosts, now)?;
            let ca = authority.certificate().to_owned();
            Ok(tls_secret([(TLS_CRT, issued.certificate), (TLS_KEY, issued.key), (CA_CRT, ca)]))
        };
        let mut secret = self.get_or_create::<Secret>(GATEWAY_SECRET, make).await?;
        if self.is_current(&secret, authority, now) {
            return Ok(secret);
        }
        secret.data = make()?.data;
        tracing::info!(secret = GATEWAY_SECRET, "renewing the gateway's certificate");
        self.replace(GATEWAY_SECRET, &secret).await?;
        Ok(secret)
    }

    fn is_current(&self, secret: &Secret, authority: &Authority, now: Instant) -> bool {
        let (Ok(certificate), Ok(ca)) = (text(GATEWAY_SECRET, secret, TLS_CRT), text(GATEWAY_SECRET, secret, CA_CRT))
        else {
            return false;
        };
        let Ok(facts) = signing::facts(certificate.as_bytes()) else { return false };
        let life = facts.not_before.until(facts.not_after);
        let hosts: BTreeSet<Host> = self.settings.hosts.iter().cloned().collect();
        ca == authority.certificate() && facts.hosts == hosts && now.until(facts.not_after) > life / 3
    }

    async fn trust(&self, keys: &Keys, now: Instant) -> Result<(), KeysError> {
        let bundle = keys.authority.trust_bundle(&self.settings.trust_domain, &keys.signing, now)?;
        let make = || {
            let json = serde_json::to_string(&bundle).unwrap_or_default();
            let data = [(TRUST_JSON, json), (PIN, keys.authority.pin().to_string())];
            let data = data.map(|(key, value)| (key.to_owned(), value));
            Ok(ConfigMap { data: Some(data.into()), ..ConfigMap::default() })
        };
        let mut map = self.get_or_create::<ConfigMap>(TRUST_CONFIG_MAP, make).await?;
        let published = map.data.as_ref().and_then(|data| data.get(TRUST_JSON));
        if published.is_some_and(|json| says_the_same(json, &bundle, &keys.authority)) {
            return Ok(());
        }
        map.data = make()?.data;
        tracing::info!(config_map = TRUST_CONFIG_MAP, "publishing the trust bundle");
        self.replace(TRUST_CONFIG_MAP, &map).await
    }

    /// The object of this name, made if there is none. Two controllers that start at once end with the same one.
    async fn get_or_create<K>(&self, name: &str, make: impl Fn() -> Result<K, KeysError>) -> Result<K, KeysError>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), &self.namespace);
        let failed = |source| KeysError::Api { object: name.to_owned(), source };
        if let Some(found) = api.get_opt(name).await.map_err(failed)? {
            return Ok(found);
        }
        let mut object = make()?;
        object.meta_mut().name = Some(name.to_owned());
        match api.create(&PostParams::default(), &object).await {
            Ok(created) => {
                tracing::info!(name, "created");
                Ok(created)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => api.get(name).await.map_err(failed),
            Err(error) => Err(failed(error)),
        }
    }

    async fn replace<K>(&self, name: &str, object: &K) -> Result<(), KeysError>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), &self.namespace);
        let replaced = api.replace(name, &PostParams::default(), object).await;
        replaced.map(|_| ()).map_err(|source| KeysError::Api { object: name.to_owned(), source })
    }
}

fn tls_secret<const N: usize>(data: [(&str, String); N]) -> Secret {
    let data = data.map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes())));
    Secret { type_: Some("kubernetes.io/tls".to_owned()), data: Some(data.into()), ..Secret::default() }
}

fn text(object: &str, secret: &Secret, key: &str) -> Result<String, KeysError> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    let problem = |problem: String| KeysError::Unusable { object: object.to_owned(), problem };
    let bytes = bytes.ok_or_else(|| problem(format!("{key} is missing")))?;
    String::from_utf8(bytes.0.clone()).map_err(|_| problem(format!("{key} is not text")))
}

fn unusable(object: &str, error: &SigningError) -> KeysError {
    KeysError::Unusable { object: object.to_owned(), problem: error.to_string() }
}

/// Does the published bundle open with this authority and say what the fresh one says, but for when it was signed?
fn says_the_same(json: &str, fresh: &TrustBundle, authority: &Authority) -> bool {
    let Ok(published) = serde_json::from_str::<TrustBundle>(json) else { return false };
    let opened = |bundle: &TrustBundle| bundle.open(&[authority.public_key()]).ok();
    published.certificate_authorities == fresh.certificate_authorities
        && opened(&published).is_some_and(|ring| Some(ring) == opened(fresh))
}
