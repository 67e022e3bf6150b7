//! Limits of a location: names of zones become numbers.

use plan::front::limit::{
    ConnectionLimit, ConnectionLimits, LimitsPlan, RequestLimit, RequestLimits,
};
use plan::front::{LimitConnZoneId, LimitReqZoneId, LogLevel};

use super::Builder;
use crate::directives::limit::different_use;
use crate::level::Limits;
use crate::report::At;

/// Status of refusals unless something else is said.
const STATUS: u16 = 503;

impl Builder<'_, '_> {
    /// `draft` is complete: everything inherited is in it.
    pub(super) fn limits(&mut self, draft: &Limits) -> Option<Box<LimitsPlan>> {
        let requests = self.request_limits(draft);
        let connections = self.connection_limits(draft);
        let limits = requests.is_some() || connections.is_some();
        limits.then(|| Box::new(LimitsPlan { requests, connections }))
    }

    fn request_limits(&mut self, draft: &Limits) -> Option<RequestLimits> {
        let mut limits = Vec::new();
        for limit in draft.requests.as_ref()? {
            let mut zones = self.run.limit_req_zones.iter();
            let Some(number) = zones.position(|(zone, _)| zone.name == limit.zone) else {
                self.missed_zone("limit_req_zone", &limit.zone, limit.at);
                continue;
            };
            limits.push(RequestLimit {
                zone: LimitReqZoneId(number as u32),
                rate: self.run.limit_req_zones.get(number).map_or(1, |(_, rate)| *rate),
                burst: limit.burst,
                undelayed: limit.undelayed,
            });
        }
        let refused_level = draft.requests_log_level.unwrap_or(LogLevel::Error);
        Some(RequestLimits {
            limits,
            status: draft.requests_status.unwrap_or(STATUS),
            refused_level,
            delayed_level: match refused_level {
                LogLevel::Warn => LogLevel::Notice,
                LogLevel::Notice | LogLevel::Info => LogLevel::Info,
                _ => LogLevel::Warn,
            },
            dry_run: draft.requests_dry_run.unwrap_or(false),
        })
    }

    fn connection_limits(&mut self, draft: &Limits) -> Option<ConnectionLimits> {
        let mut limits = Vec::new();
        for limit in draft.connections.as_ref()? {
            let mut zones = self.run.limit_conn_zones.iter();
            match zones.position(|zone| zone.name == limit.zone) {
                Some(number) => limits
                    .push(ConnectionLimit { zone: LimitConnZoneId(number as u32), max: limit.max }),
                None => self.missed_zone("limit_conn_zone", &limit.zone, limit.at),
            }
        }
        Some(ConnectionLimits {
            limits,
            status: draft.connections_status.unwrap_or(STATUS),
            refused_level: draft.connections_log_level.unwrap_or(LogLevel::Error),
            dry_run: draft.connections_dry_run.unwrap_or(false),
        })
    }

    /// Tells once of a zone that is not there, however many locations inherit its use.
    fn missed_zone(&mut self, directive: &str, name: &str, at: At) {
        if self.missed_zones.iter().any(|told| told == name) {
            return;
        }
        self.missed_zones.push(name.to_owned());
        let run = &self.run;
        let right: Vec<&str> = match directive {
            "limit_req_zone" => run.limit_req_zones.iter().map(|(zone, _)| &*zone.name).collect(),
            _ => run.limit_conn_zones.iter().map(|zone| &*zone.name).collect(),
        };
        let hint = match diag::nearest(name, right.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare it with `{directive}` in `http`"),
        };
        let is_other = run.limit_zones().any(|zone| zone.name == name)
            || self.plan.caches.iter().any(|cache| cache.name == name);
        let message = match is_other {
            true => different_use(name),
            false => format!("zero size shared memory zone \"{name}\""),
        };
        let late = self.late(at);
        // Of a zone that nobody declares nginx names no place.
        let at = if is_other { late } else { At { order: late.order, ..at } };
        self.run.hinted(at, message, &hint);
    }
}
