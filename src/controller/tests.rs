//! Scenarios: the exact calls of one pass over a request against a mock API server, and what happens when each of them fails.

pub(super) mod scenario;

use http::StatusCode;
use kube::runtime::reflector;
use serde_json::{Value, json};
use tidegate_api::names::REVOKE_FINALIZER;
use tidegate_core::guard::Guard;

use self::scenario::*;
use super::*;

#[tokio::test]
async fn acceptance_reads_live_writes_status_then_adds_the_finalizer_and_tells_beside_it() {
    let (result, calls, bodies) = pass(&scenario(None, &[]), request()).await;
    result.unwrap();
    let status = format!("{REQUEST}/status");
    let written = [call("PUT", &status), call("PATCH", REQUEST), call("POST", EVENTS)];
    assert_eq!(calls, [reads(), written.to_vec()].concat());
    assert_eq!(bodies[0]["metadata"]["resourceVersion"], "7", "every write carries what was judged");
    assert_eq!(bodies[0]["status"]["state"], "Pending");
    assert_eq!(bodies[1]["metadata"]["finalizers"], json!([REVOKE_FINALIZER]));
    assert_eq!(bodies[2]["reason"], "Accepted");
}

#[tokio::test]
async fn approval_is_one_write_between_decision_and_delivery() {
    let pending = judged(request()).await;
    let (result, calls, bodies) = pass(&scenario(None, &[]), decided(pending, 1, "bob@corp approve for=10s")).await;
    result.unwrap();
    let status = format!("{REQUEST}/status");
    let written = [call("PUT", &status), call("POST", EVENTS), call("POST", EVENTS)];
    assert_eq!(calls, [reads(), written.to_vec()].concat());
    assert_eq!(bodies[0]["status"]["state"], "Active");
    assert_eq!(bodies[0]["status"]["duration"], "10s");
    assert!(bodies[0]["status"]["signed"]["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!((&bodies[1]["reason"], &bodies[2]["reason"]), (&json!("Approved"), &json!("Activated")));
}

#[tokio::test]
async fn what_is_granted_at_first_sight_has_its_finalizer_first() {
    let (result, calls, bodies) = pass(&scenario(None, &[]), decided(request(), 1, "bob@corp approve")).await;
    result.unwrap();
    assert_eq!(calls[reads().len()..][..2], [call("PATCH", REQUEST), call("PUT", &format!("{REQUEST}/status"))]);
    assert_eq!(bodies[0]["metadata"]["finalizers"], json!([REVOKE_FINALIZER]));
    assert_eq!(bodies[1]["status"]["state"], "Active");
}

#[tokio::test]
async fn a_pass_that_changes_nothing_calls_nothing() {
    let pending = judged(request()).await;
    let (result, calls, _) = pass(&scenario(None, &[]), pending.clone()).await;
    result.unwrap();
    assert_eq!(calls, [""; 0]);
    let active = judged(decided(pending, 1, "bob@corp approve")).await;
    let (result, calls, _) = pass(&scenario(None, &[]), active).await;
    result.unwrap();
    assert_eq!(calls, [""; 0]);
}

#[tokio::test]
async fn the_end_is_written_on_nothing_but_the_clock_and_the_finalizer_released_after_it() {
    let pending = judged(request()).await;
    let mut active = judged(decided(pending, 1, "bob@corp approve for=10s")).await;
    active["status"]["startTime"] = json!("2026-01-01T10:00:00Z");
    active["status"]["expirationTime"] = json!("2026-01-01T10:00:10Z");
    let (result, calls, bodies) = pass(&scenario(None, &[]), active.clone()).await;
    result.unwrap();
    assert_eq!(calls, [call("PUT", &format!("{REQUEST}/status")), call("POST", EVENTS)]);
    assert_eq!(bodies[0]["status"]["state"], "Expired");
    assert!(bodies[0]["status"]["signed"].is_null());

    active["status"] = bodies[0]["status"].clone();
    let (result, calls, bodies) = pass(&scenario(None, &[]), active).await;
    result.unwrap();
    assert_eq!(calls, [call("PATCH", REQUEST)]);
    assert_eq!(bodies[0]["metadata"]["finalizers"], json!([]));
}

#[tokio::test]
async fn a_deleted_request_is_let_go_once_the_fleet_part_calls_it_revoked() {
    let pending = judged(request()).await;
    let mut active = judged(decided(pending, 1, "bob@corp approve for=1m")).await;
    active["metadata"]["deletionTimestamp"] = json!("2026-11-22T10:00:00Z");
    let (result, calls, bodies) = pass(&scenario(None, &[]), active.clone()).await;
    result.unwrap();
    assert_eq!(bodies[0]["status"]["state"], "Revoked");
    assert!(!calls.contains(&call("PATCH", REQUEST)), "a gateway could still keep the grant in: {calls:?}");
    active["status"] = bodies[0]["status"].clone();
    let (result, calls, _) = pass(&scenario(None, &[]), active.clone()).await;
    assert_eq!(calls, [""; 0]);
    assert_ne!(result.unwrap(), Action::requeue(LONGEST_REQUEUE), "at its end nobody can bring it back");
    let mut named = scenario(None, &[]);
    Arc::get_mut(&mut named.context).unwrap().fleets = store(fleet(true));
    let (result, calls, bodies) = pass(&named, active).await;
    result.unwrap();
    assert_eq!(calls, [call("PATCH", REQUEST)]);
    assert_eq!(bodies[0]["metadata"]["finalizers"], json!([]));
}

#[tokio::test]
async fn nothing_is_granted_before_the_fleet_part_is_signed() {
    let pending = judged(request()).await;
    let without_fleet = scenario(None, &[FLEET_PATH]);
    let (result, _, bodies) = pass(&without_fleet, decided(pending, 1, "bob@corp approve")).await;
    result.unwrap();
    assert_eq!(bodies[0]["status"]["state"], "Scheduled", "approved, and waiting");
    assert!(bodies[0]["status"]["signed"].is_null());
}

#[tokio::test]
async fn whoever_asks_where_there_is_no_fleet_gets_one_with_the_defaults() {
    let without = with(scenario(None, &[FLEET_PATH]), |context| context.fleets = reflector::store().0);
    let (result, calls, bodies) = pass(&without, request()).await;
    result.unwrap();
    let fleet =
        calls.iter().filter(|call| !call.starts_with("GET")).position(|made| *made == call("PATCH", FLEET_PATH));
    assert_eq!(bodies[fleet.unwrap()]["spec"], json!({}), "none of its fields is the controller's");
    let pending = judged(request()).await;
    let (_, calls, _) = pass(&without, pending).await;
    assert_eq!(calls, [call("PATCH", FLEET_PATH)], "one that was deleted comes again for what is open");
    let going = json!({"metadata": {"name": "berlin", "uid": "n-1", "deletionTimestamp": "2026-11-22T10:00:00Z"}});
    let going = with(without, |context| context.namespaces = store(going));
    let (_, calls, _) = pass(&going, judged(request()).await).await;
    assert_eq!(calls, [""; 0], "a namespace on its way out gets none");
}

#[tokio::test]
async fn of_parallel_requests_of_one_person_as_many_are_accepted_as_may_be_open() {
    let scenario = scenario(None, &[]);
    let mut states = Vec::new();
    for uid in ["r-1", "r-2", "r-3", "r-4"] {
        let (result, _, bodies) = pass(&scenario, named(uid)).await;
        result.unwrap();
        states.push(bodies[0]["status"]["state"].as_str().unwrap().to_owned());
    }
    assert_eq!(states, ["Pending", "Pending", "Declined", "Declined"]);
}

#[tokio::test]
async fn one_too_many_is_declined_on_the_endpoint_and_the_settings_alone() {
    let (result, calls, bodies) = pass(&with_two_open().await, named("r-3")).await;
    result.unwrap();
    let written = [call("PUT", &format!("{REQUEST}/status")), call("POST", EVENTS)];
    assert_eq!(calls, [vec![call("GET", ENDPOINT), call("GET", FLEET_PATH)], written.to_vec()].concat());
    assert_eq!(bodies[0]["status"]["conditions"][0]["reason"], "TooManyOpenRequests");
}

#[tokio::test]
async fn a_cache_is_no_proof_of_how_many_may_be_open() {
    let scenario = scenario(None, &[]);
    pass(&scenario, named("r-1")).await.0.unwrap();
    let mut stale = fleet(false);
    stale["spec"]["maxOpenRequests"] = json!(1);
    let (result, calls, bodies) = pass(&with(scenario, |context| context.fleets = store(stale)), named("r-2")).await;
    result.unwrap();
    assert_eq!(bodies[0]["status"]["state"], "Pending");
    assert!(calls.contains(&call("GET", POLICY)), "accepted, and so on everything read live: {calls:?}");
}

#[tokio::test]
async fn a_cache_is_no_proof_of_who_has_too_many_open() {
    // By the cache the account is alice's, too; by the API server nobody knows it.
    let mut stale = endpoint();
    stale["spec"]["accounts"] = json!([{"name": "bob", "identities": ["bob@corp", "alice@corp"]}]);
    let scenario = with(with_two_open().await, |context| context.endpoints = store(stale));
    let mut of_bob = named("r-3");
    of_bob["spec"]["account"] = json!("bob");
    of_bob["spec"]["requester"] = json!("bob@corp");
    let (result, _, bodies) = pass(&scenario, of_bob).await;
    result.unwrap();
    assert_eq!(bodies[0]["status"]["conditions"][0]["reason"], "AccountUnknown");
}

#[tokio::test]
async fn what_was_open_counts_until_a_lost_write_is_known_and_then_what_is_recorded() {
    let pending = judged(named("r-1")).await;
    let withdrawn = decided(pending.clone(), 1, "alice@corp end");
    let lost = beside_one_open(Some(("PUT", StatusCode::GATEWAY_TIMEOUT))).await;
    pass(&lost, pending).await.0.unwrap();
    pass(&lost, withdrawn.clone()).await.0.unwrap_err();
    assert!(is_one_too_many(&lost, "r-2").await, "it may still be open");
    // The API server had written it.
    let recorded = judged(withdrawn).await;
    assert_eq!(recorded["status"]["state"], "Withdrawn");
    pass(&lost, recorded).await.0.unwrap();
    assert!(!is_one_too_many(&lost, "r-2").await);
}

#[tokio::test]
async fn a_request_whose_finalizer_could_not_be_written_counts() {
    let failing = beside_one_open(Some(("PATCH /apis/tidegate.dev", StatusCode::CONFLICT))).await;
    let (result, _, bodies) = pass(&failing, named("r-1")).await;
    assert!(result.unwrap_err().is_conflict());
    assert_eq!(bodies[0]["status"]["state"], "Pending");
    assert!(is_one_too_many(&failing, "r-2").await);
}

/// One request of alice is open, and there may be two.
async fn beside_one_open(failing: Option<(&'static str, StatusCode)>) -> Scenario {
    let scenario = scenario(failing, &[]);
    pass(&scenario, judged(named("r-0")).await).await.0.unwrap();
    scenario
}

/// Is a request with this uid declined as one too many?
async fn is_one_too_many(scenario: &Scenario, uid: &str) -> bool {
    let (_, _, bodies) = pass(scenario, named(uid)).await;
    bodies[0]["status"]["conditions"][0]["reason"] == "TooManyOpenRequests"
}

/// The request under another uid.
fn named(uid: &str) -> Value {
    let mut object = request();
    object["metadata"]["uid"] = json!(uid);
    object
}

/// As many requests of alice are open as there may be.
async fn with_two_open() -> Scenario {
    let scenario = scenario(None, &[]);
    for uid in ["r-1", "r-2"] {
        pass(&scenario, named(uid)).await.0.unwrap();
    }
    scenario
}

fn with(mut scenario: Scenario, change: impl FnOnce(&mut Context)) -> Scenario {
    change(Arc::get_mut(&mut scenario.context).unwrap());
    scenario
}

#[tokio::test]
async fn a_cached_lock_that_is_gone_declines_nothing() {
    let mut locked = scenario(None, &[]);
    let lock = json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "Lock",
        "metadata": {"name": "stolen", "namespace": "berlin", "uid": "l-1"},
        "spec": {"target": {}, "effect": "DeclineNew", "message": "INC-4711"},
    });
    Arc::get_mut(&mut locked.context).unwrap().locks = store(lock);
    // The cache has a Lock that was deleted meanwhile: what is read live decides.
    let (result, _, bodies) = pass(&locked, request()).await;
    result.unwrap();
    assert_eq!(bodies[0]["status"]["state"], "Pending");
}

#[tokio::test]
async fn a_cache_is_no_proof_that_a_policy_exists() {
    // The cache still holds the policy; the API server does not: nothing is accepted under it.
    let (result, _, bodies) = pass(&scenario(None, &[POLICY]), request()).await;
    result.unwrap();
    assert_eq!(bodies[0]["status"]["state"], "Declined");
    let conditions = bodies[0]["status"]["conditions"].as_array().unwrap();
    assert_eq!(conditions[0]["reason"], "PolicyNotFound");
}

#[tokio::test]
async fn a_cache_is_no_proof_that_a_policy_is_gone() {
    let mut scenario = scenario(None, &[]);
    let context = Arc::get_mut(&mut scenario.context).unwrap();
    context.policies = reflector::store().0;
    let (result, _, bodies) = pass(&scenario, request()).await;
    result.unwrap();
    assert_eq!(bodies[0]["status"]["state"], "Pending");
}

#[tokio::test]
async fn each_call_that_fails_before_the_write_changes_nothing_and_is_tried_again() {
    let pending = judged(request()).await;
    let approved = decided(pending, 1, "bob@corp approve");
    for (start, status) in [
        ("GET /apis/tidegate.dev/v1alpha1/namespaces/berlin/jitpolicies", StatusCode::INTERNAL_SERVER_ERROR),
        ("GET /apis/tidegate.dev/v1alpha1/namespaces/berlin/managedendpoints", StatusCode::FORBIDDEN),
        ("GET /apis/tidegate.dev/v1alpha1/namespaces/berlin/fleets", StatusCode::FORBIDDEN),
        ("GET /apis/tidegate.dev/v1alpha1/namespaces/berlin/locks", StatusCode::INTERNAL_SERVER_ERROR),
        ("PUT /apis/tidegate.dev", StatusCode::CONFLICT),
        ("PUT /apis/tidegate.dev", StatusCode::FORBIDDEN),
        ("PUT /apis/tidegate.dev", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let (result, calls, _) = pass(&scenario(Some((start, status)), &[]), approved.clone()).await;
        let error = result.err().unwrap_or_else(|| panic!("{start} {status}"));
        assert_eq!(error.is_conflict(), status == StatusCode::CONFLICT);
        assert!(!calls.iter().any(|call| call.starts_with("POST") || call.starts_with("PATCH")), "{calls:?}");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_written_holds_nothing_up() {
    let failing = Some(("POST /apis/events.k8s.io", StatusCode::FORBIDDEN));
    let (result, calls, _) = pass(&scenario(failing, &[]), request()).await;
    result.unwrap();
    assert_eq!(calls[reads().len() + 1..], [call("PATCH", REQUEST), call("POST", EVENTS)]);
}

#[tokio::test]
async fn a_finalizer_that_is_missing_is_added_by_the_next_pass() {
    let failing = Some(("PATCH /apis/tidegate.dev", StatusCode::CONFLICT));
    let (result, _, bodies) = pass(&scenario(failing, &[]), request()).await;
    assert!(result.err().unwrap().is_conflict());
    let mut object = request();
    object["status"] = bodies[0]["status"].clone();
    let (result, calls, _) = pass(&scenario(None, &[]), object).await;
    result.unwrap();
    assert_eq!(calls, [call("PATCH", REQUEST)]);
}

#[tokio::test]
async fn a_policy_changed_since_the_probe_holds_an_approval_back_that_the_guard_would_have_let_through() {
    let pending = judged(request()).await;
    let changed = scenario(None, &[POLICIES_AS_PROBED]);
    let (result, calls, _) = pass(&changed, decided(pending, 1, "bob@corp approve")).await;
    result.unwrap();
    assert_eq!(calls, reads(), "nothing is written");
}

#[tokio::test]
async fn a_guard_that_cannot_be_asked_does_not_hold_up_an_end() {
    let pending = judged(request()).await;
    let active = judged(decided(pending, 1, "bob@corp approve")).await;
    let failing = Some(("GET /apis/admissionregistration.k8s.io", StatusCode::SERVICE_UNAVAILABLE));
    let (result, _, bodies) = pass(&scenario(failing, &[]), decided(active, 2, "bob@corp revoke")).await;
    assert!(matches!(result, Err(Error::Guard(_))), "told, and so tried again soon: {result:?}");
    assert_eq!(bodies[0]["status"]["state"], "Revoked");
}

#[tokio::test]
async fn an_approval_that_waits_for_an_answer_about_the_guard_is_looked_at_again_soon() {
    let pending = judged(request()).await;
    let failing = Some(("GET /apis/apiextensions.k8s.io", StatusCode::SERVICE_UNAVAILABLE));
    let (result, _, bodies) = pass(&scenario(failing, &[]), decided(pending, 1, "bob@corp approve")).await;
    assert_eq!(bodies, [Value::Null; 0], "nothing is granted on it");
    assert_eq!(result.unwrap_err().retry(), Action::requeue(Duration::from_secs(2)));
}

#[tokio::test]
async fn an_end_does_not_wait_for_what_it_refers_to() {
    let pending = judged(request()).await;
    let active = judged(decided(pending, 1, "bob@corp approve")).await;
    let failing = Some(("GET /apis/tidegate.dev", StatusCode::INTERNAL_SERVER_ERROR));
    let (result, _, bodies) = pass(&scenario(failing, &[]), decided(active, 2, "bob@corp revoke")).await;
    assert!(matches!(result, Err(Error::Fetch { .. })), "{result:?}");
    assert_eq!(bodies[0]["status"]["state"], "Revoked");
}

#[tokio::test]
async fn an_end_by_a_lock_that_cannot_be_read_again_is_looked_at_again_soon() {
    let pending = judged(request()).await;
    let active = judged(decided(pending, 1, "bob@corp approve")).await;
    let failing = Some(("GET /apis/tidegate.dev", StatusCode::INTERNAL_SERVER_ERROR));
    let locked = with(scenario(failing, &[]), |context| {
        context.locks = store(json!({
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "Lock",
            "metadata": {"name": "stolen", "namespace": "berlin", "uid": "l-1"},
            "spec": {"target": {}, "effect": "EndAccess", "message": "INC-4711"},
        }));
    });
    let (result, _, bodies) = pass(&locked, active).await;
    assert_eq!(bodies, [Value::Null; 0]);
    assert_eq!(result.unwrap_err().retry(), Action::requeue(Duration::from_secs(2)));
}

#[tokio::test]
async fn a_decision_is_recorded_on_what_is_read_live() {
    // The cache has an owner that the API server does not have: bob's approval must not be burnt on it.
    let pending = judged(request()).await;
    let mut scenario = scenario(None, &[]);
    let mut stale = endpoint();
    stale["spec"]["owner"] = json!("bob@corp");
    Arc::get_mut(&mut scenario.context).unwrap().endpoints = store(stale);
    let (result, _, bodies) = pass(&scenario, decided(pending, 1, "bob@corp approve")).await;
    result.unwrap();
    assert_eq!(bodies[0]["status"]["state"], "Active");
}

#[tokio::test]
async fn a_request_made_while_the_guard_has_not_passed_is_held_without_a_finalizer() {
    let mut scenario = scenario(None, &[]);
    let context = Arc::get_mut(&mut scenario.context).unwrap();
    context.guard = Arc::new(AdmissionGuard::found(Guard::Open("a policy is missing".to_owned()), None));
    let (result, calls, bodies) = pass(&scenario, request()).await;
    result.unwrap();
    assert_eq!(bodies[0]["status"]["state"], "Held");
    assert_eq!(bodies[0]["status"]["conditions"][0]["reason"], "AdmissionUnprotected");
    assert_eq!(bodies[1]["reason"], "Held");
    assert!(!calls.iter().any(|call| call.starts_with("PATCH")), "{calls:?}");
}

#[tokio::test]
async fn a_request_that_does_not_parse_is_left_alone() {
    let mut object = request();
    object["status"] = json!({"state": "Paused"});
    let (result, calls, _) = pass(&scenario(None, &[]), object).await;
    assert!(result.err().unwrap().to_string().contains("\"Paused\" is not known to this version"));
    assert_eq!(calls, [""; 0]);
}

/// A request that was ended by its time long ago, and let go by the fleet part.
async fn long_expired() -> Value {
    let pending = judged(request()).await;
    let mut active = judged(decided(pending, 1, "bob@corp approve for=10s")).await;
    active["status"]["startTime"] = json!("2026-01-01T10:00:00Z");
    active["status"]["expirationTime"] = json!("2026-01-01T10:00:10Z");
    let mut expired = judged(active).await;
    expired["metadata"]["finalizers"] = json!([]);
    expired["metadata"]["creationTimestamp"] = json!("2026-01-01T09:00:00Z");
    let conditions = expired["status"]["conditions"].as_array_mut().unwrap();
    let finished = conditions.iter_mut().find(|c| c["type"] == "Finished").unwrap();
    finished["lastTransitionTime"] = json!("2026-01-01T10:00:10Z");
    expired
}

#[tokio::test]
async fn what_ended_longer_ago_than_the_retention_is_deleted_as_it_was_judged() {
    let (result, calls, bodies) = pass(&scenario(None, &[]), long_expired().await).await;
    result.unwrap();
    assert_eq!(calls, [call("DELETE", REQUEST)]);
    assert_eq!(bodies[0]["preconditions"], json!({"uid": "r-1", "resourceVersion": "7"}));
}

#[tokio::test]
async fn an_ended_request_stays_while_it_is_young_held_by_the_finalizer_or_on_its_way_out() {
    let old = long_expired().await;
    let mut young = old.clone();
    young["metadata"]["creationTimestamp"] = json!(clock::now().to_string());
    let mut held = old.clone();
    held["metadata"]["finalizers"] = json!([REVOKE_FINALIZER]);
    held["status"]["state"] = json!("Revoked");
    held["status"]["expirationTime"] = json!("2036-01-01T00:00:00Z");
    let mut deleted = old.clone();
    deleted["metadata"]["deletionTimestamp"] = json!("2026-11-22T10:00:00Z");
    for (what, object) in [("young", young), ("held", held), ("deleted", deleted)] {
        let (result, calls, _) = pass(&scenario(None, &[]), object).await;
        result.unwrap();
        assert!(!calls.iter().any(|call| call.starts_with("DELETE")), "{what}: {calls:?}");
    }
}

#[tokio::test]
async fn an_ended_request_that_changed_meanwhile_is_looked_at_again_and_one_that_is_gone_is_gone() {
    let old = long_expired().await;
    let (result, ..) = pass(&scenario(Some(("DELETE", StatusCode::CONFLICT)), &[]), old.clone()).await;
    assert!(result.err().unwrap().is_conflict());
    let (result, ..) = pass(&scenario(Some(("DELETE", StatusCode::NOT_FOUND)), &[]), old).await;
    result.unwrap();
}

#[tokio::test]
async fn what_changes_while_a_gap_is_swept_is_looked_at_again_and_what_is_gone_is_let_be() {
    let swept = async |status, absent: &[&'static str]| {
        let scenario = scenario(Some(("PUT", status)), absent);
        let result = request::sweep(&scenario.context).await;
        let writes = scenario.asked.lock().unwrap().calls.iter().filter(|call| call.starts_with("PUT")).count();
        (result, writes)
    };
    let (result, writes) = swept(StatusCode::CONFLICT, &[]).await;
    assert!(result.err().unwrap().is_conflict());
    assert_eq!(writes, 5);
    for lost in [StatusCode::CONFLICT, StatusCode::NOT_FOUND] {
        let (result, writes) = swept(lost, &[REQUEST]).await;
        result.unwrap();
        assert_eq!(writes, 1);
    }
    assert!(swept(StatusCode::FORBIDDEN, &[]).await.0.is_err());
}
