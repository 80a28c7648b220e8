//! Admission and core read a decision alike: what the API server lets pass is what the controller counts, under the same name,
//! verb and stage. Admission's side is the shipped manifest, evaluated by cel-go in hack/grammar; no cluster is needed.

mod admission;
mod lines;

use serde::Deserialize;
use tidegate_core::decision::Decision;

use self::lines::Lines;

const LINES: usize = 100_000;
/// Of the differences, at most this many are shown.
const SHOWN: usize = 10;

/// What one side makes of a line. The fields after `ok` are empty unless it is true.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct Reading {
    ok: bool,
    by: String,
    verb: String,
    stage: String,
    /// The expressions failed. The server refuses such a line too, but says nothing that helps.
    #[serde(default)]
    error: String,
}

fn core(line: &str) -> Reading {
    line.parse::<Decision>().map_or_else(
        |_| Reading::default(),
        |decision| Reading {
            ok: true,
            by: decision.by.to_string(),
            verb: decision.verb.to_string(),
            stage: decision.stage.map(|stage| stage.to_string()).unwrap_or_default(),
            error: String::new(),
        },
    )
}

/// Compares both sides; gives how many of the lines are decisions, `None` if it could not be tried.
#[track_caller]
fn agree_on(lines: &[String]) -> Option<usize> {
    let readings = admission::read(lines)?;
    let core: Vec<_> = lines.iter().map(|line| core(line)).collect();
    let differences: Vec<_> = lines.iter().zip(core.iter().zip(&readings)).filter(|(_, (a, b))| a != b).collect();
    let mut shown = String::new();
    for (line, (core, admission)) in differences.iter().take(SHOWN) {
        shown.push_str(&format!("\n{line:?}\n       core: {core:?}\n  admission: {admission:?}"));
    }
    assert!(differences.is_empty(), "{} of {} lines are read differently:{shown}", differences.len(), lines.len());
    Some(core.iter().filter(|reading| reading.ok).count())
}

#[test]
fn admission_and_core_agree_on_generated_lines() {
    let lines: Vec<_> = Lines::new(5).take(LINES).collect();
    let Some(decisions) = agree_on(&lines) else { return };
    // A generator of nothing but nonsense would show nothing.
    assert!((LINES / 5..LINES * 4 / 5).contains(&decisions), "{decisions} of {LINES} generated lines are decisions");
    for verb in ["approve", "deny", "revoke", "end"] {
        assert!(lines.iter().filter(|line| core(line).verb == verb).count() > LINES / 100, "few lines {verb}");
    }
    assert!(lines.iter().filter(|line| !core(line).stage.is_empty()).count() > LINES / 50, "few lines name a stage");
    assert!(lines.iter().filter(|line| core(line).by.ends_with(':')).count() > LINES / 100, "few names end in a colon");
}

/// Both sides know the same characters, although they come with Unicode tables of their own.
#[test]
fn admission_and_core_agree_on_every_character() {
    let in_name = lines::of_characters(|characters| format!("{characters} deny"));
    let in_comment = lines::of_characters(|characters| format!("bob deny: {characters}"));
    for lines in [in_name, in_comment] {
        let Some(decisions) = agree_on(&lines) else { return };
        assert!(decisions > 1000, "{decisions} of {} lines are decisions", lines.len());
    }
}

#[test]
fn admission_and_core_agree_on_lines_that_were_tricky() {
    let of = |length: usize, c: char| c.to_string().repeat(length);
    let mut lines: Vec<String> = [
        "bob: approve",
        "bob: approve: yes",
        "bob: approve stage=a",
        "bob:: deny for=5m stage=a: stage=b",
        ": deny",
        ":: end: x",
        "bob:approve deny",
        "bob approve: deny: x",
        "bob approve: : x",
        "bob approve:  stage=a",
        "stage=x deny",
        "stage=x: deny stage=y",
        "for=5m approve for=5m",
        "approve approve",
        "bob approve stage=stage",
        "bob approve stage=stage=x",
        "bob approve for=00000h stage=0",
        "bob approve\n",
        "bob approve\u{2028}",
        "\u{feff}bob approve",
        "bób approve",
        "bo\u{301}b approve",
        "",
    ]
    .map(str::to_owned)
    .into();
    for length in [252, 253, 254] {
        lines.extend(['n', 'ñ', '𝔫', ':'].map(|c| format!("{} end", of(length, c))));
    }
    for length in [511, 512, 513] {
        lines.extend(['c', 'ç', '𝔠', ' '].map(|c| format!("bob end: {}", of(length, c))));
    }
    for length in [62, 63, 64] {
        lines.push(format!("bob deny stage={}", of(length, 's')));
    }
    let Some(decisions) = agree_on(&lines) else { return };
    assert!(decisions > 20, "{decisions} of {} lines are decisions", lines.len());
}
