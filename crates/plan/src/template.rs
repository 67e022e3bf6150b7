//! Texts with variables in them, resolved to numbers when the configuration was read.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Number of a user variable (`set`, named capture, `auth_request_set`): an index into the
/// request's slot table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slot(pub u16);

/// Number of a `map` block, in the order of the file: an index into `FrontPlan::maps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MapId(pub u16);

/// Number of a `geo` block: an index into `FrontPlan::geos`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GeoId(pub u16);

/// Number of a `split_clients` block: an index into `FrontPlan::splits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SplitId(pub u16);

/// A text with variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its pieces, in order; neighbouring texts have been joined.
    pub parts: Vec<Part>,
}

impl Template {
    /// A template without variables.
    pub fn text(text: impl Into<Bytes>) -> Template {
        Template { parts: vec![Part::Text(text.into())] }
    }

    /// The whole text, if there is no variable in it.
    pub fn as_text(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [] => Some(b""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Literal bytes.
    Text(Bytes),
    /// A variable's value at request time; an absent value is empty.
    Variable(Variable),
    /// `$1` to `$9`: a capture of the request's last regex match.
    Capture(u8),
}

/// Every variable the front knows, by number. Names of families (`$http_NAME`) are stored as
/// the configuration means them: lower case, `_` for `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Variable {
    // The client and its connection.
    RemoteAddr,
    BinaryRemoteAddr,
    RemotePort,
    RemoteUser,
    RealipRemoteAddr,
    RealipRemotePort,
    ServerAddr,
    ServerPort,
    Connection,
    ConnectionRequests,
    ConnectionTime,
    Pipe,
    Http2,
    Https,
    Scheme,
    SslProtocol,
    SslCipher,
    SslServerName,
    SslSessionReused,
    SslAlpnProtocol,
    SslClientVerify,
    // The request.
    Request,
    RequestMethod,
    RequestUri,
    /// `$uri` and `$document_uri`.
    Uri,
    /// `$args` and `$query_string`.
    Args,
    IsArgs,
    ServerProtocol,
    Host,
    ServerName,
    ContentLength,
    ContentType,
    RequestBody,
    RequestBodyFile,
    RequestLength,
    RequestTime,
    RequestId,
    RequestCompletion,
    RequestFilename,
    DocumentRoot,
    RealpathRoot,
    LimitRate,
    LimitReqStatus,
    LimitConnStatus,
    // The response.
    Status,
    BodyBytesSent,
    BytesSent,
    GzipRatio,
    // The moment and the place.
    TimeLocal,
    TimeIso8601,
    Msec,
    Pid,
    Hostname,
    NginxVersion,
    // Upstreams.
    ProxyHost,
    ProxyPort,
    ProxyAddXForwardedFor,
    UpstreamAddr,
    UpstreamStatus,
    UpstreamCacheStatus,
    UpstreamConnectTime,
    UpstreamHeaderTime,
    UpstreamResponseTime,
    UpstreamResponseLength,
    UpstreamBytesReceived,
    UpstreamBytesSent,
    // Families.
    Http(String),
    SentHttp(String),
    UpstreamHttp(String),
    Cookie(String),
    UpstreamCookie(String),
    Arg(String),
    // The user's own.
    User(Slot),
    Map(MapId),
    Geo(GeoId),
    Split(SplitId),
}
