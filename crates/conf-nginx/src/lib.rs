//! conf-nginx
