//! A real Prometheus that scrapes the installation every second, and the answers to its queries.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tidegate_test_support::{Process, assets, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::installation::{Installation, READY};

/// Stands for Grafana's `$__rate_interval`: a few scrapes.
const RATE_INTERVAL: &str = "10s";
/// Stands for the variable `$cluster`: all, as Grafana begins.
const CLUSTER: &str = ".*";
/// Seconds between two points.
const STEP: u64 = 1;

/// A running Prometheus.
pub struct Prometheus {
    /// Ends it when dropped.
    process: Process,
    address: SocketAddr,
}

/// One series of an answer.
#[derive(Debug, Clone)]
pub struct Series {
    /// As the panel names it.
    pub legend: String,
    /// Its labels.
    pub labels: Value,
    /// Seconds since 1970 with the value; what is no number is left out.
    pub points: Vec<(f64, f64)>,
}

// === impl Prometheus ===

impl Prometheus {
    /// Starts one; returns once it has scraped all servers.
    pub async fn start(installation: &Installation) -> Result<Self> {
        let sandbox = installation.control_plane.sandbox();
        let targets: Vec<String> = std::iter::once(installation.controller.admin)
            .chain(installation.gateways.iter().map(|gateway| gateway.admin))
            .map(|address| format!("'{address}'"))
            .collect();
        let targets = targets.join(", ");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: tidegate\n  \
             static_configs: [{{targets: [{targets}]}}]\n"
        );
        let config = sandbox.fresh_file("prometheus", "prometheus.yml", &config)?;
        let mut command = Command::new(assets::prometheus_programs()?.join("prometheus"));
        command.arg("--config.file").arg(config).arg("--storage.tsdb.path").arg(sandbox.fresh_folder("prometheus")?);
        command.arg("--web.listen-address=127.0.0.1:0");
        let process = Process::spawn(sandbox, "prometheus", command)?;
        let line = process.stderr.wait_for("the address", 0, READY, |line| listening(line).is_some()).await?;
        let prometheus = Self { process, address: listening(&line).context("no address")? };
        eventually("a scrape of all servers", READY, async || {
            prometheus.process.lives()?;
            let up = prometheus.ask("query", "query=sum(up)").await?;
            ensure!(up["data"]["result"][0]["value"][1] == "3", "{up}");
            Ok(())
        })
        .await?;
        Ok(prometheus)
    }

    /// What this expression gave between two instants, in seconds since 1970.
    pub async fn range(&self, expression: &str, legend: &str, (start, end): (i64, i64)) -> Result<Vec<Series>> {
        let query = encoded(&expression.replace("$__rate_interval", RATE_INTERVAL).replace("$cluster", CLUSTER));
        let parameters = format!("query={query}&start={start}&end={end}&step={STEP}");
        let answer = self.ask("query_range", &parameters).await?;
        ensure!(answer["status"] == "success", "{expression}: {answer}");
        let result = answer["data"]["result"].as_array().context("no result")?;
        Ok(result.iter().map(|series| read(series, legend)).collect())
    }

    /// Waits until this expression gives something, so that what goes by is on the record.
    pub async fn sees(&self, expression: &str) -> Result<()> {
        let query = format!("query={}", encoded(expression));
        eventually(expression, READY, async || {
            let answer = self.ask("query", &query).await?;
            ensure!(answer["data"]["result"].as_array().is_some_and(|found| !found.is_empty()), "{answer}");
            Ok(())
        })
        .await
    }

    async fn ask(&self, path: &str, parameters: &str) -> Result<Value> {
        // HTTP/1.0, so that the answer comes in one piece.
        let request = format!("GET /api/v1/{path}?{parameters} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(30), stream.read_to_string(&mut answer)).await??;
        let body = answer.split_once("\r\n\r\n").context("not an HTTP answer")?.1;
        serde_json::from_str(body).with_context(|| format!("{path}: {answer}"))
    }
}

fn read(series: &Value, legend: &str) -> Series {
    let labels = series["metric"].clone();
    let mut text = legend.to_owned();
    for (label, word) in labels.as_object().into_iter().flatten() {
        text = text.replace(&format!("{{{{{label}}}}}"), word.as_str().unwrap_or_default());
    }
    // Nobody gives the label here, and Grafana writes nothing for it.
    let text = text.replace("{{cluster}}", "").trim().to_owned();
    let number = |point: &Value| -> Option<(f64, f64)> {
        let value: f64 = point[1].as_str()?.parse().ok()?;
        value.is_finite().then_some((point[0].as_f64()?, value))
    };
    let points = series["values"].as_array().into_iter().flatten().filter_map(number).collect();
    Series { legend: text, labels, points }
}

/// The address in `msg="Listening on" address=127.0.0.1:4711`.
fn listening(line: &str) -> Option<SocketAddr> {
    let after = line.split_once("Listening on")?.1.split_once("address=")?.1;
    after.split_whitespace().next()?.parse().ok()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
