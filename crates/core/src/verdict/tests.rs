//! The corpus, the agreement of the controller with it, and what holds of every snapshot and question.

mod agreement;
mod corpus;
mod properties;
mod speech;

use super::*;
