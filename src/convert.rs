//! CRD fields to core types and back: the only such place. What comes from the API server has passed the schema; what still does
//! not parse is an error that names the field, never a guess.

mod access;
mod condition;
mod elevation;
mod endpoint;
mod fleet;
mod policy;
mod request;
mod signed;
mod targets;
#[cfg(test)]
mod tests;

use std::fmt::Display;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_core::interval::Instant;
use tidegate_core::name::{Named, Uid};

pub use condition::{Wanted, merge};
pub use endpoint::{agent, certificate, delivery, endpoint};
pub use fleet::{fleet_accounts, lock, settings};
pub use policy::policy;
pub use request::{Beside, finished_at, is_kept, record, recorded_delivery, request, request_status};
pub use signed::{from_signed, signed};

/// A field that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct ConvertError {
    /// Path of the field, such as `spec.access.window`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl ConvertError {
    /// `message` says what is wrong with the field of this path.
    pub fn new(field: impl Into<String>, message: impl Display) -> Self {
        Self { field: field.into(), message: message.to_string() }
    }
}

/// Parses a field by the type it is to become.
fn parse<T>(field: &str, text: &str) -> Result<T, ConvertError>
where
    T: std::str::FromStr,
    T::Err: Display,
{
    text.parse().map_err(|e| ConvertError::new(field, e))
}

/// Parses every item of a list.
fn parse_all<T, C>(field: &str, items: &[String]) -> Result<C, ConvertError>
where
    T: std::str::FromStr,
    T::Err: Display,
    C: FromIterator<T>,
{
    items.iter().map(|item| parse(field, item)).collect()
}

/// The path of a member.
fn at(field: &str, member: &str) -> String {
    format!("{field}.{member}")
}

/// A value that has the same JSON in the API and in core: closed words, and applications.
fn same<A: Serialize, B: DeserializeOwned>(field: &str, from: &A) -> Result<B, ConvertError> {
    let converted = serde_json::to_value(from).and_then(serde_json::from_value);
    converted.map_err(|e| ConvertError::new(field, e))
}

/// Every item of such a list.
fn same_all<A: Serialize, B: DeserializeOwned, C: FromIterator<B>>(
    field: &str,
    items: &[A],
) -> Result<C, ConvertError> {
    items.iter().map(|item| same(field, item)).collect()
}

fn uid<K: Resource>(object: &K) -> Result<Uid, ConvertError> {
    parse("metadata.uid", object.meta().uid.as_deref().unwrap_or_default())
}

fn named<K: Resource<DynamicType = ()>, N>(object: &K) -> Result<Named<N>, ConvertError>
where
    N: std::str::FromStr,
    N::Err: Display,
{
    Ok(Named { name: parse("metadata.name", &object.name_any())?, uid: uid(object)? })
}

/// An instant as the API holds it.
#[must_use]
pub fn time(instant: Instant) -> Time {
    Time(instant.into())
}

/// An instant from the API.
#[must_use]
pub fn instant(time: &Time) -> Instant {
    time.0.into()
}
