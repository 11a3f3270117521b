//! Small servers that do exactly what a test says, and a client for them.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fanfare_core::egress::{EgressPolicy, WebhookUrl};
use fanfare_egress::{Answer, Egress, EgressConfig, Outgoing};
use fanfare_telemetry::Metrics;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Long enough for whatever must happen on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);

/// A listener on loopback that hands each connection to a script.
pub struct Server {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start<F, Fut>(script: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(script(stream));
            }
        });
        Self { address, connections }
    }

    /// Answers every request on every connection with these bytes.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move { serve(&mut stream, &answer).await }
        })
        .await
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn http(&self, path: &str) -> WebhookUrl {
        url(&format!("http://{}{path}", self.address))
    }

    /// Over https, by the name `localhost`.
    pub fn https(&self, path: &str) -> WebhookUrl {
        url(&format!("https://localhost:{}{path}", self.address.port()))
    }
}

/// Answers every request on a connection with these bytes, until the client closes it.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, answer: &[u8]) {
    while read_request(stream).await.is_some() {
        if stream.write_all(answer).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// Reads one request, head and body; `None` if the connection ends first.
pub async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}

pub fn url(text: &str) -> WebhookUrl {
    WebhookUrl::parse(text).unwrap()
}

/// A policy with loopback as an exception.
pub fn loopback() -> EgressPolicy {
    EgressPolicy::new(&["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()])
}

pub struct Client {
    pub egress: Egress,
    pub metrics: Metrics,
}

impl Client {
    pub fn new(config: &EgressConfig) -> Self {
        let metrics = Metrics::new("test");
        Self { egress: Egress::new(config, metrics.clone()).unwrap(), metrics }
    }

    pub async fn post(&self, url: &WebhookUrl, policy: &EgressPolicy, timeout: Duration) -> Answer {
        let body = Bytes::from_static(b"{\"id\":1}");
        self.egress.post(Outgoing { url, policy, headers: HeaderMap::new(), body, timeout }).await
    }

    /// How many POSTs found (`reused`) or made (`new`) a connection.
    pub fn connections(&self, which: &str) -> u64 {
        self.metrics.delivery_connections.with_label_values(&[which]).get()
    }
}

/// One POST with loopback allowed and the defaults.
pub async fn post(url: &WebhookUrl, timeout: Duration) -> Answer {
    Client::new(&EgressConfig::default()).post(url, &loopback(), timeout).await
}
