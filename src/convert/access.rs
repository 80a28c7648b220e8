//! When access is given, on which terms, and who approves: `spec.access` of a JitPolicy.

use std::collections::BTreeSet;
use std::time::Duration;

use tidegate_api as api;
use tidegate_core::access::{Access, DurationRule, Pattern, ReasonRule, Terms, TicketRule};
use tidegate_core::application::ItemName;
use tidegate_core::approval::rule::{ApprovalRules, AutomaticRule, Stage};
use tidegate_core::elevation::Elevation;
use tidegate_core::interval::{Interval, parse_duration};
use tidegate_core::recurring::{Recurring, WeeklyWindow};

use super::{ConvertError, at, instant, parse, parse_all, same_all, targets};

pub(super) fn access(from: &api::Access) -> Result<Access, ConvertError> {
    use api::AccessType;
    match (from.access_type, &from.fixed, &from.window, &from.recurring, &from.on_request) {
        (AccessType::Fixed, Some(fixed), None, None, None) => {
            let start = instant(&fixed.start_time);
            let end = start.plus(duration("spec.access.fixed.duration", &fixed.duration)?);
            Ok(Access::Fixed { fixed: span("spec.access.fixed.duration", Interval { start, end })? })
        }
        (AccessType::Window, None, Some(window), None, None) => {
            let window = Interval { start: instant(&window.start_time), end: instant(&window.end_time) };
            Ok(Access::Window { window: span("spec.access.window.endTime", window)? })
        }
        (AccessType::Recurring, None, None, Some(from), None) => Ok(Access::Recurring { recurring: recurring(from)? }),
        (AccessType::OnRequest, None, None, None, Some(from)) => Ok(Access::OnRequest { on_request: terms(from)? }),
        (AccessType::Fixed | AccessType::Window | AccessType::Recurring | AccessType::OnRequest, ..) => {
            Err(ConvertError::new("spec.access", "give exactly the member that type names"))
        }
    }
}

fn span(field: &str, interval: Interval) -> Result<Interval, ConvertError> {
    if interval.end > interval.start {
        return Ok(interval);
    }
    Err(ConvertError::new(field, "access must end after it starts (startTime)"))
}

fn recurring(from: &api::Recurring) -> Result<Recurring, ConvertError> {
    let field = |name: &str| at("spec.access.recurring", name);
    let windows = from.windows.iter().map(|window| {
        let days: BTreeSet<_> = same_all(&field("windows.days"), &window.days)?;
        let start = parse(&field("windows.start"), &window.start)?;
        let length = duration(&field("windows.duration"), &window.duration)?;
        WeeklyWindow::new(days, start, length).map_err(|e| ConvertError::new(field("windows"), e))
    });
    let zone = parse(&field("timeZone"), &from.time_zone)?;
    Recurring::new(zone, windows.collect::<Result<_, _>>()?).map_err(|e| ConvertError::new(field("windows"), e))
}

fn terms(from: &api::OnRequest) -> Result<Terms, ConvertError> {
    let field = |name: &str| at("spec.access.onRequest", name);
    let rule = DurationRule {
        min: duration(&field("duration.min"), &from.duration.min)?,
        max: duration(&field("duration.max"), &from.duration.max)?,
        default: duration(&field("duration.default"), &from.duration.default)?,
    };
    if rule.min.is_zero() || !rule.allows(rule.default) {
        return Err(ConvertError::new(field("duration"), "must hold 1s <= min <= default <= max"));
    }
    let min_length = u32::try_from(from.reason.min_length);
    let ticket = from.ticket.clone().unwrap_or_default();
    Ok(Terms {
        reason: ReasonRule {
            required: from.reason.required,
            min_length: min_length.map_err(|e| ConvertError::new(field("reason.minLength"), e))?,
            pattern: pattern(&field("reason.pattern"), &from.reason.pattern)?,
        },
        ticket: TicketRule { required: ticket.required, pattern: pattern(&field("ticket.pattern"), &ticket.pattern)? },
        duration: rule,
        pending_timeout: duration(&field("pendingTimeout"), &from.pending_timeout)?,
    })
}

/// `spec.access.onRequest.approval`; rules may name only items that there are.
pub(super) fn approval(from: &api::Access, elevation: &Elevation) -> Result<ApprovalRules, ConvertError> {
    let field = |name: &str| at("spec.access.onRequest.approval", name);
    let terms = from.on_request.as_ref().and_then(|terms| terms.approval.clone()).unwrap_or_default();
    let automatic = terms.automatic.iter().map(|rule| automatic(&field("automatic"), rule, elevation));
    let stages = terms.stages.iter().map(|stage| {
        let approvals = u32::try_from(stage.approvals).ok().filter(|count| (1..=8).contains(count));
        let approvals = approvals.ok_or_else(|| ConvertError::new(field("stages.approvals"), "1 to 8 are possible"));
        Ok(Stage { name: parse(&field("stages.name"), &stage.name)?, approvals: approvals? })
    });
    Ok(ApprovalRules {
        automatic: automatic.collect::<Result<_, ConvertError>>()?,
        stages: stages.collect::<Result<_, ConvertError>>()?,
    })
}

fn automatic(field: &str, from: &api::AutomaticRule, elevation: &Elevation) -> Result<AutomaticRule, ConvertError> {
    let field = |name: &str| format!("{field}[{}].{name}", from.name);
    let applications: Vec<ItemName> = parse_all(&field("applications"), &from.applications)?;
    let unknown = applications.iter().find(|name| elevation.applications.iter().all(|item| item.name != **name));
    if let Some(name) = unknown {
        let message = format!("elevation.applications has no item {name}");
        return Err(ConvertError::new(field("applications"), message));
    }
    let accounts = from.accounts.as_ref().map(|accounts| targets::accounts(&field("accounts"), accounts));
    let endpoints = from.endpoints.as_ref().map(|endpoints| targets::endpoints(&field("endpoints"), endpoints));
    let longest = from.max_duration.as_deref().map(|text| duration(&field("maxDuration"), text));
    Ok(AutomaticRule {
        name: parse(&field("name"), &from.name)?,
        accounts: accounts.transpose()?,
        endpoints: endpoints.transpose()?,
        applications,
        max_duration: longest.transpose()?,
    })
}

/// An empty one is none.
fn pattern(field: &str, text: &str) -> Result<Option<Pattern>, ConvertError> {
    if text.is_empty() {
        return Ok(None);
    }
    Pattern::try_from(text.to_owned()).map(Some).map_err(|e| ConvertError::new(field, e))
}

pub(super) fn duration(field: &str, text: &str) -> Result<Duration, ConvertError> {
    parse_duration(text).map_err(|e| ConvertError::new(field, e))
}
