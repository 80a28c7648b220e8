//! Faults: kills, stops, lying networks, bad input, missing rights, and a soak of all of them by chance. After each, a checker over
//! what the API server stored, what agents said and what they keep (docs/faults.md). Not part of `make test`: `make faults`.

#[path = "../e2e/agent.rs"]
#[expect(dead_code, reason = "shared with tests/e2e, which uses all of it")]
mod agent;
mod checker;
mod course;
#[path = "../e2e/fleet.rs"]
#[expect(dead_code, reason = "shared with tests/e2e, which uses all of it")]
mod fleet;
mod input;
mod installation;
mod kept;
mod kills;
mod lies;
mod outages;
mod record;
mod rights;
mod soak;
mod story;
