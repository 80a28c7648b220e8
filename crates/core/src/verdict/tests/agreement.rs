//! Controller and endpoint give one answer: what the controller would accept is what the endpoint says can be asked for, with
//! what a request cannot state left open.

use serde_json::json;

use super::corpus::{Asked, Case, Corpus, corpus};
use super::*;
use crate::acceptance::{Against, judge};
use crate::application::{Arguments, Attr, Requested};
use crate::approval::rule::ApprovalRules;
use crate::elevation::Mode;
use crate::endpoint::{AccountEntry, Endpoint};
use crate::fleet::Settings;
use crate::ledger::OpenRequests;
use crate::lifecycle::fixture::request;
use crate::lock::Switches;
use crate::policy::{Policy, PolicyBody, Rules};
use crate::request::{Lookup, Request};

/// What a request states of the program; `None` if none can say it.
fn requested(facts: &Facts) -> Option<Requested> {
    fn known<T: Clone>(attr: &Attr<T>) -> Option<T> {
        match attr {
            Attr::Known(value) => Some(value.clone()),
            Attr::Absent | Attr::Error | Attr::Unstated => None,
        }
    }
    let path = known(&facts.path)?;
    let mut form = json!({"path": path, "argumentMatch": "Any"});
    if let Some(Arguments::These(arguments)) = known(&facts.arguments) {
        form = json!({"path": path, "arguments": arguments});
    }
    let stated = [
        ("sha256", known(&facts.sha256).map(|digest| digest.to_string())),
        ("vendor", known(&facts.vendor)),
        ("product", known(&facts.product)),
        ("version", known(&facts.version).map(|version| version.to_string())),
    ];
    stated.into_iter().for_each(|(name, value)| {
        if let Some(value) = value {
            form[name] = value.into();
        }
    });
    serde_json::from_value(form).ok()
}

/// Would the controller accept a request for this under the policy?
fn is_accepted(corpus: &Corpus, case: &Case, body: &PolicyBody, application: Option<&Requested>) -> bool {
    let PolicyBody { policy, targets, elevation, access, reminders, offline_tolerance } = body.clone();
    let rules = Rules { targets, elevation, access, approval: ApprovalRules::default(), reminders, offline_tolerance };
    let entries = corpus.placement.accounts.iter().map(|account| {
        let identities = vec![format!("{}@corp", account.name).parse().unwrap()];
        (account.name.clone(), AccountEntry { identities, groups: account.groups.clone() })
    });
    let endpoint = Endpoint {
        reference: corpus.placement.endpoint.clone(),
        labels: corpus.placement.labels.clone(),
        owner: None,
        people: Vec::new(),
        accounts: entries.collect(),
        agent: Some(corpus.agent()),
    };
    let mut request: Request = request();
    request.wish.policy = policy.name.clone();
    request.wish.account = case.account.clone();
    request.wish.requester = format!("{}@corp", case.account).parse().unwrap();
    request.wish.application = application.cloned();
    let policy = Lookup::Found(Policy { reference: policy, suspended: false, rules });
    let settings = Settings { blocklists: corpus.fleet(&case.have).blocklists, ..Settings::default() };
    let (endpoint, switches, open) = (Lookup::Found(endpoint), Switches::default(), OpenRequests::default());
    let against =
        Against { policy: &policy, endpoint: &endpoint, settings: &settings, switches: &switches, open: &open };
    judge(&request, &against, case.now).is_ok()
}

#[test]
fn the_controller_accepts_what_the_endpoint_says_can_be_asked_for() {
    let corpus = corpus();
    let (mut accepted, mut declined) = (0, 0);
    for case in corpus.cases() {
        // Locks and the endpoint's own state are not the policy's; whatever the kind of question, it can be asked for too.
        let locks = corpus.fleet(&case.have).locked;
        let policies = corpus.policies(&case.have);
        if !case.without.is_empty() || !locks.is_empty() {
            continue;
        }
        let (asked, application) = match corpus.asked(&case) {
            Asked::Session => (Asked::Session, None),
            Asked::Program(facts) | Asked::Unlisted(facts) if requested(&facts).is_none() => continue,
            Asked::Program(facts) => {
                let wish = requested(&facts).unwrap();
                (Asked::Program(wish.facts(Some(corpus.platform))), Some(wish))
            }
            Asked::Unlisted(facts) => {
                let wish = requested(&facts).unwrap();
                (Asked::Unlisted(wish.facts(Some(corpus.platform))), Some(wish))
            }
        };
        for (key, body) in policies.into_iter().filter(|(_, body)| body.access.terms().is_some()) {
            let mode = body.elevation.mode;
            let is_about = match &asked {
                Asked::Session => mode == Mode::AdminSession,
                Asked::Unlisted(_) => mode == Mode::Allowlisting,
                Asked::Program(_) => mode != Mode::Allowlisting,
            };
            // A request names no mode: only a policy of the one asked for tells.
            if !is_about {
                continue;
            }
            let lists = corpus.fleet(&case.have).blocklists.into_iter().map(|list| list.name.to_string());
            let mut alone = case.clone();
            alone.have = lists.chain([key.clone()]).collect();
            let snapshot = corpus.snapshot(&alone);
            let mut query = alone.query(&asked);
            query.kind = Kind::Request;
            query.subject.agreement = Agreement::Agrees;
            query.subject.has_failed_end = false;
            query.clock_is_sound = true;
            let verdict = evaluate(&Rights::new(&snapshot), &query, case.now);
            let is_asked = matches!(verdict.outcome, Outcome::Ask(_));
            let is_accepted = is_accepted(&corpus, &case, &body, application.as_ref());
            assert_eq!(is_asked, is_accepted, "{} under {key}: {:?}", case.name, verdict.reason);
            if is_accepted { accepted += 1 } else { declined += 1 }
        }
    }
    assert!(accepted >= 10 && declined >= 10, "{accepted} accepted, {declined} declined");
}
