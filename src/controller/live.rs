//! Reads of the API server of this moment: of what a request hangs on. Many passes share them. A read that gets no answer is given up, so
//! that it does not hold up those who ask after it.

mod shared;

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream, TryStreamExt};
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tidegate_api::{Fleet, JitPolicy, Lock, ManagedEndpoint};

pub use self::shared::Reads;
use super::Guarded;
use super::error::Error;

/// A read of one object, a fleet's Locks or the guard's seal that takes longer will not come: its pass fails and is tried again, and
/// whoever waits for this read to end begins one of their own.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Objects in one answer to a list, as the watches have it.
const PAGE: u32 = 500;

/// What a request hangs on, read live.
#[derive(Debug, Default)]
pub struct Live {
    policies: Arc<Reads<Found<JitPolicy>>>,
    endpoints: Arc<Reads<Found<ManagedEndpoint>>>,
    fleets: Arc<Reads<Found<Fleet>>>,
    locks: Arc<Reads<Listed<Lock>>>,
}

/// An object, if there is one.
type Found<K> = Result<Option<Arc<Guarded<K>>>, Arc<kube::Error>>;

/// All objects of a fleet.
type Listed<K> = Result<Arc<Vec<Guarded<K>>>, Arc<kube::Error>>;

// === impl Live ===

impl Live {
    /// A policy.
    ///
    /// # Errors
    /// [`Error::Fetch`]
    pub async fn policy(
        &self,
        client: &Client,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Guarded<JitPolicy>>>, Error> {
        get(&self.policies, client, namespace, name, "JitPolicy").await
    }

    /// An endpoint.
    ///
    /// # Errors
    /// [`Error::Fetch`]
    pub async fn endpoint(
        &self,
        client: &Client,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Guarded<ManagedEndpoint>>>, Error> {
        get(&self.endpoints, client, namespace, name, "ManagedEndpoint").await
    }

    /// The settings of a fleet.
    ///
    /// # Errors
    /// [`Error::Fetch`]
    pub async fn fleet(
        &self,
        client: &Client,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Guarded<Fleet>>>, Error> {
        get(&self.fleets, client, namespace, name, "Fleet").await
    }

    /// The Locks of a fleet.
    ///
    /// # Errors
    /// [`Error::Fetch`]
    pub async fn locks(&self, client: &Client, namespace: &str) -> Result<Arc<Vec<Guarded<Lock>>>, Error> {
        let api = Api::<Guarded<Lock>>::namespaced(client.clone(), namespace);
        let read = async move {
            let list = in_time(PATIENCE, async move { api.list(&ListParams::default()).await }).await;
            list.map(|list| Arc::new(list.items)).map_err(Arc::new)
        };
        let answer = self.locks.read(namespace, read).await;
        answer.map_err(|source| Error::Fetch { what: "the Locks", source })
    }
}

/// Every object there is, as of the first page. Only one page of them is held at a time: what is taken for all at once, a process keeps
/// long after it has been given back.
///
/// # Errors
/// Any page cannot be read. Pages stay readable for some minutes.
pub fn each<K>(api: Api<K>) -> impl Stream<Item = Result<K, kube::Error>> + Send
where
    K: Clone + Debug + DeserializeOwned + Send + 'static,
{
    let pages = stream::try_unfold(Some(ListParams::default().limit(PAGE)), move |params| {
        let api = api.clone();
        async move {
            let Some(params) = params else { return Ok::<_, kube::Error>(None) };
            let page = api.list(&params).await?;
            let more = page.metadata.continue_.filter(|token| !token.is_empty());
            let next = more.map(|token| params.continue_token(&token));
            Ok(Some((stream::iter(page.items.into_iter().map(Ok::<_, kube::Error>)), next)))
        }
    });
    pages.try_flatten()
}

async fn get<K>(
    reads: &Arc<Reads<Found<K>>>,
    client: &Client,
    namespace: &str,
    name: &str,
    what: &'static str,
) -> Result<Option<Arc<Guarded<K>>>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let api = Api::<Guarded<K>>::namespaced(client.clone(), namespace);
    let object = name.to_owned();
    let read = async move {
        let found = in_time(PATIENCE, async move { api.get_opt(&object).await }).await;
        found.map(|found| found.map(Arc::new)).map_err(Arc::new)
    };
    let answer = reads.read(&format!("{namespace}/{name}"), read).await;
    answer.map_err(|source| Error::Fetch { what, source })
}

/// The answer, or an error that says that none came in time.
///
/// # Errors
/// Those of `read`; [`kube::Error::Service`] after `limit`.
pub async fn in_time<T>(limit: Duration, read: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let late =
        |_| kube::Error::Service(format!("the API server did not answer within {} s", limit.as_secs_f32()).into());
    tokio::time::timeout(limit, read).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::ResourceExt;
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn every_object_is_read_page_by_page_and_a_page_that_fails_fails_all() {
        let pages = |last: u16| {
            let api = service_fn(move |call: Request<Body>| async move {
                let query = call.uri().query().unwrap_or_default().to_owned();
                let item = |name: &str| json!({"metadata": {"name": name}});
                let (status, metadata, items) = match query.as_str() {
                    "&limit=500" => (200, json!({"continue": "2nd"}), vec![item("a"), item("b")]),
                    "&limit=500&continue=2nd" => (200, json!({"continue": "3rd"}), vec![]),
                    "&limit=500&continue=3rd" => (last, json!({"continue": ""}), vec![item("c")]),
                    other => panic!("{other}"),
                };
                let body = json!({"kind": "ConfigMapList", "metadata": metadata, "items": items, "code": status, "reason": "Expired"});
                let body = Body::from(body.to_string().into_bytes());
                Ok::<_, tower::BoxError>(Response::builder().status(status).body(body).unwrap())
            });
            each(Api::<ConfigMap>::all(Client::new(api, "default"))).map_ok(|object| object.name_any()).try_collect()
        };
        let all: Vec<String> = pages(200).await.unwrap();
        assert_eq!(all, ["a", "b", "c"]);
        let expired: Result<Vec<String>, _> = pages(410).await;
        assert!(matches!(expired, Err(kube::Error::Api(status)) if status.code == 410));
    }

    #[tokio::test]
    async fn a_read_without_an_answer_fails_by_name() {
        let hung = in_time(Duration::from_millis(1), std::future::pending::<Result<(), kube::Error>>()).await;
        assert_eq!(hung.unwrap_err().to_string(), "ServiceError: the API server did not answer within 0.001 s");
    }
}
