//! The body of an upstream's answer on its way to the client, and into the cache if it is kept.

use std::rc::Rc;

use net::store::{Filler, Now};
use plan::front::LogLevel;
use upstream::{AnswerBody, Piece};

use crate::exchange::Exchange;
use crate::relay::{BodyCut, FilePart, Part};

/// A body that an upstream makes.
#[derive(Debug)]
pub struct UpstreamBody {
    body: AnswerBody,
    /// A piece that was ready with the head.
    first: Option<Part>,
    /// Stores what passes; dropped without a commit if the body is cut.
    filler: Option<Box<Filler>>,
    /// Why it could not be stored.
    not_stored: Option<std::io::Error>,
    /// Why it was cut.
    error: Option<String>,
}

impl UpstreamBody {
    /// Wraps a body and a piece of it that was taken off already.
    pub fn new(body: AnswerBody, first: Option<Part>) -> UpstreamBody {
        UpstreamBody { body, first, filler: None, not_stored: None, error: None }
    }

    /// Stores what passes from now on.
    pub fn fill(&mut self, filler: Box<Filler>) {
        self.filler = Some(filler);
    }

    /// The next piece.
    ///
    /// # Errors
    /// If the upstream broke off; [`UpstreamBody::finish`] writes the reason to the log.
    pub async fn next(&mut self) -> Result<Option<Part>, BodyCut> {
        let part = match self.first.take() {
            Some(first) => Some(first),
            None => match self.body.next().await {
                Ok(piece) => piece.map(part),
                Err(error) => {
                    self.filler = None;
                    self.error = Some(error.message);
                    return Err(BodyCut);
                }
            },
        };
        match &part {
            Some(part) => self.store(part),
            None => {
                if let Some(filler) = self.filler.take() {
                    self.not_stored = filler.commit(Now::read()).err();
                }
            }
        }
        Ok(part)
    }

    fn store(&mut self, part: &Part) {
        let Some(filler) = &mut self.filler else { return };
        match part {
            Part::Data(bytes) => filler.write(bytes),
            Part::File(part) => {
                let mut offset = part.offset;
                let end = part.offset.saturating_add(part.bytes);
                let mut buffer = vec![0; 64 * 1024];
                while offset < end {
                    let want =
                        usize::try_from(end - offset).unwrap_or(usize::MAX).min(buffer.len());
                    let read = std::os::unix::fs::FileExt::read_at(
                        &*part.file,
                        &mut buffer[..want],
                        offset,
                    );
                    let Ok(read @ 1..) = read else {
                        self.filler = None;
                        return;
                    };
                    filler.write(&buffer[..read]);
                    offset += read as u64;
                }
            }
        }
    }

    /// Reads on to the end, for the cache alone.
    pub async fn end(mut self: Box<Self>, exchange: &mut Exchange) {
        while let Ok(Some(_)) = self.next().await {}
        self.finish(exchange);
    }

    /// Hands what was learnt to the request.
    pub fn finish(self: Box<Self>, exchange: &mut Exchange) {
        let trace = &mut exchange.upstream.trace;
        self.body.finish_trace(trace);
        let peer = trace.last().map(|attempt| attempt.address.clone());
        if let Some(error) = &self.not_stored {
            crate::call::cached::not_stored(exchange, error);
        }
        if let Some(error) = self.error {
            let url = crate::call::url(exchange, peer.as_deref().unwrap_or(""));
            crate::log::error::write(exchange, LogLevel::Error, &error, Some(&url));
        }
    }
}

/// A piece of an upstream's answer as a piece of ours.
pub fn part(piece: Piece) -> Part {
    match piece {
        Piece::Data(bytes) => Part::Data(bytes),
        Piece::File { file, offset, bytes } => {
            Part::File(FilePart { file: Rc::new(file), offset, bytes })
        }
    }
}
