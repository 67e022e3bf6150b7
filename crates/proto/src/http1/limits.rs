//! What a request head may cost, and why one is refused.

use plan::front::http::HeadLimits;

/// What becomes of a header field whose name is not a token (spaces and control bytes in a name
/// are refused whatever is chosen here).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidNames {
    /// The request is refused.
    Refuse,
    /// The field is left out.
    Drop,
    /// The field is kept.
    Keep,
}

/// Limits and leniencies for request heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Bytes of the request line, and of each header line, with its line end.
    pub line_bytes_max: usize,
    /// Bytes of the whole head.
    pub head_bytes_max: usize,
    /// Header fields.
    pub headers_max: usize,
    /// Names that are not tokens.
    pub invalid_names: InvalidNames,
    /// Names with an underscore are kept; otherwise they are treated as `underscored`, because
    /// CGI cannot tell `X_A` from `X-A`.
    pub underscores: bool,
    /// `GET /path` without a version is a request (HTTP/0.9).
    pub simple_requests: bool,
}

impl RequestLimits {
    /// Most header fields of a request.
    pub const HEADERS_MAX: usize = 1000;

    /// The application server's: the head must fit `buffer_bytes` (`buffer-size`).
    pub fn for_app(buffer_bytes: usize) -> RequestLimits {
        RequestLimits {
            line_bytes_max: buffer_bytes,
            head_bytes_max: buffer_bytes,
            headers_max: RequestLimits::HEADERS_MAX,
            invalid_names: InvalidNames::Refuse,
            underscores: false,
            simple_requests: false,
        }
    }
}

impl From<&HeadLimits> for RequestLimits {
    fn from(plan: &HeadLimits) -> RequestLimits {
        let line = plan.buffer_bytes as usize;
        RequestLimits {
            line_bytes_max: line,
            head_bytes_max: line.saturating_mul(plan.buffers as usize),
            headers_max: RequestLimits::HEADERS_MAX,
            invalid_names: if plan.ignore_invalid {
                InvalidNames::Drop
            } else {
                InvalidNames::Keep
            },
            // nginx counts an underscore among the invalid characters: without
            // `ignore_invalid_headers` it passes as they do.
            underscores: plan.underscores || !plan.ignore_invalid,
            simple_requests: true,
        }
    }
}

/// Why a request head is refused. The client's fault, always; nothing more may be read from the
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RequestError {
    RequestLineTooLong,
    HeaderTooLong,
    HeadTooLong,
    TooManyHeaders,
    BadMethod,
    BadRequestLine,
    BadTarget,
    BadVersion,
    VersionNotSupported,
    ConnectNotSupported,
    BareCarriageReturn,
    ControlByte,
    FoldedHeader,
    BadHeaderName,
    HeaderWithoutColon,
    HostMissing,
    HostTwice,
    BadHost,
    ContentLengthTwice,
    BadContentLength,
    ContentTypeTwice,
    TransferEncodingTwice,
    TransferEncodingUnknown,
    TransferEncodingInHttp10,
    ContentLengthAndTransferEncoding,
}

impl RequestError {
    /// The status to answer with.
    pub fn status(self) -> u16 {
        match self {
            RequestError::RequestLineTooLong => 414,
            RequestError::HeaderTooLong
            | RequestError::HeadTooLong
            | RequestError::TooManyHeaders => 431,
            RequestError::VersionNotSupported => 505,
            RequestError::ConnectNotSupported => 405,
            _ => 400,
        }
    }

    /// The status nginx has for it, its own 494 ("Request Header Or Cookie Too Large", sent as
    /// 400) included.
    pub fn nginx_status(self) -> u16 {
        match self {
            RequestError::HeaderTooLong
            | RequestError::HeadTooLong
            | RequestError::TooManyHeaders => 494,
            RequestError::TransferEncodingUnknown => 501,
            _ => self.status(),
        }
    }

    /// What the client did, for the log.
    pub fn text(self) -> &'static str {
        match self {
            RequestError::RequestLineTooLong => "client sent too long URI",
            RequestError::HeaderTooLong => "client sent too long header line",
            RequestError::HeadTooLong => "client sent too large request",
            RequestError::TooManyHeaders => "client sent too many header lines",
            RequestError::BadMethod => "client sent invalid method",
            RequestError::BadRequestLine | RequestError::BadTarget => "client sent invalid request",
            RequestError::BadVersion | RequestError::VersionNotSupported => {
                "client sent invalid version"
            }
            RequestError::ConnectNotSupported => "client sent CONNECT method",
            RequestError::BareCarriageReturn
            | RequestError::ControlByte
            | RequestError::FoldedHeader
            | RequestError::BadHeaderName
            | RequestError::HeaderWithoutColon => "client sent invalid header line",
            RequestError::HostMissing => "client sent HTTP/1.1 request without \"Host\" header",
            RequestError::HostTwice => "client sent duplicate header line: \"Host\"",
            RequestError::BadHost => "client sent invalid host header",
            RequestError::ContentLengthTwice => {
                "client sent duplicate header line: \"Content-Length\""
            }
            RequestError::BadContentLength => "client sent invalid \"Content-Length\" header",
            RequestError::ContentTypeTwice => "client sent duplicate header line: \"Content-Type\"",
            RequestError::TransferEncodingTwice => {
                "client sent duplicate header line: \"Transfer-Encoding\""
            }
            RequestError::TransferEncodingUnknown => "client sent unknown \"Transfer-Encoding\"",
            RequestError::TransferEncodingInHttp10 => {
                "client sent HTTP/1.0 request with \"Transfer-Encoding\" header"
            }
            RequestError::ContentLengthAndTransferEncoding => {
                "client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time"
            }
        }
    }
}
