//! What enters, what leaves, and what a restart finds.

use std::fs;

use tidegate_core::fleet::FleetBody;
use tidegate_core::interval::{Instant, Interval};
use tidegate_core::manifest::Manifest;

use super::*;
use crate::about;
use crate::fixture::{Controller, Piece, Served, TRUST_DOMAIN, endpoint, fleet_body, in_force, revoked};
use crate::trust::Trust;

struct Bench {
    controller: Controller,
    ring: KeyRing,
    me: Me,
    store: Arc<Store>,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let controller = Controller::new();
        let ring = Trust::check(controller.bundle(), &[controller.pin()]).unwrap().ring;
        let fleet = "berlin".parse().unwrap();
        let me = Me { trust_domain: TRUST_DOMAIN.to_owned(), fleet, endpoint: endpoint(), agent: about::agent() };
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("state")).unwrap());
        Self { controller, ring, me, store, _dir: dir }
    }

    fn load(&self) -> Held {
        let mut held = Held::open(self.store.clone()).unwrap();
        held.restore(&self.ring, &self.me).unwrap();
        held
    }

    fn take(&self, held: &mut Held, served: &Served) -> Result<(), NotTaken> {
        held.take(served.etag.clone(), &served.body, &self.ring, &self.me)
    }

    fn grant(&self, request: &str) -> Piece {
        self.controller.grant(request, hour())
    }

    fn fleet(&self, sequence: u64) -> Piece {
        self.controller.fleet(fleet_body(), sequence, Instant::from_second(0))
    }

    /// Placement and fleet part, and these.
    fn served(&self, parts: &[Piece]) -> Served {
        let base = [self.controller.placement(1), self.fleet(1)];
        Served::new(&[&base, parts].concat(), Vec::new())
    }
}

fn hour() -> Interval {
    Interval { start: Instant::from_second(0), end: Instant::from_second(3600) }
}

fn requests(held: &Held) -> Vec<String> {
    held.snapshot().map(|s| s.grants.keys().map(ToString::to_string).collect()).unwrap_or_default()
}

/// The grant with one bit of its signature flipped; its digest stays right.
fn forged((name, mut envelope): Piece) -> Piece {
    envelope.signatures[0].sig[7] ^= 1;
    (name, envelope)
}

#[test]
fn what_was_taken_is_found_after_a_restart_and_not_asked_for_again() {
    let bench = Bench::new();
    let served = bench.served(&[bench.grant("a")]);
    let mut held = bench.load();
    assert_eq!((held.etag(), held.digests().len()), (None, 0));
    bench.take(&mut held, &served).unwrap();
    let again = bench.load();
    assert_eq!((again.snapshot(), again.digest()), (held.snapshot(), held.digest()));
    assert_eq!(again.digest().unwrap().to_hex(), served.etag.trim_matches('"'), "the tests' ETag is that digest");
    assert_eq!((again.etag(), again.digests().len()), (Some(served.etag.as_str()), 3));
}

#[test]
fn parts_that_are_held_need_not_be_sent_again() {
    let bench = Bench::new();
    let (placement, grant) = (bench.controller.placement(1), bench.grant("a"));
    let mut held = bench.load();
    bench.take(&mut held, &Served::new(std::slice::from_ref(&placement), Vec::new())).unwrap();
    let mut served = Served::new(&[placement.clone(), bench.fleet(1), grant], Vec::new());
    served.body.parts.remove(&placement.1.digest());
    bench.take(&mut held, &served).unwrap();
    assert_eq!(requests(&held), ["a-uid"]);
    assert_eq!(requests(&bench.load()), ["a-uid"]);
}

