//! `proxy_cache_path` and `uwsgi_cache_path`.

use std::time::Duration;

use plan::front::CacheZone;

use crate::level::Level;
use crate::row::{Fault, HTTP, Outcome, Row, TWO_OR_MORE, level};
use crate::value;
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[
    level("proxy_cache_path", HTTP, TWO_OR_MORE, "a cache on disk", cache_path),
    level("uwsgi_cache_path", HTTP, TWO_OR_MORE, "a cache on disk", cache_path),
];

fn cache_path(_: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let mut zone = CacheZone {
        name: String::new(),
        path: call.prefixed(call.arg(0).strip_suffix('/').unwrap_or(call.arg(0))),
        levels: Vec::new(),
        keys_bytes: 0,
        inactive: Duration::from_secs(600),
        max_size: None,
        min_free: None,
        use_temp_path: true,
    };
    for number in 1..call.args().len() {
        parameter(&mut zone, number, call)?;
    }
    if zone.name.is_empty() {
        let message = format!("\"{}\" must have \"keys_zone\" parameter", call.directive.name());
        let hint = "for example `keys_zone=pages:10m`".to_owned();
        return Err(Fault::Hinted(0, message, hint));
    }
    if call.run.caches.iter().any(|other| other.name == zone.name) {
        return Err(Fault::Says(0, format!("duplicate zone \"{}\"", zone.name)));
    }
    if call.run.limit_zones().any(|limit| limit.name == zone.name) {
        let message = super::limit::different_use(&zone.name);
        return Err(Fault::Hinted(0, message, "take another name".to_owned()));
    }
    call.run.caches.push(zone);
    Ok(())
}

fn parameter(zone: &mut CacheZone, number: usize, call: &Call<'_, '_>) -> Outcome {
    let word = call.arg(number);
    let fault = |message: String| Fault::Says(number + 1, message);
    let hinted = |message: String, hint: &str| Fault::Hinted(number + 1, message, hint.to_owned());
    let (name, text) = word.split_once('=').unwrap_or((word, ""));
    match name {
        "levels" => {
            let message = || format!("invalid \"levels\" \"{word}\"");
            let hint = "up to three levels of one or two letters each: `levels=1:2`";
            let invalid = || hinted(message(), hint);
            zone.levels = levels(text).ok_or_else(invalid)?;
        }
        "keys_zone" => {
            let message = || format!("invalid keys zone size \"{word}\"");
            let invalid = || hinted(message(), "for example `keys_zone=pages:10m`");
            let (name, size) = text.split_once(':').ok_or_else(invalid)?;
            zone.keys_bytes = value::size(size).ok_or_else(invalid)?;
            if zone.keys_bytes < 8192 {
                let message = format!("keys zone \"{word}\" is too small");
                return Err(hinted(message, "8k is the least"));
            }
            zone.name = name.to_owned();
        }
        "inactive" => {
            let message = || format!("invalid inactive value \"{word}\"");
            let invalid = || hinted(message(), "a time such as `10m`, `1h` or `7d`");
            zone.inactive = value::seconds(text).map(Duration::from_secs).ok_or_else(invalid)?;
        }
        "max_size" => {
            let message = || format!("invalid max_size value \"{word}\"");
            let invalid = || hinted(message(), "a size such as `500m` or `10g`");
            zone.max_size = Some(value::size(text).ok_or_else(invalid)?);
        }
        "min_free" => {
            let message = || format!("invalid min_free value \"{word}\"");
            let invalid = || hinted(message(), "a size such as `500m` or `10g`");
            zone.min_free = Some(value::size(text).ok_or_else(invalid)?);
        }
        "use_temp_path" => match text {
            "on" => zone.use_temp_path = true,
            "off" => zone.use_temp_path = false,
            _ => {
                let message =
                    format!("invalid use_temp_path value \"{word}\", it must be \"on\" or \"off\"");
                return Err(fault(message));
            }
        },
        // How fast nginx's helper processes go; ours pace themselves.
        "loader_files" | "loader_sleep" | "loader_threshold" | "manager_files"
        | "manager_sleep" | "manager_threshold" => {
            let right = value::time(text).is_some() || value::number(text).is_some();
            let message = format!("invalid {name} value \"{word}\"");
            return if right { Ok(()) } else { Err(fault(message)) };
        }
        _ => return Err(fault(format!("invalid parameter \"{word}\""))),
    }
    Ok(())
}

/// `1:2`: up to three levels of one or two letters.
fn levels(text: &str) -> Option<Vec<u8>> {
    let levels: Option<Vec<u8>> = text
        .split(':')
        .map(|level| match level {
            "1" => Some(1),
            "2" => Some(2),
            _ => None,
        })
        .collect();
    levels.filter(|levels| levels.len() <= 3)
}
