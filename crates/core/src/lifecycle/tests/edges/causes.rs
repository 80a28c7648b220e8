//! The rows: what can happen to a request, and where it leads.

use super::*;
use crate::approval::rule::AutomaticRule;
use crate::ledger::OpenRequest;

/// Every cause, in the order of the page.
pub(in crate::lifecycle::tests) fn causes() -> Vec<Cause> {
    [decisions(), time(), switches(), objects(), guard()].into_iter().flatten().collect()
}

fn decisions() -> Vec<Cause> {
    let granted = [Scheduled, Signed, Active];
    vec![
        Cause::new("accepted", "it is looked at, and nothing speaks against it", |_| {}),
        Cause::new("rule", "a rule of the policy matches", rule).only(&[(New, 0)]).to(
            &[New],
            Active,
            &[E::Accepted, E::Approved, E::Activated],
            "access holds until",
        ),
        Cause::new("rule", "a rule of the policy matches, and the start is more than an hour ahead", |w| {
            rule(w);
            w.request.wish.start = Some(at(10_000));
        })
        .only(&[(New, 0)])
        .to(&[New], Scheduled, &[E::Accepted, E::Approved], "approved by rule trusted"),
        Cause::new("approval", "an approval, and more are missing", |w| w.decide("bob@corp approve"))
            .to(&[Pending], Pending, &[], "waiting for 1 approval (stage security)")
            .ignored(&granted, "TooLate", 1),
        Cause::new("approval", "the last approval", both_approve)
            .to(&[New], Active, &[E::Accepted, E::Approved, E::Activated], "access holds until")
            .to(&[Pending], Active, &[E::Approved, E::Activated], "access holds until")
            .ignored(&granted, "TooLate", 2),
        Cause::new("approval", "the last approval, and the start is more than an hour ahead", |w| {
            w.request.wish.start = Some(at(10_000));
            both_approve(w);
        })
        .only(&[(Pending, 20)])
        .to(&[Pending], Scheduled, &[E::Approved], "approved by carol@corp, from"),
        Cause::new("approval", "the last approval, and the start is within the hour", |w| {
            w.request.wish.start = Some(at(3_000));
            both_approve(w);
        })
        .only(&[(Pending, 20)])
        .to(&[Pending], Signed, &[E::Approved], "approved by carol@corp, from"),
        Cause::new("approval", "an approval by the person who asked", |w| w.decide("alice@corp approve"))
            .to(&[New], Pending, &[E::Accepted, E::DecisionIgnored], "nobody approves for themselves")
            .ignored(&[Pending], "SelfApproval", 1)
            .ignored(&granted, "TooLate", 1),
        Cause::new("deny", "a deny", |w| w.decide("bob@corp deny: no"))
            .to(&[New], Denied, &[E::Accepted, E::Denied], "denied by bob@corp: no")
            .to(&[Pending], Denied, &[E::Denied], "denied by bob@corp: no")
            .to(&granted, Revoked, &[E::Revoked], "denied by bob@corp after approval: no"),
        Cause::new("revoke", "a revoke", |w| w.decide("eve@corp revoke: stolen"))
            .to(&[New], Denied, &[E::Accepted, E::Denied], "denied (revoke) by eve@corp: stolen")
            .to(&[Pending], Denied, &[E::Denied], "denied (revoke) by eve@corp: stolen")
            .to(&granted, Revoked, &[E::Revoked], "revoked by eve@corp: stolen"),
        Cause::new("end", "an end", |w| w.decide("alice@corp end"))
            .to(&[New], Withdrawn, &[E::Accepted, E::Withdrawn], "withdrawn by alice@corp")
            .to(&[Pending], Withdrawn, &[E::Withdrawn], "withdrawn by alice@corp")
            .to(&granted, Ended, &[E::Ended], "given back by alice@corp"),
        Cause::new("revoke", "the last approval and a revoke at one look", |w| {
            both_approve(w);
            w.decide("eve@corp revoke");
        })
        .only(&[(Pending, 20)])
        .to(&[Pending], Revoked, &[E::Approved, E::Activated, E::Revoked], "revoked by eve@corp"),
        Cause::new("deletion", "the request is deleted", |w| w.request.deleting = true)
            .to(&[New], New, &[], "")
            .to(&[Pending], Withdrawn, &[E::Withdrawn], "the request was deleted")
            .to(&granted, Revoked, &[E::Revoked], "the request was deleted"),
    ]
}

