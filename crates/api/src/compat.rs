//! Which changes of a definition would break those who use it. Without a conversion webhook every version has the same fields,
//! so what is given away once stays. Reads definitions as JSON; for crdgen, never at run time.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// One difference that matters to somebody.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Finding {
    /// Where, such as `JitPolicy.spec.access.window`; items of a list are `[]`, values of a map `{}`.
    pub path: String,
    /// What is different, and what was there before.
    pub what: String,
    /// Whether an object that was valid, or a client that worked, no longer is or does. Otherwise it is for a person to judge.
    pub breaks: bool,
}

/// Bounds of which a lower value lets less through.
const UPPER: [&str; 4] = ["maxLength", "maxItems", "maxProperties", "maximum"];
/// Bounds of which a higher value lets less through.
const LOWER: [&str; 4] = ["minLength", "minItems", "minProperties", "minimum"];
/// Members that say how values are read or merged: any other value is a break.
const FIXED: [&str; 7] = [
    "type",
    "format",
    "default",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-int-or-string",
];

/// Compares definitions by name, sorted by path. A definition that is only in `new` is no finding.
#[must_use]
pub fn compare(old: &[Value], new: &[Value]) -> Vec<Finding> {
    let mut findings = Findings::default();
    for before in old {
        let name = &before["metadata"]["name"];
        match new.iter().find(|after| after["metadata"]["name"] == *name) {
            Some(after) => findings.definition(before, after),
            None => findings.breaks(kind(before), "the kind was removed".to_owned()),
        }
    }
    findings.0.sort();
    findings.0
}

/// The findings that no line of `allow` covers. A line is a path, a colon and the reason; `#` begins a comment.
#[must_use]
pub fn not_allowed<'a>(findings: &'a [Finding], allow: &str) -> Vec<&'a Finding> {
    let lines = allow.lines().filter(|line| !line.starts_with('#'));
    let allowed: BTreeSet<&str> = lines
        .filter_map(|line| line.split_once(": "))
        .filter(|(_, reason)| !reason.trim().is_empty())
        .map(|(path, _)| path.trim())
        .collect();
    findings.iter().filter(|finding| finding.breaks && !allowed.contains(finding.path.as_str())).collect()
}

fn kind(definition: &Value) -> &str {
    definition["spec"]["names"]["kind"].as_str().unwrap_or_default()
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

// === impl Finding ===

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

// === impl Findings ===

impl Findings {
    fn breaks(&mut self, path: &str, what: String) {
        self.0.push(Finding { path: path.to_owned(), what, breaks: true });
    }

    fn definition(&mut self, old: &Value, new: &Value) {
        let (path, before, after) = (kind(old), &old["spec"], &new["spec"]);
        for member in ["/scope", "/group", "/names/kind", "/names/plural"] {
            let (before, after) = (before.pointer(member), after.pointer(member));
            if before != after {
                self.breaks(path, format!("{member} changed from {} to {}", shown(before), shown(after)));
            }
        }
        for member in ["shortNames", "categories"] {
            self.gone(path, member, &before["names"][member], &after["names"][member]);
        }
        for version in before["versions"].as_array().into_iter().flatten() {
            let same = after["versions"].as_array().into_iter().flatten().find(|v| v["name"] == version["name"]);
            let Some(same) = same.filter(|v| v["served"] != false) else {
                self.breaks(path, format!("version {} is no longer served", version["name"]));
                continue;
            };
            self.gone(path, "selectableFields", &version["selectableFields"], &same["selectableFields"]);
            self.schema(path, &version["schema"]["openAPIV3Schema"], &same["schema"]["openAPIV3Schema"]);
        }
    }

    /// Entries of a list that are no longer in it.
    fn gone(&mut self, path: &str, what: &str, old: &Value, new: &Value) {
        for entry in old.as_array().into_iter().flatten() {
            if !new.as_array().is_some_and(|list| list.contains(entry)) {
                self.breaks(path, format!("{what} lost {entry}"));
            }
        }
    }

    fn schema(&mut self, path: &str, old: &Value, new: &Value) {
        for member in FIXED.into_iter().filter(|member| old[*member] != new[*member]) {
            let (before, after) = (shown(old.get(member)), shown(new.get(member)));
            self.breaks(path, format!("{member} changed from {before} to {after}"));
        }
        self.bounds(path, old, new);
        if old["pattern"] != new["pattern"] && !new["pattern"].is_null() {
            self.breaks(path, format!("pattern changed from {} to {}", shown(old.get("pattern")), new["pattern"]));
        }
        match (old["enum"].as_array(), new["enum"].as_array()) {
            (None, Some(_)) => self.breaks(path, format!("only {} are allowed now", new["enum"])),
            (_, Some(_)) => self.gone(path, "enum", &old["enum"], &new["enum"]),
            (_, None) => {}
        }
        for name in new["required"].as_array().into_iter().flatten() {
            if !old["required"].as_array().is_some_and(|list| list.contains(name)) {
                self.breaks(path, format!("{name} is required now"));
            }
        }
        self.rules(path, old, new);
        self.below(path, old, new);
    }

    fn bounds(&mut self, path: &str, old: &Value, new: &Value) {
        let tighter = |name: &&str, is_tighter: fn(f64, f64) -> bool| match (old[*name].as_f64(), new[*name].as_f64()) {
            (Some(before), Some(after)) => is_tighter(after, before),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        let upper = UPPER.into_iter().filter(|name| tighter(name, |after, before| after < before));
        let lower = LOWER.into_iter().filter(|name| tighter(name, |after, before| after > before));
        for name in upper.chain(lower) {
            self.breaks(path, format!("{name} narrowed from {} to {}", shown(old.get(name)), new[name]));
        }
    }

    /// Whether a rule is stricter cannot be told from its text.
    fn rules(&mut self, path: &str, old: &Value, new: &Value) {
        let texts = |schema: &Value| -> BTreeSet<String> {
            let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
            rules.filter_map(|rule| rule["rule"].as_str().map(str::to_owned)).collect()
        };
        for rule in texts(new).difference(&texts(old)) {
            let what = format!("a rule is new or changed; it must not refuse what was valid: {rule}");
            self.0.push(Finding { path: path.to_owned(), what, breaks: false });
        }
    }

    fn below(&mut self, path: &str, old: &Value, new: &Value) {
        for (name, before) in old["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            match new["properties"].get(name) {
                None => self.breaks(&path, "the field was removed".to_owned()),
                Some(after) => self.schema(&path, before, after),
            }
        }
        for (part, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
            if old[part].is_object() && new[part].is_object() {
                self.schema(&format!("{path}{suffix}"), &old[part], &new[part]);
            } else if old[part].is_object() {
                self.breaks(path, format!("{part} was removed"));
            }
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    value.filter(|value| !value.is_null()).map_or_else(|| "none".to_owned(), Value::to_string)
}
