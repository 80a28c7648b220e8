//! Names of time zones that are known to exist, and what was probably meant by one that does not.

use std::fmt;
use std::str::FromStr;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// At most this many characters of a refused name are shown back; no zone has a longer one.
const MAX_CHARS: usize = 64;
/// At most this many zones are proposed instead of a refused one.
const MAX_PROPOSED: usize = 3;

/// An IANA time zone that the built-in database knows, written as there (`Europe/Berlin`), and its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName {
    name: String,
    zone: TimeZone,
}

/// A name that is no time zone. Display names zones that are written alike, if there are any.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time zone {shown:?} is not known; {proposed}")]
pub struct ZoneError {
    shown: String,
    proposed: String,
}

// === impl ZoneName ===

impl ZoneName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    pub(super) fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

impl TryFrom<String> for ZoneName {
    type Error = ZoneError;
    fn try_from(name: String) -> Result<Self, ZoneError> {
        let database = TimeZoneDatabase::bundled();
        // The lookup takes any case and `Etc/Unknown`; the list holds the names as they are written.
        if database.available().any(|known| known.as_str() == name)
            && let Ok(zone) = database.get(&name)
        {
            return Ok(Self { name, zone });
        }
        let proposed = proposed(&database, &name);
        Err(ZoneError { shown: name.chars().take(MAX_CHARS).collect(), proposed })
    }
}

/// What to write instead: zones of the same name but for case and signs, or of the same last part (`Berlin`).
fn proposed(database: &TimeZoneDatabase, name: &str) -> String {
    let near: Vec<String> = database
        .available()
        .map(|known| known.as_str().to_owned())
        .filter(|known| letters(known) == letters(name) || letters(last_part(known)) == letters(last_part(name)))
        .take(MAX_PROPOSED)
        .collect();
    if near.is_empty() {
        return "an IANA name such as Europe/Berlin is expected".to_owned();
    }
    format!("did you mean {}?", near.join(" or "))
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).take(MAX_CHARS).collect()
}

impl FromStr for ZoneName {
    type Err = ZoneError;
    fn from_str(value: &str) -> Result<Self, ZoneError> {
        Self::try_from(value.to_owned())
    }
}

impl From<ZoneName> for String {
    fn from(value: ZoneName) -> String {
        value.name
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
