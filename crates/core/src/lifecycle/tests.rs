//! The lifecycle of a request, in the folder by subject: every row and edge of the state table (which writes
//! `docs/states.md`), the course of time, the guard, Locks, properties over random histories, and a model of everything
//! that can happen in a small world.

mod course;
mod edges;
mod grants;
mod guard;
mod model;
mod properties;
mod states;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fixture::*;
use super::*;
use crate::decision::Verb;
use crate::guard::UNPROTECTED;
use crate::interval::{Interval, Position};
use crate::lock::{Effect, LockTarget};
use crate::reason::{DeclineReason, IgnoredReason};
use crate::state::State;
