//! The ConfigMap that remembers the last seal that passed, so that a change made while no controller was running is noticed.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::{Api, Client};

use super::{NotPassed, Seal};
use crate::clock;

/// Its name, in the controller's namespace.
const NAME: &str = "tidegate-guard";
const SEAL: &str = "seal.json";
const TIME: &str = "time";

/// Where the seal is kept.
pub struct Memory(Api<ConfigMap>);

impl Memory {
    /// In this namespace.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// The last seal that passed. One that does not read is as good as none: then there was a gap.
    ///
    /// # Errors
    /// [`NotPassed::Unknown`]
    pub async fn recall(&self) -> Result<Option<Seal>, NotPassed> {
        let found = self.0.get_opt(NAME).await.map_err(|source| unknown("reading", source))?;
        let text = found.and_then(|map| map.data).and_then(|mut data| data.remove(SEAL));
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Remembers a seal instead of the one before.
    ///
    /// # Errors
    /// [`NotPassed::Unknown`]
    pub async fn keep(&self, seal: &Seal) -> Result<(), NotPassed> {
        let found = self.0.get_opt(NAME).await.map_err(|source| unknown("reading", source))?;
        let json = serde_json::to_string(seal).unwrap_or_default();
        let data = [(SEAL.to_owned(), json), (TIME.to_owned(), clock::now().to_string())];
        let mut map = found.clone().unwrap_or_default();
        map.metadata.name = Some(NAME.to_owned());
        map.data = Some(data.into());
        let written = match found {
            Some(_) => self.0.replace(NAME, &PostParams::default(), &map).await,
            None => self.0.create(&PostParams::default(), &map).await,
        };
        written.map(|_| ()).map_err(|source| unknown("writing", source))
    }
}

fn unknown(doing: &str, source: kube::Error) -> NotPassed {
    NotPassed::Unknown { what: format!("{doing} ConfigMap {NAME}"), source }
}
