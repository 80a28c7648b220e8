//! Blocklists of a fleet: programs that "any application" leaves out, and, where absolute, that nothing elevates. What
//! a verdict makes of a hit is the evaluator's.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Application;
use super::answer::Match;
use super::facts::{Attribute, Facts};
use super::text::ItemName;
use crate::name::EndpointName;
use crate::target::{EndpointTarget, Labels, Platform};

/// One of `spec.blocklists` of a Fleet, checked. JSON as in the API, with nothing left out that would block less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Blocklist {
    /// Unique in the fleet.
    pub name: ItemName,
    /// Where it is in force.
    pub endpoints: EndpointTarget,
    /// Operating systems it is for; empty: all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub platforms: BTreeSet<Platform>,
    /// What it names; at most 64.
    pub applications: Vec<Application>,
    /// Nothing overrides it.
    pub absolute: bool,
}

/// An item that names a program, or may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// The list.
    pub list: &'a ItemName,
    /// The item in it.
    pub item: &'a ItemName,
    /// *Yes*, or what it depends on; never *no*. All of them deny ([`Match::denies`]).
    pub answer: Match,
}

/// What blocklists say of a program. `None` where certainly no item names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Blocks<'a> {
    /// By lists that nothing overrides.
    pub absolute: Option<Block<'a>>,
    /// By the others.
    pub ordinary: Option<Block<'a>>,
}

/// Which blocklists name the program on the endpoint of this name and these labels? Of several items the one that says
/// so most surely is given (yes, then error, then what a request could state, then what it could not), then the first by
/// list and item: the same in any order of the lists.
#[must_use]
pub fn blocked<'a>(lists: &'a [Blocklist], endpoint: &EndpointName, labels: &Labels, facts: &Facts) -> Blocks<'a> {
    let in_force = lists.iter().filter(|list| list.is_in_force(endpoint, labels, facts.platform));
    let mut blocks = Blocks::default();
    for list in in_force {
        let place = if list.absolute { &mut blocks.absolute } else { &mut blocks.ordinary };
        *place = place.take().into_iter().chain(list.blocks(facts)).min_by_key(Block::rank);
    }
    blocks
}

// === impl Blocklist ===

impl Blocklist {
    /// Is it in force there? An unknown platform may be any.
    #[must_use]
    pub fn is_in_force(&self, endpoint: &EndpointName, labels: &Labels, platform: Option<Platform>) -> bool {
        let is_of_platform = self.platforms.is_empty() || platform.is_none_or(|known| self.platforms.contains(&known));
        is_of_platform && self.endpoints.reaches(endpoint, labels)
    }

    fn blocks<'a>(&'a self, facts: &Facts) -> impl Iterator<Item = Block<'a>> {
        let judged = self.applications.iter().map(|item| (item, item.blocks(facts)));
        judged.filter(|(_, answer)| answer.denies()).map(|(item, answer)| Block {
            list: &self.name,
            item: &item.name,
            answer,
        })
    }
}

// === impl Block ===

impl<'a> Block<'a> {
    /// Does it speak against a program before it is started? What no request can state is judged by the endpoint, which heeds the
    /// blocklists each time a program starts.
    #[must_use]
    pub fn stops_a_request(&self) -> bool {
        match self.answer {
            Match::Yes | Match::No | Match::Error(_) => true,
            Match::Unknown(attributes) => attributes.iter().any(Attribute::is_stated_by_requests),
        }
    }

    /// The smallest is the surest.
    fn rank(&self) -> (u8, &'a ItemName, &'a ItemName) {
        let sureness = match self.answer {
            Match::Yes => 0,
            Match::Error(_) => 1,
            // What a request could state comes first: a person can do something about it.
            Match::Unknown(_) if self.stops_a_request() => 2,
            Match::Unknown(_) | Match::No => 3,
        };
        (sureness, self.list, self.item)
    }
}
