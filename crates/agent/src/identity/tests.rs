//! Which certificates are used and which are not.

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};

use super::*;
use crate::fixture::{Controller, ENDPOINT, FAR};

fn path() -> EndpointPath {
    EndpointPath { fleet: "berlin".parse().unwrap(), name: "ws-042".parse().unwrap() }
}

fn trust(controller: &Controller) -> Trust {
    Trust::check(controller.bundle(), &[controller.pin()]).unwrap()
}

fn request(key: &KeyPair) -> String {
    certificate_request(key, &ENDPOINT.parse().unwrap()).unwrap()
}

fn check(chain: &str, key: &KeyPair, controller: &Controller) -> Result<Identity, IdentityError> {
    Identity::check(chain, key, &path(), &trust(controller))
}

#[test]
fn the_certificate_request_names_the_endpoint_without_a_uid_and_nothing_else() {
    let key = new_key().unwrap();
    let parsed = rcgen::CertificateSigningRequestParams::from_pem(&request(&key)).unwrap();
    assert_eq!(parsed.params.subject_alt_names, [SanType::URI(ENDPOINT.try_into().unwrap())]);
    assert_eq!(parsed.params.distinguished_name.iter().count(), 0);
    let id = requested_id(&trust(&Controller::new()), &path());
    assert_eq!(id.to_string(), ENDPOINT);
}

#[test]
fn a_fitting_certificate_tells_who_this_is() {
    let (controller, key) = (Controller::new(), new_key().unwrap());
    let chain = controller.issue(&request(&key), &format!("{ENDPOINT}/uid-1"), ClientAuth, FAR);
    let identity = check(&chain, &key, &controller).unwrap();
    assert_eq!(identity.me.endpoint, crate::fixture::endpoint());
    assert!(!identity.is_over(Timestamp::UNIX_EPOCH));
    assert!(identity.is_over(Timestamp::from(identity.not_after)));
}

#[test]
fn a_certificate_is_over_when_its_last_second_is() {
    let (controller, key) = (Controller::new(), new_key().unwrap());
    let chain = controller.issue(&request(&key), &format!("{ENDPOINT}/uid-1"), ClientAuth, 2000);
    let identity = check(&chain, &key, &controller).unwrap();
    for (second, over) in [("2000-01-01T00:00:00Z", false), ("2000-01-01T00:00:01Z", true)] {
        assert_eq!(identity.is_over(second.parse().unwrap()), over, "{second}");
    }
}

#[test]
fn a_stored_key_is_the_same_key() {
    let key = new_key().unwrap();
    let read = read_key(&write_key(&key)).unwrap();
    assert_eq!(read.subject_public_key_info(), key.subject_public_key_info());
    assert!(read_key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").is_err());
}

#[test]
fn a_certificate_for_another_key_is_refused() {
    let (controller, key) = (Controller::new(), new_key().unwrap());
    let chain = controller.issue(&request(&new_key().unwrap()), &format!("{ENDPOINT}/uid-1"), ClientAuth, FAR);
    assert!(matches!(check(&chain, &key, &controller), Err(IdentityError::OtherKey)));
}

#[test]
fn a_certificate_for_another_endpoint_fleet_or_installation_or_without_uid_is_refused() {
    let (controller, key) = (Controller::new(), new_key().unwrap());
    for id in [
        "spiffe://tidegate.test/fleet/berlin/endpoint/ws-043/uid-1",
        "spiffe://tidegate.test/fleet/paris/endpoint/ws-042/uid-1",
        "spiffe://other.test/fleet/berlin/endpoint/ws-042/uid-1",
        ENDPOINT,
    ] {
        let chain = controller.issue(&request(&key), id, ClientAuth, FAR);
        assert!(matches!(check(&chain, &key, &controller), Err(IdentityError::OtherEndpoint(..))), "{id}");
    }
}

#[test]
fn a_certificate_of_another_authority_or_for_servers_is_refused() {
    let (controller, key) = (Controller::new(), new_key().unwrap());
    let id = format!("{ENDPOINT}/uid-1");
    let foreign = Controller::new().issue(&request(&key), &id, ClientAuth, FAR);
    assert!(matches!(check(&foreign, &key, &controller), Err(IdentityError::NotIssued(_))));
    let server = controller.issue(&request(&key), &id, ServerAuth, FAR);
    assert!(matches!(check(&server, &key, &controller), Err(IdentityError::NotIssued(_))));
}

#[test]
fn what_is_no_certificate_is_refused() {
    let (controller, key) = (Controller::new(), new_key().unwrap());
    let chain = controller.issue(&request(&key), &format!("{ENDPOINT}/uid-1"), ClientAuth, FAR);
    for length in (0..chain.len()).step_by(7) {
        assert!(check(&chain[..length], &key, &controller).is_err(), "{length} bytes");
    }
}