fn time() -> Vec<Cause> {
    vec![
        Cause::new("time", "`pendingTimeout` has passed", |_| {}).only(&[(Pending, 3_600), (Held, 3_600)]).to(
            &[Pending],
            TimedOut,
            &[E::TimedOut],
            "nobody decided before",
        ),
        Cause::new("time", "`pendingTimeout` has passed, and the last approval came", both_approve)
            .only(&[(Pending, 3_600)])
            .to(&[Pending], TimedOut, &[E::TimedOut, E::DecisionIgnored, E::DecisionIgnored], "is TimedOut already"),
        Cause::new("time", "an hour before the start", |_| {}).only(&[(Scheduled, 6_400)]).to(
            &[Scheduled],
            Signed,
            &[],
            "",
        ),
        // Nothing begins while a switch is off; what was approved waits.
        Cause::new("switch", "an hour before the start, and the controller runs with `--suspended`", |w| {
            w.fleet.switches.suspended = true;
        })
        .only(&[(Scheduled, 6_400)]),
        Cause::new("switch", "the start is reached, and a Lock declines what is new", |w| {
            w.lock(Effect::DeclineNew, LockTarget::default());
        })
        .only(&[(Scheduled, 10_000)]),
        Cause::new("switch", "the start is reached, and the policy is suspended", |w| w.policy().suspended = true)
            .only(&[(Scheduled, 10_000)]),
        Cause::new("time", "the start is reached", |_| {}).only(&[(Scheduled, 10_000), (Signed, 10_000)]).to(
            &[Scheduled, Signed],
            Active,
            &[E::Activated],
            "access holds until",
        ),
        Cause::new("time", "the start is reached, and the fleet part is not signed yet", |w| w.fleet.requires = None)
            .only(&[(Scheduled, 10_000), (Signed, 10_000)])
            .to(&[Signed], Active, &[E::Activated], "access holds until"),
        Cause::new("time", "the end is reached", |_| {})
            .only(&[(Scheduled, 11_800), (Signed, 11_800), (Active, 1_810)])
            .to(&[Scheduled, Signed, Active], Expired, &[E::Expired], "ended as granted at"),
        Cause::new("time", "the end is reached, and a revoke came", |w| w.decide("eve@corp revoke"))
            .only(&[(Signed, 11_800), (Active, 1_810)])
            .to(&[Signed, Active], Expired, &[E::Expired, E::DecisionIgnored], "is Expired already"),
        Cause::new("clock", "the clock is set back before the start", |_| {})
            .only(&[(Held, -90), (Pending, -90), (Scheduled, -90), (Signed, -90), (Active, -90)])
            .to(&[Active], Signed, &[], "access begins at"),
    ]
}

