//! A connection whose other end has to go on reading and writing, else it is closed. Above: `connect`. Below: TCP or TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A stream that fails when one write waits for `patience`.
///
/// Reading is bounded by those who know what they wait for: heads by the server, bodies by their handlers.
pub(super) struct Guarded<S> {
    inner: S,
    patience: Duration,
    /// Since when a write waits; none waits: reset with the next.
    waits: bool,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S, patience: Duration) -> Self {
        Self { inner, patience, waits: false, deadline: Box::pin(sleep(patience)) }
    }

    /// Fails once what was written waits for too long.
    fn watch<T>(&mut self, done: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.waits = false;
            return done;
        }
        if !self.waits {
            self.waits = true;
            self.deadline.as_mut().reset(Instant::now() + self.patience);
        }
        let over = || io::Error::new(io::ErrorKind::TimedOut, "the other end does not read");
        self.deadline.as_mut().poll(cx).map(|()| Err(over()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watch(done, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(done, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(done, cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_who_does_not_read_is_given_up() {
        let (near, mut far) = duplex(16);
        let mut near = Guarded::new(near, Duration::from_secs(30));
        near.write_all(&[0; 16]).await.unwrap();
        let (written, ()) = tokio::join!(near.write_all(&[0; 8]), async {
            sleep(Duration::from_secs(20)).await;
            far.read_exact(&mut [0; 8]).await.unwrap();
        });
        written.unwrap();
        let before = Instant::now();
        assert_eq!(near.write_all(&[0; 9]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let waited = before.elapsed().as_secs();
        assert!((30..31).contains(&waited), "from the write that waits, not from the start: {waited}");
    }
}
