//! One of several controllers: the name by which it is known in the Lease and in the API server's audit log, the gate its writes pass,
//! and the clients that follow from both.

use std::sync::Arc;

use anyhow::Context;
use http::HeaderValue;
use http::header::USER_AGENT;
use kube::client::ClientBuilder;
use kube::config::AuthInfo;
use kube::{Client, Config};

use super::client::CountProgress;
use super::gate::WriteGate;
use super::readiness::Readiness;
use super::server_time::HearTime;
use crate::clock;
use crate::metrics::KubeMetrics;

/// Longest part of a name that says where the process runs: what a Pod of a Deployment can be called.
const LONGEST_PLACE: usize = 63;

/// A running process. Its clients write only while its gate is open.
#[derive(Debug, Clone)]
pub struct Replica {
    name: String,
    user_agent: HeaderValue,
    /// Opened by who leads.
    pub gate: WriteGate,
}

// === impl Replica ===

impl Replica {
    /// A process of `program`, in a Pod or on a host called `place`. Its name ends with eight random digits: a Pod keeps its name when its
    /// container starts anew, and the one before may not have ended everywhere yet.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(program: &str, place: &str) -> anyhow::Result<Self> {
        let mut random = [0; 4];
        aws_lc_rs::rand::fill(&mut random).ok().context("the system gives no random numbers")?;
        let name = format!("{}_{}", place_name(place), hex::encode(random));
        let user_agent = format!("{program}/{} ({name})", env!("CARGO_PKG_VERSION"));
        Ok(Self { name, user_agent: HeaderValue::try_from(user_agent)?, gate: WriteGate::default() })
    }

    /// No other process has this name: `<place>_<8 hex digits>`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The client for everything but the Lease: in the cluster by its ServiceAccount, elsewhere by `KUBECONFIG`.
    ///
    /// # Errors
    /// No usable configuration, or TLS cannot be set up from it.
    pub async fn client(&self, readiness: Arc<Readiness>, metrics: KubeMetrics) -> anyhow::Result<Client> {
        let config = self.config().await?;
        let count = CountProgress { readiness, metrics, clock: clock::monotonic };
        let client = ClientBuilder::try_from(config)?.with_layer(&self.gate).with_layer(&count);
        Ok(client.with_layer(&HearTime).build())
    }

    /// A client with a bearer token instead of this process's own credentials, at the same API server, through the same gate.
    ///
    /// # Errors
    /// No usable configuration.
    pub async fn client_with_token(&self, token: &str) -> Result<Client, kube::Error> {
        let mut config = self.config().await?;
        config.auth_info = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
        Ok(ClientBuilder::try_from(config)?.with_layer(&self.gate).build())
    }

    /// The client for the Lease alone, whose answers tell the time every other second. It passes no gate and has connections of its own;
    /// whoever calls bounds its time.
    ///
    /// # Errors
    /// No usable configuration, or TLS cannot be set up from it.
    pub async fn client_for_lease(&self) -> anyhow::Result<Client> {
        Ok(ClientBuilder::try_from(self.config().await?)?.with_layer(&HearTime).build())
    }

    async fn config(&self) -> Result<Config, kube::Error> {
        let mut config = super::client::config().await?;
        config.headers.push((USER_AGENT, self.user_agent.clone()));
        Ok(config)
    }
}

/// As much of it as fits into a name and a header.
fn place_name(place: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '-' };
    place.chars().take(LONGEST_PLACE).map(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_in_one_pod_have_two_names() {
        let [first, second] =
            [(); 2].map(|()| Replica::new("tidegate-controller", "tidegate-controller-7d9f").unwrap());
        assert_ne!(first.name(), second.name());
        let random = first.name().strip_prefix("tidegate-controller-7d9f_").unwrap();
        assert!(random.len() == 8 && random.bytes().all(|b| b.is_ascii_hexdigit()), "{random}");
        let agent = first.user_agent.to_str().unwrap();
        assert_eq!(agent, format!("tidegate-controller/{} ({})", env!("CARGO_PKG_VERSION"), first.name()));
    }

    #[test]
    fn whatever_a_host_is_called_it_makes_a_name() {
        assert_eq!(place_name("ws-042.example.com"), "ws-042.example.com");
        assert_eq!(place_name("büro 1\n(x)"), "b-ro-1--x-");
        assert_eq!(place_name(&"a".repeat(300)).len(), 63);
    }
}