#[test]
fn a_forged_part_refuses_the_manifest_and_the_last_good_state_stays() {
    let bench = Bench::new();
    let mut held = bench.load();
    let good = bench.served(&[bench.grant("a")]);
    bench.take(&mut held, &good).unwrap();
    let bad = bench.served(&[bench.grant("a"), forged(bench.grant("b"))]);
    let refused = bench.take(&mut held, &bad).unwrap_err();
    assert_eq!(refused.code, Some(RefusalCode::BadSignature));
    assert_eq!(requests(&held), ["a-uid"]);
    assert_eq!(held.etag(), Some(good.etag.as_str()), "what is applied is still the good one");
}

#[test]
fn absence_counts_in_a_refused_manifest_also_after_a_restart() {
    let bench = Bench::new();
    let mut held = bench.load();
    let (a, b) = (bench.grant("a"), bench.grant("b"));
    bench.take(&mut held, &bench.served(&[a, b.clone()])).unwrap();
    let bad = bench.served(&[b, forged(bench.grant("c"))]);
    bench.take(&mut held, &bad).unwrap_err();
    assert_eq!(requests(&held), ["b-uid"]);
    assert_eq!(held.etag(), None, "no manifest is applied exactly any more");
    assert_eq!(requests(&bench.load()), ["b-uid"]);
}

#[test]
fn an_older_part_is_refused_also_after_a_restart_and_the_newer_one_stays() {
    let bench = Bench::new();
    let mut held = bench.load();
    let (new, old) = (bench.controller.placement(5), bench.controller.placement(4));
    bench.take(&mut held, &Served::new(std::slice::from_ref(&new), Vec::new())).unwrap();
    let mut held = bench.load();
    bench.take(&mut held, &Served::new(&[old], Vec::new())).unwrap();
    assert_eq!(held.refused()[0].code, RefusalCode::Rollback);
    assert_eq!(held.digests(), [&new.1.digest()]);
}

#[test]
fn a_manifest_with_a_refused_part_is_applied_but_asked_for_again_after_a_restart() {
    let bench = Bench::new();
    let mut held = bench.load();
    bench.take(&mut held, &Served::new(&[bench.controller.placement(5)], Vec::new())).unwrap();
    let partly = Served::new(&[bench.controller.placement(4), bench.fleet(1), bench.grant("a")], Vec::new());
    bench.take(&mut held, &partly).unwrap();
    assert_eq!(held.etag(), Some(partly.etag.as_str()));
    assert_eq!(bench.load().etag(), None);
    assert_eq!(requests(&bench.load()), ["a-uid"]);
}

#[test]
fn a_stored_snapshot_that_was_edited_or_torn_counts_as_absent_and_is_kept_aside() {
    let bench = Bench::new();
    let served = bench.served(&[bench.grant("a")]);
    bench.take(&mut bench.load(), &served).unwrap();
    let path = bench.store.path(Entry::Snapshot);
    let whole = fs::read_to_string(&path).unwrap();
    let edited = whole.replace("a-uid", "b-uid");
    for bad in [&whole[..whole.len() - 1], &edited, "{}", ""] {
        fs::write(&path, bad).unwrap();
        assert!(bench.load().snapshot().is_none(), "{bad}");
        assert!(!path.exists() && path.with_extension("bad").exists());
    }
}

#[test]
fn lost_floors_are_written_anew_from_the_snapshot() {
    let bench = Bench::new();
    bench.take(&mut bench.load(), &Served::new(&[bench.controller.placement(7)], Vec::new())).unwrap();
    let floors = fs::read(bench.store.path(Entry::Floors)).unwrap();
    fs::remove_file(bench.store.path(Entry::Floors)).unwrap();
    bench.load();
    assert_eq!(fs::read(bench.store.path(Entry::Floors)).unwrap(), floors);
}

#[test]
fn the_floors_hold_where_the_snapshot_was_lost() {
    let bench = Bench::new();
    bench.take(&mut bench.load(), &Served::new(&[bench.controller.placement(7)], Vec::new())).unwrap();
    fs::remove_file(bench.store.path(Entry::Snapshot)).unwrap();
    let mut held = bench.load();
    bench.take(&mut held, &Served::new(&[bench.controller.placement(6)], Vec::new())).unwrap();
    assert!(held.snapshot().unwrap().placement.is_none());
}

