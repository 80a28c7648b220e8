//! What `kubectl get` shows, and what it can select by.

use anyhow::{Context, Result};
use kube::api::{ListParams, PostParams};
use serde_json::json;

use crate::fleet::{Fleet, Judged as _, wish};

/// The cell of the only row below `column`: kubectl begins cells where their column's name begins.
fn cell<'a>(table: &'a str, column: &str) -> Result<&'a str> {
    let (header, row) = table.split_once('\n').with_context(|| format!("no row in {table:?}"))?;
    let start = header.find(column).with_context(|| format!("no column {column} in {header:?}"))?;
    let after = start + column.len();
    // Where the next column's name begins; the last cell goes on to the end of the row.
    let next = header[after..].find(|c: char| c != ' ').map_or(row.len(), |blanks| after + blanks);
    Ok(row.get(start..next).unwrap_or_default().trim())
}

#[tokio::test]
async fn the_duration_column_shows_what_was_granted_else_what_was_asked() -> Result<()> {
    let fleet = Fleet::new("columns").await?;
    let mut request = wish("r", &fleet.alice)?;
    request.spec.duration = Some("45m".to_owned());
    let mut request = fleet.requests(&fleet.alice).await?.create(&PostParams::default(), &request).await?;
    let get = async || fleet.bob.kubectl(["get", "er", "-n", fleet.namespace.name(), "-o", "wide"]).await?.ok();
    let table = get().await?;
    assert_eq!(cell(&table, "DURATION")?, "45m", "{table}");

    let message = "Until 17:00. Approved by bob@corp.";
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"});
    request.status = Some(serde_json::from_value(json!({
        "state": "Active", "duration": "30m", "expirationTime": "2026-01-01T17:00:00Z",
        "conditions": [condition("Accepted", "Accepted", ""), condition("Active", "Active", message)],
        // Durations elsewhere in the object must not win.
        "decisions": [{"slot": 1, "duration": "35m", "observedTime": "2026-01-01T00:00:00Z", "counted": true}],
    }))?);
    let controller = fleet.requests(&fleet.controller().await?).await?;
    controller.replace_status("r", &PostParams::default(), &request).await.allowed("the status")?;
    let table = get().await?;
    let expected = [
        ("STATE", "Active"),
        ("ACCOUNT", "alice"),
        ("ENDPOINT", "ws-042"),
        ("DURATION", "30m"),
        ("EXPIRES", "2026-01-01T17:00:00Z"),
        ("REASON", "Accepted"),
        ("POLICY", "dev-tools"),
        ("REQUESTER", "alice@corp"),
        ("MESSAGE", message),
    ];
    for (column, value) in expected {
        assert_eq!(cell(&table, column)?, value, "{column} in\n{table}");
    }
    Ok(())
}

#[tokio::test]
async fn requests_are_selected_by_their_state() -> Result<()> {
    let fleet = Fleet::new("selected").await?;
    if fleet.control_plane.minor() < 31 {
        return Ok(()); // Selectable fields of custom resources came with 1.31.
    }
    let controller = fleet.requests(&fleet.controller().await?).await?;
    for (name, state) in [("one", "Active"), ("two", "Pending")] {
        let mut request = fleet.request(name).await?;
        request.status.get_or_insert_default().state = Some(state.to_owned());
        controller.replace_status(name, &PostParams::default(), &request).await?;
    }
    let active = fleet.requests(&fleet.bob).await?.list(&ListParams::default().fields("status.state=Active")).await?;
    assert_eq!(active.items.iter().filter_map(|r| r.metadata.name.as_deref()).collect::<Vec<_>>(), ["one"]);
    Ok(())
}
