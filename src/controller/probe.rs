//! `controller probe`: has the API server refuse forgeries once and says which rule refused each, for `helm test` and for people. The attempts
//! are the guard's; here it is somebody else who asks, as the probe's own account.

use anyhow::bail;
use kube::{Client, Config};

use super::guard::{Answer, Attempts, NotPassed};
use crate::args::ProbeArgs;

/// Tries everything, a line each on standard output.
///
/// # Errors
/// Something was let through, or could not be tried; the lines say what.
pub async fn run(args: &ProbeArgs) -> anyhow::Result<()> {
    let client = Client::try_from(Config::infer().await?)?;
    let own = Attempts::own(&client, &args.namespace);
    let groups = [own.creation().await, own.decision().await, own.approval().await, own.status().await];
    let (lines, failed) = report(&groups);
    for line in lines {
        println!("{line}");
    }
    if failed > 0 {
        bail!("{failed} attempts did not end as they should");
    }
    Ok(())
}

/// A line for each answer, and how many failed.
fn report(groups: &[Result<Vec<Answer>, NotPassed>]) -> (Vec<String>, usize) {
    let mut lines = Vec::new();
    for group in groups {
        match group {
            Ok(answers) => lines.extend(answers.iter().map(|Answer { what, refused }| match refused {
                None => format!("allowed  {what}"),
                Some((policy, rule)) => format!("refused  {what}, by {policy}: {rule}"),
            })),
            Err(failure) => lines.push(format!("FAILED   {failure}")),
        }
    }
    (lines, groups.iter().filter(|group| group.is_err()).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_a_line_and_what_was_let_through_fails() {
        let refused =
            Answer { what: "a forgery", refused: Some(("decisions.tidegate.dev", "not your name".to_owned())) };
        let groups = [
            Ok(vec![Answer { what: "an honest request", refused: None }, refused]),
            Err(NotPassed::Unprotected("a status is let through".to_owned())),
        ];
        let (lines, failed) = report(&groups);
        let expected = [
            "allowed  an honest request",
            "refused  a forgery, by decisions.tidegate.dev: not your name",
            "FAILED   a status is let through",
        ];
        assert_eq!((lines, failed), (expected.map(str::to_owned).to_vec(), 1));
    }
}
