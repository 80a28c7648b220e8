//! Every flag and environment variable of both servers, checked as they are read. A flag wins over its variable.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use tidegate_core::interval::parse_duration;
use tidegate_core::name::FleetName;
use tidegate_core::spiffe::is_trust_domain;
use tidegate_core::wire::limit;
use tracing_subscriber::filter::Targets;

use crate::telemetry::LogFormat;

/// How long ended requests may be kept: up to ten years.
const RETENTION: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(87_600 * 3600);

/// What both servers take.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Where /healthz, /readyz and /metrics are served, without TLS; port 0 picks a free one and logs it.
    #[arg(long, env = "TIDEGATE_ADMIN_ADDRESS", value_name = "IP:PORT", default_value = "0.0.0.0:8081")]
    pub admin_address: SocketAddr,
    /// What is logged: a level (error, warn, info, debug, trace), or target=level pairs separated by commas.
    #[arg(long, env = "TIDEGATE_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: Targets,
    /// How log lines are written to standard error.
    #[arg(long, env = "TIDEGATE_LOG_FORMAT", value_name = "FORMAT", default_value = "json")]
    pub log_format: LogFormat,
    /// How often each kind is listed whole beside its watch, up to a quarter later, 10s to 24h: the longest that a change which the
    /// watch never told of goes unnoticed.
    #[arg(long, env = "TIDEGATE_RELIST_INTERVAL", value_name = "DURATION", default_value = "10m", value_parser = relist_interval)]
    pub relist_interval: Duration,
    /// Where traces go.
    #[command(flatten)]
    pub collector: Collector,
}

/// Where traces go; nowhere unless it is said, and then none are made. Empty is as if it were not said.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Collector {
    /// Sends traces to this collector, by OTLP over gRPC, such as `http://collector.monitoring:4317`. Other variables of OTLP exporters
    /// (headers, timeout, resource attributes) hold too. Default: no traces.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = collector)]
    pub otlp_endpoint: Option<String>,
    /// Likewise; where both are given, this one holds.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value_name = "URL", value_parser = collector)]
    pub otlp_traces_endpoint: Option<String>,
}

/// The gateway: serves agents what the controller has signed.
#[derive(Debug, Clone, Parser)]
#[command(name = "gateway", version)]
pub struct GatewayArgs {
    /// Taken by both servers.
    #[command(flatten)]
    pub common: Common,
    /// Where agents connect, TLS 1.3; port 0 picks a free one and logs it.
    #[arg(long, env = "TIDEGATE_ADDRESS", value_name = "IP:PORT", default_value = "0.0.0.0:8443")]
    pub address: SocketAddr,
    /// Folder with tls.crt and tls.key (this server's certificate) and ca.crt (who signs endpoint certificates); read again
    /// every minute.
    #[arg(long, env = "TIDEGATE_TLS_DIR", value_name = "DIR")]
    pub tls_dir: PathBuf,
    /// Folder with trust.json, the trust bundle that agents are given; read again every minute.
    #[arg(long, env = "TIDEGATE_TRUST_DIR", value_name = "DIR")]
    pub trust_dir: PathBuf,
    /// Longest time a poll is held when nothing changes, 1s to 55s.
    #[arg(long, env = "TIDEGATE_POLL_HOLD", value_name = "DURATION", default_value = "55s", value_parser = poll_hold)]
    pub poll_hold: Duration,
}

/// The controller's program: without a subcommand it is the server.
#[derive(Debug, Clone, Parser)]
#[command(name = "controller", version, args_conflicts_with_subcommands = true)]
pub struct ControllerCommand {
    /// The server's settings.
    #[command(flatten)]
    pub serve: ControllerArgs,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub instead: Option<ControllerTask>,
}

/// What the controller's program does besides serving.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ControllerTask {
    /// Tries forgeries that the admission policies must refuse, says which rule refused each, and ends with 0 only if all were
    /// refused by name and what is honest got through. To be run as ServiceAccount tidegate-probe.
    Probe(ProbeArgs),
}

/// What `controller probe` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct ProbeArgs {
    /// The namespace of the installation.
    #[arg(long, env = "TIDEGATE_NAMESPACE", value_name = "NAME", default_value = "tidegate-system", value_parser = namespace)]
    pub namespace: String,
}

