//! The real thing for tests and the demo: a Kubernetes control plane of our own, people with their own credentials, the
//! shipped manifests and the shipped processes. Nothing here outlives the process that started it (see `watchdog`).
//! Tests begin with `control_plane()`, one per test binary, and `ControlPlane::namespace`, one per test.

pub mod assets;
pub mod clock;
pub mod control_plane;
pub mod eventually;
pub mod go;
pub mod identity;
pub mod install;
pub mod log;
pub mod namespace;
pub mod objects;
pub mod pki;
pub mod process;
pub mod proxy;
pub mod sandbox;
pub mod servers;
mod terminal;
pub mod wall_clock;
mod watchdog;

pub use control_plane::{ControlPlane, control_plane};
pub use eventually::eventually;
pub use identity::{Identity, Said};
pub use namespace::Namespace;
pub use process::Process;
pub use proxy::Proxy;
pub use servers::{Agent, Controller, Gateway};
pub use wall_clock::WallClock;
