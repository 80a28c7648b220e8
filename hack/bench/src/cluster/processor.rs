//! Processor time that the programs of one API server have taken: what a rate on few cores is made of.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// Ticks in a second of what the kernel tells (`USER_HZ`, proc(5)).
const TICKS: f64 = 100.0;
/// Whose time is told, by what the kernel calls them, and as people call them.
const PROGRAMS: [(&str, &str); 4] = [
    ("kube-apiserver", "API server"),
    ("etcd", "its store"),
    ("controller", "controller"),
    ("bench-cluster", "client"),
];

/// Seconds so far, by program. Of programs that run now, and of every one of that name on the machine.
pub fn spent() -> Result<BTreeMap<&'static str, f64>> {
    let mut spent = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        // Whatever is not a process has no such file, nor has one that has just ended.
        let Ok(stat) = std::fs::read_to_string(entry?.path().join("stat")) else { continue };
        let Some((name, fields)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')) else { continue };
        let Some((_, program)) = PROGRAMS.into_iter().find(|(known, _)| *known == name) else { continue };
        let ticks: u64 =
            fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>().context("stat")?;
        *spent.entry(program).or_default() += ticks as f64 / TICKS;
    }
    Ok(spent)
}

/// What each program took since, for one of so many: such as `API server 7.1 ms`.
pub fn for_one(before: &BTreeMap<&'static str, f64>, after: &BTreeMap<&'static str, f64>, of: usize) -> String {
    let each = PROGRAMS.iter().filter_map(|(_, program)| {
        let took = after.get(program)? - before.get(program).copied().unwrap_or_default();
        Some(format!("{program} {:.1} ms", took / of as f64 * 1e3))
    });
    each.collect::<Vec<_>>().join(", ")
}