/// The controller: judges requests, signs grants and certificates.
#[derive(Debug, Clone, Parser)]
#[command(name = "controller", version)]
pub struct ControllerArgs {
    /// Taken by both servers.
    #[command(flatten)]
    pub common: Common,
    /// The namespace that holds the controller's own Secrets.
    #[arg(long, env = "TIDEGATE_NAMESPACE", value_name = "NAME", default_value = "tidegate-system", value_parser = namespace)]
    pub namespace: String,
    /// Where this process runs, the first part of its name in the Lease and in the API server's audit log. Default: the host name.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub pod_name: Option<String>,
    /// Names this installation in certificates and signed parts; it can never change later.
    #[arg(long, env = "TIDEGATE_TRUST_DOMAIN", value_name = "NAME", default_value = "tidegate.local", value_parser = trust_domain)]
    pub trust_domain: String,
    /// Keys of one's own.
    #[command(flatten)]
    pub own_keys: OwnKeys,
    /// Switches elevation off for the whole installation: requests are declined, rights granted ahead end, active grants run out.
    #[arg(long, env = "TIDEGATE_SUSPENDED")]
    pub suspended: bool,
    /// How long an ended request is kept before its object is deleted, 1s to 87600h; declined ones for 1h at most. What is not known
    /// to the fleet part yet stays longer.
    #[arg(long, env = "TIDEGATE_RETENTION", value_name = "DURATION", default_value = "720h", value_parser = retention)]
    pub retention: Duration,
    /// A DNS name or IP address by which agents reach the gateway; repeatable. Goes into its certificate. Default:
    /// `tidegate-gateway.NAMESPACE.svc`, localhost and 127.0.0.1.
    #[arg(long, env = "TIDEGATE_GATEWAY_HOSTNAME", value_name = "HOST", value_delimiter = ',')]
    pub gateway_hostname: Vec<Host>,
}

/// Secrets with keys of one's own, in the controller's namespace; those that are not named are made.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct OwnKeys {
    /// A Secret of your own with the key that signs grants (signing.key); it must be there. Default: tidegate-signing, made once.
    #[arg(long, env = "TIDEGATE_SIGNING_SECRET", value_name = "NAME", value_parser = secret)]
    pub signing_secret: Option<String>,
    /// A Secret of your own with the authority that signs certificates (tls.crt, tls.key); it must be there. Default: tidegate-ca,
    /// made once.
    #[arg(long, env = "TIDEGATE_CA_SECRET", value_name = "NAME", value_parser = secret)]
    pub ca_secret: Option<String>,
}

/// A DNS name or IP address, as a certificate names a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// Lower case, without a trailing dot.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

// === impl Collector ===

impl Collector {
    /// The URL that holds.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        let given = |url: &'_ Option<String>| url.as_deref().is_some_and(|url| !url.is_empty());
        let urls = [&self.otlp_traces_endpoint, &self.otlp_endpoint];
        urls.into_iter().find(|url| given(url)).and_then(|url| url.as_deref())
    }
}

// === impl ControllerArgs ===

impl ControllerArgs {
    /// The name of the Pod, or of the host.
    #[must_use]
    pub fn place(&self) -> String {
        let given = self.pod_name.clone().filter(|name| !name.is_empty());
        given.unwrap_or_else(host_name)
    }

    /// The names of the gateway's certificate: those given, else the defaults for this namespace.
    #[must_use]
    pub fn gateway_hosts(&self) -> Vec<Host> {
        if !self.gateway_hostname.is_empty() {
            return self.gateway_hostname.clone();
        }
        vec![
            Host::Dns(format!("tidegate-gateway.{}.svc", self.namespace)),
            Host::Dns("localhost".to_owned()),
            Host::Ip(IpAddr::from([127, 0, 0, 1])),
        ]
    }
}

// === impl GatewayArgs ===

impl GatewayArgs {
    /// The name of the host, which is that of the Pod.
    #[must_use]
    pub fn place(&self) -> String {
        host_name()
    }
}

// === impl Host ===

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let name = text.to_ascii_lowercase();
        let numeric = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if name.len() <= 253 && !numeric && name.split('.').all(|label| label.parse::<FleetName>().is_ok()) {
            return Ok(Self::Dns(name));
        }
        Err("give a DNS name such as tidegate.example.com, or an IP address, without scheme and port".to_owned())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn namespace(text: &str) -> Result<String, String> {
    let is_label = text.parse::<FleetName>().is_ok();
    is_label.then(|| text.to_owned()).ok_or_else(|| "give a lower case DNS label of at most 63 characters".to_owned())
}

fn secret(text: &str) -> Result<String, String> {
    let is_name = text.len() <= 253 && text.split('.').all(|label| label.parse::<FleetName>().is_ok());
    is_name.then(|| text.to_owned()).ok_or_else(|| "give the name of a Secret in the namespace".to_owned())
}

fn trust_domain(text: &str) -> Result<String, String> {
    if is_trust_domain(text) {
        return Ok(text.to_owned());
    }
    Err("give at most 255 lower case letters, digits, dots, dashes and underscores, such as tidegate.example.com"
        .to_owned())
}

fn collector(text: &str) -> Result<String, String> {
    let url = text.parse::<http::Uri>().ok();
    // The URL is logged: credentials have variables of their own.
    let names = |url: &http::Uri| url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let usable = |url: http::Uri| matches!(url.scheme_str(), Some("http" | "https")) && names(&url);
    if text.is_empty() || url.is_some_and(usable) {
        return Ok(text.to_owned());
    }
    Err("give a URL such as http://collector.monitoring:4317, without a user".to_owned())
}

