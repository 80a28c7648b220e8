//! What the adversary suite's table cannot say of admission: where nothing stamps, what was written before the policies, and
//! warnings, which refuse nothing.

pub mod stamping;
pub mod warnings;

/// The policy that judges requests and decisions.
const DECISIONS: &str = "decisions.tidegate.dev";
