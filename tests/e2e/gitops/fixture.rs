//! An object of the API server as a fixture: what differs from run to run is replaced, everything else stays as it was written.

use anyhow::Result;
use jiff::Timestamp;
use serde_json::Value;

/// Of a longer list this many items are kept: no tool looks further.
const ITEMS: usize = 2;
/// What people call the fleet of all fixtures.
const FLEET: &str = "berlin";

/// The text of a fixture. `namespace` is where the object lies.
pub fn of(mut object: Value, namespace: &str) -> Result<String> {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for member in ["managedFields", "resourceVersion"] {
            metadata.remove(member);
        }
    }
    Ok(serde_saphyr::to_string(&settled("", object, namespace))?)
}

fn settled(member: &str, value: Value, namespace: &str) -> Value {
    match (member, value) {
        ("payload" | "sig" | "serialNumber", Value::String(_)) => Value::from("..."),
        ("sequence", Value::Number(_)) => Value::from(1),
        (_, Value::String(text)) => Value::from(text_of(&text, namespace)),
        (_, Value::Array(items)) => {
            items.into_iter().take(ITEMS.max(conditions(member))).map(|item| settled("", item, namespace)).collect()
        }
        (_, Value::Object(map)) => {
            map.into_iter().map(|(key, value)| (key.clone(), settled(&key, value, namespace))).collect()
        }
        (_, other @ (Value::Null | Value::Bool(_) | Value::Number(_))) => other,
    }
}

/// Conditions are what tools look at: all of them stay.
fn conditions(member: &str) -> usize {
    if member == "conditions" { usize::MAX } else { 0 }
}

fn text_of(text: &str, namespace: &str) -> String {
    let text = text.replace(namespace, FLEET);
    let is_time = |part: &str| part.ends_with('Z') && part.parse::<Timestamp>().is_ok();
    let text = replaced(&text, "2030-01-01T00:00:00Z", is_time);
    let is_hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    let text = replaced(&text, &"0".repeat(64), is_hex);
    let is_uid = |part: &str| {
        part.bytes()
            .enumerate()
            .all(|(at, b)| if [8, 13, 18, 23].contains(&at) { b == b'-' } else { b.is_ascii_hexdigit() })
    };
    let text = replaced(&text, "00000000-0000-4000-8000-000000000000", is_uid);
    // Milliseconds since 1970, until 2033.
    let is_sequence = |part: &str| part.starts_with('1') && part.bytes().all(|b| b.is_ascii_digit());
    replaced(&text, "1800000000000", is_sequence)
}

/// Every part of the text that is as long as `with` and is such a thing, replaced by it.
fn replaced(text: &str, with: &str, is: impl Fn(&str) -> bool) -> String {
    let (mut result, mut at) = (String::new(), 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.get(..with.len()).is_some_and(&is) {
            result.push_str(with);
            at += with.len();
        } else {
            let next = rest.chars().next().map_or(1, char::len_utf8);
            result.push_str(&rest[..next]);
            at += next;
        }
    }
    result
}

#[test]
fn what_differs_from_run_to_run_is_replaced_and_nothing_else() -> Result<()> {
    let object = serde_json::json!({
        "metadata": {"namespace": "some-x1", "resourceVersion": "7", "managedFields": [], "uid": "0f8fad5b-d9cb-469f-a165-70867728950e"},
        "status": {
            "conditions": [
                {"message": "until 2026-11-22T06:21:25Z; 1795335249000 ends"}, {"message": "größer"}, {"message": "7"}, {"message": "in some-x1"},
            ],
            "signed": {"digest": format!("sha256:{}", "a9".repeat(32)), "sequence": 17, "envelope": {"payload": "e30="}},
            "list": [1, 2, 3],
        },
    });
    let expected = serde_json::json!({
        "metadata": {"namespace": "berlin", "uid": "00000000-0000-4000-8000-000000000000"},
        "status": {
            "conditions": [
                {"message": "until 2030-01-01T00:00:00Z; 1800000000000 ends"}, {"message": "größer"}, {"message": "7"}, {"message": "in berlin"},
            ],
            "signed": {"digest": format!("sha256:{}", "0".repeat(64)), "sequence": 1, "envelope": {"payload": "..."}},
            "list": [1, 2],
        },
    });
    let settled: Value = serde_saphyr::from_str(&of(object, "some-x1")?)?;
    assert_eq!(settled, expected);
    Ok(())
}
