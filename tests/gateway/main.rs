//! The gateway over real TLS on loopback: listener, routes and index in this process, the Kubernetes API replaced by a small
//! stores of CertificateSigningRequests and ManagedEndpoints; but for one test that writes to a real one.

mod client;
mod csr_store;
mod endpoint_store;
mod gate;
mod objects;
mod pki;

mod drain;
mod enroll;
mod fleet;
mod index;
mod limits;
mod log;
mod measure;
mod poll;
mod report;
mod report_for_real;
mod routes;
mod tls;
mod withheld;
