//! The access phase where an answer may take its time: a password that is hashed.
//!
//! Rooms: [`basic`] (`auth_basic`: who says that he is who), [`password`] (stored passwords and
//! whether one fits), [`proven`] (what was found to fit before).
//!
//! ```text
//!  allow, deny ──► auth_basic ──► try_files, content
//!       │403            │401, 403, 500
//!       ▼               ▼
//!       └── error_page ─┘
//! ```

mod basic;
mod password;
mod proven;

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use message::KnownHeader;
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
}

/// Lets the request in, or says what it gets instead. `None`: the client is gone.
pub async fn admit(wire: &mut Wire, exchange: &mut Exchange) -> Option<Outcome> {
    wire.watched.unlimited();
    let active = exchange.active.clone();
    let Some(plan) = &active.location(exchange.location).auth else {
        return Some(Outcome::Status(500));
    };
    let verdict = match may_by_address(exchange) {
        false => Verdict::Refuse(Refusal::forbidden()),
        true => match &plan.basic {
            Some(basic) => basic::check(exchange, basic).await,
            None => Verdict::NotAsked,
        },
    };
    match verdict {
        Verdict::NotAsked | Verdict::Pass => Some(Outcome::Again(Start::Admitted)),
        Verdict::Failed(status) => Some(Outcome::Status(status)),
        Verdict::Refuse(refusal) => refuse(wire, exchange, plan, refusal).await,
    }
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

/// Whether the client may come in by its address.
pub fn may_by_address(exchange: &Exchange) -> bool {
    let may = route::access::decide(&exchange.location().access, real_ip::client(exchange.peer()));
    if !may {
        exchange.log(LogLevel::Error, "access forbidden by rule");
    }
    may
}
