//! The second scene: a right that a policy grants ahead opens and closes on time without anybody's help, and a Lock ends another
//! one that nobody would have ended before morning.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use tidegate_test_support::{clock, eventually};

use crate::narrator::Narrator;
use crate::screen::Screen;
use crate::stage::{FLEET, PUNCTUAL, SOON, Stage};

/// Time for the policy to be signed, named in the fleet part and fetched.
const LEAD: Duration = Duration::from_secs(8);
/// How long the short one lasts.
const LENGTH: SignedDuration = SignedDuration::from_secs(5);

/// Shows both.
///
/// # Errors
/// What did not hold.
pub async fn scene(narrator: &Narrator, stage: &Stage<'_>, screen: &Screen) -> Result<()> {
    opens_and_closes(narrator, stage, screen).await?;
    is_locked(narrator, stage, screen).await
}

async fn opens_and_closes(narrator: &Narrator, stage: &Stage<'_>, screen: &Screen) -> Result<()> {
    narrator.step("a policy grants ahead: five seconds, eight seconds from now; nobody asks, nobody approves");
    let start = whole(clock::now() + LEAD)?;
    let fixed = format!("{{type: Fixed, fixed: {{startTime: {start}, duration: 5s}}}}");
    create(narrator, stage, "hotfix.yaml", &policy("hotfix", &fixed)).await?;
    let begun = screen.news("started", "hotfix", SOON).await?;
    let early_or_late = clock::now().duration_since(start);
    narrator.output(&begun);
    let closed = screen.news("ended", "hotfix", SOON).await?;
    let late = clock::now().duration_since(start + LENGTH);
    narrator.output(&closed);
    ensure!(closed.contains("expired"), "it had to end by itself; the agent says: {closed}");
    for (what, off) in [("the start", early_or_late), ("the end", late)] {
        let range = SignedDuration::ZERO..=PUNCTUAL;
        ensure!(
            range.contains(&off),
            "{what} had to come at its instant or up to {PUNCTUAL:#} later; it came {off:#} later"
        );
    }
    narrator.note(&format!(
        "{:.2} s after the start, {:.2} s after the end that the policy names",
        early_or_late.as_secs_f64(),
        late.as_secs_f64()
    ));
    Ok(())
}

async fn is_locked(narrator: &Narrator, stage: &Stage<'_>, screen: &Screen) -> Result<()> {
    narrator.step("another one holds until tomorrow, and the computer is stolen: a Lock ends it at once");
    let (start, end) = (whole(clock::now())?, whole(clock::now() + Duration::from_secs(12 * 3600))?);
    let window = format!("{{type: Window, window: {{startTime: {start}, endTime: {end}}}}}");
    create(narrator, stage, "overnight.yaml", &policy("overnight", &window)).await?;
    narrator.output(&screen.news("started", "overnight", SOON).await?);
    let lock = format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: Lock\nmetadata: {{name: stolen, namespace: {FLEET}}}\nspec:\n  \
         target: {{endpoints: {{names: [ws-042]}}}}\n  effect: EndAccess\n  message: Stolen laptop, INC-4711\n"
    );
    let before = clock::now();
    create(narrator, stage, "lock.yaml", &lock).await?;
    let ended = screen.news("ended", "overnight", SOON).await?;
    let after = clock::now().duration_since(before);
    narrator.output(&ended);
    ensure!(ended.contains("INC-4711"), "the person had to be told why; the agent says: {ended}");
    narrator.note(&format!("{:.1} s after kubectl create", after.as_secs_f64()));
    eventually("the Lock's status", SOON, async || {
        let said = stage.admin.kubectl([
            "get",
            "lock",
            "stolen",
            "-n",
            FLEET,
            "-o",
            "jsonpath={.status.conditions[0].reason}",
        ]);
        let said = said.await?.ok()?;
        ensure!(said == "Compiled", "it says {said:?}");
        Ok(())
    })
    .await?;
    narrator.kubectl(stage.admin, &["get", "locks", "-n", FLEET]).await?.ok()?;
    narrator.kubectl(stage.admin, &["delete", "lock/stolen", "jp/overnight", "jp/hotfix", "-n", FLEET]).await?.ok()?;
    Ok(())
}

fn policy(name: &str, access: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: JitPolicy\nmetadata: {{name: {name}, namespace: {FLEET}}}\nspec:\n  \
         targets: {{endpoints: {{names: [ws-042]}}, accounts: {{names: [alice]}}}}\n  \
         elevation: {{mode: AnyApplication}}\n  access: {access}\n"
    )
}

async fn create(narrator: &Narrator, stage: &Stage<'_>, file: &str, text: &str) -> Result<()> {
    narrator.command("admin", &format!("cat {file}"));
    narrator.output(text);
    narrator.command("admin", &format!("kubectl create -f {file}"));
    let path = stage.control_plane.sandbox().fresh_file("manifests", file, text)?;
    let path = path.to_str().context("the path of the sandbox is no text")?;
    narrator.output(&stage.admin.kubectl(["create", "-f", path]).await?.ok()?);
    Ok(())
}

/// Cut to whole seconds, as every instant of the API is.
fn whole(instant: Timestamp) -> Result<Timestamp> {
    Timestamp::from_second(instant.as_second()).context("the clock is out of range")
}
