//! What enters, what leaves, and what a restart finds.

use std::fs;

use tidegate_core::interval::{Instant, Interval};
use tidegate_core::manifest::Manifest;

use super::*;
use crate::fixture::{Controller, Piece, Served, TRUST_DOMAIN, endpoint};
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
        let me = Me { trust_domain: TRUST_DOMAIN.to_owned(), fleet, endpoint: endpoint() };
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
    let served = Served::new(&[bench.controller.placement(1), bench.grant("a")], Vec::new());
    let mut held = bench.load();
    assert_eq!((held.etag(), held.digests().len()), (None, 0));
    bench.take(&mut held, &served).unwrap();
    let again = bench.load();
    assert_eq!(again.snapshot(), held.snapshot());
    assert_eq!((again.etag(), again.digests().len()), (Some(served.etag.as_str()), 2));
}

#[test]
fn parts_that_are_held_need_not_be_sent_again() {
    let bench = Bench::new();
    let (placement, grant) = (bench.controller.placement(1), bench.grant("a"));
    let mut held = bench.load();
    bench.take(&mut held, &Served::new(std::slice::from_ref(&placement), Vec::new())).unwrap();
    let mut served = Served::new(&[placement.clone(), grant], Vec::new());
    served.body.parts.remove(&placement.1.digest());
    bench.take(&mut held, &served).unwrap();
    assert_eq!(requests(&held), ["a-uid"]);
    assert_eq!(requests(&bench.load()), ["a-uid"]);
}

#[test]
fn a_forged_part_refuses_the_manifest_and_the_last_good_state_stays() {
    let bench = Bench::new();
    let mut held = bench.load();
    let good = Served::new(&[bench.controller.placement(1), bench.grant("a")], Vec::new());
    bench.take(&mut held, &good).unwrap();
    let bad = Served::new(&[bench.controller.placement(1), bench.grant("a"), forged(bench.grant("b"))], Vec::new());
    let refused = bench.take(&mut held, &bad).unwrap_err();
    assert_eq!(refused.code, Some(RefusalCode::BadSignature));
    assert_eq!(requests(&held), ["a-uid"]);
    assert_eq!(held.etag(), Some(good.etag.as_str()), "what is applied is still the good one");
}

#[test]
fn absence_counts_in_a_refused_manifest_also_after_a_restart() {
    let bench = Bench::new();
    let mut held = bench.load();
    let (placement, a, b) = (bench.controller.placement(1), bench.grant("a"), bench.grant("b"));
    bench.take(&mut held, &Served::new(&[placement.clone(), a, b.clone()], Vec::new())).unwrap();
    let bad = Served::new(&[placement, b, forged(bench.grant("c"))], Vec::new());
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
    let partly = Served::new(&[bench.controller.placement(4), bench.grant("a")], Vec::new());
    bench.take(&mut held, &partly).unwrap();
    assert_eq!(held.etag(), Some(partly.etag.as_str()));
    assert_eq!(bench.load().etag(), None);
    assert_eq!(requests(&bench.load()), ["a-uid"]);
}

#[test]
fn a_stored_snapshot_that_was_edited_or_torn_counts_as_absent_and_is_kept_aside() {
    let bench = Bench::new();
    let served = Served::new(&[bench.controller.placement(1), bench.grant("a")], Vec::new());
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
    let (placement, a, b) = (bench.controller.placement(1), bench.grant("a"), bench.grant("b"));
    bench.take(&mut held, &Served::new(&[placement.clone(), a, b.clone()], Vec::new())).unwrap();
    for entry in [Entry::Floors, Entry::Snapshot] {
        fs::create_dir(bench.store.path(entry).with_extension("new")).unwrap();
    }
    let next = Served::new(&[placement, b, bench.grant("c")], Vec::new());
    let refused = bench.take(&mut held, &next).unwrap_err();
    assert_eq!(refused.code, None);
    assert_eq!(requests(&held), ["b-uid"]);
}

#[test]
fn cleared_means_gone_also_after_a_restart() {
    let bench = Bench::new();
    let mut held = bench.load();
    let served = Served::new(&[bench.controller.placement(7), bench.grant("a")], Vec::new());
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
