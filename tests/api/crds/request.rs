//! ElevationRequest.

use anyhow::Result;
use kube::api::PostParams;
use serde_json::{Value, json};
use tidegate_api::ElevationRequest;
use tidegate_test_support::objects;

use super::{Case, Expect, Passes, Says, admin, judge, names, spec_of};
use crate::fleet::{Fleet, Judged as _};

async fn judge_request(cases: Vec<Case>) -> Result<()> {
    let admin = admin().await?;
    let valid = spec_of(&objects::request("r", "dev-tools", "ws-042", "alice", admin.user())?)?;
    judge::<ElevationRequest>(admin, &valid, cases).await
}

#[tokio::test]
async fn references_are_names_of_objects() -> Result<()> {
    judge_request(vec![
        ("253 characters", json!({"policyName": "p".repeat(253)}), Passes),
        ("254 characters", json!({"policyName": "p".repeat(254)}), Says(": Too long")),
        ("a subresource", json!({"policyName": "dev-tools/security"}), Says("policyName in body should match")),
        ("upper case", json!({"endpointName": "WS-042"}), Says("endpointName in body should match")),
        ("no policy", json!({"policyName": null}), Says("policyName: Required value")),
        ("no endpoint", json!({"endpointName": null}), Says("endpointName: Required value")),
        ("no account", json!({"account": null}), Says("account: Required value")),
        ("an account of 256", json!({"account": "ä".repeat(256)}), Passes),
        ("an account of 257", json!({"account": "ä".repeat(257)}), Says(": Too long")),
        ("an empty account", json!({"account": ""}), Says("account in body should be at least 1 chars long")),
        ("a requester with a blank", json!({"requester": "alice at corp"}), Says("requester in body should match")),
    ])
    .await
}

#[tokio::test]
async fn the_duration_is_one_second_to_a_day() -> Result<()> {
    let rule = "give a length of time from 1s to 24h, such as 45m or 1h30m";
    judge_request(vec![
        ("none", json!({"duration": null}), Passes),
        ("1s", json!({"duration": "1s"}), Passes),
        ("24h", json!({"duration": "23h59m60s"}), Passes),
        ("more", json!({"duration": "24h1s"}), Says(rule)),
        ("0s", json!({"duration": "0s"}), Says(rule)),
        ("no unit", json!({"duration": "45"}), Says(rule)),
        ("words", json!({"duration": "banana"}), Says(rule)),
        ("negative", json!({"duration": "-5m"}), Says(rule)),
        ("empty", json!({"duration": ""}), Says(rule)),
    ])
    .await
}

#[tokio::test]
async fn the_reason_is_one_line_and_the_start_is_in_utc_seconds() -> Result<()> {
    let rule = "write one line of printable characters";
    judge_request(vec![
        ("none", json!({"reason": null}), Passes),
        ("512 characters", json!({"reason": "設".repeat(512)}), Passes),
        ("513 characters", json!({"reason": "設".repeat(513)}), Says(": Too long")),
        ("two lines", json!({"reason": "first\nsecond"}), Says(rule)),
        ("ESC", json!({"reason": "a\u{1b}[2Jb"}), Says(rule)),
        ("a right-to-left mark", json!({"reason": "a\u{202e}b"}), Says(rule)),
        ("a start", json!({"startTime": "2027-01-01T08:00:00Z"}), Passes),
        (
            "a start with fractions",
            json!({"startTime": "2027-01-01T08:00:00.1Z"}),
            Says("startTime in body should match"),
        ),
        ("a start in words", json!({"startTime": "tomorrow"}), Says("startTime in body")),
    ])
    .await
}

#[tokio::test]
async fn an_application_is_one_program_with_or_without_its_arguments() -> Result<()> {
    let rule = "argumentMatch: Any takes no arguments: leave them out, or say Exact";
    let application = |members: Value| {
        let mut application = json!({"path": "/opt/toolchain/setup"});
        super::merge(&mut application, &members);
        json!({"application": application})
    };
    let path = |text: &str| application(json!({"path": text}));
    judge_request(vec![
        ("a path", application(json!({})), Passes),
        ("no path", application(json!({"path": null})), Says("application.path: Required value")),
        ("a Windows path", path(r"C:\Program Files (x86)\Package Cache\{3AD05575}\setup.exe"), Passes),
        ("a wildcard", path("/opt/toolchain/*"), Says("application.path")),
        ("a question mark", path("/opt/toolchain/setu?"), Says("application.path")),
        ("a way around", path("/opt/toolchain/../../bin/sh"), Says("application.path")),
        ("a relative path", path("setup"), Says("application.path")),
        ("a home folder", path("~/setup"), Says("application.path")),
        ("a variable", path("/home/$USER/setup"), Says("application.path")),
        ("a right-to-left mark", path("/opt/a\u{202e}b"), Says("application.path")),
        ("1024 characters", path(&format!("/{}", "設".repeat(1023))), Passes),
        ("1025 characters", path(&format!("/{}", "設".repeat(1024))), Says(": Too long")),
        ("arguments", application(json!({"arguments": ["install", "--now", ""]})), Passes),
        ("any arguments", application(json!({"argumentMatch": "Any"})), Passes),
        ("any of none", application(json!({"argumentMatch": "Any", "arguments": []})), Passes),
        ("any and these", application(json!({"argumentMatch": "Any", "arguments": ["install"]})), Says(rule)),
        ("a line break", application(json!({"arguments": ["a\nb"]})), Says("should match")),
        ("65 arguments", application(json!({"arguments": names(65)})), Says("must have at most 64 items")),
        (
            "all that can be stated",
            application(json!({"sha256": "0aF9".repeat(16), "vendor": "V", "product": "P", "version": "1.2"})),
            Passes,
        ),
        ("another digest", application(json!({"sha256": "0aF9".repeat(10)})), Says("should be at least 64 chars long")),
        ("a version in words", application(json!({"version": "new"})), Says("should match")),
    ])
    .await
}

