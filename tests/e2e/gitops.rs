//! What GitOps tools see: the objects that Argo CD and Flux judge, taken from running servers, and that applying what lies in Git
//! again changes nothing.

mod album;
mod apply;
mod fixture;
mod health;
mod scenes;
