//! What a server says about TLS, with the files it names.

use std::io;
use std::path::Path;
use std::time::Duration;

use plan::front::TlsPlan;
use plan::front::tls::{CertificatePlan, ClientPlan, Secret, SessionPlan, TlsVersions};
use tls::CertificateFault;

use super::Builder;
use crate::level::{CiphersDraft, FileDraft, ProtocolsDraft, Tls};
use crate::report::At;

/// Largest file with a certificate, key or list in it.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// `ssl_session_timeout` when nobody says it.
const SESSION_TIMEOUT: Duration = Duration::from_secs(300);

impl Builder<'_, '_> {
    /// `None` if the server has no certificate. Problems are told for every server; `listens` says
    /// whether this one listens with TLS at all.
    pub(super) fn tls(&mut self, draft: &Tls, listens: bool) -> Option<Box<TlsPlan>> {
        let reject = draft.reject.unwrap_or(false);
        let verify = draft.verify.as_ref().filter(|verify| verify.on);
        let certificates = draft.certificates.as_deref().unwrap_or(&[]);
        if certificates.is_empty() && !reject {
            if let Some(verify) = verify.filter(|_| listens) {
                let message = "no \"ssl_certificate\" is defined for \"ssl_verify_client\"";
                self.run.error(verify.at, message);
            }
            return None;
        }
        let mut plan = TlsPlan {
            certificates: self.certificates(draft, certificates),
            versions: TlsVersions { tls12: true, tls13: true },
            suites: tls::names::default_suites(),
            groups: draft.groups.clone().unwrap_or_else(tls::names::default_groups),
            prefer_own_order: draft.prefer_own_order.unwrap_or(false),
            sessions: SessionPlan {
                remembered_max: draft.remembered_max.unwrap_or(0),
                tickets: draft.tickets.unwrap_or(true),
                lifetime: draft.session_timeout.unwrap_or(SESSION_TIMEOUT),
            },
            client: None,
            reject,
        };
        if listens {
            (plan.versions, plan.suites) =
                self.offer("", draft.protocols.as_ref(), draft.ciphers.as_ref());
        }
        if let Some(verify) = verify {
            plan.client = self.client(draft, verify.required, verify.at);
        }
        listens.then(|| Box::new(plan))
    }

    /// Whoever answers a client that names no server needs a certificate.
    pub(super) fn check_tls(&mut self) {
        let mut missing = Vec::new();
        for (listen, known) in self.plan.listens.iter().zip(&self.listening) {
            let server = |id: plan::front::ServerId| self.plan.servers.get(id.0 as usize);
            let tls = |id| server(id).and_then(|server| server.tls.as_deref());
            let default = tls(listen.default_server);
            let rejecting = default.is_some_and(|tls| tls.certificates.is_empty());
            let lacks = |id: plan::front::ServerId| match id == listen.default_server {
                true => default.is_none(),
                false => rejecting && tls(id).is_none(),
            };
            let place = known.places.iter().find(|(id, _)| lacks(*id));
            missing.extend(place.filter(|_| listen.tls).map(|(_, at)| *at));
        }
        for at in missing {
            // Files that could not be read have been told already.
            if !self.run.report.any_error() {
                let message = "no \"ssl_certificate\" is defined for the \"listen ... ssl\" \
                    directive";
                self.run.error(at, message);
            }
        }
    }