#[tokio::test]
async fn ticket_and_attestation_have_their_forms() -> Result<()> {
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB\nAAAA\n-----END CERTIFICATE-----\n";
    let attestation = |certificate: &str, signature: &str| json!({"attestation": {"certificate": certificate, "signature": signature}});
    judge_request(vec![
        ("a ticket", json!({"ticket": "INC-2211"}), Passes),
        ("a ticket of two words", json!({"ticket": "SR 12345"}), Passes),
        ("an empty ticket", json!({"ticket": ""}), Says("should be at least 1 chars long")),
        ("a ticket of 65", json!({"ticket": "1".repeat(65)}), Says(": Too long")),
        ("a ticket of two lines", json!({"ticket": "a\nb"}), Says("ticket in body should match")),
        ("an attestation", attestation(pem, "AA=="), Passes),
        ("no PEM", attestation("MIIB", "AA=="), Says("certificate in body should match")),
        ("two certificates", attestation(&pem.repeat(2), "AA=="), Says("certificate in body should match")),
        ("no base64", attestation(pem, "a b"), Says("signature in body should match")),
        ("no signature", json!({"attestation": {"certificate": pem}}), Says("signature: Required value")),
    ])
    .await
}

#[tokio::test]
async fn a_request_is_never_changed() -> Result<()> {
    let fleet = Fleet::new("fixed-request").await?;
    fleet.request("r").await?;
    let admin = fleet.control_plane.admin();
    for change in [json!({"duration": "1h"}), json!({"ticket": "INC-1"}), json!({"application": {"path": "/bin/sh"}})] {
        let tried = fleet.merge(admin, "r", &json!({"spec": change})).await?;
        tried.refused("a change", "spec", "spec is immutable: a different wish is a different request")?;
    }
    Ok(())
}

#[tokio::test]
async fn what_the_controller_writes_is_bounded_too() -> Result<()> {
    let fleet = Fleet::new("status-bounds").await?;
    let request = serde_json::to_value(fleet.request("r").await?)?;
    let controller = fleet.requests(&fleet.controller().await?).await?;
    let digest = format!("sha256:{}", "0".repeat(64));
    let decision = |slot: usize| json!({"slot": slot, "by": "bob@corp", "verb": "Deny", "observedTime": "2026-01-01T00:00:00Z", "counted": false});
    let decisions =
        |slots: &mut dyn Iterator<Item = usize>| json!({"decisions": slots.map(decision).collect::<Vec<_>>()});
    let signed = |payload: String| {
        let envelope = json!({"payloadType": "t", "payload": payload, "signatures": [{"keyid": "k", "sig": "AA=="}]});
        json!({"signed": {"digest": digest, "sequence": 1, "envelope": envelope}})
    };
    let stages: Vec<Value> = names(9).iter().map(|name| json!({"name": name, "approved": 0, "approvals": 1})).collect();
    let cases: Vec<(&str, Value, Expect)> = vec![
        ("a word", json!({"state": "Pending"}), Passes),
        ("two words", json!({"state": "Not Yet"}), Says("state in body should match")),
        ("64 decisions", decisions(&mut (1..=64)), Passes),
        ("slot 65", decisions(&mut [65].into_iter()), Says("less than or equal to 64")),
        ("a slot twice", decisions(&mut [1, 1].into_iter()), Says("Duplicate value")),
        ("8 stages", json!({"approval": {"stages": stages[..8]}}), Passes),
        ("9 stages", json!({"approval": {"stages": stages}}), Says("must have at most 8 items")),
        ("256 KiB", signed("A".repeat(349_528)), Passes),
        ("more", signed("A".repeat(349_532)), Says(": Too long")),
        ("no base64", signed("a b".to_owned()), Says("payload in body should match")),
    ];
    for (what, status, expect) in cases {
        let mut wanted = request.clone();
        wanted["status"] = status;
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let tried = controller.replace_status("r", &dry_run, &serde_json::from_value(wanted)?).await;
        match expect {
            Passes => drop(tried.allowed(what)?),
            Says(text) => tried.refused(what, "status", text)?,
        }
    }
    Ok(())
}
