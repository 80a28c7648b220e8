//! The route table, and what surrounds every route.

use http::Method;

use crate::client::{call, get, request};
use crate::gate::Gate;
use crate::objects::endpoint;

#[tokio::test]
async fn the_trust_bundle_is_served_as_it_is_to_anyone() {
    let gate = Gate::start(std::time::Duration::from_secs(55)).await;
    let answer = call(&gate, None, get("/v1/trust")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.body, std::fs::read(gate.folder.path().join("trust.json")).unwrap());
}

#[tokio::test]
async fn an_unknown_route_or_method_is_a_problem_that_names_the_routes() {
    let gate = Gate::with([]).await;
    for path in ["/", "/v1", "/v1/requests", "/metrics", "/healthz"] {
        let answer = call(&gate, None, get(path)).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (404, "NotFound"), "{path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("GET /v1/snapshot"));
    }
    let answer = call(&gate, None, request(Method::POST, "/v1/snapshot", "{}")).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (405, "MethodNotAllowed"));
}

#[tokio::test]
async fn answers_are_counted_by_route_and_class_and_never_by_what_a_caller_wrote() {
    let gate = Gate::with([endpoint("ws-1", "uid-1", "dev")]).await;
    for path in ["/v1/trust", "/v1/snapshot", "/v1/snapshot/mallory", "/mallory"] {
        call(&gate, None, get(path)).await;
    }
    for line in [
        "tidegate_gateway_requests_total{class=\"2xx\",route=\"/v1/trust\"} 1",
        "tidegate_gateway_requests_total{class=\"4xx\",route=\"/v1/snapshot\"} 1",
        "tidegate_gateway_requests_total{class=\"4xx\",route=\"none\"} 2",
        "tidegate_gateway_handshakes_total{result=\"ok\"} 4",
        "tidegate_gateway_waiters 0",
    ] {
        gate.assert_metric(line);
    }
    assert!(!gate.registry.render(true).contains("mallory"));
}
