//! Tidegate's two servers. `controller` judges and signs, `gateway` serves what is signed; they never import each other and
//! share the modules below. What is decided lies in `tidegate-core`.

pub mod args;
pub mod audit;
pub mod clock;
pub mod controller;
pub mod convert;
pub mod csr;
pub mod gateway;
pub mod metrics;
pub mod runtime;
pub mod signing;
pub mod telemetry;
pub mod traces;
