//! What an endpoint's agent signs when it asks for elevation: the whole wish, bound to this endpoint and this request. With it a rule may
//! approve what the gateway asks in a person's name; without it the gateway could ask for anybody.

use serde::Serialize;

use crate::application::Requested;
use crate::interval::Instant;
use crate::name::{Account, EndpointName, Identity, PolicyName, RequestName, Uid};
use crate::request::Wish;

/// What the signed bytes begin with: they are a signature for nothing else.
const CONTEXT: &[u8] = b"tidegate-request-v1\n";

/// Every field of `spec`, in this order. A field that is added later comes last.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    endpoint_uid: &'a Uid,
    name: &'a RequestName,
    policy_name: &'a PolicyName,
    endpoint_name: &'a EndpointName,
    account: &'a Account,
    requester: &'a Identity,
    on_behalf: bool,
    application: Option<&'a Requested>,
    duration: Option<u64>,
    reason: &'a str,
    ticket: &'a str,
    start_time: Option<Instant>,
}

/// The bytes that are signed: a line that says what they are, then one JSON object with every field of the wish.
#[must_use]
pub fn statement(endpoint: &Uid, name: &RequestName, wish: &Wish) -> Vec<u8> {
    let statement = Statement {
        endpoint_uid: endpoint,
        name,
        policy_name: &wish.policy,
        endpoint_name: &wish.endpoint,
        account: &wish.account,
        requester: &wish.requester,
        on_behalf: wish.on_behalf,
        application: wish.application.as_ref(),
        duration: wish.duration.map(|duration| duration.as_secs()),
        reason: &wish.reason,
        ticket: &wish.ticket,
        start_time: wish.start,
    };
    // Strings and integers always serialise.
    [CONTEXT, &serde_json::to_vec(&statement).unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wish() -> Wish {
        Wish {
            policy: "dev-tools".parse().unwrap(),
            endpoint: "ws-042".parse().unwrap(),
            account: "alice".parse().unwrap(),
            requester: "system:serviceaccount:tidegate-system:tidegate-gateway".parse().unwrap(),
            on_behalf: true,
            application: None,
            duration: Some(Duration::from_secs(60)),
            reason: "why".to_owned(),
            ticket: "INC-1".to_owned(),
            start: None,
        }
    }

    fn of(endpoint: &str, name: &str, wish: &Wish) -> Vec<u8> {
        statement(&endpoint.parse().unwrap(), &name.parse().unwrap(), wish)
    }

    #[test]
    fn the_bytes_are_the_same_in_every_version() {
        let expected = concat!(
            "tidegate-request-v1\n",
            r#"{"endpointUid":"e-1","name":"er-1","policyName":"dev-tools","endpointName":"ws-042","account":"alice","#,
            r#""requester":"system:serviceaccount:tidegate-system:tidegate-gateway","onBehalf":true,"application":null,"#,
            r#""duration":60,"reason":"why","ticket":"INC-1","startTime":null}"#,
        );
        assert_eq!(String::from_utf8(of("e-1", "er-1", &wish())).unwrap(), expected);
    }

    #[test]
    fn every_field_is_in_the_bytes() {
        let changes: [fn(&mut Wish); 10] = [
            |w| w.policy = "other".parse().unwrap(),
            |w| w.endpoint = "ws-043".parse().unwrap(),
            |w| w.account = "bob".parse().unwrap(),
            |w| w.requester = "bob@corp".parse().unwrap(),
            |w| w.on_behalf = false,
            |w| w.application = serde_json::from_str(r#"{"path":"/opt/x"}"#).unwrap(),
            |w| w.duration = None,
            |w| w.reason.push('!'),
            |w| w.ticket.clear(),
            |w| w.start = Some(Instant::from_second(1)),
        ];
        let original = of("e-1", "er-1", &wish());
        for (index, change) in changes.into_iter().enumerate() {
            let mut changed = wish();
            change(&mut changed);
            assert_ne!(of("e-1", "er-1", &changed), original, "change {index}");
        }
        assert_ne!(of("e-2", "er-1", &wish()), original);
        assert_ne!(of("e-1", "er-2", &wish()), original);
    }
}
