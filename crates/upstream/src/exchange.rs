//! One attempt with one peer over a socket: send the request, read the answer's head.
//!
//! The answer may come while the body is still on its way; both go on at once, then and later
//! (the rest of the request is sent while the answer's body is read).

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use message::ResponseHead;
use proto::http1::ResponseStyle;

use crate::error::{During, Failure, FailureKind};
use crate::pool::Connection;
use crate::send::{SendFailure, Sender};

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// What an attempt may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub send: Duration,
    pub read: Duration,
    pub head_bytes_max: usize,
    /// A body is read in pieces of this size at most.
    pub piece_bytes: usize,
}

/// The head of an answer and whether its connection may be kept.
#[derive(Debug)]
pub(crate) struct Head {
    pub head: ResponseHead,
    pub keep_alive: bool,
    pub bytes: usize,
}

/// Sends the request and reads the head of the answer.
pub(crate) async fn exchange(
    connection: &mut Connection,
    sender: &mut Sender,
    style: ResponseStyle,
    method_is_head: bool,
    patience: Patience,
) -> Result<Head, Failure> {
    connection.reader.restart(style);
    let mut progress =
        Progress { begins: Some(patience.send), received: false, send_failure: None };
    let result = poll_fn(|context| {
        loop {
            progress.send_on(context, connection, sender, &patience)?;
            let bytes_max = patience.head_bytes_max;
            let Connection { reader, inbox, .. } = &mut *connection;
            match reader.next_head(inbox, method_is_head, bytes_max) {
                Ok(Some(head)) => {
                    let (keep_alive, bytes) = (reader.keep_alive(), reader.head_bytes());
                    return Poll::Ready(Ok(Head { head, keep_alive, bytes }));
                }
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(Failure::head(error))),
            }
            match poll_fill(context, connection) {
                Poll::Ready(Ok(0)) => {
                    let failure = Failure::closed_early(During::ReadingHead);
                    return Poll::Ready(Err(progress.send_failure.take().unwrap_or(failure)));
                }
                Poll::Ready(Ok(_)) => {
                    progress.received = true;
                    progress.begins = Some(patience.read);
                }
                Poll::Ready(Err(error)) => {
                    let failure = Failure::call("recv", &error, During::ReadingHead);
                    return Poll::Ready(Err(progress.send_failure.take().unwrap_or(failure)));
                }
                Poll::Pending => {
                    return progress.poll_patience(context, connection, sender, &patience);
                }
            }
        }
    })
    .await;
    connection.watched.unlimited();
    result.map_err(|failure| Failure { nothing_received: !progress.received, ..failure })
}

/// How far an exchange has come, and what it waits for.
struct Progress {
    /// Patience that begins as soon as there is something to wait for.
    begins: Option<Duration>,
    received: bool,
    /// The answer may already be there: what went wrong with sending counts only without one.
    send_failure: Option<Failure>,
}

impl Progress {
    /// Sends what can be sent. Only a failure of the client's own body ends the exchange at once.
    fn send_on(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connection,
        sender: &mut Sender,
        patience: &Patience,
    ) -> Result<(), Failure> {
        if self.send_failure.is_some() || sender.is_done() {
            return Ok(());
        }
        let before = sender.bytes_sent;
        let sending = poll_sending(context, connection, sender);
        if sending.is_ready() {
            self.begins = Some(patience.read);
        } else if sender.bytes_sent != before {
            self.begins = Some(patience.send);
        }
        match sending {
            Poll::Ready(Err(failure)) if failure.kind == FailureKind::ClientBody => Err(failure),
            Poll::Ready(Err(failure)) => {
                self.send_failure = Some(failure);
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Nothing can be done now: waits, but not for ever.
    fn poll_patience<T>(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connection,
        sender: &Sender,
        patience: &Patience,
    ) -> Poll<Result<T, Failure>> {
        if sender.waits_for_client {
            // Whoever reads from the client has its own time limit.
            connection.watched.unlimited();
            self.begins = Some(patience.send);
            return Poll::Pending;
        }
        let during = if sender.is_done() { During::ReadingHead } else { During::Sending };
        if let Some(patience) = self.begins.take() {
            connection.watched.patience(patience);
        }
        match connection.watched.poll_expired(context) {
            true => Poll::Ready(Err(Failure::timed_out(during))),
            false => Poll::Pending,
        }
    }
}

/// Sends what can be sent.
fn poll_sending(
    context: &mut Context<'_>,
    connection: &mut Connection,
    sender: &mut Sender,
) -> Poll<Result<(), Failure>> {
    sender.poll_send(context, &mut connection.stream).map_err(|failure| match failure {
        SendFailure::Socket(call, error) => Failure::call(call, &error, During::Sending),
        SendFailure::Body(text) => Failure::new(FailureKind::ClientBody, text),
    })
}

/// Reads what is there; zero is the end.
pub(crate) fn poll_fill(
    context: &mut Context<'_>,
    connection: &mut Connection,
) -> Poll<io::Result<usize>> {
    connection.inbox.reserve(READ_BYTES);
    connection.stream.poll_read(context, &mut connection.inbox)
}
