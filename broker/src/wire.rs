//! A byte stream with its buffers: reads and writes in the same turn, so that neither side can block the other.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

/// Any stream that MQTT can run over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(crate) type Stream = Box<dyn Io>;

const CHUNK: usize = 4096;

pub(crate) struct Wire {
    io: Stream,
    /// Bytes that were read and not yet understood. Empty (and unallocated) while a client is idle.
    pub(crate) input: BytesMut,
    /// Bytes that are to be written. The session stops reading and queueing above its limits.
    pub(crate) output: BytesMut,
    flushed: bool,
    /// Nothing can be written any more. What the peer said before is still read: a DISCONNECT may be among it.
    broken: Option<io::Error>,
    /// Since when `output` has made no progress.
    stalled_since: Option<Instant>,
}

/// What a turn brought.
#[derive(Debug)]
pub(crate) enum Turn {
    Read(usize),
    Wrote(usize),
    End,
    Failed(io::Error),
}

impl Wire {
    pub(crate) fn new(io: Stream, input: BytesMut) -> Self {
        Self { io, input, output: BytesMut::new(), flushed: true, broken: None, stalled_since: None }
    }

    /// Writes what there is to write and, if `read`, reads what there is to read. Can be dropped at any time.
    pub(crate) async fn turn(&mut self, read: bool) -> Turn {
        if self.output.is_empty() {
            self.stalled_since = None;
        } else if self.stalled_since.is_none() {
            self.stalled_since = Some(Instant::now());
        }
        poll_fn(|cx| {
            let mut wrote = 0;
            while self.broken.is_none() && !self.output.is_empty() {
                match Pin::new(&mut self.io).poll_write(cx, &self.output) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Turn::End),
                    Poll::Ready(Ok(n)) => {
                        self.output.advance(n);
                        self.flushed = false;
                        wrote += n;
                    }
                    Poll::Ready(Err(error)) => self.broken = Some(error),
                    Poll::Pending => break,
                }
            }
            if self.output.is_empty() && self.output.capacity() > 0 {
                self.output = BytesMut::new();
            }
            if self.broken.is_none() && !self.flushed {
                match Pin::new(&mut self.io).poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.flushed = true,
                    Poll::Ready(Err(error)) => self.broken = Some(error),
                    Poll::Pending => {}
                }
            }
            if wrote > 0 {
                self.stalled_since = None;
                return Poll::Ready(Turn::Wrote(wrote));
            }
            if !read {
                return match self.broken.take() {
                    Some(error) => Poll::Ready(Turn::Failed(error)),
                    None => Poll::Pending,
                };
            }
            if self.input.capacity() - self.input.len() < 64 && self.input.capacity() > 0 {
                self.input.reserve(CHUNK);
            }
            match tokio_util::io::poll_read_buf(Pin::new(&mut self.io), cx, &mut self.input) {
                Poll::Ready(Ok(0)) => Poll::Ready(Turn::End),
                Poll::Ready(Ok(n)) => Poll::Ready(Turn::Read(n)),
                Poll::Ready(Err(error)) => Poll::Ready(Turn::Failed(error)),
                Poll::Pending => match self.broken.take() {
                    Some(error) => Poll::Ready(Turn::Failed(error)),
                    None => Poll::Pending,
                },
            }
        })
        .await
    }

    /// When the peer will have left what it was sent unread for `limit`.
    pub(crate) fn stalled_until(&self, limit: Duration) -> Option<Instant> {
        // What was added since the last turn has not been tried yet.
        let since = self.stalled_since.unwrap_or_else(Instant::now);
        (!self.output.is_empty()).then(|| since + limit)
    }

    /// Gives the read buffer back while nothing is in it.
    pub(crate) fn rest(&mut self) {
        if self.input.is_empty() && self.input.capacity() > 0 {
            self.input = BytesMut::new();
        }
    }

    /// Writes what is left, as far as the peer takes it in a moment, and closes. What the peer still sends is read
    /// and forgotten: closing a socket with unread bytes makes the kernel take back what was written.
    pub(crate) async fn close(mut self) {
        if self.broken.is_some() {
            return;
        }
        let end = async {
            if !self.output.is_empty() {
                self.io.write_all(&self.output).await?;
            }
            self.io.shutdown().await?;
            tokio::io::copy(&mut self.io, &mut tokio::io::sink()).await.map(drop)
        };
        // The peer may be gone; there is nobody to tell.
        drop(timeout(Duration::from_secs(1), end).await);
    }

    pub(crate) async fn read_some(&mut self) -> Turn {
        self.turn(true).await
    }
}
