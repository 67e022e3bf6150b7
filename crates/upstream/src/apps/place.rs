//! Where a request's body travels: inside the datagram, as a file, or on a socket of its own.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use proto::channel::{BODY_INLINE_BYTES_MAX, BodyPlace, REQUEST_BYTES_MAX, REQUEST_HEAD_BYTES};
use sys::fdpass::stream_pair;
use sys::memory::memory_file;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::error::{Failure, FailureKind};
use crate::outgoing::OutgoingBody;

/// A body ready to travel.
#[derive(Debug)]
pub(super) struct Placed {
    pub place: BodyPlace,
    pub bytes: u64,
    /// The body, if the place is inline.
    pub inline: Bytes,
    /// The file or socket, if it is not.
    pub descriptor: Option<OwnedFd>,
    upload: Option<(UnixStream, mpsc::Receiver<io::Result<Bytes>>)>,
}

/// A body that may still be on its way to the worker.
#[derive(Debug)]
pub(super) struct Upload(Option<Weak<()>>);

impl Upload {
    /// The body has been sent whole.
    pub fn none() -> Upload {
        Upload(None)
    }

    /// Whether the client is still sending: the worker cannot be asked for its answer yet.
    pub fn is_flowing(&self) -> bool {
        self.0.as_ref().is_some_and(|flows| flows.strong_count() != 0)
    }
}

impl Placed {
    /// Finds a place beside `vars_bytes` of variables.
    pub fn new(vars_bytes: usize, body: OutgoingBody) -> Result<Placed, Failure> {
        let room = (REQUEST_BYTES_MAX - REQUEST_HEAD_BYTES).checked_sub(vars_bytes);
        let Some(room) = room else {
            let text = format!("request variables are too big: {vars_bytes}");
            return Err(Failure::new(FailureKind::TooLarge, text));
        };
        Placed::find(room.min(BODY_INLINE_BYTES_MAX), body).map_err(|error| {
            let text = format!("the request body cannot be handed over: {error}");
            Failure::new(FailureKind::Error, text)
        })
    }

    fn find(room: usize, body: OutgoingBody) -> io::Result<Placed> {
        Ok(match body {
            OutgoingBody::None => Placed::inline(Bytes::new()),
            OutgoingBody::Memory(bytes) if bytes.len() <= room => Placed::inline(bytes),
            OutgoingBody::Memory(bytes) => {
                let file = memory_file("propylon-request-body", &bytes)?;
                Placed::beside(BodyPlace::File, bytes.len() as u64, file)
            }
            OutgoingBody::File(file, bytes) => Placed::beside(BodyPlace::File, bytes, file.into()),
            OutgoingBody::Stream(pieces, length) => {
                let (ours, theirs) = stream_pair()?;
                let ours = std::os::unix::net::UnixStream::from(ours);
                ours.set_nonblocking(true)?;
                let bytes = length.unwrap_or(u64::MAX);
                let mut placed = Placed::beside(BodyPlace::Stream, bytes, theirs);
                placed.upload = Some((UnixStream::from_std(ours)?, pieces));
                placed
            }
        })
    }

    /// The request has been sent: a streamed body begins to flow, on a task of its own. It ends
    /// with the body, or when the client lets go, or when the worker does or takes nothing for
    /// `patience`.
    pub fn start_upload(self, patience: Duration) -> Upload {
        let Some((mut socket, mut pieces)) = self.upload else { return Upload::none() };
        let flows = Rc::new(());
        let upload = Upload(Some(Rc::downgrade(&flows)));
        tokio::task::spawn_local(async move {
            let _flows = flows;
            while let Some(Ok(piece)) = pieces.recv().await {
                if !matches!(timeout(patience, socket.write_all(&piece)).await, Ok(Ok(()))) {
                    return;
                }
            }
        });
        upload
    }

    fn inline(bytes: Bytes) -> Placed {
        let (place, length) = (BodyPlace::Inline, bytes.len() as u64);
        Placed { place, bytes: length, inline: bytes, descriptor: None, upload: None }
    }

    fn beside(place: BodyPlace, bytes: u64, descriptor: OwnedFd) -> Placed {
        let (inline, descriptor) = (Bytes::new(), Some(descriptor));
        Placed { place, bytes, inline, descriptor, upload: None }
    }
}