#[test]
fn a_snapshot_of_another_endpoint_is_not_loaded() {
    let mut bench = Bench::new();
    let served = Served::new(&[bench.controller.placement(1)], Vec::new());
    bench.take(&mut bench.load(), &served).unwrap();
    bench.me.endpoint.uid = "uid-2".parse().unwrap();
    assert!(bench.load().snapshot().is_none());
}

#[test]
fn without_a_disk_nothing_new_is_taken_but_absence_still_counts() {
    let bench = Bench::new();
    let mut held = bench.load();
    let (a, b) = (bench.grant("a"), bench.grant("b"));
    bench.take(&mut held, &bench.served(&[a, b.clone()])).unwrap();
    for entry in [Entry::Floors, Entry::Snapshot] {
        fs::create_dir(bench.store.path(entry).with_extension("new")).unwrap();
    }
    let next = bench.served(&[b, bench.grant("c")]);
    let refused = bench.take(&mut held, &next).unwrap_err();
    assert_eq!(refused.code, None);
    assert_eq!(requests(&held), ["b-uid"]);
}

#[test]
fn cleared_means_gone_also_after_a_restart() {
    let bench = Bench::new();
    let mut held = bench.load();
    let served = Served::new(&[bench.controller.placement(7), bench.fleet(1), bench.grant("a")], Vec::new());
    bench.take(&mut held, &served).unwrap();
    held.clear();
    assert!(held.snapshot().is_none() && bench.load().snapshot().is_none());
    bench.take(&mut held, &Served::new(&[bench.controller.placement(6)], Vec::new())).unwrap();
    assert_eq!(held.refused().len(), 1, "the floors stay");
}

#[test]
fn the_stored_manifest_is_one_that_core_reads() {
    let bench = Bench::new();
    let mut held = bench.load();
    bench.take(&mut held, &Served::new(&[bench.controller.placement(1)], Vec::new())).unwrap();
    let body = held.snapshot().unwrap().to_body().unwrap();
    assert!(Manifest::parse(body.manifest.get().as_bytes()).is_ok());
}

#[test]
fn a_policy_that_the_fleet_part_does_not_name_at_that_sequence_is_not_taken() {
    let bench = Bench::new();
    let window = |sequence| bench.controller.window(hour(), sequence);
    let with = |fleet: FleetBody, sequence, policy: Piece| {
        let fleet = bench.controller.fleet(fleet, sequence, Instant::from_second(0));
        Served::new(&[bench.controller.placement(1), fleet, policy], Vec::new())
    };
    let mut held = bench.load();
    bench.take(&mut held, &with(fleet_body(), 1, window(1))).unwrap();
    assert_eq!(held.snapshot().unwrap().policies.len(), 1);
    let edited = FleetBody { policies: in_force(2), ..fleet_body() };
    let suspended = FleetBody { policies: Vec::new(), ..fleet_body() };
    for (fleet, sequence) in [(edited, 2), (suspended, 3)] {
        bench.take(&mut held, &with(fleet, sequence, window(1))).unwrap();
        assert_eq!(held.snapshot().unwrap().policies.len(), 0, "{sequence}");
        assert_eq!(held.refused()[0].code, RefusalCode::NotInForce);
        assert_eq!(bench.load().snapshot().unwrap().policies.len(), 0, "nor after a restart");
    }
}

