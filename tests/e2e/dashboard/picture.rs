//! A row of the dashboard as a picture (SVG), drawn from what Prometheus answered and nothing else: a stat is the last value of each
//! series, a time series its points, a heat map how many observations fell between two bounds.

use std::fmt::Write;

use anyhow::Result;
use tidegate_test_support::assets::repository;

use super::board::Panel;
use super::prometheus::Series;

/// A panel with what its queries gave.
pub struct Drawn {
    pub panel: Panel,
    pub series: Vec<Series>,
}

/// Seconds since 1970: from, to.
type Span = (i64, i64);

const WIDTH: f64 = 960.0;
const HEAD: f64 = 34.0;
/// Room for the names of lines.
const NAMES: f64 = 150.0;
/// Lines of a legend at most; what is 0 all the time is named last.
const LEGEND: usize = 8;
const COLOURS: [&str; 8] = ["#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#17becf", "#7f7f7f"];

/// Is this variable set?
#[expect(clippy::disallowed_methods, reason = "a test binary has no clap; this is read here only")]
pub fn wanted(variable: &str) -> bool {
    std::env::var_os(variable).is_some()
}

/// Writes `docs/images/dashboard-<number>.svg`.
pub fn write(number: usize, question: &str, panels: &[Drawn], span: Span) -> Result<()> {
    let mut body = String::new();
    let (mut x, mut y, mut line) = (0.0, HEAD, 0.0_f64);
    for drawn in panels {
        let (width, height) = if drawn.panel.draw == "stat" { (WIDTH / 4.0, 110.0) } else { (WIDTH / 2.0, 230.0) };
        if x + width > WIDTH {
            (x, y, line) = (0.0, y + line, 0.0);
        }
        write!(body, "<g transform=\"translate({x},{y})\">{}</g>", panel(drawn, (width, height), span))?;
        (x, line) = (x + width, line.max(height));
    }
    let height = y + line + 8.0;
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\"><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\
         <text x=\"10\" y=\"22\" font-size=\"16\" font-weight=\"bold\">{}</text>{body}</svg>\n",
        escaped(question)
    );
    let folder = repository().join("docs/images");
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join(format!("dashboard-{number}.svg")), svg)?)
}

fn panel(drawn: &Drawn, (width, height): (f64, f64), span: Span) -> String {
    let Panel { title, draw, unit, steps, .. } = &drawn.panel;
    let inside = match draw.as_str() {
        "stat" => stat(&drawn.series, unit, steps),
        "heatmap" => heatmap(&drawn.series, (width, height), span),
        _ => lines(&drawn.series, unit, (width, height), span),
    };
    format!(
        "<rect x=\"4\" y=\"4\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#ccc\"/>\
         <text x=\"14\" y=\"22\" font-weight=\"bold\">{}</text>{inside}",
        width - 8.0,
        height - 8.0,
        escaped(title)
    )
}

fn stat(series: &[Series], unit: &str, steps: &[(f64, String)]) -> String {
    let mut text = String::new();
    for (place, series) in (0u32..).zip(series) {
        let Some((_, value)) = series.points.last() else { continue };
        let y = 48.0 + 20.0 * f64::from(place);
        let shown = format!(
            "{} <tspan font-size=\"11\" fill=\"#777\">{}</tspan>",
            amount(*value, unit),
            escaped(&series.legend)
        );
        let colour = steps.iter().rfind(|(from, _)| from <= value).map_or("black", |(_, colour)| colour);
        text += &format!("<text x=\"14\" y=\"{y}\" font-size=\"17\" fill=\"{colour}\">{shown}</text>");
    }
    text
}

fn lines(series: &[Series], unit: &str, size: (f64, f64), span: Span) -> String {
    let mut series: Vec<&Series> = series.iter().filter(|series| !series.points.is_empty()).collect();
    let top = |series: &Series| series.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    // Those that have something to say first.
    series.sort_by_key(|series| top(series) <= 0.0);
    let highest = series.iter().map(|series| top(series)).fold(0.0, f64::max);
    let frame = Frame { size, span, top: if highest > 0.0 { highest } else { 1.0 }, aside: NAMES };
    let mut text = frame.axes(&amount(highest, unit));
    for (series, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<String> =
            series.points.iter().map(|(at, value)| format!("{:.1},{:.1}", frame.x(*at), frame.y(*value))).collect();
        text += &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            points.join(" ")
        );
    }
    for (place, (series, colour)) in (0u32..).zip(series.iter().zip(COLOURS)).take(LEGEND) {
        let y = 46.0 + 13.0 * f64::from(place);
        text += &format!(
            "<text x=\"{}\" y=\"{y}\" fill=\"{colour}\">{}</text>",
            frame.right() + 6.0,
            escaped(&series.legend)
        );
    }
    text
}