fn switches() -> Vec<Cause> {
    let (asked, granted) = ([New, Pending], [Scheduled, Signed, Active]);
    vec![
        Cause::new("Lock", "a Lock with DeclineNew", |w| {
            w.lock(Effect::DeclineNew, LockTarget::default());
        })
        .declined(&asked, "JitDisabled", "stopped by Lock lock-1: INC-4711"),
        Cause::new("Lock", "a Lock with EndAccess", |w| {
            w.lock(Effect::EndAccess, LockTarget::default());
        })
        .declined(&asked, "Locked", "stopped by Lock lock-1: INC-4711")
        .to(&granted, Revoked, &[E::Revoked], "stopped by Lock lock-1: INC-4711"),
        Cause::new("Lock", "a Lock with EndAccess on somebody who approved", |w| {
            w.lock(Effect::EndAccess, identities(&["bob@corp"]));
        })
        .to(&granted, Revoked, &[E::Revoked], "stopped by Lock lock-1: INC-4711"),
        Cause::new("Lock", "an approval by somebody whom a Lock stops", |w| {
            w.lock(Effect::DeclineNew, identities(&["bob@corp"]));
            w.decide("bob@corp approve");
        })
        .to(&[New], Pending, &[E::Accepted, E::DecisionIgnored], "bob@corp is stopped by Lock lock-1")
        .ignored(&[Pending], "Locked", 1)
        .ignored(&granted, "TooLate", 1),
        Cause::new("Lock", "a Lock that has expired, or is on others", |w| {
            w.lock(Effect::EndAccess, LockTarget::default()).expires_at = Some(at(20));
            w.lock(Effect::EndAccess, identities(&["mallory@corp"]));
        }),
        Cause::new("Lock", "a Lock that cannot be read", |w| {
            w.fleet.switches.unreadable.insert("odd".into());
        })
        .declined(&asked, "JitDisabled", "Lock odd cannot be read"),
        Cause::new("time", "the start is reached, and a Lock cannot be read", |w| {
            w.fleet.switches.unreadable.insert("odd".into());
        })
        .only(&[(Scheduled, 10_000), (Signed, 10_000)])
        .to(&[Signed], Active, &[E::Activated], "access holds until"),
        Cause::new("switch", "the controller runs with `--suspended`", |w| w.fleet.switches.suspended = true).declined(
            &asked,
            "JitDisabled",
            "--suspended",
        ),
        Cause::new("limit", "the person has as many open requests as allowed", |w| {
            w.open.of_person = vec![OpenRequest { name: "er-0".parse().unwrap(), until: None }];
        })
        .declined(&[New], "TooManyOpenRequests", "er-0 is open; end it or wait"),
    ]
}

fn objects() -> Vec<Cause> {
    let (asked, granted) = ([New, Pending], [Scheduled, Signed, Active]);
    let gone = "JitPolicy dev-tools was deleted";
    let no_endpoint = "ManagedEndpoint ws-042 was deleted";
    vec![
        Cause::new("policy", "the policy is suspended", |w| w.policy().suspended = true).declined(
            &asked,
            "JitDisabled",
            "JitPolicy dev-tools is suspended",
        ),
        Cause::new("policy", "the policy is changed", |w| w.policy().rules.reminders = vec![Duration::from_secs(9)])
            .declined(&[Pending], "PolicyChanged", "was changed after this was asked")
            .to(&[Scheduled], Revoked, &[E::Revoked], "was changed before the start"),
        Cause::new("policy", "the policy is deleted", |w| w.policy = Lookup::Missing)
            .declined(&asked, "PolicyNotFound", "there is no JitPolicy dev-tools")
            .to(&granted, Revoked, &[E::Revoked], gone),
        Cause::new("policy", "the policy is deleted and made again", |w| {
            w.policy().reference.uid = "p-2".parse().unwrap();
        })
        .declined(&[Pending], "PolicyChanged", "was changed after this was asked")
        .to(&granted, Revoked, &[E::Revoked], gone),
        Cause::new("policy", "the policy cannot be used", |w| w.policy = Lookup::Unreadable("spec.access".into()))
            .declined(&asked, "PolicyNotReady", "JitPolicy dev-tools is not ready: spec.access"),
        Cause::new("endpoint", "the endpoint is deleted", |w| w.endpoint = Lookup::Missing)
            .declined(&asked, "EndpointNotFound", "there is no ManagedEndpoint ws-042")
            .to(&granted, Revoked, &[E::Revoked], no_endpoint),
        Cause::new("endpoint", "the endpoint is deleted and made again", |w| {
            w.endpoint().reference.uid = "e-2".parse().unwrap();
        })
        .declined(&[Pending], "EndpointNotFound", "was made anew after this was asked")
        .to(&granted, Revoked, &[E::Revoked], no_endpoint),
        Cause::new("endpoint", "the endpoint cannot be used", |w| w.endpoint = Lookup::Unreadable("spec".into())).to(
            &[New],
            New,
            &[],
            "",
        ),
        Cause::new("endpoint", "the endpoint's labels are changed, and the policy reaches it no more", |w| {
            w.endpoint().labels.clear();
        })
        .declined(&asked, "EndpointNotTargeted", "ws-042 is not among the endpoints"),
        Cause::new("endpoint", "the account is another person's", |w| {
            w.endpoint().accounts.get_mut(&"alice".parse().unwrap()).unwrap().identities =
                vec!["zoe@corp".parse().unwrap()];
        })
        .declined(&asked, "RequesterNotAccount", "is not the person behind \"alice\"")
        .to(&[Scheduled], Revoked, &[E::Revoked], "somebody else's account by now"),
        Cause::new("endpoint", "who approved is found to be the person behind the account", |w| {
            let alice = w.endpoint().accounts.get_mut(&"alice".parse().unwrap()).unwrap();
            alice.identities.push("bob@corp".parse().unwrap());
        })
        .to(&[Scheduled], Revoked, &[E::Revoked], "the approval cannot be believed"),
    ]
}

