//! The access phase where an answer may take its time: a password that is hashed, another location
//! that is asked.
//!
//! Rooms: [`basic`] (`auth_basic`: who says that he is who), [`password`] (stored passwords and
//! whether one fits), [`proven`] (what was found to fit before), [`request`] (`auth_request`).
//!
//! ```text
//!  satisfy all   allow, deny ──► auth_basic ──► auth_request ──► try_files, content
//!                     │403            │401, 403       │401, 403
//!                     ▼               ▼               ▼
//!                     └────────── error_page ─────────┘
//!
//!  satisfy any   allow, deny ──► auth_basic ──► auth_request ──► none refused: try_files, content
//!                     │ pass          │ pass          │ pass     one refused: 401 before 403
//!                     └───────────────┴───────────────┴─► try_files, content
//! ```

mod basic;
mod password;
mod proven;
mod request;

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use message::KnownHeader;
use plan::front::rewrite::AccessRule;
use plan::front::{AuthPlan, LogLevel};

pub use basic::credentials;
pub use proven::Proven;

use crate::exchange::Exchange;
use crate::phases::{Outcome, Start};
use crate::real_ip;
use crate::wire::Wire;

/// What one check says.
#[derive(Debug)]
enum Verdict {
    /// It has no opinion.
    NotAsked,
    /// The request may pass.
    Pass,
    /// It may not.
    Refuse(Refusal),
    /// The check itself failed; that status is the answer, whatever the others say.
    Failed(u16),
    /// The connection closes without an answer.
    Close,
}

/// Why a request may not pass.
#[derive(Debug)]
struct Refusal {
    /// 401 if the client can still be asked, or 403.
    status: u16,
    /// What the client is asked.
    challenges: Vec<Bytes>,
}

impl Refusal {
    /// Nothing that the client says would help.
    fn forbidden() -> Refusal {
        Refusal { status: 403, challenges: Vec::new() }
    }

    /// The client is asked.
    fn asking(challenges: Vec<Bytes>) -> Refusal {
        Refusal { status: 401, challenges }
    }

    /// Two checks refuse: as long as one of them still asks, the client is asked.
    fn and(mut self, other: Option<Refusal>) -> Refusal {
        if let Some(mut other) = other {
            self.status = self.status.min(other.status);
            other.challenges.append(&mut self.challenges);
            self.challenges = other.challenges;
        }
        self
    }
}

/// A check of the access phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// `allow` and `deny`.
    Address,
    /// `auth_basic`.
    Password,
    /// `auth_request`.
    Request,
}

/// All of them, in the order they are made.
const CHECKS: [Check; 3] = [Check::Address, Check::Password, Check::Request];

/// Lets the request in, or says what it gets instead. `None`: the client is gone.
pub async fn admit(wire: &mut Wire, exchange: &mut Exchange) -> Option<Outcome> {
    wire.watched.unlimited();
    let active = exchange.active.clone();
    let Some(plan) = &active.location(exchange.location).auth else {
        return Some(Outcome::Status(500));
    };
    let mut refused: Option<Refusal> = None;
    for check in CHECKS {
        let verdict = match check {
            Check::Address => by_address(exchange),
            Check::Password => match &plan.basic {
                Some(basic) => basic::check(exchange, basic).await,
                None => Verdict::NotAsked,
            },
            Check::Request => match &plan.request {
                Some(request) => request::check(wire, exchange, request).await?,
                None => Verdict::NotAsked,
            },
        };
        match verdict {
            Verdict::NotAsked => {}
            Verdict::Pass if plan.any => return Some(admitted(exchange)),
            Verdict::Pass => {}
            Verdict::Failed(status) => return Some(Outcome::Status(status)),
            Verdict::Close => return Some(Outcome::Close),
            Verdict::Refuse(refusal) if plan.any => refused = Some(refusal.and(refused)),
            Verdict::Refuse(refusal) => {
                if check == Check::Address {
                    log_forbidden(exchange);
                }
                return refuse(wire, exchange, plan, refusal).await;
            }
        }
    }
    match refused {
        None => Some(Outcome::Again(Start::Admitted)),
        Some(refusal) => {
            if refusal.status == 403 {
                log_forbidden(exchange);
            }
            refuse(wire, exchange, plan, refusal).await
        }
    }
}

/// One check is satisfied: what another one asked, here or on the way here, is no matter any more.
fn admitted(exchange: &mut Exchange) -> Outcome {
    if let Some(kept) = &mut exchange.kept {
        kept.headers.remove(KnownHeader::WwwAuthenticate);
    }
    Outcome::Again(Start::Admitted)
}

/// Says no. `None`: the client is gone.
async fn refuse(
    wire: &mut Wire,
    exchange: &mut Exchange,
    plan: &AuthPlan,
    refusal: Refusal,
) -> Option<Outcome> {
    // What the client is asked goes out with whichever page tells it no.
    let headers = &mut exchange.kept.get_or_insert_default().headers;
    headers.remove(KnownHeader::WwwAuthenticate);
    for challenge in &refusal.challenges {
        headers.push(KnownHeader::WwwAuthenticate, challenge);
    }
    if refusal.status == 401 && !plan.delay.is_zero() {
        delay(wire, exchange, plan.delay).await?;
    }
    Some(Outcome::Status(refusal.status))
}

/// Lets who is refused wait. `None`: the client is gone.
async fn delay(wire: &mut Wire, exchange: &Exchange, time: Duration) -> Option<()> {
    exchange.log(LogLevel::Info, "delaying unauthorized request");
    tokio::select! {
        biased;
        () = tokio::time::sleep(time) => Some(()),
        () = poll_fn(|context| wire.poll_gone(context)) => None,
    }
}

/// What `allow` and `deny` of the location in force say.
fn by_address(exchange: &Exchange) -> Verdict {
    let client = real_ip::client(exchange.peer());
    match route::access::decisive(&exchange.location().access, client) {
        None => Verdict::NotAsked,
        Some(AccessRule { allow: true, .. }) => Verdict::Pass,
        Some(AccessRule { allow: false, .. }) => Verdict::Refuse(Refusal::forbidden()),
    }
}

/// Whether the client may come in by its address, where no other check is made.
pub fn may_by_address(exchange: &Exchange) -> bool {
    let may = !matches!(by_address(exchange), Verdict::Refuse(_));
    if !may {
        log_forbidden(exchange);
    }
    may
}

fn log_forbidden(exchange: &Exchange) {
    exchange.log(LogLevel::Error, "access forbidden by rule");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_can_be_asked_is_asked_by_everybody() {
        let asking =
            |text: &'static str| Refusal::asking(vec![Bytes::from_static(text.as_bytes())]);
        let both = asking("second").and(Some(asking("first").and(Some(Refusal::forbidden()))));
        assert_eq!((both.status, both.challenges), (401, vec!["first".into(), "second".into()]));
        let none = Refusal::forbidden().and(None).and(Some(Refusal::forbidden()));
        assert_eq!((none.status, none.challenges.len()), (403, 0));
    }
}
