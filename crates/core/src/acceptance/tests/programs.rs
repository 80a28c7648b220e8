//! Which programs may be asked for, and what is told of one that may not.

use super::*;

/// A world with a policy of mode Application for what lies under /opt/toolchain, but not for `wipe`.
fn application(world: &mut World) {
    let elevation = &mut world.policy().rules.elevation;
    elevation.mode = Mode::Application;
    elevation.applications = vec![item(
        r#"{"name": "toolchain", "folderPath": {"path": "/opt/toolchain/**"}, "except": [{"folderPath": {"path": "/opt/toolchain/wipe"}}]}"#,
    )];
}

#[test]
fn each_reason_of_the_program_is_told() {
    each(&[
        (
            R::ApplicationRequired,
            application,
            "spec.application: dev-tools elevates single programs; name the one you need, such as {path: /opt/tool/setup}; it \
             allows /opt/toolchain/**",
        ),
        (
            R::ApplicationRequired,
            |w| {
                application(w);
                w.policy().rules.elevation.scope = Scope::Any;
            },
            "spec.application: dev-tools elevates single programs; name the one you need, such as {path: /opt/tool/setup}; it \
             allows any that no blocklist names",
        ),
        (
            R::ApplicationNotCovered,
            |w| {
                application(w);
                w.request.wish.application = Some(asked("/home/alice/x.run"));
            },
            "spec.application: /home/alice/x.run is in no policy for you on ws-042; dev-tools allows /opt/toolchain/**",
        ),
        (
            R::ApplicationNotCovered,
            |w| {
                application(w);
                w.request.wish.application = Some(asked("/opt/toolchain/wipe"));
            },
            "spec.application: /opt/toolchain/wipe on ws-042: item toolchain leaves it out (except)",
        ),
        (
            R::ApplicationNotCovered,
            |w| {
                application(w);
                w.policy().rules.elevation.applications =
                    vec![item(&format!(r#"{{"name": "pinned", "fileHash": {{"sha256": ["{}"]}}}}"#, "a".repeat(64)))];
                w.request.wish.application = Some(asked("/opt/toolchain/setup"));
            },
            "spec.application: /opt/toolchain/setup on ws-042: item pinned may cover it: state spec.application.sha256",
        ),
        (
            R::ApplicationNotCovered,
            |w| {
                w.policy().rules.elevation.mode = Mode::AdminSession;
                w.request.wish.application = Some(asked("/opt/toolchain/setup"));
            },
            "spec.application: dev-tools gives an administrator's shell, not a program; leave it out",
        ),
        (
            R::ApplicationNotCovered,
            |w| {
                application(w);
                w.request.wish.application = Some(asked("/opt/toolchain/setup"));
                w.fleet.settings.blocklists = vec![blocklist(false)];
            },
            "spec.application: /opt/toolchain/setup on ws-042: blocklist wallets of Fleet fleet names it (item toolchains)",
        ),
        (
            R::ApplicationNotCovered,
            |w| {
                w.request.wish.application = Some(asked("/opt/toolchain/setup"));
                w.fleet.settings.blocklists = vec![blocklist(true)];
            },
            "spec.application: /opt/toolchain/setup on ws-042: blocklist wallets of Fleet fleet names it (item toolchains)",
        ),
    ]);
}

#[test]
fn programs_that_are_covered_are_accepted() {
    let edits: [Edit; 5] = [
        |w| {
            application(w);
            w.request.wish.application = Some(asked("/opt/toolchain/bin/setup"));
        },
        |w| {
            application(w);
            w.policy().rules.elevation.scope = Scope::Any;
            w.request.wish.application = Some(asked("/home/alice/x.run"));
        },
        |w| w.request.wish.application = Some(asked("/home/alice/x.run")),
        // A list that is not absolute does not act where any program may be elevated.
        |w| {
            w.request.wish.application = Some(asked("/opt/toolchain/setup"));
            w.fleet.settings.blocklists = vec![blocklist(false)];
        },
        |w| {
            application(w);
            w.request.wish.application = Some(asked("/opt/toolchain/setup"));
            w.fleet.settings.blocklists = vec![Blocklist { platforms: [Platform::Windows].into(), ..blocklist(true) }];
            w.endpoint().agent = agent("1", Some(Platform::Linux));
        },
    ];
    for (index, edit) in edits.into_iter().enumerate() {
        let mut world = World::new(request());
        edit(&mut world);
        assert_eq!(world.step(0), State::Pending, "{index}: {}", world.status().message);
    }
}

#[test]
fn a_listed_digest_is_covered_when_it_is_stated() {
    let digest = "a".repeat(64);
    let mut world = World::new(request());
    application(&mut world);
    world.policy().rules.elevation.applications =
        vec![item(&format!(r#"{{"name": "pinned", "fileHash": {{"sha256": ["{digest}"]}}}}"#))];
    let asked = serde_json::json!({"path": "/opt/toolchain/setup", "sha256": digest});
    world.request.wish.application = Some(serde_json::from_value(asked).unwrap());
    assert_eq!(world.step(0), State::Pending);
}

#[test]
fn a_blocklist_acts_on_an_allowlist_unless_it_is_included_and_absolute_ones_always() {
    for (mode, included, heeds) in [
        (Mode::Application, false, true),
        (Mode::Application, true, true),
        (Mode::Allowlisting, false, true),
        (Mode::Allowlisting, true, false),
        (Mode::AnyApplication, false, false),
        (Mode::AdminSession, false, false),
    ] {
        let mut elevation = policy().rules.elevation;
        elevation.mode = mode;
        elevation.include_blocklisted = included;
        assert_eq!(program::heeds_blocklists(&elevation), heeds, "{mode} {included}");
    }
}