fn retention(text: &str) -> Result<Duration, String> {
    let kept = parse_duration(text).map_err(|e| e.to_string())?;
    if RETENTION.contains(&kept) {
        return Ok(kept);
    }
    Err("give 1s to 87600h".to_owned())
}

fn poll_hold(text: &str) -> Result<Duration, String> {
    let hold = parse_duration(text).map_err(|e| e.to_string())?;
    if (Duration::from_secs(1)..=limit::POLL_HOLD).contains(&hold) {
        return Ok(hold);
    }
    Err("give 1s to 55s".to_owned())
}

fn relist_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text).map_err(|e| e.to_string())?;
    if (Duration::from_secs(10)..=Duration::from_secs(24 * 3600)).contains(&interval) {
        return Ok(interval);
    }
    Err("give 10s to 24h".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn both_command_lines_are_well_formed() {
        GatewayArgs::command().debug_assert();
        ControllerCommand::command().debug_assert();
    }

    #[test]
    fn the_gateway_is_reached_by_its_service_and_locally_unless_told_otherwise() {
        let args = ControllerArgs::try_parse_from(["controller", "--namespace", "tide"]).unwrap();
        let hosts: Vec<_> = args.gateway_hosts().iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["tidegate-gateway.tide.svc", "localhost", "127.0.0.1"]);
        let given = ["controller", "--gateway-hostname", "Gate.example.com", "--gateway-hostname", "::1"];
        let args = ControllerArgs::try_parse_from(given).unwrap();
        assert_eq!(args.gateway_hosts(), [Host::Dns("gate.example.com".to_owned()), Host::Ip("::1".parse().unwrap())]);
    }

    #[test]
    fn ended_requests_are_kept_for_720_hours_unless_told_otherwise() {
        let kept = |args: &[&str]| ControllerArgs::try_parse_from([&["controller"], args].concat()).unwrap().retention;
        assert_eq!(kept(&[]), Duration::from_secs(720 * 3600));
        assert_eq!(kept(&["--retention", "1s"]), Duration::from_secs(1));
        assert_eq!(kept(&["--retention", "87600h"]), Duration::from_secs(87_600 * 3600));
    }

    #[test]
    fn traces_go_nowhere_unless_it_is_said_and_what_is_said_of_traces_alone_wins() {
        let url = |args: &[&str]| {
            let args = ControllerArgs::try_parse_from([&["controller"], args].concat()).unwrap();
            args.common.collector.endpoint().map(str::to_owned)
        };
        let (all, traces) = ("--otlp-endpoint=http://all:4317", "--otlp-traces-endpoint=https://traces:4317");
        assert_eq!(url(&[]), None);
        assert_eq!(url(&["--otlp-endpoint="]), None);
        assert_eq!(url(&[all]).as_deref(), Some("http://all:4317"));
        assert_eq!(url(&[all, traces]).as_deref(), Some("https://traces:4317"));
        assert_eq!(url(&[all, "--otlp-traces-endpoint="]).as_deref(), Some("http://all:4317"));
    }

    #[test]
    fn the_controller_serves_unless_it_is_asked_to_probe() {
        let serves = ControllerCommand::try_parse_from(["controller", "--namespace", "tide"]).unwrap();
        assert!(serves.instead.is_none() && serves.serve.namespace == "tide");
        let probes = ControllerCommand::try_parse_from(["controller", "probe", "--namespace", "tide"]).unwrap();
        assert!(matches!(probes.instead, Some(ControllerTask::Probe(ProbeArgs { namespace })) if namespace == "tide"));
        let both = ControllerCommand::try_parse_from(["controller", "--suspended", "probe"]);
        assert!(both.unwrap_err().to_string().contains("probe"));
    }

    #[test]
    fn bad_values_are_refused_by_the_name_of_their_flag() {
        let gateway = ["gateway", "--tls-dir", "a", "--trust-dir", "b"];
        for bad in [["--poll-hold", "56s"], ["--poll-hold", "0s"], ["--address", "nowhere"], ["--log-level", "loud=9"]]
        {
            let error = GatewayArgs::try_parse_from(gateway.into_iter().chain(bad)).unwrap_err().to_string();
            assert!(error.contains(bad[0]), "{error}");
        }
        for bad in [
            ["--namespace", "Tide"],
            ["--trust-domain", "Tide"],
            ["--trust-domain", ""],
            ["--signing-secret", "a/b"],
            ["--ca-secret", ""],
            ["--gateway-hostname", "https://gate"],
            ["--gateway-hostname", "1.2.3"],
            ["--retention", "0s"],
            ["--retention", "87601h"],
            ["--retention", "30d"],
            ["--relist-interval", "9s"],
            ["--otlp-endpoint", "collector:4317"],
            ["--otlp-traces-endpoint", "grpc://collector:4317"],
            ["--otlp-endpoint", "http://user:secret@collector:4317"],
        ] {
            let error = ControllerArgs::try_parse_from(["controller"].into_iter().chain(bad)).unwrap_err().to_string();
            assert!(error.contains(bad[0]), "{error}");
        }
    }
}
