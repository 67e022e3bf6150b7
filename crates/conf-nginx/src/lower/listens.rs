//! Listening sockets: each address once, with the servers behind it.

use std::collections::HashSet;

use plan::Address;
use plan::front::ServerId;
use plan::front::http::{ListenPlan, ServerName};

use super::Builder;
use crate::directives::listen;
use crate::draft::{ListenDraft, NameDraft};
use crate::report::At;

/// What is known about an address besides its plan.
#[derive(Default)]
pub struct Listening {
    default_chosen: bool,
    options_set: bool,
    /// Names seen, with the way they match.
    names: HashSet<String>,
}

impl Builder<'_, '_> {
    pub(super) fn listens(
        &mut self,
        server: ServerId,
        mut drafts: Vec<ListenDraft>,
        names: &[NameDraft],
        at: At,
    ) {
        if drafts.is_empty() {
            drafts.push(listen::implied(self.run.options.is_root, at));
        }
        for draft in drafts {
            let index = self.listening(&draft, server);
            self.check_default(index, &draft, server);
            self.check_names(index, &draft, names);
        }
    }

    fn listening(&mut self, draft: &ListenDraft, server: ServerId) -> usize {
        let known = self.listen_numbers.get(&draft.address).copied();
        let index = known.unwrap_or_else(|| {
            self.listen_numbers.insert(draft.address.clone(), self.plan.listens.len());
            self.plan.listens.push(ListenPlan {
                address: draft.address.clone(),
                backlog: None,
                ipv6_only: matches!(&draft.address, Address::Inet(it) if it.is_ipv6()),
                reuse_port: false,
                so_keepalive: false,
                tls: false,
                default_server: server,
                servers: Vec::new(),
            });
            self.listening.push(Listening::default());
            self.plan.listens.len() - 1
        });
        if let Some(plan) = self.plan.listens.get_mut(index) {
            plan.servers.push(server);
            plan.backlog = draft.backlog.or(plan.backlog);
            plan.ipv6_only = draft.ipv6_only.unwrap_or(plan.ipv6_only);
            plan.reuse_port |= draft.reuse_port;
            plan.so_keepalive |= draft.so_keepalive;
        }
        index
    }

    fn check_default(&mut self, index: usize, draft: &ListenDraft, server: ServerId) {
        let shown = listen::shown(&draft.address);
        let Some(known) = self.listening.get_mut(index) else { return };
        if draft.options_set && std::mem::replace(&mut known.options_set, true) {
            self.run.error(draft.at, format!("duplicate listen options for {shown}"));
            return;
        }
        if !draft.default_server {
            return;
        }
        if std::mem::replace(&mut known.default_chosen, true) {
            let message = format!("a duplicate default server for {shown}");
            let hint = "take `default_server` out of one of the two; often the other one is in \
                sites-enabled/default";
            self.run.hinted(draft.at, message, hint);
            return;
        }
        if let Some(plan) = self.plan.listens.get_mut(index) {
            plan.default_server = server;
        }
    }

    fn check_names(&mut self, index: usize, draft: &ListenDraft, names: &[NameDraft]) {
        let shown = listen::shown(&draft.address);
        let Some(known) = self.listening.get_mut(index) else { return };
        let mut conflicts = Vec::new();
        for name in names {
            if matches!(name.name, ServerName::Regex(_)) {
                continue;
            }
            if !known.names.insert(name.written.to_ascii_lowercase()) {
                conflicts.push(name);
            }
        }
        for name in conflicts {
            let message =
                format!("conflicting server name \"{}\" on {shown}, ignored", name.written);
            let at = self.late(name.at);
            self.run.warning(at, message);
        }
    }
}
