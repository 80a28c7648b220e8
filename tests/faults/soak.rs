//! Random faults from a printed seed over a few fleets that go on asking, deciding and ending. The seed replays the schedule. In the end
//! all faults are lifted, everything works again by itself, and the checker looks at what happened.

mod schedule;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use kube::ResourceExt;
use tidegate_test_support::clock::Stopwatch;
use tidegate_test_support::proxy::{Call, Fault, Handle};
use tidegate_test_support::{assets, clock};

use self::schedule::{Chance, Network, Step, What, schedule};
use crate::installation::{Installation, RELIST};
use crate::kept::Kept;
use crate::story::Story;

/// How long where nobody says.
const SECONDS: u64 = 30;
/// Fleets, each with its agent.
const FLEETS: usize = 3;
/// What people wait between two things they do.
const BREATH: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn random_faults_break_no_invariant() -> Result<()> {
    let seconds = assets::variable("TIDEGATE_SOAK_SECONDS")
        .map_or(Ok(SECONDS), |text| text.parse())
        .context("TIDEGATE_SOAK_SECONDS")?;
    let fresh = || u64::try_from(clock::now().as_second()).unwrap_or_default();
    let seed = assets::variable("TIDEGATE_SOAK_SEED")
        .map_or_else(|| Ok(fresh()), |text| text.parse())
        .context("TIDEGATE_SOAK_SEED")?;
    println!("soak of {seconds} s, to replay it: make soak SECONDS={seconds} SEED={seed}");
    let steps = schedule(seed, Duration::from_secs(seconds));

    let (installation, controller) = Installation::start_with(&RELIST).await?;
    let mut stories = Vec::new();
    for _ in 0..FLEETS {
        stories.push(Story::begin(&installation).await?);
    }
    let watch = Stopwatch::start();
    let over = || watch.elapsed() >= Duration::from_secs(seconds);
    let people =
        stories.iter().enumerate().map(|(index, story)| people(story, Chance::new(seed + 1 + index as u64), &over));
    let (controller, asked) =
        futures::future::try_join(faults(&installation, controller, &steps, &watch), try_join_all(people)).await?;
    let faults = steps.len();
    println!("{faults} faults, {} requests asked; all faults are lifted", asked.iter().sum::<usize>());
    ensure!(faults > 0, "no fault in {seconds} s");
    for story in &stories {
        story.works_again(&controller, "er-last").await.with_context(|| format!("seed {seed}"))?;
    }
    Ok(())
}

/// Does what the schedule says, when it says it.
async fn faults(installation: &Installation, mut controller: Kept, steps: &[Step], watch: &Stopwatch) -> Result<Kept> {
    for step in steps {
        tokio::time::sleep(step.at.saturating_sub(watch.elapsed())).await;
        println!("{:6.1} s: {step:?}", watch.elapsed().as_secs_f64());
        match step.what {
            What::KillController => {
                controller.kill9().await;
                controller = installation.controller().await?;
            }
            What::StopApiServer => {
                installation.control_plane.api_server.stop()?;
                tokio::time::sleep(step.lasts).await;
                installation.control_plane.api_server.cont()?;
            }
            What::StopController => {
                let life = controller.life();
                life.process.stop()?;
                tokio::time::sleep(step.lasts).await;
                life.process.cont()?;
            }
            What::Network(network) => {
                let _rules = on_both(installation, network);
                tokio::time::sleep(step.lasts).await;
            }
        }
    }
    Ok(controller)
}

fn on_both(installation: &Installation, network: Network) -> [Handle; 2] {
    let (fault, only_watches) = match network {
        Network::Cut => (Fault::Cut, false),
        Network::Refuse => (Fault::Answer(503), false),
        Network::Late => (Fault::Delay(Duration::from_millis(700)), false),
        Network::Gone => (Fault::Gone, true),
        Network::Twice => (Fault::Duplicate, true),
        Network::Swap => (Fault::Reorder, true),
        Network::HideDeleted => (Fault::Hide("DELETED"), true),
    };
    let matches = move |call: &Call| !only_watches || call.verb == "watch";
    [&installation.way, &installation.gateways_way].map(|way| way.fault(fault, matches))
}

/// alice asks, bob decides, now and then one takes it back; what fails is tried no further. Says how much was asked.
async fn people(story: &Story<'_>, mut chance: Chance, over: &impl Fn() -> bool) -> Result<usize> {
    let fleet = &story.fleet;
    let mut asked = 0;
    while !over() {
        let name = format!("er-{asked}");
        let duration = format!("{}s", 2 + chance.below(8));
        asked += usize::from(fleet.ask(&name, &duration).await.is_ok());
        for _ in 0..2 + chance.below(4) {
            tokio::time::sleep(BREATH).await;
            story.recorder.look();
            let decision = ["approve: go ahead", "approve", "deny", "revoke"][chance.below(4) as usize];
            let Ok(api) = fleet.requests().await else { continue };
            let Ok(request) = api.get(&name).await else { continue };
            // Refusals (too late, the same slot) are the API server's business.
            let _taken = fleet.decide(&fleet.bob, &request.name_any(), decision).await;
        }
    }
    Ok(asked)
}
