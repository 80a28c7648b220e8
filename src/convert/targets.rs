//! Whom a policy, a rule or a lock is about: endpoints and accounts.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use tidegate_api as api;
use tidegate_core::target::{AccountSet, AccountTarget, EndpointTarget, Expression, Operator, Selector, Targets};

use super::{ConvertError, at, parse, parse_all, same_all};

/// `spec.targets`
pub(super) fn targets(from: &api::Targets) -> Result<Targets, ConvertError> {
    let field = "spec.targets";
    let version = from.min_agent_version.as_deref();
    Ok(Targets {
        endpoints: endpoints(&at(field, "endpoints"), &from.endpoints)?,
        accounts: accounts(&at(field, "accounts"), &from.accounts)?,
        platforms: same_all(&at(field, "platforms"), &from.platforms)?,
        min_agent_version: version.map(|text| parse(&at(field, "minAgentVersion"), text)).transpose()?,
    })
}

pub(super) fn endpoints(field: &str, targets: &api::EndpointTargets) -> Result<EndpointTarget, ConvertError> {
    match (&targets.selector, targets.names.as_slice()) {
        (Some(found), []) => Ok(EndpointTarget::Selector(selector(&at(field, "selector"), found)?)),
        (None, [_, ..]) => Ok(EndpointTarget::Names(parse_all(&at(field, "names"), &targets.names)?)),
        (Some(_), [_, ..]) | (None, []) => Err(ConvertError::new(field, "give exactly one of names and selector")),
    }
}

fn selector(field: &str, from: &LabelSelector) -> Result<Selector, ConvertError> {
    let expressions = from.match_expressions.iter().flatten().map(|requirement| {
        let operator = match requirement.operator.as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => {
                let message = format!("{other:?} is none of In, NotIn, Exists, DoesNotExist");
                return Err(ConvertError::new(at(field, "matchExpressions.operator"), message));
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

pub(super) fn accounts(field: &str, targets: &api::AccountTargets) -> Result<AccountTarget, ConvertError> {
    let except = targets.except.clone().unwrap_or_default();
    Ok(AccountTarget {
        everyone: targets.everyone,
        names: parse_all(&at(field, "names"), &targets.names)?,
        groups: parse_all(&at(field, "groups"), &targets.groups)?,
        except: AccountSet {
            names: parse_all(&at(field, "except.names"), &except.names)?,
            groups: parse_all(&at(field, "except.groups"), &except.groups)?,
        },
    })
}
