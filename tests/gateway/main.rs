//! The gateway over real TLS on loopback: listener, routes and index in this process, the Kubernetes API replaced by a small
//! store of CertificateSigningRequests.

mod client;
mod csr_store;
mod gate;
mod objects;
mod pki;

mod drain;
mod enroll;
mod index;
mod limits;
mod poll;
mod routes;
mod tls;
mod withheld;
