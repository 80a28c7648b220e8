//! What makes a release: the workflows, which run with rights that somebody would like to have, and the scripts that need no network.

mod scripts;
mod workflows;
