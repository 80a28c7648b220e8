//! How many new CertificateSigningRequests may be created: token buckets, one per endpoint and one for the whole process, for
//! whoever knows an endpoint's name may ask. Time is an argument, on any clock that never goes back.

use std::time::Duration;

use super::super::bucket::{Bucket, Buckets, Rate};
use super::super::index::EndpointKey;

/// For one endpoint: 5 at once, then one a minute. Buckets that are not full are few: in the 5 minutes that an empty one needs
/// to fill, the process creates at most 700.
const OF_ENDPOINT: Rate = Rate { burst: 5, interval: Duration::from_secs(60) };
/// For all endpoints of this process together: 100 at once, then 2 a second.
const OF_PROCESS: Rate = Rate { burst: 100, interval: Duration::from_millis(500) };

/// What may still be created.
#[derive(Debug)]
pub(super) struct Allowance {
    process: Bucket,
    endpoints: Buckets,
}

// === impl Allowance ===

impl Default for Allowance {
    fn default() -> Self {
        Self { process: Bucket::default(), endpoints: Buckets::new(OF_ENDPOINT) }
    }
}

impl Allowance {
    /// Takes one creation for this endpoint; nothing is taken when refused.
    ///
    /// # Errors
    /// After how long the same call would succeed if nobody else takes anything.
    pub(super) fn take(&mut self, key: &EndpointKey, now: Duration) -> Result<(), Duration> {
        let process = self.process.taken(OF_PROCESS, now);
        let endpoint = self.endpoints.taken(key, now);
        let (process, endpoint) = match (process, endpoint) {
            (Ok(process), Ok(endpoint)) => (process, endpoint),
            (process, endpoint) => return Err(process.err().max(endpoint.err()).unwrap_or_default()),
        };
        self.process = process;
        self.endpoints.put(key, endpoint, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::bucket::REMEMBERED;
    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    fn key(number: usize) -> EndpointKey {
        EndpointKey { fleet: "berlin".parse().unwrap(), name: format!("ws-{number}").parse().unwrap() }
    }

    fn at(seconds: f64) -> Duration {
        START + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn one_endpoint_gets_five_at_once_and_then_one_a_minute() {
        let mut allowance = Allowance::default();
        for _ in 0..5 {
            assert_eq!(allowance.take(&key(1), at(0.0)), Ok(()));
        }
        assert_eq!(allowance.take(&key(1), at(0.0)), Err(Duration::from_secs(60)));
        assert_eq!(allowance.take(&key(1), at(59.0)), Err(Duration::from_secs(1)));
        assert_eq!(allowance.take(&key(2), at(59.0)), Ok(()), "another endpoint has its own");
        assert_eq!(allowance.take(&key(1), at(60.0)), Ok(()));
        assert_eq!(allowance.take(&key(1), at(60.0)), Err(Duration::from_secs(60)), "one, not five");
        for _ in 0..5 {
            assert_eq!(allowance.take(&key(1), at(60.0 + 300.0)), Ok(()), "full again after five minutes");
        }
        assert!(allowance.take(&key(1), at(60.0 + 300.0)).is_err(), "and never more than full");
    }

    #[test]
    fn all_endpoints_together_get_a_hundred_at_once_and_then_two_a_second() {
        let mut allowance = Allowance::default();
        for number in 0..100 {
            assert_eq!(allowance.take(&key(number), at(0.0)), Ok(()));
        }
        assert_eq!(allowance.take(&key(100), at(0.0)), Err(Duration::from_millis(500)));
        assert_eq!(allowance.take(&key(100), at(0.5)), Ok(()));
        assert!(allowance.take(&key(101), at(0.5)).is_err());
        assert_eq!(allowance.take(&key(101), at(1.5)), Ok(()));
        assert_eq!(allowance.take(&key(102), at(1.5)), Ok(()));
        assert!(allowance.take(&key(103), at(1.5)).is_err());
    }

    #[test]
    fn a_refused_call_takes_nothing_from_anybody() {
        let mut allowance = Allowance::default();
        for _ in 0..5 {
            allowance.take(&key(0), at(0.0)).unwrap();
        }
        for _ in 0..1_000 {
            allowance.take(&key(0), at(0.0)).unwrap_err();
        }
        for number in 1..=95 {
            assert_eq!(allowance.take(&key(number), at(0.0)), Ok(()), "the process still has 95");
        }
        allowance.take(&key(96), at(0.0)).unwrap_err();
        for _ in 0..5 {
            assert_eq!(
                allowance.take(&key(96), at(60.0)),
                Ok(()),
                "what the process refused is not the endpoint's loss"
            );
        }
    }

    #[test]
    fn a_caller_that_both_refuse_waits_for_the_later() {
        let mut allowance = Allowance::default();
        for number in 0..100 {
            allowance.take(&key(number / 5), at(0.0)).unwrap();
        }
        assert_eq!(allowance.take(&key(0), at(0.0)), Err(Duration::from_secs(60)));
    }

    #[test]
    fn what_is_remembered_is_bounded_however_many_endpoints_ask() {
        let mut allowance = Allowance::default();
        let mut taken = 0;
        for number in 0..10_000 {
            taken += usize::from(allowance.take(&key(number), START + number_of_halves(number)).is_ok());
            assert!(allowance.endpoints.len() <= REMEMBERED);
        }
        assert_eq!(taken, 10_000);
        for _ in 0..4 {
            allowance.take(&key(9_999), START + number_of_halves(9_999)).unwrap();
        }
        assert!(allowance.take(&key(9_999), START + number_of_halves(9_999)).is_err(), "a bucket in use is kept");
    }

    fn number_of_halves(number: usize) -> Duration {
        Duration::from_millis(500) * u32::try_from(number).unwrap()
    }
}
