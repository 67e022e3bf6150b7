//! The front of an app's own `http` addresses: one server, one location, everything to the app.

use std::path::PathBuf;
use std::time::Duration;

use plan::app::AppPlan;
use plan::front::http::{HeadLimits, PrefixLocation};
use plan::front::location::{
    BodyPlan, GzipPlan, GzipProxied, IfModifiedSince, Manners, Precompressed, RootPlan,
    ServerTokens,
};
use plan::front::upstream::{
    Balance, Group, IgnoreHeaders, NextUpstream, Peer, PeerAddress, Speak, Target, UwsgiParam,
};
use plan::front::{
    ErrorLog, FrontPlan, GroupId, Handler, ListenPlan, LocationId, LocationPlan, LocationTree,
    LogLevel, LogTarget, ServerId, ServerPlan, TypesId, UpstreamCall,
};
use plan::{Address, Part, Template, Variable};
use supervise::driver::app::APP;

/// Whole time for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request body kept in memory.
const BODY_MEMORY_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of a response kept for a slow client before the app is slowed down too.
const RESPONSE_MEMORY_BYTES_MAX: u64 = 256 * 1024;
/// Bytes of a response kept in a file after that.
const RESPONSE_FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Connections per front thread.
const CONNECTIONS_MAX: u32 = 16_384;

/// The front that serves `addresses` for the app alone.
pub fn front_for(plan: &AppPlan, addresses: &[Address]) -> FrontPlan {
    let mut front = FrontPlan::default();
    front.main.daemon = false;
    front.main.connections_max = CONNECTIONS_MAX;
    front.main.user = plan.process.uid.clone().map(|user| (user, plan.process.gid.clone()));
    front.main.error_log = vec![ErrorLog { target: LogTarget::Stderr, level: LogLevel::Warn }];
    front.main.shutdown_timeout = Some(plan.limits.reload_mercy.unwrap_or(plan.limits.mercy));
    front.listens = addresses
        .iter()
        .map(|address| ListenPlan {
            address: address.clone(),
            backlog: Some(plan.limits.backlog.max(511)),
            ipv6_only: true,
            reuse_port: false,
            so_keepalive: false,
            tls: false,
            default_server: ServerId(0),
            servers: vec![ServerId(0)],
        })
        .collect();
    front.servers = vec![server(plan)];
    front.locations = vec![location(plan)];
    front.groups = vec![group()];
    front.types = vec![Vec::new()];
    front
}

/// Adds the app's own `http` addresses to a site that does not listen there itself.
pub fn add_to(front: &mut FrontPlan, plan: &AppPlan) {
    let taken = |address: &&Address| front.listens.iter().all(|one| one.address != **address);
    let addresses: Vec<Address> = plan.http.iter().filter(taken).cloned().collect();
    if addresses.is_empty() {
        return;
    }
    let own = front_for(plan, &addresses);
    let server_id = ServerId(front.servers.len() as u32);
    let location_id = LocationId(front.locations.len() as u32);
    let group_id = GroupId(front.groups.len() as u32);
    let types_id = TypesId(front.types.len() as u32);
    for mut listen in own.listens {
        listen.default_server = server_id;
        listen.servers = vec![server_id];
        front.listens.push(listen);
    }
    for mut server in own.servers {
        server.fallback = location_id;
        for prefix in &mut server.tree.prefixes {
            prefix.location = location_id;
        }
        front.servers.push(server);
    }
    for mut location in own.locations {
        location.types = types_id;
        if let Handler::Upstream(call) = &mut location.handler {
            call.target = Target::Group(group_id);
        }
        front.locations.push(location);
    }
    front.groups.extend(own.groups);
    front.types.extend(own.types);
}

fn server(plan: &AppPlan) -> ServerPlan {
    ServerPlan {
        names: Vec::new(),
        first_name: String::new(),
        rewrite: Vec::new(),
        tree: LocationTree {
            prefixes: vec![PrefixLocation {
                uri: "/".to_owned(),
                location: LocationId(0),
                skip_regexes: false,
                auto_redirect: false,
                nested: LocationTree::default(),
            }],
            ..LocationTree::default()
        },
        fallback: LocationId(0),
        head: HeadLimits {
            timeout: HEAD_TIMEOUT,
            buffer_bytes: plan.limits.head_bytes_max,
            ..HeadLimits::default()
        },
        merge_slashes: false,
        tls: None,
    }
}

fn location(plan: &AppPlan) -> LocationPlan {
    let temp_path = std::env::temp_dir();
    LocationPlan {
        name: "/".to_owned(),
        handler: Handler::Upstream(Box::new(call(plan, temp_path.clone()))),
        internal: false,
        rewrite: Vec::new(),
        real_ip: None,
        limit_except: None,
        sub_filter: None,
        limits: None,
        access: Vec::new(),
        auth: None,
        try_files: Vec::new(),
        root: RootPlan {
            path: Template::text("/nonexistent"),
            alias: false,
            alias_prefix_bytes: 0,
        },
        index: Vec::new(),
        autoindex: false,
        types: TypesId(0),
        default_type: "text/plain".to_owned(),
        charset: None,
        charset_types: Vec::new(),
        error_pages: Vec::new(),
        recursive_error_pages: false,
        add_headers: Vec::new(),
        expires: None,
        body: BodyPlan {
            bytes_max: plan.limits.body_bytes_max,
            memory_bytes_max: BODY_MEMORY_BYTES_MAX,
            temp_path,
            timeout: plan.limits.http_timeout,
        },
        gzip: GzipPlan {
            on: false,
            level: 1,
            min_length: 20,
            types: Vec::new(),
            vary: false,
            for_http10: false,
            proxied: GzipProxied::default(),
            disable: Vec::new(),
            precompressed: Precompressed::Off,
        },
        access_logs: Vec::new(),
        error_logs: vec![ErrorLog { target: LogTarget::Stderr, level: LogLevel::Warn }],
        manners: manners(plan),
    }
}

