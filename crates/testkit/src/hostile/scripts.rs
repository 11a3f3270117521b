//! What the receivers do with a connection. Each ends when the client has closed it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Answers every request with these bytes.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: &[u8]) {
    while read_request(&mut stream).await {
        if stream.write_all(answer).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// Answers one request with these bytes and closes.
pub(super) async fn answer_and_close(mut stream: TcpStream, answer: &[u8]) {
    if read_request(&mut stream).await {
        let _ = stream.write_all(answer).await;
    }
}

/// Says these bytes without waiting for a request, and nothing more.
pub(super) async fn speak_first(mut stream: TcpStream, bytes: &[u8]) {
    if stream.write_all(bytes).await.is_ok() {
        closed(&mut stream).await;
    }
}

/// Answers every request byte by byte, as fast as they go out.
pub(super) async fn in_pieces(mut stream: TcpStream, answer: &[u8]) {
    while read_request(&mut stream).await {
        for byte in answer {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Answers with the start, then nothing more.
pub(super) async fn begin_and_hang(mut stream: TcpStream, start: &[u8]) {
    if read_request(&mut stream).await && stream.write_all(start).await.is_ok() {
        closed(&mut stream).await;
    }
}

/// Answers with the start, then with the rest at one byte a second.
pub(super) async fn begin_and_drip(mut stream: TcpStream, start: &[u8], rest: &[u8]) {
    if !read_request(&mut stream).await || stream.write_all(start).await.is_err() {
        return;
    }
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    for byte in rest.iter().cycle() {
        tokio::select! {
            () = closed(&mut stream) => return,
            _ = seconds.tick() => {}
        }
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

/// Answers with the start, then with the same again and again, as fast as it is read.
pub(super) async fn begin_and_flood(mut stream: TcpStream, start: &[u8], again: &[u8]) {
    if !read_request(&mut stream).await || stream.write_all(start).await.is_err() {
        return;
    }
    let block = again.repeat(4096 / again.len() + 1);
    while stream.write_all(&block).await.is_ok() {}
}

/// Breaks the connection off instead of answering.
pub(super) async fn reset(mut stream: TcpStream) {
    read_request(&mut stream).await;
    let _ = stream.set_zero_linger();
}

/// Waits until the client has closed the connection.
pub(super) async fn closed<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut ignored = [0; 4096];
    while stream.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
}

/// Reads one request, head and body; false if the connection ends first.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    let mut request = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
            Ok(_) | Err(_) => return false,
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return true;
        }
    }
}
