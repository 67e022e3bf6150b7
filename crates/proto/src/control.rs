//! What the master and its children say to each other.
//!
//! Each message is one SOCK_SEQPACKET datagram: JSON, because control messages are rare and are
//! read by people in traces; descriptors travel beside it (SCM_RIGHTS), in the order given at
//! each variant. End of file on a control socket means the other side is gone: children then
//! finish what they have and exit; the master treats the child as dead.

use std::path::PathBuf;

use plan::app::{AppPlan, Protocol};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest control message in bytes.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Most descriptors in one message (the kernel's limit is 253).
pub const DESCRIPTORS_MAX: usize = 200;

/// Name of the environment variable that tells a nursery which descriptor holds its [`AppStart`].
pub const START_VARIABLE: &str = "PROPYLON_START";

/// Everything a nursery needs, written as JSON into a memory file before it is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppStart {
    /// The app.
    pub plan: AppPlan,
    /// Number of the app within this master.
    pub app: u16,
    /// Counts reloads, from 1.
    pub generation: u64,
    /// Listening sockets, inherited under these numbers.
    pub listeners: Vec<InheritedListener>,
    /// The nursery's own control socket.
    pub control: i32,
    /// Receiving end of the private request queue, if there is a front.
    pub queue: Option<i32>,
    /// The shared scoreboard ([`crate::channel`] has its layout).
    pub scoreboard: i32,
    /// The shared mailboxes ([`crate::mailbox`]), if there is a front.
    #[serde(default)]
    pub mailboxes: Option<i32>,
    /// What wakes the front's threads, one eventfd for each.
    #[serde(default)]
    pub bells: Vec<i32>,
    /// Threads of the front: how many reply sockets each worker gets; 0 without a front.
    pub front_threads: u32,
    /// Pid of the master.
    pub master_pid: u32,
}

/// A listening socket that workers accept on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InheritedListener {
    /// Descriptor number.
    pub descriptor: i32,
    /// What is spoken there.
    pub protocol: Protocol,
    /// The address as the user wrote it.
    pub written: String,
}

/// Master to nursery.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToNursery {
    /// Fork a worker. Descriptors: its control socket, then one reply socket per front thread.
    Fork {
        /// Its place on the scoreboard; free until the worker that had it is gone.
        seat: u32,
        /// Worker number as users see it, from 1.
        worker: u32,
        /// Counts all workers of the app, from 1: who is meant in a mailbox.
        #[serde(default)]
        birth: u32,
    },
    /// Log files have been renamed. Descriptor, if the master has a file of its own: what takes the place
    /// of standard output and error.
    Log,
    /// No more workers will be asked for: exit.
    Stop,
}

/// Nursery to master.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromNursery {
    /// The app is imported (or, with `lazy-apps`, the interpreter is ready).
    Loaded {
        /// How many apps (mount points).
        apps: u32,
    },
    /// Nothing could be loaded; the reason has been written to the log already. The nursery
    /// stays and can fork workers that answer 500, unless `need-app` forbids it.
    LoadFailed {
        /// One line.
        summary: String,
    },
    /// Files that the app has been imported from, if the plan asks for them; more than one of these may
    /// come.
    Sources {
        /// Paths.
        files: Vec<PathBuf>,
    },
    /// The worker on that seat has been forked.
    Forked {
        /// Its seat.
        seat: u32,
        /// Its pid.
        pid: u32,
    },
}

/// Master to worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// Accept nothing new, finish what is begun, exit 0. After the mercy time the master kills.
    Quiesce,
    /// As [`ToNursery::Log`].
    Log,
}

/// Worker to master.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromWorker {
    /// Ready for requests.
    Accepting {
        /// Its pid.
        pid: u32,
    },
    /// `lazy-apps`: the app did not load in this worker.
    LoadFailed {
        /// One line.
        summary: String,
    },
    /// Please start a replacement and then quiesce me.
    Recycle {
        /// Why: `max-requests`, `lifetime`, `harakiri`, ….
        why: String,
    },
}

/// Master to front.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToFront {
    /// Descriptors that the next `Configure` counts on; more than one of these may come.
    Handles,
    /// A new configuration. The handles collected so far are: a memory file with the
    /// `FrontPlan` as JSON, the listening sockets in the order of `FrontPlan::listens`, the log
    /// files in the order of `FrontPlan::log_files`.
    Configure {
        /// Counts configurations, from 1.
        generation: u64,
    },
    /// An app is served by this master. Descriptors: sending end of its request queue, the
    /// scoreboard, the mailboxes, and what wakes the front's threads, one eventfd for each (the
    /// last two may be missing: then all goes through the sockets). The master announces apps and workers before the first `Configure`, so that
    /// no request finds its app missing; a front that replaces a crashed one gets the same
    /// sockets, where answers to its predecessor's requests may still come: request ids must
    /// differ from process to process.
    AppUp {
        /// Its number.
        app: u16,
        /// Request threads per worker.
        threads: u32,
    },
    /// A worker of an app is about to accept. Descriptors: the front's ends of its reply
    /// sockets, one per front thread.
    WorkerUp {
        /// The app.
        app: u16,
        /// The worker's seat.
        seat: u32,
        /// As in [`ToNursery::Fork`].
        #[serde(default)]
        birth: u32,
    },
    /// Log files were opened anew; descriptors: as the log files in `Configure` (through
    /// `Handles` if there are many).
    ReopenLogs,
    /// Finish what is begun and exit.
    Quit,
}

/// Front to master.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromFront {
    /// That configuration is in use by every thread.
    Ready {
        /// Which.
        generation: u64,
    },
    /// That configuration cannot be used; the one before stays.
    Refused {
        /// Which.
        generation: u64,
        /// Why, one line.
        reason: String,
    },
    /// The last request on that configuration has ended.
    Retired {
        /// Which.
        generation: u64,
    },
}

/// Encodes a message.
///
/// # Errors
/// Only if a type's own serialisation fails, which none of ours does.
pub fn encode<T: Serialize>(message: &T) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(message)
}

/// Decodes a message.
///
/// # Errors
/// If the bytes are not that message.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes)
}
