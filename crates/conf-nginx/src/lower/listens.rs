//! Listening sockets: each address once, with the servers behind it.

use std::collections::HashMap;

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
    /// Where each of its servers says so.
    pub(super) places: Vec<(ServerId, At)>,
    /// Names seen, and whose they are.
    names: HashMap<String, ServerId>,
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
            self.check_names(index, server, names);
        }
    }

    /// Two sockets of one port, one of them for every address, can only be bound side by side
    /// when both say so; the kernel then prefers the one that names the address.
    pub(super) fn share_ports(&mut self) {
        let addresses: Vec<_> = self.plan.listens.iter().map(|it| it.address.clone()).collect();
        for plan in &mut self.plan.listens {
            let Address::Inet(own) = &plan.address else { continue };
            plan.reuse_port |= addresses.iter().any(|other| match other {
                Address::Inet(other) => {
                    let related = own.port() == other.port() && own.is_ipv4() == other.is_ipv4();
                    related && own.ip().is_unspecified() != other.ip().is_unspecified()
                }
                _ => false,
            });
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
        if let Some(known) = self.listening.get_mut(index) {
            known.places.push((server, draft.at));
        }
        if let Some(plan) = self.plan.listens.get_mut(index) {
            plan.servers.push(server);
            plan.tls |= draft.tls;
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

    fn check_names(&mut self, index: usize, server: ServerId, names: &[NameDraft]) {
        let Some(plan) = self.plan.listens.get(index) else { return };
        let shown = listen::shown(&plan.address);
        let Some(known) = self.listening.get_mut(index) else { return };
        let mut conflicts = Vec::new();
        for name in names {
            if matches!(name.name, ServerName::Regex(_)) {
                continue;
            }
            let owner = known.names.entry(name.written.to_ascii_lowercase()).or_insert(server);
            if *owner != server {
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
