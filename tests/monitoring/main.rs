//! What people watch Tidegate by: rules, runbooks, dashboard, the page of metrics. They say only what the servers export, and the rules
//! do what they say. Whether the dashboard shows something is tested with the real servers, in `tests/e2e/dashboard.rs`.

mod dashboard;
mod files;
mod names;
mod rules;
mod runbooks;
