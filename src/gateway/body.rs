//! Request bodies: read whole, within a size and a time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use tidegate_core::wire::ProblemCode;

use super::error::HttpError;

/// A body that does not arrive in this time is refused.
const TIMEOUT: Duration = Duration::from_secs(10);

/// All bytes of a body. `what` names it, such as "An enrolment".
///
/// # Errors
/// `TooLarge` above `most` bytes, `BadRequest` when it is late.
pub(super) async fn read(body: Body, most: usize, what: &str) -> Result<Bytes, HttpError> {
    let read = tokio::time::timeout(TIMEOUT, axum::body::to_bytes(body, most)).await;
    let late =
        |_| HttpError::new(ProblemCode::BadRequest, format!("The body did not arrive within {} s.", TIMEOUT.as_secs()));
    let too_large =
        |error| HttpError::new(ProblemCode::TooLarge, format!("{what} has at most {most} bytes.")).because(error);
    read.map_err(late)?.map_err(too_large)
}
