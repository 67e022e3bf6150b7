//! Caching of upstream responses.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::CacheId;
use crate::Template;

/// One `proxy_cache_path`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CacheZone {
    /// `keys_zone` name.
    pub name: String,
    /// Directory.
    pub path: PathBuf,
    /// `levels`: letters per directory level, at most three levels of one or two.
    pub levels: Vec<u8>,
    /// `keys_zone` size: bounds the number of entries (nginx keeps about 8,000 per MiB).
    pub keys_bytes: u64,
    /// Entries not asked for during this time are removed.
    pub inactive: Duration,
    /// Bytes on disk; `None` is unlimited.
    pub max_size: Option<u64>,
    /// `min_free`.
    pub min_free: Option<u64>,
    /// `use_temp_path`.
    pub use_temp_path: bool,
}

/// What a location says about caching.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CacheUse {
    /// Which zone.
    pub zone: CacheId,
    /// `*_cache_key`.
    pub key: Template,
    /// `*_cache_valid` lines: codes (0 stands for `any`) and time.
    pub valid: Vec<(u16, Duration)>,
    /// `*_cache_use_stale`.
    pub use_stale: UseStale,
    /// `*_cache_lock`.
    pub lock: bool,
    /// `*_cache_lock_timeout`: then the request goes upstream, uncached.
    pub lock_timeout: Duration,
    /// `*_cache_lock_age`: then one more request fills.
    pub lock_age: Duration,
    /// `*_cache_min_uses`.
    pub min_uses: u32,
    /// `*_cache_methods`: GET and HEAD are always there.
    pub post_too: bool,
    /// `*_cache_bypass`: not read if any is neither empty nor `0`.
    pub bypass: Vec<Template>,
    /// `*_no_cache`: not stored if any is neither empty nor `0`.
    pub no_cache: Vec<Template>,
    /// `*_cache_revalidate`.
    pub revalidate: bool,
    /// `*_cache_background_update`.
    pub background_update: bool,
    /// `*_cache_convert_head`.
    pub convert_head: bool,
}

/// `*_cache_use_stale`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct UseStale {
    pub error: bool,
    pub timeout: bool,
    pub invalid_header: bool,
    pub updating: bool,
    pub statuses: Vec<u16>,
}
