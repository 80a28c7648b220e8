//! What makes a release: the workflows, which run with rights that somebody would like to have, the scripts that need no network, and what is
//! said to be supported.

mod scripts;
mod versions;
mod workflows;
