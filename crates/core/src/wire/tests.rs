//! Header forms, problems, and bodies.

use proptest::prelude::*;

use super::*;
use crate::refusal::RefusalCode;

#[test]
fn prefer_wait_is_read_as_rfc_7240_writes_it() {
    for (header, seconds) in [
        ("wait=55", Some(55)),
        ("wait=0", Some(0)),
        ("Wait=10", Some(10)),
        (" wait = 10 ", Some(10)),
        ("wait=\"10\"", Some(10)),
        ("respond-async, wait=10; exact, wait=20", Some(10)),
        ("handling=lenient;wait=3, wait=4", Some(4)),
        ("respond-async", None),
        ("wait", None),
        ("wait=", None),
        ("wait=\"\"", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=٣", None),
        ("wait=9999999999", None),
        ("awaits=5", None),
        ("", None),
    ] {
        assert_eq!(parse_prefer_wait(header), seconds.map(Duration::from_secs), "{header:?}");
    }
}

#[test]
fn have_names_parts_and_forgets_what_is_not_a_prefix() {
    let (one, two, other) = (Digest::of(b"1"), Digest::of(b"2"), Digest::of(b"3"));
    let text = Have::of([&one, &two]).to_string();
    assert_eq!(text.len(), 16 + 1 + 16);
    let have = Have::parse(&text);
    assert!(have.holds(&one) && have.holds(&two) && !have.holds(&other));
    for bad in ["", ",", "*", &one.to_hex(), &one.to_hex()[..15], &one.to_hex()[..16].to_uppercase(), &one.to_string()]
    {
        assert_eq!(Have::parse(bad), Have::default(), "{bad:?}");
    }
}

#[test]
fn have_fits_into_the_header_limit() {
    let digests: Vec<Digest> = (0..5000u32).map(|n| Digest::of(&n.to_be_bytes())).collect();
    assert!(Have::of(&digests).to_string().len() <= limit::HEADER / 2);
}

#[test]
fn a_rejection_is_read_as_it_is_written_for_every_code() {
    for code in RefusalCode::ALL {
        let rejected = Rejected { manifest: "\"0af3\"".to_owned(), code };
        let text = rejected.to_string();
        assert_eq!(text, format!("\"0af3\"; code={}", code.as_str()));
        assert_eq!(Rejected::parse(&text), Some(rejected));
        assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""), "one word everywhere");
    }
}

#[test]
fn what_is_not_a_quoted_tag_with_a_known_code_is_no_rejection() {
    for bad in [
        "",
        "\"a\"",
        "\"a\";",
        "\"a\"; code=",
        "\"a\"; code=from_the_future",
        "\"a\"; code=\"rollback\"",
        "\"a\" code=rollback",
        "a; code=rollback",
        "*; code=rollback",
        "\"\"; code=rollback",
        "\"a\", \"b\"; code=rollback",
        "W/\"a\"; code=rollback",
    ] {
        assert_eq!(Rejected::parse(bad), None, "{bad:?}");
    }
}

#[test]
fn a_problem_is_rfc_9457_json() {
    let problem = Problem::new(ProblemCode::CertificateVoid, "endpoint ws-042 was re-created; enrol again");
    let json = serde_json::to_value(&problem).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "type": "urn:tidegate:problem:CertificateVoid",
            "title": "The client certificate is void",
            "status": 403,
            "detail": "endpoint ws-042 was re-created; enrol again",
            "code": "CertificateVoid",
        })
    );
    assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
}

#[test]
fn the_word_of_a_problem_is_its_json_form_and_a_newer_one_is_unknown() {
    for code in [
        ProblemCode::NotReady,
        ProblemCode::CertificateRequired,
        ProblemCode::CertificateVoid,
        ProblemCode::EndpointNotFound,
        ProblemCode::BadRequest,
        ProblemCode::Denied,
        ProblemCode::TooLarge,
        ProblemCode::NotFound,
        ProblemCode::MethodNotAllowed,
        ProblemCode::TooManyRequests,
        ProblemCode::Overloaded,
        ProblemCode::Internal,
    ] {
        let json = serde_json::to_string(&code).unwrap();
        assert_eq!(json, format!("\"{}\"", code.as_str()));
        assert_eq!(serde_json::from_str::<ProblemCode>(&json).unwrap(), code);
        assert!((400..600).contains(&code.status()) && !code.title().is_empty());
    }
    assert_eq!(serde_json::from_str::<ProblemCode>("\"FromTheFuture\"").unwrap(), ProblemCode::Unknown);
}

#[test]
fn a_snapshot_body_keeps_the_manifest_byte_for_byte() {
    let text = r#"{"manifest":{ "b":1,  "a":[ ] },"parts":{}}"#;
    let body: SnapshotBody = serde_json::from_str(text).unwrap();
    assert_eq!(body.manifest.get(), r#"{ "b":1,  "a":[ ] }"#);
    assert_eq!(serde_json::to_string(&body).unwrap(), text);
}

#[test]
fn an_enrolment_names_one_endpoint_and_nothing_else() {
    let json = r#"{"fleet":"berlin","endpoint":"ws-042","csr":"PEM"}"#;
    let request: EnrollRequest = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&request).unwrap(), json);
    for bad in [
        r#"{"fleet":"berlin","endpoint":"ws-042"}"#,
        r#"{"fleet":"BERLIN","endpoint":"ws-042","csr":"PEM"}"#,
        r#"{"fleet":"berlin","endpoint":"a/b","csr":"PEM"}"#,
        r#"{"fleet":"berlin","endpoint":"ws-042","csr":"PEM","proof":"x"}"#,
    ] {
        assert!(serde_json::from_str::<EnrollRequest>(bad).is_err(), "{bad}");
    }
    let pending =
        EnrollPending { certificate_signing_request: "berlin.ws-042.0".to_owned(), message: "wait".to_owned() };
    assert_eq!(
        serde_json::to_string(&pending).unwrap(),
        r#"{"certificateSigningRequest":"berlin.ws-042.0","message":"wait"}"#
    );
}

proptest! {
    #[test]
    fn any_header_is_read_without_panic(text in "\\PC{0,120}") {
        let _ = parse_prefer_wait(&text);
        let _ = Have::parse(&text);
        let _ = Rejected::parse(&text);
    }

    #[test]
    fn any_number_of_seconds_is_read(seconds in 0u64..1_000_000_000) {
        prop_assert_eq!(parse_prefer_wait(&format!("wait={seconds}")), Some(Duration::from_secs(seconds)));
    }

    #[test]
    fn any_bytes_are_a_snapshot_body_or_refused_without_panic(bytes: Vec<u8>) {
        prop_assert!(serde_json::from_slice::<SnapshotBody>(&bytes).is_err());
    }
}