fn guard() -> Vec<Cause> {
    vec![
        Cause::new("guard", "the guard is waiting", |w| w.guard = waiting()).to(
            &[New],
            Held,
            &[E::Held],
            "nothing is judged at the moment",
        ),
        Cause::new("guard", "the guard is open", |w| w.guard = open()).to(
            &[New],
            Held,
            &[E::Held],
            "nothing is judged at the moment",
        ),
        Cause::new("guard", "the guard is waiting, and the last approval comes", |w| {
            w.guard = waiting();
            both_approve(w);
        })
        .to(&[New], Held, &[E::Held], "nothing is judged at the moment")
        .ignored(&[Scheduled, Signed, Active], "TooLate", 2),
        Cause::new("guard", "the guard is open, and the last approval comes", |w| {
            w.guard = open();
            both_approve(w);
        })
        .to(&[New], Held, &[E::Held], "nothing is judged at the moment")
        .ignored(&[Pending], "AdmissionUnprotected", 2)
        .ignored(&[Scheduled, Signed, Active], "TooLate", 2),
        Cause::new("revoke", "the guard is open, and a revoke comes", |w| {
            w.guard = open();
            w.decide("eve@corp revoke");
        })
        .only(&[(Pending, 20), (Scheduled, 20), (Signed, 6_500), (Active, 20)])
        .to(&[Pending], Denied, &[E::Denied], "denied (revoke) by eve@corp")
        .to(&[Scheduled, Signed, Active], Revoked, &[E::Revoked], "revoked by eve@corp"),
        Cause::new("time", "the guard is waiting when the start is reached", |w| w.guard = waiting())
            .only(&[(Scheduled, 10_000), (Signed, 10_000)])
            .to(&[Signed], Active, &[E::Activated], "access holds until"),
        Cause::new("guard", "the guard passes", |w| w.guard = Guard::Passed).to(
            &[Held],
            Pending,
            &[E::Accepted],
            "waiting for",
        ),
        Cause::new("guard", "the guard passes after a gap", |w| w.guard = Guard::Repaired)
            .declined(&[New, Held], "AdmissionUnprotected", "made while admission was unprotected")
            .to(&[Scheduled], Revoked, &[E::Revoked], "the approval cannot be believed"),
        Cause::new("guard", "the record does not follow from the decisions", |w| w.request.decisions.clear()).to(
            &[Scheduled],
            Revoked,
            &[E::Revoked],
            "the approval cannot be believed",
        ),
    ]
}

fn rule(world: &mut World) {
    let (name, max_duration) = ("trusted".parse().unwrap(), None);
    let rule = AutomaticRule { name, accounts: None, endpoints: None, applications: Vec::new(), max_duration };
    world.policy().rules.approval.automatic = vec![rule];
}