fn call(plan: &AppPlan, temp_path: PathBuf) -> UpstreamCall {
    // The worker's own deadline is shorter; the front's only catches what is stuck beyond it.
    let read_timeout = plan.limits.harakiri.map_or(plan.limits.http_timeout, |harakiri| {
        plan.limits.http_timeout.max(harakiri + Duration::from_secs(1))
    });
    UpstreamCall {
        target: Target::Group(GroupId(0)),
        speak: Speak::Uwsgi {
            params: params(),
            header_params: Vec::new(),
            modifier1: 0,
            modifier2: 0,
        },
        tls: None,
        connect_timeout: plan.limits.http_timeout,
        send_timeout: plan.limits.http_timeout,
        read_timeout,
        buffering: true,
        head_bytes_max: 64 * 1024,
        memory_bytes_max: RESPONSE_MEMORY_BYTES_MAX,
        file_bytes_max: RESPONSE_FILE_BYTES_MAX,
        temp_path,
        request_buffering: true,
        pass_headers: true,
        pass_body: true,
        hide_headers: Default::default(),
        // An app behind its own front alone has no use for the front's private instructions.
        ignore_headers: IgnoreHeaders {
            x_accel_redirect: true,
            x_accel_expires: true,
            x_accel_limit_rate: true,
            x_accel_buffering: false,
            x_accel_charset: true,
            expires: false,
            cache_control: false,
            set_cookie: false,
            vary: false,
        },
        intercept_errors: false,
        ignore_client_abort: false,
        next: NextUpstream {
            error: false,
            timeout: false,
            invalid_header: false,
            non_idempotent: false,
            statuses: Vec::new(),
            tries: 1,
            within: Duration::ZERO,
        },
        cache: None,
        redirects: Vec::new(),
    }
}

/// The variables of `uwsgi_params`, as every nginx installation has them.
fn params() -> Vec<UwsgiParam> {
    let table = [
        ("QUERY_STRING", Variable::Args),
        ("REQUEST_METHOD", Variable::RequestMethod),
        ("CONTENT_TYPE", Variable::ContentType),
        ("CONTENT_LENGTH", Variable::ContentLength),
        ("REQUEST_URI", Variable::RequestUri),
        ("PATH_INFO", Variable::Uri),
        ("SERVER_PROTOCOL", Variable::ServerProtocol),
        ("REQUEST_SCHEME", Variable::Scheme),
        ("REMOTE_ADDR", Variable::RemoteAddr),
        ("REMOTE_PORT", Variable::RemotePort),
        ("SERVER_PORT", Variable::ServerPort),
        ("SERVER_NAME", Variable::Host),
    ];
    let param = |(name, variable): (&str, Variable)| UwsgiParam {
        name: name.to_owned(),
        value: Template { parts: vec![Part::Variable(variable)] },
        if_not_empty: false,
    };
    table.into_iter().map(param).collect()
}

fn group() -> Group {
    Group {
        name: "app".to_owned(),
        default_port: None,
        peers: vec![Peer {
            address: PeerAddress::App(APP),
            written: "app".to_owned(),
            weight: 1,
            max_fails: 0,
            fail_timeout: Duration::from_secs(10),
            max_conns: 0,
            backup: false,
            down: false,
        }],
        balance: Balance::RoundRobin,
        keepalive: 0,
        keepalive_timeout: Duration::from_secs(60),
        keepalive_requests: 1_000,
    }
}

fn manners(plan: &AppPlan) -> Manners {
    Manners {
        keepalive_timeout: plan.limits.keepalive_timeout,
        keepalive_header: None,
        keepalive_requests: 10_000,
        keepalive_time: Duration::from_secs(3_600),
        send_timeout: plan.limits.http_timeout,
        lingering_timeout: Duration::from_secs(1),
        lingering_time: Duration::from_secs(5),
        reset_timed_out: false,
        etag: false,
        if_modified_since: IfModifiedSince::Off,
        server_tokens: ServerTokens::Absent,
        chunked: true,
        absolute_redirect: true,
        port_in_redirect: true,
        server_name_in_redirect: false,
        log_not_found: true,
        max_ranges: None,
        tcp_nodelay: true,
        sendfile: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_added_to_a_site_refers_only_to_its_own_server_location_and_group() {
        let context = conf_uwsgi::Context::of_this_process();
        let words = ["-w", "wsgi:app", "--http", "127.0.0.1:5000"].map(Into::into);
        let app = conf_uwsgi::load(&words, &[], &context).plan.unwrap();
        let mut front = front_for(&app, &["127.0.0.1:80".parse().map(Address::Inet).unwrap()]);
        add_to(&mut front, &app);
        add_to(&mut front, &app);
        assert_eq!(front.listens.len(), 2);
        let listen = &front.listens[1];
        assert_eq!((listen.default_server, front.servers.len()), (ServerId(1), 2));
        assert_eq!(front.servers[1].fallback, LocationId(1));
        assert_eq!(front.servers[1].tree.prefixes[0].location, LocationId(1));
        let Handler::Upstream(call) = &front.locations[1].handler else { panic!() };
        assert!(matches!(call.target, Target::Group(GroupId(1))));
    }
}
