//! Every reason against a request, with its exact text; what is judged once and what again; and the programs that are
//! covered.

mod programs;

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::access::Access;
use crate::application::{Application, Blocklist, Requested};
use crate::elevation::{Mode, OnExpiry, Scope};
use crate::endpoint::Agent;
use crate::interval::Interval;
use crate::ledger::OpenRequest;
use crate::lifecycle::fixture::*;
use crate::lock::{Effect, LockTarget};
use crate::reason::DeclineReason as R;
use crate::state::State;
use crate::target::{EndpointTarget, Platform, Selector};

type Edit = fn(&mut World);

/// The reason and the text of a request that is declined at once.
fn declined(edit: Edit) -> (DeclineReason, String) {
    let mut world = World::new(request());
    edit(&mut world);
    assert_eq!(world.step(0), State::Declined, "{}", world.status().message);
    world.decide("bob@corp approve");
    assert_eq!(world.step(1), State::Declined, "and stays so");
    assert!(world.signed.is_empty());
    (world.status().declined.unwrap(), world.status().message.clone())
}

fn each(cases: &[(DeclineReason, Edit, &str)]) {
    for (reason, edit, message) in cases {
        assert_eq!(declined(*edit), (*reason, (*message).to_owned()));
    }
}

fn agent(version: &str, platform: Option<Platform>) -> Option<Agent> {
    Some(Agent { version: version.parse().ok(), platform, capabilities: BTreeSet::new() })
}

fn item(json: &str) -> Application {
    serde_json::from_str(json).unwrap()
}

fn asked(path: &str) -> Requested {
    serde_json::from_value(serde_json::json!({"path": path, "argumentMatch": "Any"})).unwrap()
}