    fn certificates(&mut self, draft: &Tls, files: &[FileDraft]) -> Vec<CertificatePlan> {
        let keys = draft.keys.as_deref().unwrap_or(&[]);
        let mut pairs = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let Some(key) = keys.get(number) else {
                let name = &file.name;
                let message =
                    format!("no \"ssl_certificate_key\" is defined for certificate \"{name}\"");
                self.run.error(file.at, message);
                break;
            };
            pairs.extend(self.pair(file, key));
        }
        pairs
    }

    /// A certificate and its key; a pair that several servers name is read once.
    pub(super) fn pair(&mut self, file: &FileDraft, key: &FileDraft) -> Option<CertificatePlan> {
        let names = (file.name.clone(), key.name.clone());
        if let Some(known) = self.pairs.get(&names) {
            return known.clone();
        }
        let pair = self.read_pair(file, key);
        self.pairs.insert(names, pair.clone());
        pair
    }

    fn read_pair(&mut self, file: &FileDraft, key: &FileDraft) -> Option<CertificatePlan> {
        let chain = self.read(file, "certificate")?;
        let secret = Secret::new(self.read(key, "certificate key")?);
        let fault = match tls::certified(&chain, secret.reveal()) {
            Ok(_) => return Some(CertificatePlan { chain, key: secret }),
            Err(fault) => fault,
        };
        let shown = self.shown(&key.name);
        match fault {
            CertificateFault::Certificate(reason) => {
                let shown = self.shown(&file.name);
                let message = format!("cannot load certificate \"{shown}\": {reason}");
                self.run.error(file.at, message);
            }
            CertificateFault::Key(reason) => {
                let message = format!("cannot load certificate key \"{shown}\": {reason}");
                self.run.error(key.at, message);
            }
            CertificateFault::KeyEncrypted => {
                let message = format!("cannot load certificate key \"{shown}\": it is encrypted");
                let hint = "encrypted keys are not supported here; `openssl pkey -in KEY -out \
                    NEW` takes the password away (then guard the file: mode 600)";
                self.run.hinted(key.at, message, hint);
            }
            CertificateFault::KeyMismatch => {
                let message =
                    format!("SSL_CTX_use_PrivateKey(\"{shown}\") failed (key values mismatch)");
                let hint = "this key belongs to another certificate";
                self.run.hinted(key.at, message, hint);
            }
        }
        None
    }

    /// Versions and suites of TLS 1.2, by the directives of one side.
    pub(super) fn offer(
        &mut self,
        prefix: &'static str,
        protocols: Option<&ProtocolsDraft>,
        ciphers: Option<&CiphersDraft>,
    ) -> (TlsVersions, Vec<u16>) {
        let mut versions = TlsVersions { tls12: true, tls13: true };
        let mut suites = tls::names::default_suites();
        if let Some(protocols) = protocols {
            versions = protocols.versions;
            let old = protocols.old.join(", ");
            if protocols.versions == TlsVersions::default() {
                let message = format!("none of these versions is offered here: {old}");
                let hint = format!("write `{prefix}ssl_protocols TLSv1.2 TLSv1.3;`");
                self.run.hinted(protocols.at, message, &hint);
                return (versions, suites);
            }
            // Said once for each side.
            let side = if prefix.is_empty() { "ssl_protocols" } else { "proxy_ssl_protocols" };
            if !old.is_empty() && self.run.quiet_seen.insert(side) {
                self.run.warning(protocols.at, format!("not offered here: {old}"));
            }
        }
        if let Some(ciphers) = ciphers {
            suites.clone_from(&ciphers.suites);
            if !ciphers.suites.is_empty() || !versions.tls12 {
                return (versions, suites);
            }
            if versions.tls13 {
                let message = "none of these ciphers is offered here, so TLSv1.2 is not either";
                self.run.warning(ciphers.at, message);
            } else {
                let hint = format!("write `{prefix}ssl_ciphers HIGH:!aNULL:!MD5;`");
                self.run.hinted(ciphers.at, "none of these ciphers is offered here", &hint);
            }
        }
        (versions, suites)
    }

    fn client(&mut self, draft: &Tls, required: bool, at: At) -> Option<ClientPlan> {
        let Some(told) = &draft.client_certificate else {
            let message = "no ssl_client_certificate for ssl_verify_client";
            self.run.error(at, message);
            return None;
        };
        let more = match &draft.trusted {
            Some(file) => self.read(file, "certificate")?,
            None => String::new(),
        };
        let revoked = match &draft.crl {
            Some(file) => self.read(file, "revocation list")?,
            None => String::new(),
        };
        let plan = ClientPlan {
            required,
            authorities: self.read(told, "certificate")?,
            more_authorities: more,
            revoked,
            depth: draft.depth.unwrap_or(1),
        };
        if let Err(reason) = tls::check_client(&plan) {
            let shown = self.shown(&told.name);
            self.run.error(told.at, format!("cannot load certificate \"{shown}\": {reason}"));
            return None;
        }
        Some(plan)
    }

    /// The text of a file, which stands beside nginx.conf if its name is relative.
    pub(super) fn read(&mut self, file: &FileDraft, what: &str) -> Option<String> {
        if let Some(text) = file.name.strip_prefix("data:") {
            return Some(text.to_owned());
        }
        let shown = self.shown(&file.name);
        match text(Path::new(&shown)) {
            Ok(text) => Some(text),
            Err(error) => {
                let said = error.to_string();
                let said = said.split(" (os error").next().unwrap_or_default();
                let number = error.raw_os_error().map(|number| format!("{number}: "));
                let number = number.unwrap_or_default();
                let message =
                    format!("cannot load {what} \"{shown}\": open() failed ({number}{said})");
                self.run.error(file.at, message);
                None
            }
        }
    }

    /// A file's whole name; a text that stands in the configuration is not shown.
    pub(super) fn shown(&self, name: &str) -> String {
        if name.starts_with("data:") {
            return "data:".to_owned();
        }
        self.run.options.conf_directory().join(name).display().to_string()
    }
}

/// A file's text; certificates in PEM form may have any bytes around them.
fn text(path: &Path) -> io::Result<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
