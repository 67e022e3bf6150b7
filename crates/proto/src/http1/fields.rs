//! What the header fields of a request decide together: framing, persistence, host.

use message::{BodyLength, KnownHeader, Slice, Version};

use super::bytes::{decimal, list_items};
use super::limits::RequestError;
use super::target::{is_valid_host, plain_host_bytes};

/// Collected while the fields go by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decisions {
    content_length: Option<u64>,
    chunked: bool,
    host: bool,
    plain_host: Option<Slice>,
    content_type: bool,
    close: bool,
    keep: bool,
    expect_continue: bool,
}

/// How the request goes on after its head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub body: BodyLength,
    pub plain_host: Option<Slice>,
    pub keep_alive: bool,
    pub expect_continue: bool,
}

impl Decisions {
    /// Takes note of one field; its value stands at `at` in the head.
    #[inline]
    pub fn handle_field(
        &mut self,
        known: KnownHeader,
        value: &[u8],
        at: usize,
    ) -> Result<(), RequestError> {
        match known {
            KnownHeader::Host => {
                if self.host {
                    return Err(RequestError::HostTwice);
                }
                self.host = true;
                match plain_host_bytes(value) {
                    Some(bytes) => self.plain_host = Some(Slice::new(at, at + bytes)),
                    None if is_valid_host(value) => {}
                    None => return Err(RequestError::BadHost),
                }
            }
            KnownHeader::ContentLength => {
                if self.content_length.is_some() {
                    return Err(RequestError::ContentLengthTwice);
                }
                self.content_length = Some(decimal(value).ok_or(RequestError::BadContentLength)?);
            }
            KnownHeader::TransferEncoding => {
                if self.chunked {
                    return Err(RequestError::TransferEncodingTwice);
                }
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(RequestError::TransferEncodingUnknown);
                }
                self.chunked = true;
            }
            KnownHeader::ContentType => {
                if self.content_type {
                    return Err(RequestError::ContentTypeTwice);
                }
                self.content_type = true;
            }
            KnownHeader::Connection => self.handle_connection(value),
            KnownHeader::Expect => {
                self.expect_continue |= value.eq_ignore_ascii_case(b"100-continue");
            }
            _ => {}
        }
        Ok(())
    }

    fn handle_connection(&mut self, value: &[u8]) {
        for option in list_items(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// The head is complete.
    pub fn finish(self, version: Version) -> Result<Outcome, RequestError> {
        let http11 = version == Version::Http11;
        if http11 && !self.host {
            return Err(RequestError::HostMissing);
        }
        if self.chunked && self.content_length.is_some() {
            return Err(RequestError::ContentLengthAndTransferEncoding);
        }
        if self.chunked && !http11 {
            return Err(RequestError::TransferEncodingInHttp10);
        }
        let body = match (self.chunked, self.content_length) {
            (true, _) => BodyLength::Chunked,
            (false, Some(0)) | (false, None) => BodyLength::None,
            (false, Some(bytes)) => BodyLength::Length(bytes),
        };
        let keep_alive = !self.close && (http11 || (self.keep && version == Version::Http10));
        let expect_continue = self.expect_continue && http11;
        Ok(Outcome { body, plain_host: self.plain_host, keep_alive, expect_continue })
    }
}
