//! A receiver that answers 200 when the test says so, and not before.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::rig::PATIENCE;

pub struct GatedReceiver {
    address: SocketAddr,
    answers: Arc<Semaphore>,
    requests: watch::Receiver<usize>,
}

impl GatedReceiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Semaphore::new(0));
        let (count, requests) = watch::channel(0);
        let (count, gate) = (Arc::new(count), Arc::clone(&answers));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&count), Arc::clone(&gate)));
            }
        });
        Self { address, answers, requests }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many requests have come so far.
    pub fn requests(&self) -> usize {
        *self.requests.borrow()
    }

    /// Waits for that many requests.
    pub async fn arrived(&self, count: usize) {
        let mut requests = self.requests.clone();
        let waiting = requests.wait_for(|so_far| *so_far >= count);
        let _ = tokio::time::timeout(PATIENCE, waiting).await.expect("requests arrive").unwrap();
    }

    /// Answers so many requests.
    pub fn answer(&self, count: usize) {
        self.answers.add_permits(count);
    }
}

/// The tests' bodies are small, so that a request comes in one piece or its head does.
async fn serve(mut stream: TcpStream, count: Arc<watch::Sender<usize>>, answers: Arc<Semaphore>) {
    let mut request = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
        let body = super::rig::BODY;
        if !request.ends_with(body) {
            continue;
        }
        request.clear();
        count.send_modify(|count| *count += 1);
        answers.acquire().await.unwrap().forget();
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.is_err() {
            return;
        }
    }
}