#[test]
fn a_grant_that_the_fleet_part_calls_revoked_is_not_taken() {
    let bench = Bench::new();
    let mut held = bench.load();
    bench.take(&mut held, &bench.served(&[bench.grant("a")])).unwrap();
    let fleet = FleetBody { revoked: revoked("a"), ..fleet_body() };
    let fleet = bench.controller.fleet(fleet, 2, Instant::from_second(0));
    let kept_in = Served::new(&[bench.controller.placement(1), fleet, bench.grant("a")], Vec::new());
    bench.take(&mut held, &kept_in).unwrap();
    assert_eq!((requests(&held), held.refused()[0].code), (vec![], RefusalCode::NotInForce));
    assert!(requests(&bench.load()).is_empty());
}

#[test]
fn a_revocation_gets_through_beside_a_forged_part_and_with_a_full_disk() {
    let bench = Bench::new();
    let newer = FleetBody { revoked: revoked("a"), ..fleet_body() };
    let newer = bench.controller.fleet(newer, 2, Instant::from_second(0));
    let both = [bench.grant("a"), bench.grant("b")];
    let with = |more: &[Piece]| {
        let base = [bench.controller.placement(1), newer.clone()];
        Served::new(&[&base, &both[..], more].concat(), Vec::new())
    };
    let mut held = bench.load();
    bench.take(&mut held, &bench.served(&both)).unwrap();
    let refused = bench.take(&mut held, &with(&[forged(bench.grant("c"))])).unwrap_err();
    assert_eq!(refused.code, Some(RefusalCode::BadSignature));
    assert_eq!(requests(&held), ["b-uid"]);
    assert_eq!(requests(&bench.load()), ["b-uid"], "nor after a restart");

    let bench = Bench::new();
    let both = [bench.grant("a"), bench.grant("b")];
    let newer = FleetBody { revoked: revoked("a"), ..fleet_body() };
    let newer = bench.controller.fleet(newer, 2, Instant::from_second(0));
    let mut held = bench.load();
    bench.take(&mut held, &bench.served(&both)).unwrap();
    for entry in [Entry::Floors, Entry::Snapshot] {
        fs::create_dir(bench.store.path(entry).with_extension("new")).unwrap();
    }
    let base = [bench.controller.placement(1), newer];
    let next = Served::new(&[&base, &both[..], &[bench.grant("c")]].concat(), Vec::new());
    assert_eq!(bench.take(&mut held, &next).unwrap_err().code, None);
    assert_eq!(requests(&held), ["b-uid"], "a ended, c does not begin");
}

#[test]
fn an_older_fleet_part_is_refused_and_the_newer_one_goes_on_saying_what_is_revoked() {
    let bench = Bench::new();
    let mut held = bench.load();
    let newer = FleetBody { revoked: revoked("a"), ..fleet_body() };
    let newer = bench.controller.fleet(newer, 2, Instant::from_second(0));
    let placement = bench.controller.placement(1);
    let grants = [bench.grant("a"), bench.grant("b")];
    bench.take(&mut held, &Served::new(&[&[placement, newer][..], &grants].concat(), Vec::new())).unwrap();
    bench.take(&mut held, &bench.served(&grants)).unwrap();
    assert_eq!(held.refused()[0].code, RefusalCode::Rollback);
    assert_eq!(held.snapshot().unwrap().fleet.as_ref().unwrap().header.sequence, 2);
    assert_eq!(requests(&held), ["b-uid"]);
    assert_eq!(requests(&bench.load()), ["b-uid"]);
}

#[test]
fn without_a_fleet_part_no_policy_and_no_grant_is_taken() {
    let bench = Bench::new();
    let mut held = bench.load();
    let parts = [bench.controller.placement(1), bench.controller.window(hour(), 1), bench.grant("a")];
    bench.take(&mut held, &Served::new(&[&parts[..], &[bench.fleet(1)]].concat(), Vec::new())).unwrap();
    assert_eq!(held.snapshot().unwrap().rights(Instant::from_second(1)).len(), 3);
    bench.take(&mut held, &Served::new(&parts, Vec::new())).unwrap();
    let snapshot = held.snapshot().unwrap();
    assert_eq!((snapshot.policies.len(), snapshot.grants.len()), (0, 0));
}
