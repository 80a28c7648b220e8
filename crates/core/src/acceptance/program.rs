//! Is the program that a request names covered by its policy? The same matcher judges it again on the endpoint, with what the
//! agent finds there.

use crate::application::{Block, Blocklist, Coverage, Facts, Match, best_cover, blocked, describe};
use crate::elevation::{Elevation, Mode};
use crate::endpoint::Endpoint;
use crate::name::PolicyName;
use crate::policy::Policy;
use crate::reason::{Decline, DeclineReason};
use crate::request::Request;

/// Every reason that speaks against the program, or against naming none.
pub(super) fn against(
    request: &Request,
    policy: &Policy,
    endpoint: &Endpoint,
    blocklists: &[Blocklist],
) -> Vec<Decline> {
    let (name, elevation) = (&policy.reference.name, &policy.rules.elevation);
    let Some(facts) = policy.facts(&request.wish, endpoint) else {
        return required(name, elevation).into_iter().collect();
    };
    if elevation.mode == Mode::AdminSession {
        let message = format!("spec.application: {name} gives an administrator's shell, not a program; leave it out");
        return vec![Decline::new(DeclineReason::ApplicationNotCovered, message)];
    }
    let path = request.wish.application.as_ref().map(|asked| asked.path().to_string()).unwrap_or_default();
    let on = &endpoint.reference.name;
    let uncovered = uncovered(elevation, &facts).map(|why| match why {
        Uncovered::No => format!(
            "{path} is in no policy for you on {on}; {name} allows {}",
            describe(elevation.listed().unwrap_or_default())
        ),
        Uncovered::Because(why) => format!("{path} on {on}: {why}"),
    });
    let blocks = blocked(blocklists, on, &endpoint.labels, &facts);
    let ordinary = blocks.ordinary.filter(|_| heeds_blocklists(elevation));
    let blocking = blocks.absolute.into_iter().chain(ordinary).filter(Block::stops_a_request);
    let blocked = blocking.map(|block| format!("{path} on {on}: {}", text(&block)));
    let messages = uncovered.into_iter().chain(blocked);
    messages
        .map(|message| Decline::new(DeclineReason::ApplicationNotCovered, format!("spec.application: {message}")))
        .collect()
}

/// Does a blocklist that is not absolute act under this elevation? As an `except` on every Application item, and on Allowlisting
/// unless the policy includes what is blocklisted.
#[must_use]
pub fn heeds_blocklists(elevation: &Elevation) -> bool {
    match elevation.mode {
        Mode::Application => true,
        Mode::Allowlisting => !elevation.include_blocklisted,
        Mode::AnyApplication | Mode::AdminSession => false,
    }
}

enum Uncovered {
    /// It is another program.
    No,
    /// It could be, but.
    Because(String),
}

fn required(name: &PolicyName, elevation: &Elevation) -> Option<Decline> {
    let message = format!(
        "spec.application: {name} elevates single programs; name the one you need, such as {{path: /opt/tool/setup}}; it allows {}",
        elevation.listed().map_or_else(|| "any that no blocklist names".to_owned(), describe)
    );
    (elevation.mode == Mode::Application).then(|| Decline::new(DeclineReason::ApplicationRequired, message))
}

/// `None` if the list covers it, or there is none.
fn uncovered(elevation: &Elevation, facts: &Facts) -> Option<Uncovered> {
    let Some((item, coverage)) = best_cover(elevation.listed()?, facts) else {
        return Some(Uncovered::No);
    };
    match coverage {
        Coverage::Covered(_) => None,
        Coverage::Not => Some(Uncovered::No),
        Coverage::Excepted(_) => Some(Uncovered::Because(format!("item {} leaves it out (except)", item.name))),
        Coverage::Missing(attributes) => {
            Some(Uncovered::Because(format!("item {} may cover it: {}", item.name, attributes.advice())))
        }
        Coverage::Error(attributes) => {
            Some(Uncovered::Because(format!("item {} cannot be judged: {}", item.name, attributes.advice())))
        }
    }
}

fn text(block: &Block<'_>) -> String {
    let Block { list, item, answer } = block;
    match answer {
        Match::Yes | Match::No => format!("blocklist {list} of Fleet fleet names it (item {item})"),
        Match::Unknown(attributes) | Match::Error(attributes) => {
            format!("blocklist {list} of Fleet fleet may name it (item {item}): {}", attributes.advice())
        }
    }
}
