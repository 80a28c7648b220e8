//! What `kubectl get` shows, and what it can select by.

use anyhow::{Context, Result};
use kube::api::{ListParams, PostParams};
use kube::{Api, Resource};
use serde_json::{Value, json};
use tidegate_api::{ElevationRequest, JitPolicy, Lock, ManagedEndpoint};

use super::place::Place;
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

/// Checks the columns of `kubectl get` for an object of kind `K` with this status: their order and their cells.
async fn shows<K: Resource<DynamicType = ()>>(status: Value, columns: &[(&str, &str)]) -> Result<()> {
    let place = Place::new::<K>("shows").await?;
    place.write_status(status).await?;
    let plural = K::plural(&());
    let table = place.kubectl(&["get", &plural, "-o", "wide"]).await?;
    let header = table.lines().next().unwrap_or_default();
    let names: Vec<&str> = header.split_whitespace().filter(|name| !matches!(*name, "NAME" | "AGE")).collect();
    assert_eq!(names, columns.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{table}");
    for (column, value) in columns {
        assert_eq!(cell(&table, column)?, *value, "{column} in\n{table}");
    }
    Ok(())
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

#[tokio::test]
async fn the_columns_of_each_kind_say_how_it_stands() -> Result<()> {
    let ready = condition("Ready", "True", "Compiled", "it is in force");
    let policy = json!({
        "conditions": [ready],
        "endpoints": {"matched": 12, "withheld": 1},
        "requests": {"pending": 3, "active": 2},
    });
    let columns = [
        ("MODE", "AnyApplication"),
        ("ACCESS", "OnRequest"),
        ("STATUS", "Compiled"),
        ("ENDPOINTS", "12"),
        ("WITHHELD", "1"),
        ("PENDING", "3"),
        ("ACTIVE", "2"),
        ("MESSAGE", "it is in force"),
    ];
    shows::<JitPolicy>(policy, &columns).await?;

    let fleet = json!({
        "conditions": [ready],
        "endpoints": {"total": 12, "upToDate": 11, "reachable": 10},
        "requests": {"pending": 3, "active": 2},
    });
    let columns = [
        ("STATUS", "Compiled"),
        ("ENDPOINTS", "12"),
        ("UP-TO-DATE", "11"),
        ("REACHABLE", "10"),
        ("PENDING", "3"),
        ("ACTIVE", "2"),
        ("MESSAGE", "it is in force"),
    ];
    shows::<tidegate_api::Fleet>(fleet, &columns).await?;
    shows::<Lock>(json!({"ended": 3}), &[("EFFECT", "DeclineNew"), ("ENDED", "3"), ("EXPIRES", ""), ("MESSAGE", "")])
        .await
}

#[tokio::test]
async fn the_columns_of_endpoint_and_request_hold_the_agents_word() -> Result<()> {
    let states = [("Enrolled", "True"), ("UpToDate", "False"), ("Reachable", "Unknown"), ("Locked", "False")];
    let conditions: Vec<Value> = states.iter().map(|(kind, status)| condition(kind, status, "R", "enrolled")).collect();
    let endpoint = json!({"conditions": conditions, "agent": {"version": "11.4.2", "platform": "Linux"}});
    let columns = [
        ("ENROLLED", "True"),
        ("UP-TO-DATE", "False"),
        ("REACHABLE", "Unknown"),
        ("LOCKED", "False"),
        ("AGENT", "11.4.2"),
        ("PLATFORM", "Linux"),
        ("OWNER", ""),
        ("CERTIFICATE", ""),
        ("MESSAGE", "enrolled"),
    ];
    shows::<ManagedEndpoint>(endpoint, &columns).await?;

    let fleet = Fleet::new("columns-of-a-wish").await?;
    let mut request = wish("r", &fleet.alice)?;
    let stated = json!({"ticket": "INC-2211", "application": {"path": "/opt/toolchain/setup"}});
    let mut spec = serde_json::to_value(&request.spec)?;
    super::merge(&mut spec, &stated);
    request.spec = serde_json::from_value(spec)?;
    let mut request = fleet.requests(&fleet.alice).await?.create(&PostParams::default(), &request).await?;
    let applied = condition("Applied", "Unknown", "Waiting", "not yet on ws-042");
    request.status = Some(serde_json::from_value(json!({"state": "Active", "conditions": [applied]}))?);
    let controller: Api<ElevationRequest> = fleet.requests(&fleet.controller().await?).await?;
    controller.replace_status("r", &PostParams::default(), &request).await.allowed("the status")?;
    let table = fleet.bob.kubectl(["get", "er", "-n", fleet.namespace.name(), "-o", "wide"]).await?.ok()?;
    let cells = [("APPLICATION", "/opt/toolchain/setup"), ("TICKET", "INC-2211"), ("APPLIED", "Waiting")];
    for (column, value) in cells {
        assert_eq!(cell(&table, column)?, value, "{column} in\n{table}");
    }
    Ok(())
}

#[tokio::test]
async fn short_names_and_the_category_find_every_kind() -> Result<()> {
    let place = Place::new::<JitPolicy>("short").await?;
    for word in ["jp", "er", "managedendpoints", "fleets", "locks"] {
        place.kubectl(&["get", word]).await?;
    }
    let all = place.kubectl(&["api-resources", "--categories=tidegate", "-o", "name"]).await?;
    let names: Vec<&str> = all.lines().collect();
    let kinds = ["elevationrequests", "fleets", "jitpolicies", "locks", "managedendpoints"];
    assert_eq!(names, kinds.map(|plural| format!("{plural}.tidegate.dev")));
    Ok(())
}

#[tokio::test]
async fn kubectl_explains_every_kind() -> Result<()> {
    let place = Place::new::<JitPolicy>("explain").await?;
    let cases = [
        ("jitpolicies.spec.access.onRequest.duration", "1s <= min <= default <= max <= 24h"),
        ("elevationrequests.spec.application", "exactly this one is granted"),
        ("managedendpoints.status.agent.capabilities", "measured by its self-test"),
        ("fleets.spec.blocklists", "Programs that"),
        ("locks.spec.effect", "DeclineNew"),
    ];
    for (path, says) in cases {
        let text = place.kubectl(&["explain", path]).await?;
        assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(says), "{path}: {text}");
        let kind = path.split('.').next().unwrap_or_default();
        let whole = place.kubectl(&["explain", kind, "--recursive"]).await?;
        assert!(whole.contains("spec\t") && whole.contains("status\t"), "{kind}: {whole}");
        assert!(!whole.contains("Auto-generated"), "{kind}");
    }
    Ok(())
}
