//! What can go wrong in one pass over an object, one variant per step, and how soon to try again.

use std::sync::Arc;
use std::time::Duration;

use kube::runtime::controller::Action;
use tidegate_core::envelope::SignError;
use tidegate_core::part::PartError;

use super::guard::NotPassed;
use crate::convert::ConvertError;
use crate::metrics::FailedStep;
use crate::signing::SigningError;

/// A pass that could not read, judge or write all it had to. It never grants and never denies on what it does not know: what is recorded
/// stays, but for ends that need none of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stored object is not of the form this version reads.
    #[error("the object cannot be read: {0}")]
    Read(String),
    /// A field does not parse.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// Something the object refers to could not be fetched.
    #[error("fetching {what}: {source}")]
    Fetch {
        /// Which object.
        what: &'static str,
        /// The API server's answer, which several may share.
        source: Arc<kube::Error>,
    },
    /// Whether the admission policies are those that were probed could not be found out.
    #[error("confirming the admission policies: {0}")]
    Guard(Arc<NotPassed>),
    /// The namespace is not known (yet).
    #[error("namespace {0} is not known")]
    Fleet(String),
    /// A part could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A grant could not be signed.
    #[error(transparent)]
    Part(#[from] PartError),
    /// A certificate could not be made.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A write was refused or lost.
    #[error("writing {what}: {source}")]
    Write {
        /// What was written.
        what: &'static str,
        /// The API server's answer.
        source: kube::Error,
    },
}

/// After a lost race the watch brings the newer object at once; this is for when it does not.
const CONFLICT: Duration = Duration::from_millis(200);
/// API trouble: soon, so that an end is not told late.
const TROUBLE: Duration = Duration::from_secs(2);
/// An object that does not parse waits for a change.
const INVALID: Duration = Duration::from_secs(300);

impl Error {
    /// A lost compare-and-set: somebody wrote in between. Normal, and not worth a warning.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Write { source: kube::Error::Api(status), .. } if status.code == 409)
    }

    /// What was to be written is no longer there.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Write { source: kube::Error::Api(status), .. } if status.code == 404)
    }

    /// The API server will never take this write: the object itself breaks its schema.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Write { source: kube::Error::Api(status), .. } if status.code == 422)
    }

    /// The step that failed.
    #[must_use]
    pub fn step(&self) -> FailedStep {
        match self {
            Self::Read(_) => FailedStep::Read,
            Self::Convert(_) => FailedStep::Parse,
            Self::Fetch { .. } | Self::Guard(_) | Self::Fleet(_) => FailedStep::Fetch,
            Self::Sign(_) | Self::Part(_) | Self::Signing(_) => FailedStep::Sign,
            Self::Write { .. } => FailedStep::Write,
        }
    }

    /// When to try again.
    #[must_use]
    pub fn retry(&self) -> Action {
        Action::requeue(match self {
            Self::Write { .. } if self.is_conflict() => CONFLICT,
            Self::Fetch { .. } | Self::Guard(_) | Self::Write { .. } | Self::Fleet(_) => TROUBLE,
            Self::Sign(_) | Self::Part(_) | Self::Signing(_) => TROUBLE,
            Self::Read(_) | Self::Convert(_) => INVALID,
        })
    }
}
