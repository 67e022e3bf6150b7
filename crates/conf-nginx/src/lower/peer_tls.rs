//! What is said about TLS to upstreams, with the files it names.

use plan::front::tls::{AuthoritiesPlan, CertificatePlan};
use plan::front::upstream::TlsUse;
use plan::front::{PeerTlsId, PeerTlsPlan};
use plan::{Part, Template, Variable};

use super::Builder;
use super::set_headers::worked_out;
use crate::draft::{PassDraft, Secrecy, SpeakDraft, TargetDraft};
use crate::level::{FileDraft, PeerTls};

/// `*_ssl_verify_depth` when nobody says it.
const DEPTH: u32 = 1;

/// How the directives' names begin.
fn prefix(pass: &PassDraft) -> &'static str {
    match pass.speak {
        SpeakDraft::Uwsgi => "uwsgi_",
        SpeakDraft::Http { .. } => "proxy_",
    }
}

impl Builder<'_, '_> {
    /// TLS of one pass directive; `None` if it never is under TLS.
    pub(super) fn tls_use(&mut self, pass: &PassDraft, draft: &PeerTls) -> Option<TlsUse> {
        if pass.secrecy == Secrecy::Plain {
            return None;
        }
        let prefix = prefix(pass);
        let verify = self.authorities(draft, prefix);
        let (versions, suites) =
            self.offer(prefix, draft.protocols.as_ref(), draft.ciphers.as_ref());
        let plan = PeerTlsPlan {
            versions,
            suites,
            tells_name: draft.tells_name.unwrap_or(false),
            verify,
            certificate: self.own_certificate(draft, prefix),
            reuses_sessions: draft.reuses_sessions.unwrap_or(true),
        };
        let name = self.peer_name(pass, draft, plan.tells_name || plan.verify.is_some());
        if draft.verify.is_none() {
            self.warn_unverified(pass, prefix);
        }
        Some(TlsUse { rules: self.peer_rules(plan), name })
    }

    /// The number of rules; the same rules have one number.
    fn peer_rules(&mut self, plan: PeerTlsPlan) -> PeerTlsId {
        let known = self.plan.upstream_tls.iter().position(|known| *known == plan);
        let number = known.unwrap_or_else(|| {
            self.plan.upstream_tls.push(plan);
            self.plan.upstream_tls.len() - 1
        });
        PeerTlsId(number as u32)
    }

    fn authorities(&mut self, draft: &PeerTls, prefix: &str) -> Option<AuthoritiesPlan> {
        let verify = draft.verify.as_ref().filter(|verify| verify.on)?;
        let Some(trusted) = draft.trusted.as_ref().filter(|file| !file.name.is_empty()) else {
            let message = format!("no {prefix}ssl_trusted_certificate for {prefix}ssl_verify");
            let hint = format!(
                "write `{prefix}ssl_trusted_certificate FILE;` with the authority's certificate, \
                 or the system's bundle (/etc/ssl/certs/ca-certificates.crt)"
            );
            self.run.hinted(verify.at, message, &hint);
            return None;
        };
        let revoked = match draft.crl.as_ref().filter(|file| !file.name.is_empty()) {
            Some(file) => self.read(file, "revocation list")?,
            None => String::new(),
        };
        let authorities = self.read(trusted, "certificate")?;
        let depth = draft.depth.unwrap_or(DEPTH);
        let plan = AuthoritiesPlan { authorities, revoked, depth };
        if let Err(reason) = tls::check_authorities(&plan) {
            let file = match (&draft.crl, reason.contains("revocation list")) {
                (Some(crl), true) => crl,
                _ => trusted,
            };
            let shown = self.shown(&file.name);
            self.run.error(file.at, format!("cannot load certificate \"{shown}\": {reason}"));
            return None;
        }
        Some(plan)
    }

    fn own_certificate(&mut self, draft: &PeerTls, prefix: &str) -> Option<CertificatePlan> {
        let is_named = |file: &&FileDraft| !file.name.is_empty();
        let file = draft.certificate.as_ref().filter(is_named)?;
        let Some(key) = draft.key.as_ref().filter(is_named) else {
            let name = &file.name;
            let message =
                format!("no \"{prefix}ssl_certificate_key\" is defined for certificate \"{name}\"");
            self.run.error(file.at, message);
            return None;
        };
        self.pair(file, key)
    }

    /// Whom a peer's certificate must be for. `is_needed`: it is told or verified.
    fn peer_name(&mut self, pass: &PassDraft, draft: &PeerTls, is_needed: bool) -> Template {
        let (name, at) = match (&draft.name, &pass.target, &pass.speak) {
            (Some((name, at)), TargetDraft::Named { .. }, SpeakDraft::Http { host, port, .. }) => {
                (worked_out(name, Some((host, *port))), *at)
            }
            (Some((name, at)), ..) => (name.clone(), *at),
            (None, TargetDraft::Named { .. }, SpeakDraft::Http { host, .. }) => {
                (Template::text(host.clone()), pass.at)
            }
            (None, TargetDraft::Named { name, .. }, SpeakDraft::Uwsgi) => {
                (Template::text(name.clone()), pass.at)
            }
            (None, TargetDraft::Dynamic(_), SpeakDraft::Http { .. }) => {
                return Template { parts: vec![Part::Variable(Variable::ProxyHost)] };
            }
            (None, TargetDraft::Dynamic(_), SpeakDraft::Uwsgi) => {
                (Template::text(String::new()), pass.at)
            }
        };
        let fixed = name.as_text().map(|text| String::from_utf8_lossy(text).into_owned());
        if let Some(Err(message)) =
            fixed.filter(|_| is_needed).map(|text| tls::peer::check_name(&text))
        {
            let prefix = prefix(pass);
            let hint = format!("write `{prefix}ssl_name NAME;` with a name of the certificate");
            self.run.hinted(at, message, &hint);
        }
        name
    }

    /// Secrecy without knowing from whom is half of it, and only said once a peer.
    fn warn_unverified(&mut self, pass: &PassDraft, prefix: &str) {
        let whom = match &pass.target {
            TargetDraft::Named { name, .. } if name.starts_with("unix:") => return,
            TargetDraft::Named { name, .. } => name.clone(),
            TargetDraft::Dynamic(_) => String::new(),
        };
        if !self.unverified.insert(whom.clone()) {
            return;
        }
        let whom = if whom.is_empty() { "upstreams".to_owned() } else { format!("\"{whom}\"") };
        let what = format!(
            "write \"{prefix}ssl_verify on\" and \"{prefix}ssl_trusted_certificate\", or \
             \"{prefix}ssl_verify off\" if that is meant"
        );
        match pass.secrecy {
            Secrecy::Tls => {
                let message = format!("the certificate of {whom} is not verified: {what}");
                self.run.warning(pass.at, message);
            }
            _ => {
                let message = format!("the certificate of {whom} is not verified");
                self.run.notice(pass.at, message, &what);
            }
        }
    }
}
