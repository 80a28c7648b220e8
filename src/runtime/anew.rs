//! Watches that do not believe everything: one begins anew, with a whole list, every so often and as soon as it is told something
//! older than it was told before. So a deletion that was never told is noticed, and what has ended does not come back into a cache.

use std::fmt::Debug;
use std::future::ready;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::client::{WatchRetry, random};

/// A watch of everything of a kind, listed whole every `relist`, up to a quarter later.
pub fn watch_anew<K>(
    api: Api<K>,
    config: watcher::Config,
    relist: Duration,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let begin = move || {
        let spread = relist * u32::from(random()) / 1024;
        let events = watch(api.clone(), config.clone()).backoff(WatchRetry::default());
        in_order(events).take_until(Box::pin(tokio::time::sleep(relist + spread)))
    };
    stream::repeat_with(begin).flatten()
}

/// These events, up to the first that is older than one before it: the API server tells changes in their order.
fn in_order<K: Resource<DynamicType = ()>>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
) -> impl Stream<Item = watcher::Result<Event<K>>> {
    let mut newest = 0;
    events.take_while(move |event| {
        let in_order = match event {
            Ok(Event::Init) => {
                newest = 0;
                true
            }
            Ok(Event::Apply(object) | Event::Delete(object)) => {
                // What is no number says nothing of order.
                let version = object.resource_version().and_then(|text| text.parse::<u64>().ok()).unwrap_or(newest);
                let older = version < newest;
                if older {
                    let (kind, name) = (K::kind(&()), object.name_any());
                    tracing::warn!(%kind, name, version, newest, "a watch told an older state after a newer one; listing anew");
                }
                newest = newest.max(version);
                !older
            }
            Ok(Event::InitApply(_) | Event::InitDone) | Err(_) => true,
        };
        ready(in_order)
    })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;

    use super::*;

    fn object(version: &str) -> ConfigMap {
        let metadata = ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    /// How many of these events are believed.
    fn believed(events: Vec<Event<ConfigMap>>) -> usize {
        let events = stream::iter(events.into_iter().map(Ok));
        in_order(events).collect::<Vec<_>>().now_or_never().unwrap().len()
    }

    #[test]
    fn what_is_older_than_what_was_told_before_is_not_believed_and_nothing_after_it() {
        let apply = |version: &str| Event::Apply(object(version));
        assert_eq!(
            believed(vec![apply("5"), apply("5"), apply("7"), Event::Delete(object("9"))]),
            4,
            "twice is no harm"
        );
        assert_eq!(believed(vec![apply("5"), apply("7"), apply("6"), apply("8")]), 2);
        assert_eq!(believed(vec![Event::Delete(object("7")), apply("6")]), 1, "what is gone does not come back");
        assert_eq!(believed(vec![apply("5"), apply("a"), apply("6")]), 3, "no number, no order");
    }

    #[test]
    fn a_list_is_in_no_order_and_begins_a_new_one() {
        let listed = |version: &str| Event::InitApply(object(version));
        let list = [Event::Init, listed("9"), listed("3"), Event::InitDone];
        let events = [vec![Event::Apply(object("20"))], list.to_vec(), vec![Event::Apply(object("10"))]].concat();
        assert_eq!(believed(events), 6, "after a store was restored from a backup, say");
    }
}
