//! Token buckets, one per endpoint. Time is an argument, on any clock that never goes back.

use std::collections::HashMap;
use std::time::Duration;

use super::index::EndpointKey;

/// Above so many buckets those that are full are forgotten.
pub(super) const REMEMBERED: usize = 1024;

/// `burst` at once, then one per `interval`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub burst: u32,
    pub interval: Duration,
}

/// The instant at which a bucket is full again; each taken token moves it by one interval.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket(Duration);

/// One bucket per endpoint, all of one rate.
#[derive(Debug)]
pub(super) struct Buckets {
    rate: Rate,
    endpoints: HashMap<EndpointKey, Bucket>,
}

// === impl Bucket ===

impl Bucket {
    /// This bucket with one token less, or after how long there is one.
    pub(super) fn taken(self, rate: Rate, now: Duration) -> Result<Self, Duration> {
        let full_at = self.0.max(now) + rate.interval;
        let wait = full_at.saturating_sub(now + rate.interval * rate.burst);
        if wait.is_zero() { Ok(Self(full_at)) } else { Err(wait) }
    }

    fn is_full(self, now: Duration) -> bool {
        self.0 <= now
    }
}

// === impl Buckets ===

impl Buckets {
    /// All of them full.
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, endpoints: HashMap::new() }
    }

    /// Takes one token of this endpoint.
    pub(super) fn take(&mut self, key: &EndpointKey, now: Duration) -> Result<(), Duration> {
        let bucket = self.taken(key, now)?;
        self.put(key, bucket, now);
        Ok(())
    }

    /// The endpoint's bucket with one token less, for [`Buckets::put`].
    pub(super) fn taken(&self, key: &EndpointKey, now: Duration) -> Result<Bucket, Duration> {
        self.endpoints.get(key).copied().unwrap_or_default().taken(self.rate, now)
    }

    /// Keeps what [`Buckets::taken`] gave.
    pub(super) fn put(&mut self, key: &EndpointKey, bucket: Bucket, now: Duration) {
        if self.endpoints.len() >= REMEMBERED {
            self.endpoints.retain(|_, bucket| !bucket.is_full(now));
        }
        self.endpoints.insert(key.clone(), bucket);
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.endpoints.len()
    }
}
