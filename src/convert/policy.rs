//! JitPolicy to a checked policy.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use tidegate_api as api;
use tidegate_core::interval::{Interval, parse_duration};
use tidegate_core::policy::{Access, DurationRule, Elevation, Mode, OnRequest, Policy, PolicyRef, ReasonRule, Rules};
use tidegate_core::target::{AccountSet, AccountTarget, EndpointTarget, Expression, Operator, Selector, Targets};

use super::{ConvertError, instant, named, parse_all};

/// Checks a JitPolicy.
///
/// # Errors
/// The first field that is not as it should be: the schema holds most of this already, so this is for objects stored before a
/// change of it.
pub fn policy(object: &api::JitPolicy) -> Result<Policy, ConvertError> {
    let named = named(object)?;
    let generation = object.metadata.generation.unwrap_or_default();
    Ok(Policy {
        reference: PolicyRef { name: named.name, uid: named.uid, generation },
        rules: Rules {
            targets: Targets {
                endpoints: endpoints(&object.spec.targets.endpoints)?,
                accounts: accounts(&object.spec.targets.accounts)?,
            },
            elevation: Elevation {
                mode: match object.spec.elevation.mode {
                    api::ElevationMode::AnyApplication => Mode::AnyApplication,
                },
            },
            access: access(&object.spec.access)?,
        },
    })
}

fn endpoints(targets: &api::EndpointTargets) -> Result<EndpointTarget, ConvertError> {
    let field = "spec.targets.endpoints";
    match (&targets.selector, targets.names.as_slice()) {
        (Some(found), []) => Ok(EndpointTarget::Selector(selector(found)?)),
        (None, [_, ..]) => Ok(EndpointTarget::Names(parse_all("spec.targets.endpoints.names", &targets.names)?)),
        (Some(_), [_, ..]) | (None, []) => Err(ConvertError::new(field, "give exactly one of names and selector")),
    }
}

fn selector(from: &LabelSelector) -> Result<Selector, ConvertError> {
    let expressions = from.match_expressions.iter().flatten().map(|requirement| {
        let operator = match requirement.operator.as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => {
                let field = "spec.targets.endpoints.selector.matchExpressions.operator";
                let message = format!("{other:?} is none of In, NotIn, Exists, DoesNotExist");
                return Err(ConvertError::new(field, message));
            }
        };
        let values = requirement.values.iter().flatten().cloned().collect();
        Ok(Expression { key: requirement.key.clone(), operator, values })
    });
    Ok(Selector {
        match_labels: from.match_labels.clone().unwrap_or_default(),
        match_expressions: expressions.collect::<Result<_, ConvertError>>()?,
    })
}

fn accounts(targets: &api::AccountTargets) -> Result<AccountTarget, ConvertError> {
    let except = targets.except.clone().unwrap_or_default();
    Ok(AccountTarget {
        everyone: targets.everyone,
        names: parse_all("spec.targets.accounts.names", &targets.names)?,
        groups: parse_all("spec.targets.accounts.groups", &targets.groups)?,
        except: AccountSet {
            names: parse_all("spec.targets.accounts.except.names", &except.names)?,
            groups: parse_all("spec.targets.accounts.except.groups", &except.groups)?,
        },
    })
}

fn access(from: &api::Access) -> Result<Access, ConvertError> {
    match (from.access_type, &from.window, &from.on_request) {
        (api::AccessType::Window, Some(window), None) => {
            let window = Interval { start: instant(&window.start_time), end: instant(&window.end_time) };
            if window.end <= window.start {
                return Err(ConvertError::new("spec.access.window.endTime", "must be after startTime"));
            }
            Ok(Access::Window { window })
        }
        (api::AccessType::OnRequest, None, Some(terms)) => Ok(Access::OnRequest { on_request: on_request(terms)? }),
        (api::AccessType::Window | api::AccessType::OnRequest, _, _) => {
            Err(ConvertError::new("spec.access", "give exactly the member that type names"))
        }
    }
}

fn on_request(from: &api::OnRequest) -> Result<OnRequest, ConvertError> {
    let duration = |field: &str, text: &str| parse_duration(text).map_err(|e| ConvertError::new(field, e));
    let rule = DurationRule {
        min: duration("spec.access.onRequest.duration.min", &from.duration.min)?,
        max: duration("spec.access.onRequest.duration.max", &from.duration.max)?,
        default: duration("spec.access.onRequest.duration.default", &from.duration.default)?,
    };
    if rule.min.is_zero() || !rule.allows(rule.default) {
        return Err(ConvertError::new("spec.access.onRequest.duration", "must hold 1s <= min <= default <= max"));
    }
    let min_length = u32::try_from(from.reason.min_length);
    Ok(OnRequest {
        reason: ReasonRule {
            required: from.reason.required,
            min_length: min_length.map_err(|e| ConvertError::new("spec.access.onRequest.reason.minLength", e))?,
        },
        duration: rule,
        pending_timeout: duration("spec.access.onRequest.pendingTimeout", &from.pending_timeout)?,
    })
}
