//! Settings: flags with a fall-back in the environment, read once and checked here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tidegate_core::interval::parse_duration;
use tidegate_core::name::{Digest, EndpointName, FleetName};

use crate::gateway::Gateway;

/// Tidegate's agent for one endpoint: verifies what the controller signed, and ends every right at its own deadline.
#[derive(Debug, Parser)]
#[command(name = "tidegate-agent", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Enrols this endpoint, follows the gateway and reports what applies.
    ///
    /// `watch` reports who may elevate, since when and until when; it changes nothing on this computer yet.
    ///
    /// At its first start it makes a key and asks the gateway for a certificate. Somebody who may approve endpoints has
    /// to agree; the command to do so is shown. Key, certificate, the last verified snapshot and its deadlines stay in
    /// the state directory, so a restart needs neither an approval nor the network.
    ///
    /// Every right ends at its own deadline, whether or not a gateway can be reached and whatever is done to the clock.
    /// None begins once no gateway has answered for longer than the policy's offlineTolerance, or what it serves is
    /// older: it is shown as withheld, and begins when a gateway is back.
    ///
    /// Exit status: 0 stopped by SIGINT or SIGTERM, 1 an error, 2 wrong usage.
    #[command(after_long_help = EXAMPLES)]
    Watch(WatchArgs),
}

const PRINT_PIN: &str = "kubectl -n tidegate-system get configmap tidegate-trust -o 'jsonpath={.data.pin}'";

const EXAMPLES: &str = "Examples:
  tidegate-agent watch --gateway https://gateway.example:8443 --endpoint berlin/ws-042 \\
      --trust sha256:3f0c…e1 --state-dir /var/lib/tidegate-agent
  tidegate-agent watch … -o json | jq 'select(.event == \"ended\")'";

/// Settings of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// A gateway, such as `https://gateway.example:8443`; repeat it for several. If one does not answer, or fails the pin, the
    /// next is tried.
    #[arg(long, env = "TIDEGATE_GATEWAY", value_name = "URL", required = true, value_delimiter = ',')]
    pub gateway: Vec<Gateway>,

    /// This endpoint: the fleet (namespace) and the name of its ManagedEndpoint, for example berlin/ws-042.
    #[arg(long, env = "TIDEGATE_ENDPOINT", value_name = "FLEET/NAME", value_parser = parse_endpoint)]
    pub endpoint: EndpointPath,

    /// The pin of the certificate authority: SHA-256 over the DER of its SubjectPublicKeyInfo; repeat it while the
    /// authority is being replaced. Nothing a gateway says is believed before its authority matches. ConfigMap
    /// tidegate-trust in the controller's namespace holds it under the key `pin`.
    #[arg(long, env = "TIDEGATE_TRUST", value_name = "sha256:HEX", required = true, value_delimiter = ',')]
    #[arg(value_parser = parse_pin)]
    pub trust: Vec<Digest>,

    /// Where key, certificate, snapshot and deadlines are kept; created with mode 0700. One agent per directory.
    #[arg(long, env = "TIDEGATE_STATE_DIR", value_name = "DIR", default_value = "/var/lib/tidegate-agent")]
    pub state_dir: PathBuf,

    /// table: a table on a terminal, otherwise a line per change. json: an object per change, one a line.
    #[arg(short, long, env = "TIDEGATE_OUTPUT", value_name = "FORM", default_value = "table")]
    pub output: Output,

    /// Least severe log messages on standard error: error, warn, info, debug or trace.
    #[arg(long, env = "TIDEGATE_LOG_LEVEL", value_name = "LEVEL", default_value = "warn")]
    pub log_level: tracing::Level,

    /// The longest wait between two tries.
    #[arg(long, env = "TIDEGATE_MAX_BACKOFF", value_name = "DURATION", default_value = "5m", hide = true)]
    #[arg(value_parser = parse_wait)]
    pub max_backoff: Duration,

    /// How long a single gateway has to call the certificate void before a new one is asked for; a second gateway confirms
    /// it at once. What applies ends at the first word.
    #[arg(long, env = "TIDEGATE_VOID_PATIENCE", value_name = "DURATION", default_value = "2m", hide = true)]
    #[arg(value_parser = parse_wait)]
    pub void_patience: Duration,
}

/// Form of standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// An endpoint as people write it: `<fleet>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPath {
    /// The namespace.
    pub fleet: FleetName,
    /// The ManagedEndpoint.
    pub name: EndpointName,
}

fn parse_endpoint(text: &str) -> Result<EndpointPath, String> {
    let (fleet, name) = text.split_once('/').ok_or("<fleet>/<name> is expected, for example berlin/ws-042")?;
    let fleet = fleet.parse().map_err(|e| format!("{e}"))?;
    let name = name.parse().map_err(|e| format!("{e}"))?;
    Ok(EndpointPath { fleet, name })
}

fn parse_pin(text: &str) -> Result<Digest, String> {
    text.parse().map_err(|e| format!("{e}; print it with: {PRINT_PIN}"))
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|e| e.to_string())?;
    if duration.is_zero() { Err("at least 1s is expected".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    const PIN: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn parse(gateway: &str, endpoint: &str, trust: &str) -> Result<Cli, String> {
        let line = ["tidegate-agent", "watch", "--gateway", gateway, "--endpoint", endpoint, "--trust", trust];
        Cli::try_parse_from(line).map_err(|e| e.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn good_settings_are_taken() {
        let Cli { command: Command::Watch(args) } = parse("https://a:1,https://b:2", "berlin/ws-042", PIN).unwrap();
        assert_eq!(args.gateway.len(), 2);
        assert_eq!(args.endpoint.name.as_str(), "ws-042");
        assert_eq!(args.max_backoff, Duration::from_secs(300));
    }

    #[test]
    fn bad_settings_are_refused_by_name_with_what_would_be_right() {
        let good = "https://gateway.example:8443";
        for (gateway, endpoint, trust, flag, hint) in [
            ("http://gateway.example", "berlin/ws", PIN, "--gateway", "https://"),
            (good, "ws-042", PIN, "--endpoint", "berlin/ws-042"),
            (good, "Berlin/ws", PIN, "--endpoint", "lower case"),
            (good, "berlin/ws", "ba78", "--trust", "64 lower case hex digits"),
        ] {
            let message = parse(gateway, endpoint, trust).unwrap_err();
            assert!(message.contains(flag) && message.contains(hint), "{message}");
        }
    }

    #[test]
    fn help_says_that_nothing_is_changed_yet() {
        let mut command = Cli::command();
        let watch = command.find_subcommand_mut("watch").unwrap();
        let help = watch.render_long_help().to_string().replace('\n', " ");
        assert!(help.contains("changes nothing on this computer yet"), "{help}");
    }
}
