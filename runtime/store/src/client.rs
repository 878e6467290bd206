//! One GET under the rules: vetted addresses, redirects followed by hand, credentials to their origin only.

use std::{error::Error as _, fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Response, StatusCode,
    header::{ACCEPT_ENCODING, IF_RANGE, LOCATION, RANGE, RETRY_AFTER},
};
use url::{Origin, Url};

use crate::{
    credentials::Credentials,
    error::{FetchError, OnVolume as _},
    fetch::Fetch,
    policy::{Policy, shown},
    resolver::VettedResolver,
};

const MAX_REDIRECTS: usize = 10;
/// No server may make a Job wait longer than this between two tries.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

/// Patience of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// To connect, TLS included.
    pub connect: Duration,
    /// Between two pieces of a body.
    pub read: Duration,
    /// First wait after a failure; doubles, with full jitter.
    pub backoff: Duration,
    /// Longest wait between tries.
    pub backoff_cap: Duration,
    /// Tries without any progress before giving up.
    pub max_attempts: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            backoff: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(15),
            max_attempts: 6,
        }
    }
}

/// Counts tries without progress and waits between them.
pub(crate) struct Backoff {
    timing: Timing,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(timing: Timing) -> Self {
        Self { timing, failures: 0 }
    }

    /// Something was gained: patience starts anew.
    pub(crate) fn progressed(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next try, or gives the error back when there should be none.
    pub(crate) async fn wait(&mut self, mut error: FetchError) -> Result<(), FetchError> {
        self.failures += 1;
        if let FetchError::Unreachable { attempts, .. } = &mut error {
            *attempts = self.failures;
        }
        if !error.is_transient() || self.failures >= self.timing.max_attempts {
            return Err(error);
        }
        let wait = if let FetchError::Unreachable { retry_after: Some(after), .. } = &error {
            (*after).min(MAX_RETRY_AFTER)
        } else {
            let full = self.timing.backoff.saturating_mul(1 << (self.failures - 1).min(16));
            full.min(self.timing.backoff_cap).mul_f64(0.25 + 0.75 * fastrand::f64())
        };
        tracing::warn!(error = %error, wait_ms = wait.as_millis(), "trying again");
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// The part of a file that is asked for.
pub(crate) struct Ask<'a> {
    /// First and last byte, inclusive as HTTP has it.
    pub bytes: (u64, u64),
    /// Only if the file is still this one.
    pub etag: Option<&'a str>,
}

/// The HTTP client of one fetch.
pub(crate) struct Client {
    http: reqwest::Client,
    policy: Arc<Policy>,
    credentials: Option<Credentials>,
    pub timing: Timing,
}

impl Client {
    pub(crate) fn new(job: &Fetch, policy: Arc<Policy>) -> Result<Self, FetchError> {
        // Fails when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let extra = job.ca_file.as_deref().map(read_certificates).transpose()?.unwrap_or_default();
        let fault = |error: reqwest::Error| FetchError::Client { fault: chain(&error) };
        let http = match builder(job, &policy).tls_certs_merge(extra.clone()).build() {
            Ok(http) => http,
            // An image without a CA file still fetches from a mirror inside the cluster.
            Err(error) => {
                tracing::warn!(error = %chain(&error), "no system certificates; only hosts signed by --ca-file pass TLS");
                builder(job, &policy).tls_certs_only(extra).build().map_err(fault)?
            }
        };
        Ok(Self { http, policy, credentials: job.credentials.clone(), timing: job.timing })
    }

    /// Sends one GET and follows redirects. `origin` is the source: nobody else sees the credentials.
    /// Gives the final URL beside the answer, whose status is 200, 206 or 416.
    pub(crate) async fn get(
        &self,
        url: &Url,
        origin: &Origin,
        ask: Option<&Ask<'_>>,
    ) -> Result<(Url, Response), FetchError> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.policy.vet_url(&url)?;
            let response = self.send(&url, origin, ask).await?;
            if !response.status().is_redirection() {
                return self.judge(&url, response).map(|response| (url, response));
            }
            let next = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            self.refuse_repeated(&url, next.unwrap_or_default().as_bytes())?;
            let next = next.and_then(|value| url.join(value).ok());
            url = next.ok_or_else(|| FetchError::Unexpected {
                url: shown(&url),
                fault: format!("a redirect ({}) without a readable location", response.status().as_u16()),
            })?;
        }
        Err(FetchError::Unexpected { url: shown(&url), fault: format!("more than {MAX_REDIRECTS} redirects") })
    }

    /// A source that sends our credentials back would have them in our errors, where others read them.
    fn refuse_repeated(&self, url: &Url, sent: &[u8]) -> Result<(), FetchError> {
        if !self.credentials.as_ref().is_some_and(|credentials| credentials.are_in(sent)) {
            return Ok(());
        }
        let fault = "it repeats the credentials that it was shown; do not trust it, and renew them".to_owned();
        Err(FetchError::Unexpected { url: shown(url), fault })
    }

