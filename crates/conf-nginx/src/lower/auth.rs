//! The checks of a location beside its addresses.

use plan::front::{AuthPlan, BasicPlan, RequestPlan};

use super::Builder;
use crate::draft::SiteKind;
use crate::level::Level;

impl Builder<'_, '_> {
    /// `level` is complete. `None` if there is nothing to check.
    pub(super) fn auth(&mut self, level: &Level) -> Option<Box<AuthPlan>> {
        let (basic, request) = (self.basic(level), request(level));
        if basic.is_none() && request.is_none() {
            return None;
        }
        Some(Box::new(AuthPlan {
            any: level.auth.any.unwrap_or(false),
            delay: level.auth.delay.unwrap_or_default(),
            basic,
            request,
        }))
    }

    fn basic(&mut self, level: &Level) -> Option<BasicPlan> {
        let draft = level.auth.realm.as_ref()?;
        let realm = draft.realm.clone()?;
        let user_file = level.auth.user_file.clone();
        // The place outside of all locations may be one where no request ever comes.
        let is_place = level.own.site != SiteKind::Outside;
        if user_file.is_none() && is_place && self.open_realms.insert(draft.at.order) {
            let message = "`auth_basic` without `auth_basic_user_file` lets nobody in".to_owned();
            self.run.warning(draft.at, message);
        }
        Some(BasicPlan { realm, user_file, directory: self.run.options.conf_directory() })
    }
}

fn request(level: &Level) -> Option<RequestPlan> {
    let uri = level.auth.request.clone().flatten()?;
    Some(RequestPlan { uri, set: level.auth.request_set.clone().unwrap_or_default() })
}
