//! A gateway that plays with what it was given: it leaves parts out, keeps old ones in, mixes versions, and breaks some. Whatever
//! it does, there is no right that the newest fleet part seen does not allow.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::*;
use crate::access::Access;
use crate::fleet::{Locked, Revoked};

const OTHER_REQUEST: &str = "other-request";
const FIRST: u64 = 5;

/// What fleet parts 5 to 13 say, as a table: the versions in force of dev-tools and night-maintenance, the account and the
/// policy that are locked, whether the first request is revoked, and which time of grants is void.
#[rustfmt::skip]
const SAYS: [Says; 9] = [
    (5, Some(5), "",      "",                  false, Void::None),
    (5, Some(6), "",      "",                  false, Void::None),
    (5, None,    "",      "",                  false, Void::None),
    (6, Some(6), "alice", "",                  false, Void::Below(7)),
    (6, Some(6), "",      "dev-tools",         true,  Void::Below(7)),
    (6, Some(7), "",      "",                  false, Void::Below(9)),
    (6, Some(7), "",      "",                  false, Void::OfAnother),
    (6, Some(7), "",      "night-maintenance", true,  Void::Below(7)),
    (6, Some(7), "",      "",                  true,  Void::Below(7)),
];

type Says = (u64, Option<u64>, &'static str, &'static str, bool, Void);

/// The first grant requires fleet part 5, the other one 8.
#[derive(Debug, Clone, Copy)]
enum Void {
    None,
    Below(u64),
    /// The part is that of a Fleet made anew.
    OfAnother,
}

/// Whom the versions 5 to 7 of night-maintenance reach.
const REACHES: [&[&str]; 3] = [&["alice", "bob"], &["alice"], &["bob"]];
/// The accounts in placements 5 and 6.
const PLACED: [&[&str]; 2] = [&["alice", "bob"], &["bob"]];

fn fleet_part(index: usize) -> FleetBody {
    let (policy, window, account, locked_policy, revoked, void) = SAYS[index];
    let mut named = vec![(POLICY_UID, policy)];
    named.extend(window.map(|window| (WINDOW_UID, window)));
    let account = account.parse().ok().map(|account| [(fixture::endpoint().uid, [account].into())].into());
    let policies: BTreeSet<PolicyName> = locked_policy.parse().ok().into_iter().collect();
    let locked = (account.is_some() || !policies.is_empty()).then(|| Locked {
        endpoints: None,
        accounts: account,
        policies,
        message: String::new(),
    });
    let revoked = revoked.then(|| Revoked { request: uid(REQUEST_UID), not_after: at(200) });
    let (object, void_below) = match void {
        Void::None => (fixture::FLEET_UID, 0),
        Void::Below(sequence) => (fixture::FLEET_UID, sequence),
        Void::OfAnother => ("made-anew", 0),
    };
    FleetBody {
        locked: locked.into_iter().collect(),
        revoked: revoked.into_iter().collect(),
        object: uid(object),
        void_below,
        ..naming(&named)
    }
}

/// Version `index` of part `slot`: placement, fleet, two policies, two grants.
fn part(slot: usize, index: usize) -> (PartName, Signed) {
    let sequence = FIRST + index as u64;
    match slot {
        0 => {
            let mut body = placement();
            body.accounts.retain(|account| PLACED[index].contains(&account.name.as_str()));
            (PartName::Placement, signed(body, sequence))
        }
        1 => (PartName::Fleet, signed(fleet_part(index), sequence)),
        2 => (policy_name(), signed(fixture::policy(), sequence)),
        3 => {
            let mut body = fixture::window();
            body.access = Access::Window { window: Interval { start: at(0), end: at(200) } };
            body.targets.accounts.groups.clear();
            body.targets.accounts.names = REACHES[index].iter().map(|name| name.parse().unwrap()).collect();
            (window_name(), signed(body, sequence))
        }
        4 => {
            let body = GrantBody { not_before: at(0), not_after: at(200), ..fixture::grant() };
            (grant_name(), signed(body, sequence))
        }
        _ => {
            let mut body = GrantBody { not_before: at(0), not_after: at(200), ..fixture::grant() };
            body.request.uid = uid(OTHER_REQUEST);
            body.account = "bob".parse().unwrap();
            body.requires = fixture::requires(6, 8);
            (PartName::Grant(uid(OTHER_REQUEST)), signed(body, sequence))
        }
    }
}

const VERSIONS: [usize; 6] = [2, SAYS.len(), 2, 3, 1, 1];

static POOL: LazyLock<Vec<Parts>> = LazyLock::new(|| {
    VERSIONS.into_iter().enumerate().map(|(slot, count)| (0..count).map(|index| part(slot, index)).collect()).collect()
});

/// A version of each part, or none; and the part, if any, whose signature is broken.
type Manifested = ([Option<prop::sample::Index>; 6], Option<prop::sample::Index>);

fn manifested() -> impl Strategy<Value = Manifested> {
    let version = || prop::option::weighted(0.85, any::<prop::sample::Index>());
    let versions = (version(), version(), version(), version(), version(), version());
    let versions = versions.prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f]);
    (versions, prop::option::weighted(0.3, any::<prop::sample::Index>()))
}