    async fn send(&self, url: &Url, origin: &Origin, ask: Option<&Ask<'_>>) -> Result<Response, FetchError> {
        let mut request = self.http.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        if let (Some(credentials), true) = (&self.credentials, url.origin() == *origin) {
            request = credentials.apply(request);
        }
        if let Some(ask) = ask {
            request = request.header(RANGE, format!("bytes={}-{}", ask.bytes.0, ask.bytes.1));
            if let Some(etag) = ask.etag {
                request = request.header(IF_RANGE, etag);
            }
        }
        request.send().await.map_err(|error| transport_error(url, &error))
    }

    fn judge(&self, url: &Url, response: Response) -> Result<Response, FetchError> {
        let status = response.status();
        let url = shown(url);
        match status.as_u16() {
            200 | 206 | 416 => Ok(response),
            401 => Err(FetchError::Unauthorized {
                url,
                with: match self.credentials {
                    Some(_) => "to the credentials it was given; renew the token in the Secret",
                    None => {
                        "and no credentials were given; name a Secret with a token in tokenSecretName (of an http source: \
                         authSecretName); a hub also answers so for a repository that does not exist"
                    }
                },
            }),
            403 => Err(FetchError::Forbidden { url }),
            404 | 410 => Err(FetchError::NotFound { url, status: status.as_u16() }),
            408 | 425 | 429 | 500..=599 => Err(FetchError::Unreachable {
                url,
                fault: format!("the source answered {}", describe(status)),
                attempts: 1,
                retry_after: retry_after(&response),
            }),
            _ => Err(FetchError::Unexpected { url, fault: format!("status {}", describe(status)) }),
        }
    }

    /// Reads a small document, with retries. More than `limit` bytes are refused.
    pub(crate) async fn get_document(&self, url: &Url, limit: usize) -> Result<Vec<u8>, FetchError> {
        let mut backoff = Backoff::new(self.timing);
        loop {
            let attempt = async {
                let (url, response) = self.get(url, &url.origin(), None).await?;
                let body = read_bounded(&url, response, limit).await?;
                self.refuse_repeated(&url, &body)?;
                Ok(body)
            };
            match attempt.await {
                Ok(body) => return Ok(body),
                Err(error) => backoff.wait(error).await?,
            }
        }
    }
}

fn builder(job: &Fetch, policy: &Arc<Policy>) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("alcazar-runtime/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        // Ranges in parallel want connections in parallel, not streams of one connection.
        .http1_only()
        .connect_timeout(job.timing.connect)
        .read_timeout(job.timing.read)
        .dns_resolver(Arc::new(VettedResolver { policy: Arc::clone(policy), lookup: Arc::clone(&job.lookup) }))
}

fn read_certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, FetchError> {
    let pem = fs::read(path).on_volume("read", path)?;
    reqwest::Certificate::from_pem_bundle(&pem)
        .map_err(|error| FetchError::Client { fault: format!("{} holds no certificates: {error}", path.display()) })
}

/// The whole body, unless it is longer than `limit`.
pub(crate) async fn read_bounded(url: &Url, mut response: Response, limit: usize) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(piece) = next_piece(url, &mut response).await? {
        if body.len() + piece.len() > limit {
            return Err(FetchError::Unexpected {
                url: shown(url),
                fault: format!("a body of more than {limit} bytes"),
            });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The next piece of a body; `None` at its end.
pub(crate) async fn next_piece(url: &Url, response: &mut Response) -> Result<Option<Bytes>, FetchError> {
    response.chunk().await.map_err(|error| transport_error(url, &error))
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn describe(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// What lies below an error of the client: a verdict of ours from the resolver, or a broken connection.
fn transport_error(url: &Url, error: &reqwest::Error) -> FetchError {
    let mut cause = error.source();
    while let Some(inner) = cause {
        match inner.downcast_ref::<FetchError>() {
            Some(FetchError::NotAllowed { target, fault }) => {
                return FetchError::NotAllowed { target: target.clone(), fault: fault.clone() };
            }
            Some(FetchError::NotResolved { host, fault }) => {
                return FetchError::NotResolved { host: host.clone(), fault: fault.clone() };
            }
            _ => cause = inner.source(),
        }
    }
    let fault = if error.is_timeout() { "no answer in time".to_owned() } else { chain(error) };
    FetchError::Unreachable { url: shown(url), fault, attempts: 1, retry_after: None }
}

/// The causes of an error in one line, without the URL that the client would print first.
fn chain(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if parts.last() != Some(&text) {
            parts.push(text);
        }
        cause = inner.source();
    }
    let mut text = if parts.is_empty() { "the request failed".to_owned() } else { parts.join(": ") };
    if text.contains("UnknownIssuer") {
        text.push_str(" (the source's certificate is signed by an authority that is not trusted here)");
    }
    text
}
