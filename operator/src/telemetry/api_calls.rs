//! Between the operator and the API server: counts every call, bounds how many run at once and how long each may take.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{Method, Request, Response};
use kube::client::Body;
use tokio::sync::Semaphore;
use tower::{BoxError, Layer, Service};

use super::metrics::Metrics;

/// Calls at a time, watches and status writes not counted. Enough to keep an API server busy; more would only wait there, and
/// whoever comes next behind them.
const CALLS_AT_A_TIME: usize = 10;
/// Status writes at a time: people wait for them, so they do not wait for the children of others.
const STATUS_WRITES_AT_A_TIME: usize = 6;
/// A call that takes longer has failed. Watches have their own end.
const DEADLINE: Duration = Duration::from_secs(15);

/// Adds [`Bounded`] to a client.
#[derive(Clone)]
pub struct ApiCalls {
    metrics: Metrics,
    calls: Arc<Semaphore>,
    status_writes: Arc<Semaphore>,
}

impl ApiCalls {
    /// One for the whole process.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        let slots = |count| Arc::new(Semaphore::new(count));
        Self { metrics, calls: slots(CALLS_AT_A_TIME), status_writes: slots(STATUS_WRITES_AT_A_TIME) }
    }

    /// Where a call waits for its turn.
    fn slots(&self, call: &Call) -> Option<Arc<Semaphore>> {
        match call.verb {
            "watch" => None,
            "patch" if call.resource.ends_with("/status") => Some(Arc::clone(&self.status_writes)),
            // The Lease must not be lost because there is much to do.
            _ if call.resource == "leases" => None,
            _ => Some(Arc::clone(&self.calls)),
        }
    }
}

impl<S> Layer<S> for ApiCalls {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded { inner, calls: self.clone() }
    }
}

/// A client that is counted and bounded.
#[derive(Clone)]
pub struct Bounded<S> {
    inner: S,
    calls: ApiCalls,
}

impl<S, B> Service<Request<Body>> for Bounded<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = Call::of(request.method(), request.uri().path(), request.uri().query().unwrap_or_default());
        let answer = self.inner.call(request);
        let (metrics, slots) = (self.calls.metrics.clone(), self.calls.slots(&call));
        Box::pin(async move {
            let answer = match slots {
                Some(slots) => bounded(&slots, answer).await,
                None => answer.await.map_err(Into::into),
            };
            let code =
                answer.as_ref().map_or_else(|_| "error".to_owned(), |answer| answer.status().as_u16().to_string());
            metrics.api_called(call.verb, &call.resource, &code);
            answer
        })
    }
}

async fn bounded<B, E: Into<BoxError>>(
    slots: &Semaphore,
    answer: impl Future<Output = Result<Response<B>, E>>,
) -> Result<Response<B>, BoxError> {
    // Never closed.
    let _slot = slots.acquire().await?;
    tokio::time::timeout(DEADLINE, answer).await?.map_err(Into::into)
}

/// Verb and resource of a call, as RBAC names them.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    verb: &'static str,
    resource: String,
}

impl Call {
    fn of(method: &Method, path: &str, query: &str) -> Self {
        let mut parts = path.trim_matches('/').split('/');
        // `api/v1/…` or `apis/GROUP/VERSION/…`
        let skip = if parts.next() == Some("apis") { 2 } else { 1 };
        let mut rest: Vec<&str> = parts.skip(skip).collect();
        if rest.first() == Some(&"namespaces") && rest.len() > 2 {
            rest.drain(..2);
        }
        let name = rest.get(1);
        let resource = match (rest.first(), rest.get(2)) {
            (Some(resource), Some(sub)) => format!("{resource}/{sub}"),
            (Some(resource), None) => (*resource).to_owned(),
            (None, _) => "none".to_owned(),
        };
        let is_watch = query.split('&').any(|part| part == "watch=true" || part == "watch=1");
        let verb = match *method {
            Method::GET if is_watch => "watch",
            Method::GET if name.is_some() => "get",
            Method::GET => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "other",
        };
        Self { verb, resource }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_calls_as_rbac_does() {
        for (method, path, query, verb, resource) in [
            (Method::GET, "/api/v1/pods", "labelSelector=x&watch=true", "watch", "pods"),
            (Method::GET, "/apis/apps/v1/deployments", "limit=100", "list", "deployments"),
            (Method::GET, "/api/v1/namespaces/team/secrets/x-tls", "", "get", "secrets"),
            (
                Method::PATCH,
                "/apis/alcazar.dev/v1alpha1/namespaces/team/llmmodels/m/status",
                "",
                "patch",
                "llmmodels/status",
            ),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/team/events", "", "create", "events"),
            (Method::DELETE, "/apis/batch/v1/namespaces/team/jobs/m-fetch-1", "", "delete", "jobs"),
            (Method::GET, "/api/v1/namespaces/team", "", "get", "namespaces"),
        ] {
            let call = Call::of(&method, path, query);
            assert_eq!((call.verb, call.resource.as_str()), (verb, resource), "{method} {path}");
        }
    }
}
