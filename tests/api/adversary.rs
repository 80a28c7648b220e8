//! The adversary suite: a table of attempts (who, on what, how) with the answer that each must get. A refusal counts only with
//! the text of the expected rule. The mutation test runs the same table against weakened policies.

pub mod attempt;
pub mod cast;
pub mod table;
pub mod world;

use anyhow::{Result, ensure};
use futures::{FutureExt as _, StreamExt};
use kube::core::Status;
use tidegate_test_support::control_plane;

use self::attempt::{Answer, Case};
use self::cast::Cast;
use self::world::{Made, World};
use crate::admission::{stamping, warnings};
use crate::refusals::{self, Refusal};

/// The policy of nearly all requests here.
pub const APPROVED_POLICY: &str = "dev-tools";
/// A label by which the mutation test keeps the API server from stamping an object.
pub const STAMPING_LABEL: &str = "stamping";
/// How many attempts are under way at once.
const AT_ONCE: usize = 8;

#[tokio::test]
async fn every_attempt_gets_its_answer() -> Result<()> {
    let control_plane = control_plane().await?;
    let cast = Cast::assemble(control_plane).await?;
    let world = World::make(&cast, control_plane, "adversary", Made::ByTheRules).await?;
    let table = table::cases();
    ensure!(table.len() >= 120, "only {} cases", table.len());
    let (here, elsewhere): (Vec<Case>, Vec<Case>) = table.into_iter().partition(|case| world.has(case.needs));
    for case in &elsewhere {
        println!("skipped on 1.{}: {}: needs {:?}", control_plane.minor(), case.what, case.needs);
    }
    // Whatever is refused is refused to a dry run too and leaves nothing behind, so it is tried both ways.
    let both = |case: &Case| if matches!(case.answer, Answer::Refused(..)) { vec![true, false] } else { vec![true] };
    let attempts = here.iter().flat_map(|case| both(case).into_iter().map(move |dry_run| (case, dry_run)));
    let judged = futures::stream::iter(attempts)
        .map(|(case, dry_run)| world.judge(case, dry_run).map(move |answer| (case, dry_run, answer)));
    let answers: Vec<(&Case, bool, Result<_>)> = judged.buffered(AT_ONCE).collect().await;
    let wrong: Vec<String> =
        answers.iter().filter_map(|(.., answer)| answer.as_ref().err()).map(|e| format!("{e:#}")).collect();
    println!("{} cases, {} attempts", here.len(), answers.len());
    ensure!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));

    let refused = |(case, dry_run, answer): (&Case, bool, Result<Option<Status>>)| {
        let status = answer.ok().flatten().filter(|_| dry_run)?;
        Some(Refusal::new(&case.what, &status, &world.namespace))
    };
    let mut refusals: Vec<Refusal> = answers.into_iter().filter_map(refused).collect();
    refusals.extend(stamping::refusals().await?);
    // Kubernetes words its own refusals anew now and then.
    if control_plane.minor() >= 36 {
        refusals::compare(&refusals, &warnings::all().await?)?;
    }
    Ok(())
}
