//! The rules of the kinds, as their definitions word them: what is wrong and what would be right stands in the message itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;
use tidegate_test_support::assets;

const INTRODUCTION: &str = "
## By the kinds themselves

The API server refuses an object that breaks a rule of its kind; kubectl prints the field and the message, as under *Another wish in an
old request*. Bounds and forms of single fields are in `kubectl explain`. Here are the rules that have words of their own, which say
what would be right; `[]` is any item of a list.
";

/// The whole section, from the definitions in crds/.
pub fn section() -> Result<String> {
    let mut files: Vec<_> = std::fs::read_dir(assets::repository().join("crds"))?.collect::<std::io::Result<_>>()?;
    files.sort_by_key(std::fs::DirEntry::path);
    let mut text = INTRODUCTION.to_owned();
    for file in files.iter().filter(|file| file.file_name().to_string_lossy().starts_with("tidegate.dev_")) {
        let yaml = std::fs::read_to_string(file.path())?;
        let definition: Value = serde_saphyr::from_str(&yaml).with_context(|| file.path().display().to_string())?;
        let kind = definition["spec"]["names"]["kind"].as_str().context("a definition without kind")?;
        let mut rules = BTreeMap::new();
        collect(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "", &mut rules);
        if !rules.is_empty() {
            text.push_str(&format!("\n### {kind}\n\n| Message | About |\n|---|---|\n"));
        }
        for (message, fields) in rules {
            text.push_str(&format!("| {} | {} |\n", message.replace('|', "\\|"), fields.join(", ")));
        }
    }
    Ok(text)
}

/// Every message at or under this place of a schema, with the fields that it is about.
fn collect(schema: &Value, path: &str, rules: &mut BTreeMap<String, Vec<String>>) {
    for rule in schema["x-kubernetes-validations"].as_array().map_or(&[][..], Vec::as_slice) {
        let message =
            rule["message"].as_str().map(str::to_owned).or_else(|| rule["messageExpression"].as_str().map(filled));
        let place = if path.is_empty() { "the object".to_owned() } else { format!("`{path}`") };
        rules.entry(message.unwrap_or_else(|| "(no message)".to_owned())).or_default().push(place);
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(field, &path, rules);
    }
    if schema["items"].is_object() {
        collect(&schema["items"], &format!("{path}[]"), rules);
    }
    if schema["additionalProperties"].is_object() {
        collect(&schema["additionalProperties"], &format!("{path}.*"), rules);
    }
}

/// A message that is computed, with the names of the fields for their values.
fn filled(expression: &str) -> String {
    let part = |(index, part): (usize, &str)| {
        let field = part.trim_matches([' ', '+']).replace("self.", "");
        if index % 2 == 1 || field.is_empty() { part.trim_matches('+').to_owned() } else { format!("{{{field}}}") }
    };
    expression.split('\'').enumerate().map(part).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn a_computed_message_shows_the_fields_that_are_put_in() {
        assert_eq!(filled("'min is ' + self.min + ', max is ' + self.max"), "min is {min}, max is {max}");
    }
}
