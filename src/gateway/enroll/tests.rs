//! Names of CertificateSigningRequests; the route itself is tested over TLS.

use super::*;

fn name_of(endpoint: &str, uid: &str, spki: &[u8]) -> String {
    object_name(&"berlin".parse().unwrap(), &endpoint.parse().unwrap(), &uid.parse().unwrap(), spki)
}

#[test]
fn the_name_differs_by_endpoint_object_and_key_and_by_nothing_else() {
    let name = name_of("ws-042", "uid-1", b"key");
    assert_eq!(name, name_of("ws-042", "uid-1", b"key"));
    for other in
        [name_of("ws-043", "uid-1", b"key"), name_of("ws-042", "uid-2", b"key"), name_of("ws-042", "uid-1", b"k")]
    {
        assert_ne!(name, other);
    }
}

#[test]
fn a_long_endpoint_name_is_cut_so_that_the_object_can_exist() {
    for endpoint in ["a".repeat(253), "a.".repeat(126) + "a", "a-".repeat(126) + "a"] {
        let name = name_of(&endpoint, "uid-1", b"key");
        assert!(name.len() <= MAX_NAME);
        assert!(name.parse::<EndpointName>().is_ok(), "{name}");
    }
}