/// Buckets count from 0 up: what lies between two bounds is the difference.
fn heatmap(series: &[Series], size: (f64, f64), span: Span) -> String {
    let bound =
        |series: &Series| series.labels["le"].as_str().and_then(|le| le.parse::<f64>().ok()).unwrap_or(f64::INFINITY);
    let mut buckets: Vec<&Series> = series.iter().collect();
    buckets.sort_by(|a, b| bound(a).total_cmp(&bound(b)));
    let rows = buckets.len().max(1) as f64;
    let frame = Frame { size, span, top: rows, aside: 0.0 };
    let mut cells = Vec::new();
    let mut below: Option<&Series> = None;
    for (row, bucket) in (0u32..).zip(&buckets) {
        for (place, (at, count)) in bucket.points.iter().enumerate() {
            let under = below.and_then(|below| below.points.get(place)).map_or(0.0, |(_, count)| *count);
            cells.push((f64::from(row), *at, (count - under).max(0.0)));
        }
        below = Some(bucket);
    }
    let most = cells.iter().map(|(_, _, count)| *count).fold(0.0, f64::max);
    let mut text = frame.axes("");
    for (row, at, count) in cells.into_iter().filter(|(_, _, count)| *count > 0.0) {
        let (x, y) = (frame.x(at), frame.y(row + 1.0));
        let height = frame.y(row) - y;
        text += &format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"4\" height=\"{height:.1}\" fill=\"#08519c\" fill-opacity=\"{:.2}\"/>",
            0.15 + 0.85 * count / most
        );
    }
    for (row, bucket) in (0u32..).zip(&buckets) {
        let y = frame.y(f64::from(row) + 0.3);
        text += &format!("<text x=\"12\" y=\"{y:.1}\" fill=\"#777\">≤ {}</text>", escaped(&bucket.legend));
    }
    text
}

/// Where a point lies.
struct Frame {
    size: (f64, f64),
    span: Span,
    top: f64,
    /// What is left free on the right.
    aside: f64,
}

impl Frame {
    #[expect(clippy::cast_precision_loss, reason = "a span of minutes")]
    fn x(&self, at: f64) -> f64 {
        let (start, end) = (self.span.0 as f64, self.span.1 as f64);
        54.0 + (self.right() - 54.0) * (at - start) / (end - start).max(1.0)
    }

    fn right(&self) -> f64 {
        self.size.0 - 20.0 - self.aside
    }

    fn y(&self, value: f64) -> f64 {
        let (high, low) = (34.0, self.size.1 - 30.0);
        low - (low - high) * value / self.top
    }

    fn axes(&self, top: &str) -> String {
        let (left, right, low) = (54.0, self.right(), self.size.1 - 30.0);
        format!(
            "<line x1=\"{left}\" y1=\"{low}\" x2=\"{right}\" y2=\"{low}\" stroke=\"#999\"/>\
             <text x=\"50\" y=\"40\" text-anchor=\"end\" fill=\"#777\">{}</text>\
             <text x=\"{left}\" y=\"{}\" fill=\"#777\">0 s</text>\
             <text x=\"{right}\" y=\"{}\" text-anchor=\"end\" fill=\"#777\">{} s</text>",
            escaped(top),
            low + 14.0,
            low + 14.0,
            self.span.1 - self.span.0
        )
    }
}

fn amount(value: f64, unit: &str) -> String {
    let rounded = if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.3}") };
    match unit {
        "none" => rounded,
        "s" => format!("{rounded} s"),
        "d" => format!("{value:.0} days"),
        "percentunit" => format!("{:.0} %", value * 100.0),
        "bytes" => format!("{rounded} bytes"),
        "reqps" => format!("{rounded} /s"),
        "bool_yes_no" => if value == 1.0 { "yes" } else { "no" }.to_owned(),
        other => format!("{rounded} {other}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
