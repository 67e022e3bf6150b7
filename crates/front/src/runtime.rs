//! A configuration in use: the plan, compiled, with its open files; shared by all threads, and
//! what each thread adds to it.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use net::store::Store;
use plan::FrontPlan;
use plan::front::{LimitsPlan, LocationId, LocationPlan, ServerId, ServerPlan, TypesId};
use proto::control::FromFront;
use proto::http1::RequestLimits;
use route::{NameMap, Router};
use tls::Identity;
use upstream::{AppChannels, PeerStates, Upstreams};

use crate::call::secrecy;
use crate::limit::Zones;
use crate::log::LogFiles;
use crate::process::MasterLine;
use crate::secure::Tls;

/// One configuration.
pub struct Runtime {
    /// Its number.
    pub generation: u64,
    /// What to do. Invariant: has at least one server and one location (checked when made).
    pub plan: FrontPlan,
    /// The plan's names and patterns, compiled.
    pub router: Router,
    /// TLS, server by server, and to upstreams.
    pub tls: Tls,
    /// Health of the peers.
    peers: Arc<PeerStates>,
    /// Cache zones, in the plan's order.
    pub stores: Vec<Arc<Store>>,
    /// What limits count.
    pub limits: Zones,
    /// Log files.
    pub logs: LogFiles,
    /// Who is told when the last request on it has ended.
    master: Arc<MasterLine>,
}

impl Runtime {
    /// Compiles a plan.
    ///
    /// # Errors
    /// If a regex does not compile or a number points nowhere; the text is for the log.
    pub fn new(
        generation: u64,
        mut plan: FrontPlan,
        logs: Vec<OwnedFd>,
        stores: Vec<Arc<Store>>,
        limits: Zones,
        master: Arc<MasterLine>,
    ) -> Result<Runtime, String> {
        check(&plan)?;
        let router = Router::new(&plan).map_err(|error| error.to_string())?;
        let tls = Tls::take(&mut plan)?;
        let peers = PeerStates::new(&plan);
        let logs = LogFiles::new(logs);
        Ok(Runtime { generation, plan, router, tls, peers, stores, limits, logs, master })
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Runtime({})", self.generation)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.master.say(&FromFront::Retired { generation: self.generation });
    }
}

/// Whether every number the request path follows points somewhere.
fn check(plan: &FrontPlan) -> Result<(), String> {
    let location = |id: LocationId| (id.0 as usize) < plan.locations.len();
    let server = |id: ServerId| (id.0 as usize) < plan.servers.len();
    let servers = plan.servers.iter().all(|server| location(server.fallback));
    let listens = plan
        .listens
        .iter()
        .all(|listen| server(listen.default_server) && listen.servers.iter().all(|id| server(*id)));
    let excepted = plan.locations.iter().filter_map(|location| location.limit_except.as_ref());
    let excepted = excepted.map(|limit| limit.location).all(location);
    let mut limits = plan.locations.iter().filter_map(|location| location.limits.as_deref());
    let zones = limits.all(|limits| zones_exist(limits, plan));
    let some = !plan.locations.is_empty() && !plan.servers.is_empty();
    if servers && listens && excepted && zones && some {
        Ok(())
    } else {
        Err("the plan names a server, location or zone that it does not have".to_owned())
    }
}

fn zones_exist(limits: &LimitsPlan, plan: &FrontPlan) -> bool {
    let requests = limits.requests.iter().flat_map(|requests| &requests.limits);
    let connections = limits.connections.iter().flat_map(|connections| &connections.limits);
    let mut requests = requests.map(|limit| limit.zone.0 as usize);
    let mut connections = connections.map(|limit| limit.zone.0 as usize);
    requests.all(|zone| zone < plan.limit_req_zones.len())
        && connections.all(|zone| zone < plan.limit_conn_zones.len())
}

/// A configuration as one thread uses it. What is copied here from the plan spares the threads
/// from counting references together.
#[derive(Debug)]
pub struct Active {
    /// What all threads share.
    pub shared: Arc<Runtime>,
    /// The way to its upstreams.
    pub upstreams: Upstreams,
    types: Vec<NameMap<Bytes>>,
    default_types: Vec<Bytes>,
    limits: Vec<(RequestLimits, Duration)>,
    /// Invariant: empty if no upstream is called under TLS.
    identities: Vec<Option<Arc<Identity>>>,
}

impl Active {
    /// Prepares a configuration for this thread.
    pub fn new(shared: Arc<Runtime>, apps: AppChannels) -> Active {
        let table = |types: &Vec<(String, String)>| {
            let entry = |(extension, mime): &(String, String)| {
                (extension.as_bytes().into(), Bytes::copy_from_slice(mime.as_bytes()))
            };
            types.iter().map(entry).collect()
        };
        let types = shared.plan.types.iter().map(table).collect();
        let default = |location: &LocationPlan| Bytes::from(location.default_type.clone());
        let default_types = shared.plan.locations.iter().map(default).collect();
        let upstreams = Upstreams::new(shared.peers.clone(), apps);
        let limits = |server: &ServerPlan| (RequestLimits::from(&server.head), server.head.timeout);
        let limits = shared.plan.servers.iter().map(limits).collect();
        let identities = secrecy::fixed(&shared.plan, shared.tls.every_peer_rules());
        Active { shared, upstreams, types, default_types, limits, identities }
    }

    /// The plan.
    pub fn plan(&self) -> &FrontPlan {
        &self.shared.plan
    }

    /// A location; every id in a checked plan exists, any other reads as the first one.
    pub fn location(&self, id: LocationId) -> &LocationPlan {
        let locations = &self.shared.plan.locations;
        locations.get(id.0 as usize).unwrap_or(&locations[0])
    }

    /// A server, likewise.
    pub fn server(&self, id: ServerId) -> &ServerPlan {
        let servers = &self.shared.plan.servers;
        servers.get(id.0 as usize).unwrap_or(&servers[0])
    }

    /// Which of the plan's listening sockets has that address.
    pub fn listen_index(&self, address: &plan::Address) -> usize {
        let listens = &self.shared.plan.listens;
        listens.iter().position(|listen| listen.address == *address).unwrap_or(usize::MAX)
    }

    /// Limits of request heads, and the time one may take: the first server's, before anybody
    /// knows whose request it is.
    pub fn limits(&self, server: ServerId) -> &(RequestLimits, Duration) {
        self.limits.get(server.0 as usize).unwrap_or(&self.limits[0])
    }

    /// As whom the upstream of a location must show itself, if that does not depend on the request.
    pub fn identity(&self, id: LocationId) -> Option<&Arc<Identity>> {
        self.identities.get(id.0 as usize)?.as_ref()
    }

    /// MIME type of a file name's extension.
    pub fn mime(&self, types: TypesId, extension: &[u8]) -> Option<Bytes> {
        let table = self.types.get(types.0 as usize)?;
        if extension.iter().any(u8::is_ascii_uppercase) {
            return table.get(extension.to_ascii_lowercase().as_slice()).cloned();
        }
        table.get(extension).cloned()
    }

    /// `default_type` of a location.
    pub fn default_type(&self, id: LocationId) -> Option<Bytes> {
        self.default_types.get(id.0 as usize).filter(|mime| !mime.is_empty()).cloned()
    }
}
