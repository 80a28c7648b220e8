//! `KEEP=1`: everything stays up, with what one needs to try it by hand.

use std::time::Duration;

use anyhow::Result;
use tidegate_test_support::assets;

use crate::narrator::Narrator;
use crate::screen::{Screen, clean, is_news};
use crate::stage::Stage;

/// What to type as whom; `NAME` is what `create` answers.
const TRY: [(&str, &str); 6] = [
    ("alice asks; note the name", ASK),
    ("anybody looks", "kubectl -n berlin get er,jp,managedendpoints -o wide"),
    (
        "bob approves",
        "kubectl -n berlin annotate er/NAME decision.tidegate.dev/1=\"bob@corp approve for=45s: go ahead\"",
    ),
    ("bob takes it back", "kubectl -n berlin annotate er/NAME decision.tidegate.dev/2=\"bob@corp revoke: enough\""),
    ("or alice gives it back", "kubectl -n berlin annotate er/NAME decision.tidegate.dev/2=\"alice@corp end\""),
    ("the manual", "kubectl explain er.spec"),
];

const ASK: &str = "kubectl create -f - <<'END'
apiVersion: tidegate.dev/v1alpha1
kind: ElevationRequest
metadata: {generateName: try-, namespace: berlin}
spec:
  requester: alice@corp
  policyName: dev-tools
  endpointName: ws-042
  account: alice
  duration: 1m
  reason: Trying it out by hand
END";

/// Prints how, then what the agent says, until it is interrupted.
///
/// # Errors
/// When the control plane's programs are gone, or the agent ends.
pub async fn stay(narrator: &Narrator, stage: &Stage<'_>, screen: &Screen) -> Result<()> {
    narrator.step("it stays up: try it in other terminals, and press Ctrl-C here to end it");
    let programs = assets::control_plane_programs()?;
    let people =
        [("an administrator", stage.admin), ("alice, who asks", &stage.alice), ("bob, who decides", &stage.bob)];
    for (name, who) in people {
        // Not indented: to be copied.
        println!("\n# to be {name}");
        println!("export KUBECONFIG={} PATH=\"{}:$PATH\"", who.kubeconfig().display(), programs.display());
    }
    for (what, command) in TRY {
        println!("\n# {what}\n{command}");
    }
    narrator.step("what the agent on ws-042 says from now on");
    let stdout = &screen.agent.process.stdout;
    let mut position = stdout.position();
    loop {
        stdout.wait_for("news of the agent", position, Duration::MAX, is_news).await?;
        let (lines, next) = stdout.since(position);
        position = next;
        lines.iter().filter(|line| is_news(line)).for_each(|line| narrator.output(clean(line)));
    }
}
