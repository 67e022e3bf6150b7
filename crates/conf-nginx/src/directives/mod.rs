//! The directive tables: one file per topic, one row per directive.

mod access;
mod auth;
mod autoindex;
mod body;
mod cache;
mod charset;
mod core;
mod elsewhere;
pub(crate) mod exchange;
pub(crate) mod geo;
mod gzip;
mod headers;
mod http;
pub(crate) mod limit;
pub(crate) mod limit_except;
pub(crate) mod listen;
mod log;
mod manners;
pub(crate) mod peer_tls;
mod proxy;
mod real_ip;
pub(crate) mod rewrite;
pub(crate) mod server_name;
pub(crate) mod split_clients;
mod ssl;
mod sub_filter;
mod tuning;
mod types;
pub(crate) mod upstream;
mod uwsgi;

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::row::Row;

/// Every table.
const TABLES: &[&[Row]] = &[
    core::ROWS,
    http::ROWS,
    listen::ROWS,
    server_name::ROWS,
    types::ROWS,
    charset::ROWS,
    autoindex::ROWS,
    manners::ROWS,
    body::ROWS,
    access::ROWS,
    limit_except::ROWS,
    geo::ROWS,
    split_clients::ROWS,
    auth::ROWS,
    real_ip::ROWS,
    limit::ROWS,
    log::ROWS,
    gzip::ROWS,
    sub_filter::ROWS,
    headers::ROWS,
    rewrite::ROWS,
    cache::ROWS,
    proxy::ROWS,
    proxy::EXCHANGE_ROWS,
    uwsgi::ROWS,
    uwsgi::EXCHANGE_ROWS,
    peer_tls::PROXY_ROWS,
    peer_tls::UWSGI_ROWS,
    upstream::ROWS,
    ssl::ROWS,
    tuning::ROWS,
    elsewhere::ROWS,
];

/// The rows of one name; several where it means different things in different blocks.
pub fn rows(name: &str) -> impl Iterator<Item = &'static Row> + use<> {
    static INDEX: OnceLock<HashMap<&'static str, Vec<&'static Row>>> = OnceLock::new();
    let index = INDEX.get_or_init(|| {
        let mut index: HashMap<&'static str, Vec<&'static Row>> = HashMap::new();
        for row in all() {
            index.entry(row.name).or_default().push(row);
        }
        index
    });
    index.get(name).into_iter().flatten().copied()
}

/// Every row, in the order of the tables: for reference pages and completion.
pub fn all() -> impl Iterator<Item = &'static Row> {
    TABLES.iter().copied().flatten()
}

/// Every name.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|row| row.name)
}
