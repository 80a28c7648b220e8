//! When a certificate that a gateway calls void is given up. Pure. One gateway may be behind the cluster and not know the
//! endpoint yet: its word ends what applies, but costs no key before a second gateway, or time, confirms it.

use std::time::Duration;

use crate::gateway::Gateway;

/// What gateways said against the certificate since one last took it.
#[derive(Debug, Default)]
pub struct Doubt {
    /// Who said it first, and when on the boot-time clock.
    first: Option<(Gateway, Duration)>,
}

// === impl Doubt ===

impl Doubt {
    /// A gateway calls the certificate void, at this moment of the boot-time clock. True if that is certain: another gateway
    /// said so before, or the first word is at least `patience` old.
    pub fn heard(&mut self, gateway: &Gateway, boot: Duration, patience: Duration) -> bool {
        let (first, at) = self.first.get_or_insert_with(|| (gateway.clone(), boot));
        first != gateway || boot.saturating_sub(*at) >= patience
    }

    /// A gateway took the certificate, or there is a new one.
    pub fn dispelled(&mut self) {
        self.first = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(120);

    fn heard(doubt: &mut Doubt, gateway: &str, second: u64) -> bool {
        doubt.heard(&gateway.parse().unwrap(), Duration::from_secs(second), PATIENCE)
    }

    #[test]
    fn one_gateway_has_to_insist() {
        let mut doubt = Doubt::default();
        let said: Vec<bool> = [1000, 1001, 1060, 1119, 1120, 1121].map(|s| heard(&mut doubt, "https://a", s)).into();
        assert_eq!(said, [false, false, false, false, true, true]);
    }

    #[test]
    fn a_second_gateway_confirms_at_once_but_not_under_the_same_name() {
        let mut doubt = Doubt::default();
        assert!(!heard(&mut doubt, "https://a", 0));
        assert!(!heard(&mut doubt, "https://a:443/", 1));
        assert!(heard(&mut doubt, "https://b", 2));
    }

    #[test]
    fn a_gateway_that_takes_the_certificate_dispels_the_doubt() {
        let mut doubt = Doubt::default();
        assert!(!heard(&mut doubt, "https://a", 0));
        doubt.dispelled();
        assert!(!heard(&mut doubt, "https://b", 500));
    }
}
