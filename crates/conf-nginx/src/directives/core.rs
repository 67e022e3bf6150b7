//! The process: `user`, `worker_processes`, `pid`, `events` and their like.

use crate::draft::MainDraft;
use crate::row::{
    ANY, ANYWHERE, BlockKind, Contexts, EVENTS, Fault, HTTP, LOCATION, MAIN, NONE, ONE, ONE_OR_TWO,
    Outcome, Row, SERVER, SOME, Shape, TWO, UPSTREAM, block, level, main, quiet, warned,
};
use crate::value;
use crate::walk::Call;

const LOG_LEVELS: Contexts = HTTP | SERVER | LOCATION;

/// The rows.
pub const ROWS: &[Row] = &[
    // Files are put in place while the tree is read; a well-formed one never comes here.
    quiet("include", ANYWHERE, ONE, Shape::Free, "the statements of other files, in its place"),
    main("user", MAIN, ONE_OR_TWO, "user and group of the front", user),
    main("worker_processes", MAIN, ONE, "number of front threads, or `auto`", worker_processes),
    main("pid", MAIN, ONE, "file that holds the master's pid", |main, call| {
        let path = call.prefixed(call.arg(0));
        call.once(&mut main.pid, path)
    }),
    main("daemon", MAIN, ONE, "go to the background", |main, call| call.flag(&mut main.daemon)),
    main("master_process", MAIN, ONE, "accepted: there always is a master", |main, call| {
        call.flag(&mut main.master_process)
    }),
    main("error_log", MAIN, SOME, "log of problems and its level", |main, call| {
        let log = call.error_log()?;
        main.error_log.get_or_insert_default().push(log);
        Ok(())
    }),
    level("error_log", LOG_LEVELS, SOME, "log of problems and its level", |level, call| {
        let log = call.error_log()?;
        level.logs.error.get_or_insert_default().push(log);
        Ok(())
    }),
    main("worker_rlimit_nofile", MAIN, ONE, "limit of open descriptors", |main, call| {
        call.number(&mut main.descriptors_max)
    }),
    main("worker_shutdown_timeout", MAIN, ONE, "time to finish when stopping", |main, call| {
        call.time(&mut main.shutdown_timeout)
    }),
    block("events", MAIN, NONE, "settings of connection handling", BlockKind::Events),
    block("http", MAIN, NONE, "settings of the web server", BlockKind::Http),
    main("worker_connections", EVENTS, ONE, "connections per thread", worker_connections),
    main("use", EVENTS, ONE, "accepted: the event method always is epoll", event_method),
    quiet("multi_accept", EVENTS, ONE, Shape::Flag, "connections are accepted as they come"),
    quiet("accept_mutex", EVENTS, ONE, Shape::Flag, "the kernel spreads connections"),
    quiet("accept_mutex_delay", EVENTS, ONE, Shape::Time, "there is no accept mutex"),
    quiet("debug_connection", EVENTS, ONE, Shape::Free, "debug logging has no client filter"),
    quiet("worker_aio_requests", EVENTS, ONE, Shape::Number, "files are not read by aio"),
    quiet("epoll_events", EVENTS, ONE, Shape::Number, "the event buffer sizes itself"),
    quiet("worker_priority", MAIN, ONE, Shape::Free, "priorities belong to the service unit"),
    quiet("worker_cpu_affinity", MAIN, SOME, Shape::Free, "the kernel places threads"),
    quiet("worker_rlimit_core", MAIN, ONE, Shape::Size, "core limits belong to the service unit"),
    quiet("working_directory", MAIN, ONE, Shape::Free, "core files go where the system says"),
    quiet("timer_resolution", MAIN, ONE, Shape::Time, "the clock is always exact"),
    quiet("pcre_jit", MAIN, ONE, Shape::Flag, "regexes are always compiled"),
    quiet("lock_file", MAIN, ONE, Shape::Free, "there is no accept mutex"),
    quiet("debug_points", MAIN, ONE, Shape::Free, "debug points are for developers of nginx"),
    quiet("thread_pool", MAIN, TWO, Shape::Free, "file reads need no thread pool"),
    quiet("ssl_engine", MAIN, ONE, Shape::Free, "there are no OpenSSL engines here"),
    quiet("ssl_object_cache_inheritable", MAIN, ONE, Shape::Flag, "there is no object cache"),
    quiet("quic_bpf", MAIN, ONE, Shape::Flag, "there is no QUIC here"),
    quiet("google_perftools_profiles", MAIN, ONE, Shape::Free, "profiles are taken with perf"),
    Row {
        args: ONE,
        ..warned(
            "load_module",
            MAIN,
            "nginx's modules cannot be loaded; what \
        this program supports of them is built in",
        )
    },
    Row {
        args: ONE,
        ..warned(
            "env",
            MAIN,
            "the front runs no code that reads the environment; \
        give the app its environment in its own configuration",
        )
    },
    quiet("zone", UPSTREAM, ONE_OR_TWO, Shape::Free, "threads share what they know of peers"),
    quiet("perl_modules", HTTP, ANY, Shape::Free, "there is no Perl here"),
    quiet("perl_require", HTTP, ANY, Shape::Free, "there is no Perl here"),
];

fn user(main: &mut MainDraft, call: &mut Call<'_, '_>) -> Outcome {
    let user = call.arg(0).to_owned();
    let group = call.args().get(1).map(|word| word.text.clone());
    if !call.run.options.is_root {
        let message = "the \"user\" directive makes sense only if the master process runs with \
            super-user privileges, ignored";
        call.run.warning(call.directive.at(), message);
    }
    call.once(&mut main.user, (user, group))
}

fn worker_processes(main: &mut MainDraft, call: &mut Call<'_, '_>) -> Outcome {
    if call.arg(0) != "auto" {
        let number = value::number(call.arg(0)).and_then(|number| u32::try_from(number).ok());
        let number = number.ok_or(Fault::Directive("invalid value"))?;
        return call.once(&mut main.worker_processes, number);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    call.once(&mut main.worker_processes, u32::try_from(cores).unwrap_or(1))
}

fn worker_connections(main: &mut MainDraft, call: &mut Call<'_, '_>) -> Outcome {
    let text = call.arg(0);
    let number = value::number(text).and_then(|number| u32::try_from(number).ok());
    let invalid = || Fault::Says(1, format!("invalid number \"{text}\""));
    call.once(&mut main.worker_connections, number.ok_or_else(invalid)?)
}

fn event_method(_: &mut MainDraft, call: &mut Call<'_, '_>) -> Outcome {
    match call.arg(0) {
        "epoll" | "poll" | "select" => Ok(()),
        other => {
            let hint = "leave `use` out: the best method is taken".to_owned();
            Err(Fault::Hinted(1, format!("invalid event type \"{other}\""), hint))
        }
    }
}