fn blocklist(absolute: bool) -> Blocklist {
    Blocklist {
        name: "wallets".parse().unwrap(),
        endpoints: EndpointTarget::Selector(Selector::default()),
        platforms: [].into(),
        applications: vec![item(r#"{"name": "toolchains", "folderPath": {"path": "/opt/toolchain/**"}}"#)],
        absolute,
    }
}

#[test]
fn each_reason_of_the_policy_is_told() {
    each(&[
        (
            R::PolicyNotFound,
            |w| w.policy = Lookup::Missing,
            "there is no JitPolicy dev-tools in this namespace: kubectl get jp lists them",
        ),
        (
            R::PolicyNotReady,
            |w| w.policy = Lookup::Unreadable("spec.access: unknown type".into()),
            "JitPolicy dev-tools is not ready: spec.access: unknown type",
        ),
        (
            R::PolicyNotOnRequest,
            |w| w.policy().rules.access = Access::Window { window: Interval { start: at(0), end: at(9) } },
            "JitPolicy dev-tools grants access ahead and takes no requests",
        ),
        (
            R::JitDisabled,
            |w| w.policy().suspended = true,
            "JitPolicy dev-tools is suspended (spec.suspended): ask an administrator of the policy",
        ),
        (
            R::JitDisabled,
            |w| w.fleet.switches.suspended = true,
            "elevation is switched off for the whole installation (the controller runs with --suspended)",
        ),
        (
            R::JitDisabled,
            |w| w.lock(Effect::DeclineNew, identities(&["alice-admin@corp"])).expires_at = Some(at(60)),
            "stopped by Lock lock-1 until 1970-01-12T13:47:40Z: INC-4711",
        ),
        (
            R::Locked,
            |w| w.lock(Effect::EndAccess, LockTarget::default()).message = "Stolen laptop, INC-4711".into(),
            "stopped by Lock lock-1: Stolen laptop, INC-4711",
        ),
    ]);
}

#[test]
fn each_reason_of_the_endpoint_and_the_account_is_told() {
    each(&[
        (
            R::EndpointNotFound,
            |w| w.endpoint = Lookup::Missing,
            "there is no ManagedEndpoint ws-042 in this namespace: kubectl get managedendpoints lists them",
        ),
        (
            R::EndpointNotTargeted,
            |w| w.endpoint().labels.clear(),
            "spec.endpointName: ws-042 is not among the endpoints that dev-tools targets",
        ),
        (
            R::AccountNotTargeted,
            |w| w.policy().rules.targets.accounts.except.names = ["alice".parse().unwrap()].into(),
            "spec.account: \"alice\" on ws-042 is not among the accounts that dev-tools targets",
        ),
        (
            R::AccountUnknown,
            |w| w.request.wish.account = "alice@corp".parse().unwrap(),
            "spec.account: alice@corp is no account name; on ws-042 this person is \"alice\"",
        ),
        (
            R::AccountUnknown,
            |w| w.request.wish.account = "root".parse().unwrap(),
            "spec.account: \"root\" is not known on ws-042; there alice@corp is \"alice\"",
        ),
        (
            R::AccountUnknown,
            |w| w.endpoint().accounts.clear(),
            "spec.account: nobody is recorded as the person behind \"alice\" on ws-042: an administrator adds \
             {name: alice, identities: [<user name>]} to spec.accounts of ManagedEndpoint ws-042 or of Fleet fleet",
        ),
        (
            R::RequesterNotAccount,
            |w| w.request.wish.requester = "mallory@corp".parse().unwrap(),
            "spec.account: mallory@corp is not the person behind \"alice\" on ws-042; ask for your own account, or on behalf of \
             its person (spec.onBehalf, which needs create-for-others)",
        ),
    ]);
}

#[test]
fn each_reason_of_the_agent_is_told() {
    each(&[
        (
            R::AgentUnknown,
            |w| w.policy().rules.targets.min_agent_version = "1.4.0".parse().ok(),
            "spec.endpointName: ws-042 does not receive dev-tools: its agent has not said yet what it is and can do",
        ),
        (
            R::AgentUnknown,
            |w| {
                w.policy().rules.targets.min_agent_version = "1.4.0".parse().ok();
                w.endpoint().agent = agent("banana", Some(Platform::Linux));
            },
            "spec.endpointName: ws-042 does not receive dev-tools: its agent has not said yet what it is and can do",
        ),
        (
            R::AgentTooOld,
            |w| {
                w.policy().rules.targets.min_agent_version = "1.4.0".parse().ok();
                w.endpoint().agent = agent("v1.3", Some(Platform::Linux));
            },
            "spec.endpointName: ws-042 does not receive dev-tools: its agent is v1.3, and 1.4.0 or later is needed",
        ),
        (
            R::AgentTooOld,
            |w| {
                w.policy().rules.elevation.on_expiry = OnExpiry::LogOff;
                w.endpoint().agent = agent("9", Some(Platform::Linux));
            },
            "spec.endpointName: ws-042 does not receive dev-tools: its agent cannot do what is needed (logoff)",
        ),
        (
            R::PlatformNotTargeted,
            |w| {
                w.policy().rules.targets.platforms = [Platform::Linux].into();
                w.endpoint().agent = agent("9", Some(Platform::MacOs));
            },
            "spec.endpointName: ws-042 does not receive dev-tools: it runs macOS",
        ),
    ]);
}

#[test]
fn each_reason_of_the_wish_is_told() {
    each(&[
        (
            R::ReasonRequired,
            |w| w.request.wish.reason = "   ".into(),
            "spec.reason: dev-tools requires a reason of at least 10 characters",
        ),
        (
            R::ReasonRequired,
            |w| {
                w.terms().reason.min_length = 0;
                w.request.wish.reason.clear();
            },
            "spec.reason: dev-tools requires a reason",
        ),
        (
            R::ReasonTooShort,
            |w| w.request.wish.reason = " because  ".into(),
            "spec.reason: 7 characters are fewer than the 10 that dev-tools requires",
        ),
        (
            R::ReasonMismatch,
            |w| w.terms().reason.pattern = "^(INC|CHG)-".to_owned().try_into().ok(),
            "spec.reason: dev-tools requires a reason that matches ^(INC|CHG)-",
        ),
        (R::TicketRequired, |w| w.terms().ticket.required = true, "spec.ticket: dev-tools requires a ticket"),
        (
            R::TicketRequired,
            |w| {
                w.terms().ticket.required = true;
                w.terms().ticket.pattern = "^INC-[0-9]+$".to_owned().try_into().ok();
            },
            "spec.ticket: dev-tools requires a ticket that matches ^INC-[0-9]+$",
        ),
        (
            R::TicketMismatch,
            |w| {
                w.terms().ticket.pattern = "^INC-[0-9]+$".to_owned().try_into().ok();
                w.request.wish.ticket = "CHG-7".into();
            },
            "spec.ticket: dev-tools requires a ticket that matches ^INC-[0-9]+$",
        ),
        (
            R::DurationOutOfRange,
            |w| w.request.wish.duration = Some(Duration::from_secs(36 * 3600)),
            "spec.duration: 36h is above the maximum of 4h in dev-tools; ask for 4h or less",
        ),
        (
            R::DurationOutOfRange,
            |w| w.request.wish.duration = Some(Duration::from_secs(59)),
            "spec.duration: 59s is below the minimum of 1m in dev-tools; ask for 1m or more",
        ),
        (
            R::StartTimeOutOfRange,
            |w| w.request.wish.start = Some(at(7 * 86_400 + 1)),
            "spec.startTime: 1970-01-19T13:46:41Z is more than 7 days ahead; ask for 1970-01-19T13:46:40Z or earlier",
        ),
        (
            R::TooManyOpenRequests,
            |w| w.open.of_person = vec![OpenRequest { name: "er-0".parse().unwrap(), until: Some(at(60)) }],
            "er-0 is open until 1970-01-12T13:47:40Z; end it or wait (1 at a time)",
        ),
        (
            R::TooManyOpenRequests,
            |w| w.open.at_endpoint = 16,
            "ws-042 has 16 open requests, the most there can be; end one or wait",
        ),
        (
            R::AdmissionUnprotected,
            |w| w.guard = crate::guard::Guard::Repaired,
            "made while admission was unprotected, so nobody knows who made it; ask again",
        ),
    ]);
}

#[test]
fn what_is_just_inside_every_bound_is_accepted() {
    let edits: [Edit; 9] = [
        |w| w.request.wish.duration = Some(Duration::from_secs(4 * 3600)),
        |w| w.request.wish.duration = Some(Duration::from_secs(60)),
        |w| w.request.wish.start = Some(at(7 * 86_400)),
        |w| w.request.wish.start = Some(at(-86_400)),
        |w| w.request.wish.reason = "ten chars!".into(),
        |w| w.open.at_endpoint = 15,
        |w| {
            w.fleet.settings.max_open_requests = 2;
            w.open.of_person = vec![OpenRequest { name: "er-0".parse().unwrap(), until: None }];
        },
        |w| {
            w.terms().reason.required = false;
            w.request.wish.reason = "  ".into();
        },
        |w| {
            w.policy().rules.targets.min_agent_version = "11.4".parse().ok();
            w.policy().rules.targets.platforms = [Platform::Linux].into();
            w.endpoint().agent = agent("v11.10", Some(Platform::Linux));
        },
    ];
    for (index, edit) in edits.into_iter().enumerate() {
        let mut world = World::new(request());
        edit(&mut world);
        assert_eq!(world.step(0), State::Pending, "{index}: {}", world.status().message);
    }
}

#[test]
fn asked_on_behalf_nobody_needs_to_be_the_accounts_person() {
    let mut world = World::new(request());
    world.request.wish.requester = "help@corp".parse().unwrap();
    world.request.wish.on_behalf = true;
    assert_eq!(world.step(0), State::Pending);
    assert_eq!(world.status().identity.as_ref().unwrap().as_str(), "alice@corp");
}

#[test]
fn several_reasons_are_all_named_and_the_first_is_the_reason() {
    let (reason, message) = declined(|w| {
        w.request.wish.reason.clear();
        w.request.wish.duration = Some(Duration::from_secs(1));
        w.request.wish.start = Some(at(8 * 86_400));
        w.terms().ticket.required = true;
        w.endpoint().labels.clear();
        w.request.wish.requester = "mallory@corp".parse().unwrap();
        w.open.at_endpoint = 16;
        w.fleet.switches.suspended = true;
    });
    assert_eq!(reason, R::JitDisabled);
    let said: Vec<&str> = message.split("; ").collect();
    let expected = [
        "elevation is switched off",
        "spec.endpointName: ws-042",
        "spec.account: mallory@corp",
        "ask for your own account",
        "spec.reason:",
        "spec.ticket:",
        "spec.duration:",
        "ask for 1m or more",
        "spec.startTime:",
        "ask for 1970-01-19T13:46:40Z or earlier",
        "ws-042 has 16",
        "end one or wait",
    ];
    assert_eq!(said.len(), expected.len(), "{message}");
    assert!(said.iter().zip(expected).all(|(said, begin)| said.starts_with(begin)), "{message}");
    let every_lock = declined(|w| {
        w.lock(Effect::EndAccess, LockTarget::default());
        w.lock(Effect::DeclineNew, identities(&["alice@corp"]));
    });
    let text = "stopped by Lock lock-2: INC-4711; stopped by Lock lock-1: INC-4711";
    assert_eq!(every_lock, (R::JitDisabled, text.to_owned()));
}

#[test]
fn a_waiting_request_is_held_to_everything_again_but_start_and_number() {
    let again: [(DeclineReason, Edit); 6] = [
        (R::EndpointNotTargeted, |w| w.endpoint().labels.clear()),
        (R::AccountUnknown, |w| w.endpoint().accounts.clear()),
        (R::JitDisabled, |w| w.policy().suspended = true),
        (R::Locked, |w| {
            w.lock(Effect::EndAccess, identities(&["alice-admin@corp"]));
        }),
        (R::ApplicationNotCovered, |w| {
            w.request.wish.application = Some(asked("/opt/toolchain/setup"));
            w.fleet.settings.blocklists = vec![blocklist(true)];
        }),
        (R::PolicyChanged, |w| w.policy().rules.offline_tolerance = Duration::from_secs(1)),
    ];
    for (reason, edit) in again {
        let mut world = World::pending();
        edit(&mut world);
        world.decide("bob@corp approve");
        assert_eq!(world.step(1), State::Declined, "{reason}");
        assert_eq!(world.status().declined, Some(reason));
        assert!(world.status().decisions.is_empty() || world.last_ignored().0 == crate::reason::IgnoredReason::TooLate);
    }
    let mut world = World::pending();
    world.request.wish.start = Some(at(8 * 86_400));
    world.open.at_endpoint = 16;
    world.open.of_person = vec![OpenRequest { name: "er-0".parse().unwrap(), until: None }];
    assert_eq!(world.step(1), State::Pending, "these are judged once");
}

#[test]
fn an_endpoint_that_cannot_be_read_is_named_among_other_reasons_only() {
    let world = World { endpoint: Lookup::Unreadable("spec.accounts[0]".into()), ..World::new(request()) };
    let context = world.context();
    let against = Against {
        policy: context.policy,
        endpoint: context.endpoint,
        settings: &context.fleet.settings,
        switches: &context.fleet.switches,
        open: context.open,
    };
    let declines = judge(&world.request, &against, at(0)).unwrap_err();
    assert_eq!(
        declines,
        [Decline::new(R::EndpointNotFound, "ManagedEndpoint ws-042 cannot be used: spec.accounts[0]")]
    );
}
