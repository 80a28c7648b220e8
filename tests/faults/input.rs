//! Bad input: objects that this version cannot read, Secrets that are no keys, one person who asks without end. Each is named where
//! somebody looks for it, grants nothing, and leaves others alone.

mod crowd;
mod objects;
mod secrets;
