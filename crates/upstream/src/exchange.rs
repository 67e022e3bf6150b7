//! One attempt with one peer over a socket: send the request, read the answer's head.
//!
//! The answer may come while the body is still on its way; both go on at once, then and later
//! (the rest of the request is sent while the answer's body is read).

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use message::ResponseHead;
use plan::front::UpstreamCall;

use crate::error::{During, Failure, FailureKind};
use crate::pool::Connection;
use crate::request::Request;
use crate::send::{SendFailure, Sender};

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// How far an exchange has come, and what it waits for.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Patience that begins as soon as there is something to wait for.
    begins: Option<Duration>,
    received: bool,
    /// The answer may already be there: what went wrong with sending counts only without one.
    send_failure: Option<Failure>,
}

impl Request {
    /// Sends the request over a connection and reads the head of the answer.
    pub async fn exchange(
        &mut self,
        connection: &mut Connection,
        call: &UpstreamCall,
    ) -> Result<ResponseHead, Failure> {
        connection.reader.restart(self.style);
        self.progress = Progress { begins: Some(call.send_timeout), ..Progress::default() };
        let result = poll_fn(|context| self.poll_exchange(context, connection, call)).await;
        connection.watched.unlimited();
        result.map_err(|failure| Failure { nothing_received: !self.progress.received, ..failure })
    }

    fn poll_exchange(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connection,
        call: &UpstreamCall,
    ) -> Poll<Result<ResponseHead, Failure>> {
        let Request { progress, sender, .. } = self;
        loop {
            progress.send_on(context, connection, sender, call)?;
            let Connection { reader, inbox, .. } = &mut *connection;
            if !inbox.is_empty() {
                let bytes_max = call.head_bytes_max as usize;
                match reader.next_head(inbox, self.method_is_head, bytes_max) {
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Err(Failure::head(error))),
                }
            }
            match poll_fill(context, connection) {
                Poll::Ready(Ok(0)) => {
                    let failure = Failure::closed_early(During::ReadingHead);
                    return Poll::Ready(Err(progress.send_failure.take().unwrap_or(failure)));
                }
                Poll::Ready(Ok(_)) => {
                    progress.received = true;
                    progress.begins = Some(call.read_timeout);
                }
                Poll::Ready(Err(error)) => {
                    let failure = Failure::read(&error, During::ReadingHead);
                    return Poll::Ready(Err(progress.send_failure.take().unwrap_or(failure)));
                }
                Poll::Pending => {
                    return progress.poll_patience(context, connection, sender, call);
                }
            }
        }
    }
}

impl Progress {
    /// Sends what can be sent. Only a failure of the client's own body ends the exchange at once.
    fn send_on(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connection,
        sender: &mut Sender,
        call: &UpstreamCall,
    ) -> Result<(), Failure> {
        if self.send_failure.is_some() || sender.is_done() {
            return Ok(());
        }
        let before = sender.bytes_sent;
        let sending = poll_sending(context, connection, sender);
        if sending.is_ready() {
            self.begins = Some(call.read_timeout);
        } else if sender.bytes_sent != before {
            self.begins = Some(call.send_timeout);
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
        call: &UpstreamCall,
    ) -> Poll<Result<T, Failure>> {
        if sender.waits_for_client {
            // Whoever reads from the client has its own time limit.
            connection.watched.unlimited();
            self.begins = Some(call.send_timeout);
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
