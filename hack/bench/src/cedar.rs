//! The same rules as policies of Cedar, one for each, and the same questions. What tells programs apart comes first in every
//! condition, so that a policy about another program is done with as early as it can be.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Request,
    RestrictedExpression,
};
use tidegate_core::application::{Attr, Facts};

use crate::fleet::{NOW, digest, path};

/// Rules, and what authorises by them.
pub struct Cedar {
    policies: PolicySet,
    authorizer: Authorizer,
}

/// A question in Cedar's form.
pub struct Question {
    request: Request,
    entities: Entities,
}

impl Cedar {
    /// The rules of these numbers.
    pub fn new(rules: usize) -> anyhow::Result<Self> {
        let mut policies = PolicySet::new();
        for number in 0..rules {
            policies.add(Policy::parse(Some(PolicyId::new(format!("app-{number}"))), rule(number))?)?;
        }
        Ok(Self { policies, authorizer: Authorizer::new() })
    }

    /// May it?
    pub fn allows(&self, question: &Question) -> bool {
        let response = self.authorizer.is_authorized(&question.request, &self.policies, &question.entities);
        response.decision() == Decision::Allow
    }
}

/// One rule: as in `fleet`, with the window, the account's group, the contact and the file's owner.
fn rule(number: usize) -> String {
    let (path, start, end) = (path(number), NOW - 3600, NOW + 3600);
    let (resource, covered) = match number % 4 {
        0 | 1 => (format!("resource == Program::\"{path}\""), format!("resource.resolved == \"{path}\"")),
        2 => (
            "resource".to_owned(),
            format!(
                "resource.path like \"/opt/app-{number}/*\" && resource.resolved like \"/opt/app-{number}/*\" \
                 && resource.path != \"/opt/app-{number}/bin/sh\" && resource.resolved != \"/opt/app-{number}/bin/sh\""
            ),
        ),
        _ => ("resource".to_owned(), format!("resource.sha256 == \"{}\"", digest(number))),
    };
    format!(
        "permit(principal in Group::\"developers\", action == Action::\"run\", {resource}) when {{ {covered} && resource.secure \
         && context.now >= {start} && context.now < {end} && context.contact <= 3600 }};"
    )
}

impl Question {
    /// Alice wants to start this program.
    pub fn new(facts: &Facts) -> anyhow::Result<Self> {
        let known = |attr: &Attr<_>| match attr {
            Attr::Known(path) => Ok(format!("{path}")),
            Attr::Absent | Attr::Error | Attr::Unstated => anyhow::bail!("the path is not known"),
        };
        let (path, resolved) = (known(&facts.path)?, known(&facts.resolved_path)?);
        let digest = match &facts.sha256 {
            Attr::Known(digest) => digest.to_string(),
            Attr::Absent | Attr::Error | Attr::Unstated => anyhow::bail!("the digest is not known"),
        };
        let text = |text: String| RestrictedExpression::new_string(text);
        let attributes = HashMap::from([
            ("path".to_owned(), text(path.clone())),
            ("resolved".to_owned(), text(resolved)),
            ("sha256".to_owned(), text(digest)),
            ("secure".to_owned(), RestrictedExpression::new_bool(facts.secure == Attr::Known(true))),
        ]);
        let (alice, group, run): (EntityUid, EntityUid, EntityUid) =
            ("User::\"alice\"".parse()?, "Group::\"developers\"".parse()?, "Action::\"run\"".parse()?);
        let program: EntityUid = format!("Program::\"{path}\"").parse()?;
        let entities = Entities::from_entities(
            [
                Entity::new_no_attrs(group.clone(), HashSet::new()),
                Entity::new_no_attrs(alice.clone(), HashSet::from([group])),
                Entity::new(program.clone(), attributes, HashSet::new())?,
            ],
            None,
        )?;
        let context = [
            ("now".to_owned(), RestrictedExpression::new_long(NOW)),
            ("contact".to_owned(), RestrictedExpression::new_long(0)),
        ];
        let request = Request::new(alice, run, program, Context::from_pairs(context)?, None);
        Ok(Self { request: request.context("the request")?, entities })
    }
}
