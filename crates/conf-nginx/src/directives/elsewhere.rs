//! Directives of modules that are not here: refused with the module's name and a way out, or,
//! where they only matter beside a directive that is refused, accepted without effect.

use crate::row::{ALL_LEVELS, ANY, Contexts, LOCATION_IF, Row, SERVER_IF, Shape, quiet, refused};

const LEVELS: Contexts = ALL_LEVELS | LOCATION_IF | SERVER_IF;

/// A table of directives that share a fate.
macro_rules! tables {
    ($(refused $module:literal, $instead:literal: $($name:literal)*;)*
     $(idle $why:literal: $($idle:literal)*;)*) => {
        &[
            $($(refused($name, $module, $instead),)*)*
            $($(quiet($idle, LEVELS, ANY, Shape::Free, $why),)*)*
        ]
    };
}

/// The rows.
pub const ROWS: &[Row] = tables! {
    refused "ngx_http_core_module", "let the app do it":
        "post_action";
    refused "ngx_http_fastcgi_module", "serve the app over uwsgi or HTTP":
        "fastcgi_pass";
    refused "ngx_http_scgi_module", "serve the app over uwsgi or HTTP":
        "scgi_pass";
    refused "ngx_http_grpc_module", "keep nginx for this site":
        "grpc_pass";
    refused "ngx_http_memcached_module", "ask memcached from the app":
        "memcached_pass";
    refused "ngx_http_tunnel_module", "keep nginx for this site":
        "tunnel_pass";
    refused "ngx_http_limit_conn_module", "use `limit_conn_zone KEY zone=NAME:SIZE;`":
        "limit_zone";
    refused "ngx_http_auth_jwt_module", "check tokens in the app":
        "auth_jwt" "auth_jwt_claim_set" "auth_jwt_header_set" "auth_jwt_key_cache"
        "auth_jwt_key_file" "auth_jwt_key_request" "auth_jwt_leeway" "auth_jwt_require"
        "auth_jwt_type" "auth_oidc" "oidc_provider";
    refused "ngx_http_referer_module", "test `$http_referer` in an `if`":
        "valid_referers";
    refused "ngx_http_secure_link_module", "check links in the app":
        "secure_link" "secure_link_md5" "secure_link_secret";
    refused "ngx_http_geoip_module", "look countries up in the app":
        "geoip_country" "geoip_city" "geoip_org" "geoip_proxy" "geoip_proxy_recursive";
    refused "ngx_http_addition_module", "change pages in the app":
        "add_before_body" "add_after_body" "addition_types";
    refused "ngx_http_ssi_module", "render pages in the app":
        "ssi" "ssi_ignore_recycled_buffers" "ssi_last_modified" "ssi_min_file_chunk"
        "ssi_silent_errors" "ssi_types" "ssi_value_length";
    refused "ngx_http_headers_module", "send it with `add_header`":
        "add_trailer" "add_header_inherit";
    refused "ngx_http_userid_module", "set the cookie in the app":
        "userid" "userid_domain" "userid_expires" "userid_flags" "userid_mark" "userid_name"
        "userid_p3p" "userid_path" "userid_service";
    refused "ngx_http_mirror_module", "copy requests in the app":
        "mirror" "mirror_request_body";
    refused "ngx_http_slice_module", "leave it out":
        "slice";
    refused "ngx_http_random_index_module", "use `index`":
        "random_index";
    refused "ngx_http_empty_gif_module", "serve a file":
        "empty_gif";
    refused "ngx_http_dav_module", "take uploads in the app":
        "dav_methods" "dav_access" "create_full_put_path" "min_delete_depth";
    refused "ngx_http_flv_module", "serve the files as they are":
        "flv";
    refused "ngx_http_mp4_module", "serve the files as they are":
        "mp4" "mp4_buffer_size" "mp4_max_buffer_size" "mp4_limit_rate" "mp4_limit_rate_after"
        "mp4_start_key_frame";
    refused "ngx_http_image_filter_module", "scale images in the app":
        "image_filter" "image_filter_buffer" "image_filter_interlace"
        "image_filter_jpeg_quality" "image_filter_sharpen" "image_filter_transparency"
        "image_filter_webp_quality";
    refused "ngx_http_xslt_module", "transform pages in the app":
        "xml_entities" "xslt_stylesheet" "xslt_types" "xslt_last_modified" "xslt_param"
        "xslt_string_param";
    refused "ngx_http_browser_module", "test `$http_user_agent`":
        "ancient_browser" "ancient_browser_value" "modern_browser" "modern_browser_value";
    refused "ngx_http_degradation_module", "leave it out":
        "degradation" "degrade";
    refused "ngx_http_perl_module", "do it in the app":
        "perl" "perl_set";
    refused "ngx_http_js_module", "do it in the app":
        "js_access" "js_body_filter" "js_content" "js_fetch_buffer_size" "js_fetch_ciphers"
        "js_fetch_timeout" "js_filter" "js_header_filter" "js_import" "js_include" "js_path"
        "js_periodic" "js_preload_object" "js_preread" "js_set" "js_shared_dict_zone" "js_var";
    refused "ngx_http_upstream_module", "use `least_conn`, `ip_hash` or the default":
        "hash" "random" "least_time" "sticky" "sticky_cookie_insert" "queue" "ntlm" "state";
    refused "commercial edition", "leave it out":
        "api" "health_check" "health_check_timeout" "match" "status" "status_format"
        "status_zone" "session_log" "session_log_format" "session_log_zone" "keyval"
        "keyval_zone" "zone_sync" "mgmt" "f4f" "f4f_buffer_size" "hls" "hls_buffers"
        "hls_forward_args" "hls_fragment" "hls_mp4_buffer_size" "hls_mp4_max_buffer_size"
        "internal_redirect" "otel_exporter" "otel_trace" "num_map" "deny_on_missing";
    refused "mail modules", "keep nginx for mail":
        "mail" "protocol" "timeout" "starttls" "auth_http" "auth_http_header"
        "auth_http_pass_client_cert" "auth_http_timeout" "imap_auth" "imap_capabilities"
        "imap_client_buffer" "max_commands" "max_errors" "pop3_auth" "pop3_capabilities"
        "proxy_buffer" "proxy_pass_error_message" "proxy_smtp_auth" "proxy_timeout" "smtp_auth"
        "smtp_capabilities" "smtp_client_buffer" "smtp_greeting_delay" "xclient";
    refused "stream modules", "keep nginx for streams":
        "stream" "preread_buffer_size" "preread_timeout" "proxy_protocol_timeout" "pass"
        "proxy_download_rate" "proxy_upload_rate" "proxy_half_close" "proxy_protocol"
        "proxy_protocol_version" "proxy_requests" "proxy_responses" "proxy_session_drop"
        "proxy_downstream_buffer" "proxy_upstream_buffer" "proxy_ssl" "ssl_alpn"
        "ssl_handshake_timeout" "ssl_preread" "ssl_name_forward";
    refused "third-party headers-more module", "use `add_header` or `proxy_hide_header`":
        "more_set_headers" "more_clear_headers" "more_set_input_headers"
        "more_clear_input_headers";
    refused "third-party brotli module", "use `gzip`":
        "brotli" "brotli_static" "brotli_types" "brotli_comp_level" "brotli_buffers"
        "brotli_window" "brotli_min_length";
    refused "third-party lua module", "do it in the app":
        "access_by_lua" "access_by_lua_block" "access_by_lua_file" "body_filter_by_lua_block"
        "content_by_lua" "content_by_lua_block" "content_by_lua_file"
        "header_filter_by_lua_block" "init_by_lua_block" "init_worker_by_lua_block"
        "log_by_lua_block" "lua_code_cache" "lua_package_cpath" "lua_package_path"
        "lua_shared_dict" "rewrite_by_lua" "rewrite_by_lua_block" "rewrite_by_lua_file"
        "set_by_lua" "set_by_lua_block" "ssl_certificate_by_lua_block";
    refused "third-party upload progress module", "report progress in the app":
        "upload_progress" "report_uploads" "track_uploads" "upload_progress_json_output";
    refused "third-party modules", "leave it out or do it in the app":
        "modsecurity" "modsecurity_rules" "modsecurity_rules_file" "pagespeed" "passenger_enabled"
        "passenger_root" "passenger_ruby" "passenger_python" "rtmp" "echo" "set_unescape_uri"
        "set_escape_uri" "set_md5" "vhost_traffic_status" "vhost_traffic_status_zone"
        "vhost_traffic_status_display" "fancyindex" "fancyindex_exact_size" "geoip2"
        "auth_pam" "auth_pam_service_name" "auth_ldap" "proxy_connect" "naxsi";
    idle "it has no effect without `fastcgi_pass`":
        "fastcgi_allow_upstream" "fastcgi_bind" "fastcgi_buffer_size" "fastcgi_buffering"
        "fastcgi_buffers" "fastcgi_busy_buffers_size" "fastcgi_cache"
        "fastcgi_cache_background_update" "fastcgi_cache_bypass" "fastcgi_cache_key"
        "fastcgi_cache_lock" "fastcgi_cache_lock_age" "fastcgi_cache_lock_timeout"
        "fastcgi_cache_max_range_offset" "fastcgi_cache_methods" "fastcgi_cache_min_uses"
        "fastcgi_cache_path" "fastcgi_cache_purge" "fastcgi_cache_revalidate"
        "fastcgi_cache_use_stale" "fastcgi_cache_valid" "fastcgi_catch_stderr"
        "fastcgi_connect_timeout" "fastcgi_force_ranges" "fastcgi_hide_header"
        "fastcgi_ignore_client_abort" "fastcgi_ignore_headers" "fastcgi_index"
        "fastcgi_intercept_errors" "fastcgi_keep_conn" "fastcgi_limit_rate"
        "fastcgi_max_temp_file_size" "fastcgi_next_upstream" "fastcgi_next_upstream_timeout"
        "fastcgi_next_upstream_tries" "fastcgi_no_cache" "fastcgi_param" "fastcgi_pass_header"
        "fastcgi_pass_request_body" "fastcgi_pass_request_headers" "fastcgi_read_timeout"
        "fastcgi_request_buffering" "fastcgi_request_dynamic" "fastcgi_send_lowat"
        "fastcgi_send_timeout" "fastcgi_socket_keepalive" "fastcgi_split_path_info"
        "fastcgi_store" "fastcgi_store_access" "fastcgi_temp_file_write_size"
        "fastcgi_temp_path";
    idle "it has no effect without `scgi_pass`":
        "scgi_allow_upstream" "scgi_bind" "scgi_buffer_size" "scgi_buffering" "scgi_buffers"
        "scgi_busy_buffers_size" "scgi_cache" "scgi_cache_background_update"
        "scgi_cache_bypass" "scgi_cache_key" "scgi_cache_lock" "scgi_cache_lock_age"
        "scgi_cache_lock_timeout" "scgi_cache_max_range_offset" "scgi_cache_methods"
        "scgi_cache_min_uses" "scgi_cache_path" "scgi_cache_purge" "scgi_cache_revalidate"
        "scgi_cache_use_stale" "scgi_cache_valid" "scgi_connect_timeout" "scgi_force_ranges"
        "scgi_hide_header" "scgi_ignore_client_abort" "scgi_ignore_headers"
        "scgi_intercept_errors" "scgi_limit_rate" "scgi_max_temp_file_size"
        "scgi_next_upstream" "scgi_next_upstream_timeout" "scgi_next_upstream_tries"
        "scgi_no_cache" "scgi_param" "scgi_pass_header" "scgi_pass_request_body"
        "scgi_pass_request_headers" "scgi_read_timeout" "scgi_request_buffering"
        "scgi_request_dynamic" "scgi_send_timeout" "scgi_socket_keepalive" "scgi_store"
        "scgi_store_access" "scgi_temp_file_write_size" "scgi_temp_path";
    idle "it has no effect without `grpc_pass`":
        "grpc_allow_upstream" "grpc_bind" "grpc_buffer_size" "grpc_connect_timeout"
        "grpc_hide_header" "grpc_ignore_headers" "grpc_intercept_errors" "grpc_next_upstream"
        "grpc_next_upstream_timeout" "grpc_next_upstream_tries" "grpc_pass_header"
        "grpc_read_timeout" "grpc_request_dynamic" "grpc_send_timeout" "grpc_set_header"
        "grpc_socket_keepalive" "grpc_ssl_certificate" "grpc_ssl_certificate_cache"
        "grpc_ssl_certificate_key" "grpc_ssl_ciphers" "grpc_ssl_conf_command" "grpc_ssl_crl"
        "grpc_ssl_key_log" "grpc_ssl_name" "grpc_ssl_password_file" "grpc_ssl_protocols"
        "grpc_ssl_server_name" "grpc_ssl_session_reuse" "grpc_ssl_trusted_certificate"
        "grpc_ssl_verify" "grpc_ssl_verify_depth";
    idle "it has no effect without `memcached_pass`":
        "memcached_allow_upstream" "memcached_bind" "memcached_buffer_size"
        "memcached_connect_timeout" "memcached_gzip_flag" "memcached_next_upstream"
        "memcached_next_upstream_timeout" "memcached_next_upstream_tries"
        "memcached_read_timeout" "memcached_send_timeout" "memcached_socket_keepalive";
    idle "it has no effect without `tunnel_pass`":
        "tunnel_allow_upstream" "tunnel_bind" "tunnel_buffer_size" "tunnel_connect_timeout"
        "tunnel_next_upstream" "tunnel_next_upstream_timeout" "tunnel_next_upstream_tries"
        "tunnel_read_timeout" "tunnel_send_lowat" "tunnel_send_timeout"
        "tunnel_socket_keepalive" "tunnel_bind_dynamic";
    idle "it tunes what tunes itself here":
        "proxy_send_lowat" "uwsgi_request_dynamic";
};