/// The parts of this manifest, and the version of the fleet part that it proves, if one.
fn serve((versions, broken): &Manifested) -> (Parts, Option<u64>) {
    let chosen =
        POOL.iter().zip(versions).filter_map(|(pool, index)| Some(pool[index.as_ref()?.index(pool.len())].clone()));
    let mut parts: Parts = chosen.collect();
    if let Some(index) = broken.as_ref().filter(|_| !parts.is_empty()) {
        let index = index.index(parts.len());
        parts[index].1.envelope.signatures.clear();
    }
    let proven = parts.iter().find(|(name, signed)| *name == PartName::Fleet && !signed.envelope.signatures.is_empty());
    let proven = proven.map(|(_, signed)| signed.sequence);
    (parts, proven)
}

/// Does the table say that fleet part `sequence` forbids this right of `snapshot`?
fn forbids(sequence: u64, right: &Right, snapshot: &Snapshot) -> Option<&'static str> {
    let index = |sequence: u64| usize::try_from(sequence - FIRST).unwrap();
    let (_, window, account, policy, revoked, void) = SAYS[index(sequence)];
    let is_void = |requires: u64| match void {
        Void::None => false,
        Void::Below(sequence) => requires < sequence,
        Void::OfAnother => true,
    };
    let placed = snapshot.placement.as_ref().map(|placement| placement.header.sequence).unwrap();
    let name = match &right.source {
        RightSource::Grant { policy, .. } | RightSource::Policy { policy, .. } => policy.as_str(),
    };
    if right.account.as_str() == account || name == policy {
        return Some("locked");
    }
    match &right.source {
        RightSource::Grant { request, .. } if request.uid == uid(REQUEST_UID) => {
            (revoked || is_void(5)).then_some("revoked or void")
        }
        RightSource::Grant { .. } if is_void(8) => Some("void"),
        RightSource::Grant { .. } => (placed < 6 || sequence < 8).then_some("required parts are missing"),
        RightSource::Policy { uid, .. } => {
            let used = snapshot.policies[uid].header.sequence;
            let reached = REACHES[index(used)].contains(&right.account.as_str());
            let placed = PLACED[index(placed)].contains(&right.account.as_str());
            if window != Some(used) {
                Some("not in force")
            } else {
                (!reached || !placed).then_some("not for this account")
            }
        }
    }
}

#[test]
fn the_parts_are_good_for_something() {
    let newest: Parts = POOL.iter().map(|versions| versions.last().unwrap().clone()).collect();
    let accepted = accept_first(&newest).unwrap();
    assert_eq!(codes(&accepted), [(grant_name(), RefusalCode::NotInForce)]);
    assert_eq!(right_names(&accepted.snapshot, 100), ["bob: er-7d2kq", "bob: night-maintenance"]);
    let oldest: Parts = POOL.iter().map(|versions| versions[0].clone()).collect();
    let rights = right_names(&accept_first(&oldest).unwrap().snapshot, 100);
    assert_eq!(rights, ["alice: er-7d2kq", "alice: night-maintenance", "bob: night-maintenance"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_right_appears_that_the_newest_fleet_part_seen_does_not_allow(
        served in prop::collection::vec(manifested(), 1..4),
        second in -10i64..210,
    ) {
        let mut held: Option<Acceptance> = None;
        let mut newest = 0;
        for manifested in &served {
            let (parts, proven) = serve(manifested);
            let next = match accept_next(held.as_ref(), &parts) {
                Ok(next) => {
                    newest = newest.max(proven.unwrap_or(0));
                    Some(next)
                }
                Err(refusal) => {
                    newest = newest.max(proven.filter(|_| held.is_some()).unwrap_or(0));
                    refusal.left.map(|left| *left)
                }
            };
            for right in next.iter().flat_map(|next| next.snapshot.rights(at(second))) {
                let snapshot = &next.as_ref().unwrap().snapshot;
                let said_by = snapshot.fleet.as_ref().map(|fleet| fleet.header.sequence);
                prop_assert_eq!(said_by, Some(newest), "{:?} by an older fleet part", right);
                prop_assert_eq!(forbids(newest, &right, snapshot), None, "{:?}", right);
                prop_assert!(second < 200 && right.interval.end == at(200));
                prop_assert_eq!(right.fresh_until, at(900 + 86_400));
            }
            held = next.or(held);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_held_is_what_a_restart_finds(served in prop::collection::vec(manifested(), 1..3)) {
        let mut held: Option<Acceptance> = None;
        for manifested in &served {
            held = match accept_next(held.as_ref(), &serve(manifested).0) {
                Ok(next) => Some(next),
                Err(refusal) => refusal.left.map(|left| *left).or(held),
            };
        }
        if let Some(Acceptance { snapshot, floors, .. }) = held {
            let again = accept(&snapshot.to_body().unwrap(), &ring(), &me(), None, &floors).unwrap();
            prop_assert_eq!((again.refused, again.snapshot, again.floors), (Vec::new(), snapshot, floors));
        }
    }
}
