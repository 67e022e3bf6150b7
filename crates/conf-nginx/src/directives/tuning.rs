//! Tuning knobs that are accepted, checked and not needed.

use crate::level::Level;
use crate::row::{
    ALL_LEVELS, ANY, Args, Contexts, Fault, HTTP, LOCATION_IF, ONE, ONE_OR_TWO, Outcome, Row,
    SERVER, SOME, Shape, TWO, level, quiet,
};
use crate::walk::Call;

const CACHE: Args = Args { min: 1, max: 3 };
const FLAT: Contexts = ALL_LEVELS;
const H2: &str = "this build speaks HTTP/1 only";
const FILES: &str =
    "small files that are asked for often are looked at twice a second, others for each request";

/// The rows.
pub const ROWS: &[Row] = &[
    quiet("tcp_nopush", FLAT, ONE, Shape::Flag, "heads and bodies leave together anyway"),
    quiet("aio", FLAT | LOCATION_IF, ONE, Shape::Free, "files are sent by the kernel"),
    quiet("aio_write", FLAT, ONE, Shape::Flag, "files are written as data comes"),
    quiet("directio", FLAT, ONE, Shape::Free, "files go through the page cache"),
    quiet("directio_alignment", FLAT, ONE, Shape::Size, "files go through the page cache"),
    quiet("read_ahead", FLAT, ONE, Shape::Size, "the kernel reads ahead"),
    quiet("send_lowat", FLAT, ONE, Shape::Size, "it is for other systems"),
    quiet("sendfile_max_chunk", FLAT, ONE, Shape::Size, "connections take turns anyway"),
    quiet("output_buffers", FLAT, TWO, Shape::Number, "buffers grow by need"),
    quiet("postpone_output", FLAT, ONE, Shape::Size, "what is ready is sent"),
    quiet("subrequest_output_buffer_size", FLAT, ONE, Shape::Size, "subrequests send nothing"),
    quiet("open_file_cache", FLAT, CACHE, Shape::Free, FILES),
    quiet("open_file_cache_errors", FLAT, ONE, Shape::Flag, FILES),
    quiet("open_file_cache_events", FLAT, ONE, Shape::Flag, FILES),
    quiet("open_file_cache_min_uses", FLAT, ONE, Shape::Number, FILES),
    quiet("open_file_cache_valid", FLAT, ONE, Shape::Free, FILES),
    level("http2", HTTP | SERVER, ONE, "another version of HTTP", http2),
    quiet("http2_body_preread_size", HTTP | SERVER, ONE, Shape::Size, H2),
    quiet("http2_chunk_size", FLAT, ONE, Shape::Size, H2),
    quiet("http2_idle_timeout", HTTP | SERVER, ONE, Shape::Time, H2),
    quiet("http2_max_concurrent_pushes", HTTP | SERVER, ONE, Shape::Number, H2),
    quiet("http2_max_concurrent_streams", HTTP | SERVER, ONE, Shape::Number, H2),
    quiet("http2_max_field_size", HTTP | SERVER, ONE, Shape::Size, H2),
    quiet("http2_max_header_size", HTTP | SERVER, ONE, Shape::Size, H2),
    quiet("http2_max_requests", HTTP | SERVER, ONE, Shape::Number, H2),
    quiet("http2_pool_size", HTTP | SERVER, ONE, Shape::Size, H2),
    quiet("http2_preread_size", HTTP | SERVER, ONE, Shape::Size, H2),
    quiet("http2_push", FLAT, ONE, Shape::Free, H2),
    quiet("http2_push_preload", FLAT, ONE, Shape::Flag, H2),
    quiet("http2_recv_buffer_size", HTTP, ONE, Shape::Size, H2),
    quiet("http2_recv_timeout", HTTP | SERVER, ONE, Shape::Time, H2),
    quiet("http2_streams_index_size", HTTP | SERVER, ONE, Shape::Number, H2),
    quiet("http3", HTTP | SERVER, ONE, Shape::Flag, H2),
    quiet("http3_hq", HTTP | SERVER, ONE, Shape::Flag, H2),
    quiet("http3_max_concurrent_streams", HTTP | SERVER, ONE, Shape::Number, H2),
    quiet("http3_stream_buffer_size", HTTP | SERVER, ONE, Shape::Size, H2),
    quiet("quic_active_connection_id_limit", HTTP | SERVER, ONE, Shape::Number, H2),
    quiet("quic_gso", HTTP | SERVER, ONE, Shape::Flag, H2),
    quiet("quic_host_key", HTTP | SERVER, ONE, Shape::Free, H2),
    quiet("quic_retry", HTTP | SERVER, ONE, Shape::Flag, H2),
    quiet("spdy_chunk_size", FLAT, ONE, Shape::Size, H2),
    quiet("spdy_headers_comp", HTTP | SERVER, ONE, Shape::Number, H2),
    quiet("early_hints", FLAT, ANY, Shape::Free, "103 answers are not passed on"),
    quiet("gunzip", FLAT, ONE, Shape::Flag, "responses are passed on as they come"),
    quiet("gunzip_buffers", FLAT, TWO, Shape::Number, "responses are passed on as they come"),
    quiet("limit_rate_after", FLAT | LOCATION_IF, ONE, Shape::Size, "rates are not limited"),
    quiet("referer_hash_bucket_size", SERVER, ONE, Shape::Number, "tables size themselves"),
    quiet("referer_hash_max_size", SERVER, ONE, Shape::Number, "tables size themselves"),
    quiet("add_trailer_inherit", FLAT, SOME, Shape::Free, "trailers are not sent"),
    level("limit_rate", FLAT | LOCATION_IF, ONE, "bytes per second; 0 alone", |_, call| {
        super::exchange::only(call, "0")
    }),
    level(
        "disable_symlinks",
        FLAT,
        ONE_OR_TWO,
        "keeps symbolic links out; `off` alone",
        |_, call| match call.arg(0) {
            "off" => Ok(()),
            _ => {
                let message = "`disable_symlinks` is not supported here".to_owned();
                let hint = "only `disable_symlinks off` is; keep links out of the directory";
                Err(Fault::Hinted(0, message, hint.to_owned()))
            }
        },
    ),
];

/// Clients that can speak HTTP/2 agree on HTTP/1.1 without noticing.
fn http2(_: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let mut on = None;
    call.flag(&mut on)?;
    if on == Some(true) {
        let message = "`http2` is ignored: HTTP/1.1 is spoken here";
        call.run.warning(call.directive.at(), message);
    }
    Ok(())
}
