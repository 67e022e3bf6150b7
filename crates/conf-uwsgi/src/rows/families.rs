//! Options of uWSGI itself that share one answer: no effect with a reason, or refused.

use crate::row::{Answer, Family};

/// The families.
pub const FAMILIES: &[Family] = &[
    Family {
        title: "Mount points without a fallback",
        answer: Answer::Refused(
            "a path outside of all mount points goes to the default app here, which this option may be there to prevent; mount an app that answers 404 at `/`",
        ),
        flags: "no-default-app",
        optional: "",
        valued: "",
    },
    Family {
        title: "Commands that are not here",
        answer: Answer::Refused(
            "it would print something or control another process, then exit; `--help` lists the commands that are here",
        ),
        flags: "\
            alarm-list alarms-list cflags cheaper-algo-list cheaper-algos-list cheaper-list \
            clock-list clocks-list command-mode config-py dot-h imperial-monitor-list \
            imperial-monitors-list logger-list loggers-list loop-list loops-list router-list \
            routers-list",
        optional: "exit pyshell pyshell-oneshot",
        valued: "build-plugin connect-and-read extract pause print-sym print-symbol resume suspend",
    },
    Family {
        title: "TLS",
        answer: Answer::Refused(
            "TLS of the application server is not here: let the front terminate it (`listen 443 ssl` in a site's file)",
        ),
        flags: "https-export-cert ssl-enable-sslv3 ssl-enable-tlsv1 ssl-enable3 ssl-verbose",
        optional: "ssl-session-use-cache ssl-sessions-use-cache ssl-verify-depth",
        valued: "\
            http-stud-prefix https https-session-context https-socket https-socket-modifier1 \
            https-socket-modifier2 https2 sni sni-dir sni-dir-ciphers sni-regexp ssl-option \
            ssl-session-timeout ssl-sessions-timeout ssl-socket ssl-tmp-dir \
            subscriptions-sign-check subscriptions-sign-check-tolerance \
            subscriptions-sign-skip-uid suwsgi-socket",
    },
    Family {
        title: "HTTP options that change who is served",
        answer: Answer::Refused(
            "it changes which client or backend a request belongs to; write it in the site's file of the front",
        ),
        flags: "\
            enable-proxy-protocol http-backend-http http-cheap http-manage-rtsp \
            http-manage-source",
        optional: "http-enable-proxy-protocol http-use-cache http-use-socket",
        valued: "\
            http-fallback http-gid http-modifier1 http-modifier2 http-resubscribe \
            http-server-name-as-http-host http-subscription-fallback-key \
            http-subscription-server http-to http-to-https http-uid http-use-base \
            http-use-code-string http-use-pattern http-var http-zerg",
    },
    Family {
        title: "HTTP tuning that the front does by itself",
        answer: Answer::NoOp("the front does this by itself or has no use for it"),
        flags: "http-auto-chunked http-chunked-input http-raw-body wsgi-manage-chunked-input",
        optional: "http-manage-expect",
        valued: "\
            chunked-input-limit chunked-input-timeout http-buffer-size http-connect-timeout \
            http-events http-gracetime http-harakiri http-headers-timeout \
            http-path-info-no-decode-slashes http-post-buffering http-post-buffering-dir \
            http-processes http-quiet http-workers",
    },
    Family {
        title: "HTTP features that are missing",
        answer: Answer::Missing("this HTTP feature is not here"),
        flags: "http-auto-gzip http-websockets",
        optional: "",
        valued: "\
            http-ss http-stats http-stats-server websocket-max-size websocket-ping-freq \
            websocket-pong-tolerance websockets-max-size websockets-ping-freq \
            websockets-pong-tolerance",
    },
    Family {
        title: "Sockets in other protocols",
        answer: Answer::Refused("sockets speak the uwsgi protocol and HTTP here"),
        flags: "",
        optional: "",
        valued: "\
            fastcgi-modifier1 fastcgi-modifier2 fastcgi-nph-socket fastcgi-socket \
            http-socket-modifier1 http-socket-modifier2 map-socket multicast multicast-loop \
            multicast-ttl puwsgi-socket raw-modifier1 raw-modifier2 raw-socket scgi-modifier1 \
            scgi-modifier2 scgi-nph-socket scgi-socket shared-socket udp \
            undeferred-shared-socket upload-progress",
    },
    Family {
        title: "Routers for other servers",
        answer: Answer::Refused(
            "it would be the listener itself; upstream groups in a site's file of the front take its place",
        ),
        flags: "\
            fastrouter-cheap fastrouter-fallback-on-no-key force-gateway forkptyrouter-cheap \
            pty-input pty-log pty-no-isig rawrouter-cheap rawrouter-xclient sslrouter-cheap \
            sslrouter-sni zerg-fallback",
        optional: "\
            fastrouter-use-cache fastrouter-use-socket rawrouter-use-cache rawrouter-use-socket \
            sslrouter-use-cache sslrouter-use-socket tuntap-use-credentials",
        valued: "\
            fastrouter fastrouter-buffer-size fastrouter-defer-connect-timeout \
            fastrouter-emperor-socket fastrouter-events fastrouter-fallback \
            fastrouter-force-key fastrouter-gid fastrouter-gracetime fastrouter-harakiri \
            fastrouter-max-retries fastrouter-post-buffering fastrouter-post-buffering-dir \
            fastrouter-processes fastrouter-quiet fastrouter-resubscribe \
            fastrouter-resubscribe-bind fastrouter-ss fastrouter-stats fastrouter-stats-server \
            fastrouter-subscription-fallback-key fastrouter-subscription-server \
            fastrouter-subscription-slot fastrouter-timeout fastrouter-to fastrouter-uid \
            fastrouter-use-base fastrouter-use-code-string fastrouter-use-pattern \
            fastrouter-workers fastrouter-zerg forkpty-router forkpty-router-cmd \
            forkpty-router-command forkpty-urouter forkptyrouter forkptyrouter-cmd \
            forkptyrouter-cols forkptyrouter-command forkptyrouter-events \
            forkptyrouter-fallback forkptyrouter-harakiri forkptyrouter-processes \
            forkptyrouter-rows forkptyrouter-ss forkptyrouter-stats forkptyrouter-stats-server \
            forkptyrouter-timeout forkptyrouter-workers forkptyrouter-zerg forkptyurouter \
            pty-connect pty-exec pty-socket pty-uconnect rawrouter rawrouter-buffer-size \
            rawrouter-events rawrouter-fallback rawrouter-gracetime rawrouter-harakiri \
            rawrouter-max-retries rawrouter-processes rawrouter-quiet rawrouter-ss \
            rawrouter-stats rawrouter-stats-server rawrouter-subscription-server \
            rawrouter-subscription-slot rawrouter-timeout rawrouter-to rawrouter-use-base \
            rawrouter-use-code-string rawrouter-use-pattern rawrouter-workers rawrouter-zerg \
            sslrouter sslrouter-buffer-size sslrouter-events sslrouter-fallback \
            sslrouter-gracetime sslrouter-harakiri sslrouter-max-retries sslrouter-processes \
            sslrouter-quiet sslrouter-session-context sslrouter-ss sslrouter-stats \
            sslrouter-stats-server sslrouter-subscription-server sslrouter-timeout sslrouter-to \
            sslrouter-use-base sslrouter-use-code-string sslrouter-use-pattern \
            sslrouter-workers sslrouter-zerg sslrouter2 tuntap-device tuntap-device-rule \
            tuntap-router tuntap-router-firewall-in tuntap-router-firewall-out \
            tuntap-router-route tuntap-router-stats zerg zerg-pool zerg-server zergpool",
    },
    Family {
        title: "Internal routing",
        answer: Answer::Refused(
            "internal routing is not here, and the rule may protect something; write it as a `location` in the site's file of the front",
        ),
        flags: "",
        optional: "",
        valued: "\
            error-route error-route-host error-route-if error-route-if-not error-route-label \
            error-route-qs error-route-referer error-route-remote-addr error-route-remote-user \
            error-route-run error-route-status error-route-uri error-route-user-agent \
            final-route final-route-host final-route-if final-route-if-not final-route-label \
            final-route-qs final-route-referer final-route-remote-addr final-route-remote-user \
            final-route-run final-route-status final-route-uri final-route-user-agent \
            response-route response-route-host response-route-if response-route-if-not \
            response-route-label response-route-qs response-route-referer \
            response-route-remote-addr response-route-remote-user response-route-run \
            response-route-status response-route-uri response-route-user-agent route-label",
    },
    Family {
        title: "Emperor and vassals",
        answer: Answer::Refused(
            "one instance serves one app here; let systemd start one unit per app (`propylon@.service`)",
        ),
        flags: "\
            early-emperor emperor-graceful-shutdown emperor-magic-exec emperor-no-blacklist \
            emperor-nofollow emperor-subreaper emperor-tyrant emperor-tyrant-initgroups \
            emperor-tyrant-nofollow emperor-wait-for-command",
        optional: "",
        valued: "\
            call-as-emperor call-as-emperor1 call-as-emperor2 call-as-emperor4 call-as-vassal \
            call-as-vassal1 call-as-vassal3 emperor emperor-broodlord emperor-cap \
            emperor-chdir-attr emperor-collect-attr emperor-collect-attribute \
            emperor-command-socket emperor-curse-tolerance emperor-extra-ext \
            emperor-extra-extension emperor-fork-server-attr emperor-freq emperor-max-throttle \
            emperor-on-demand-dir emperor-on-demand-directory emperor-on-demand-exec \
            emperor-on-demand-ext emperor-on-demand-extension emperor-pidfile emperor-procname \
            emperor-proxy-socket emperor-required-heartbeat emperor-stats emperor-stats-server \
            emperor-throttle emperor-trigger-socket emperor-use-clone emperor-use-fork-server \
            emperor-wait-for-command-ignore emperor-wrapper emperor-wrapper-attr \
            emperor-wrapper-fallback emperor-wrapper-override exec-as-emperor exec-as-vassal \
            fork-server fork-socket heartbeat hook-as-emperor hook-as-emperor-before-vassal \
            hook-as-emperor-setns hook-as-on-config-vassal hook-as-on-demand-vassal \
            hook-as-vassal hook-as-vassal-before-drop hook-emperor-lost hook-emperor-reload \
            hook-emperor-start hook-emperor-stop mount-as-emperor mount-as-vassal \
            umount-as-emperor umount-as-vassal vassal-cap vassal-fork-base vassal-set \
            vassal-sos vassal-sos-backlog vassals-cap vassals-include vassals-include-before \
            vassals-inherit vassals-inherit-before vassals-set vassals-start-hook \
            vassals-stop-hook zeus",
    },
    Family {
        title: "Isolation from the rest of the machine",
        answer: Answer::Refused(
            "isolation is never ignored; let systemd or the container do it (`RootDirectory=`, `PrivateTmp=`, `CapabilityBoundingSet=`)",
        ),
        flags: "\
            end-blacklist end-whitelist jailed never-swap no-initgroups re-fork re-fork-as-root \
            re-fork-post-jail refork refork-as-root refork-post-jail setns-preopen \
            subscriptions-use-credentials",
        optional: "",
        valued: "\
            add-gid blacklist call-in-jail call-post-jail call-pre-jail cap cgroup \
            cgroup-dir-mode cgroup-opt chroot exec-in-jail exec-post-jail exec-pre-jail \
            hook-in-jail hook-post-jail hook-pre-jail immediate-gid immediate-uid jail \
            jail-attach jail-ip4 jail-ip6 jail2 jid-file jidfile libjail mount-in-jail \
            mount-post-jail mount-pre-jail namespace namespace-keep-mount namespace-net ns \
            ns-net pivot-root pivot_root setns setns-skip setns-socket setns-socket-skip \
            subscriptions-credentials-check umount-in-jail umount-post-jail umount-pre-jail \
            unshare unshare2 whitelist",
    },
    Family {
        title: "Mounts and waiting",
        answer: Answer::Missing(
            "mounts and start-up dependencies belong to systemd (`After=`, `RequiresMountsFor=`)",
        ),
        flags: "",
        optional: "",
        valued: "\
            check-mount check-mountpoint mount-as-root mount-asap mount-check mountpoint-check \
            umount-as-root umount-asap wait-for-dir wait-for-file wait-for-fs \
            wait-for-fs-timeout wait-for-iface wait-for-iface-timeout wait-for-interface \
            wait-for-interface-timeout wait-for-mountpoint wait-for-socket \
            wait-for-socket-timeout wait-iface wait-iface-timeout wait-interface \
            wait-interface-timeout",
    },
    Family {
        title: "Commands and hooks",
        answer: Answer::Missing(
            "hooks are not run here; use systemd's `ExecStartPre=` and `ExecStartPost=`, or the app's own start-up code",
        ),
        flags: "early-python symcall-use-next",
        optional: "",
        valued: "\
            after-request-call after-request-hook call-as-root call-as-user call-as-user-atexit \
            call-asap call-post-app call-pre-app early-envdir early-pyimport \
            early-python-import early-python-path early-pythonpath exec-as-root exec-as-user \
            exec-as-user-atexit exec-asap exec-post-app exec-pre-app hook-accepting \
            hook-accepting-once hook-accepting1 hook-accepting1-once hook-as-gateway \
            hook-as-mule hook-as-root hook-as-user hook-as-user-atexit hook-asap hook-post-app \
            hook-post-fork hook-pre-app hook-touch symcall symcall-post-fork \
            symcall-register-rpc",
    },
    Family {
        title: "Jobs beside the app",
        answer: Answer::Missing("this job does not run; start it by its own systemd unit or timer"),
        flags: "\
            daemons-honour-stdin spooler-cheap spooler-ordered spooler-quiet \
            spooler-signal-as-task",
        optional: "mule",
        valued: "\
            attach-control-daemon attach-daemon attach-daemon2 cron cron-curl cron-curl-legion \
            cron-harakiri cron-legion cron2 curl-cron curl-cron-legion farm \
            legion-attach-daemon legion-cron legion-cron-curl legion-curl-cron \
            legion-smart-attach-daemon legion-smart-attach-daemon2 mule-harakiri \
            mule-msg-recv-size mule-msg-size mule-reload-mercy mules rbtimer signal \
            signal-bufsize signal-rbtimer signal-timer signals-bufsize smart-attach-daemon \
            smart-attach-daemon2 spooler-chdir spooler-external spooler-freq spooler-frequency \
            spooler-harakiri spooler-import spooler-max-tasks spooler-processes \
            spooler-py-import spooler-pyimport spooler-python-import timer touch-mules-reload \
            touch-spoolers-reload unique-cron unique-cron-legion unique-legion-cron",
    },
    Family {
        title: "Other things that watch files",
        answer: Answer::Missing(
            "this is not watched here; name files with `touch-reload`, or send HUP (`propylon app \
             --reload PIDFILE`) when the code has changed",
        ),
        flags: "propagate-touch",
        optional: "",
        valued: "\
            fs-brutal-reload fs-reload fs-signal touch-exec touch-logrotate touch-signal",
    },
    Family {
        title: "Clusters and subscriptions",
        answer: Answer::Missing("clusters of instances are not here"),
        flags: "\
            start-unsubscribed subscription-clear-on-shutdown subscription-dotsplit \
            subscription-vassal-required unsubscribe-on-graceful-reload",
        optional: "",
        valued: "\
            legion legion-death legion-death-on-lord-error legion-freq legion-join legion-lord \
            legion-mcast legion-node legion-node-joined legion-node-left legion-quorum \
            legion-scroll legion-scroll-list-max-size legion-scroll-max-size legion-setup \
            legion-skew-tolerance legion-tolerance legion-unlord notify-socket st subscribe \
            subscribe-freq subscribe-to subscribe-with-modifier1 subscribe2 subscription-algo \
            subscription-mountpoint subscription-mountpoints subscription-notify-socket \
            subscription-tolerance subscription-tolerance-inactive",
    },
    Family {
        title: "Statistics and metrics",
        answer: Answer::Missing("statistics are not served here yet"),
        flags: "\
            carbon-name-resolve carbon-no-workers carbon-resolve-names carbon-use-metrics \
            enable-metrics metric-dir-restore metrics-dir-restore metrics-no-cores nagios \
            stats-http stats-min stats-minified stats-no-cores stats-no-metrics \
            statsd-all-gauges statsd-no-workers",
        optional: "snmp zabbix-template",
        valued: "\
            alarm alarm-backlog alarm-cheap alarm-fd alarm-freq alarm-listen-queue alarm-log \
            alarm-lq alarm-metric alarm-msg-size alarm-segfault backlog-alarm carbon \
            carbon-freq carbon-hostname-dots carbon-id carbon-idle-avg carbon-max-retry \
            carbon-retry-delay carbon-root carbon-timeout listen-queue-alarm log-alarm lq-alarm \
            metric metric-alarm metric-dir metric-threshold metrics-dir not-alarm-log \
            not-log-alarm ping ping-timeout rrdtool rrdtool-freq rrdtool-lib segfault-alarm \
            snmp-community stats stats-push stats-pusher-default-freq \
            stats-pushers-default-freq stats-server",
    },
    Family {
        title: "Cache and queue",
        answer: Answer::Missing(
            "uWSGI's shared cache and queue are not here; the front has `proxy_cache`, apps have Redis or memcached",
        ),
        flags: "cache-no-expire cache-report-freed-items cache-use-last-modified",
        optional: "check-cache",
        valued: "\
            add-cache-item cache cache-blocksize cache-expire-freq cache-store cache-store-sync \
            cache-sync cache-udp-node cache-udp-server cache2 load-file-in-cache \
            load-file-in-cache-gzip py-sharedarea queue queue-blocksize queue-store \
            queue-store-sync",
    },
    Family {
        title: "Other ways to load a Python app",
        answer: Answer::Refused(
            "this way to load an app is not here; write `module = package.module:callable`",
        ),
        flags: "paste-logger",
        optional: "",
        valued: "\
            eval ini-paste ini-paste-logged paste paste-name pecan pump py pyrun python \
            python-worker-override web3 worker-exec worker-exec2 wsgi-lite",
    },
    Family {
        title: "Preparing Python",
        answer: Answer::Missing(
            "this preparation of the interpreter is not here; do it at the top of the app's module",
        ),
        flags: "\
            catch-exceptions dynamic-apps ignore-script-name no-site reload-on-exception \
            reload-os-env vhost vhost-host",
        optional: "",
        valued: "\
            binary-append-data binary-path chdir2 dlopen envdir exception-handler file-write \
            force-cwd import post-pymodule-alias privileged-binary-patch \
            privileged-binary-patch-arg py-import py-tracebacker pyimport pymodule-alias \
            python-import python-raw reload-on-exception-repr reload-on-exception-type \
            reload-on-exception-value shared-import shared-py-import shared-pyimport \
            shared-python-import unenv unprivileged-binary-patch unprivileged-binary-patch-arg \
            worker-mount",
    },
    Family {
        title: "Python options without a meaning here",
        answer: Answer::NoOp("the interpreter is the app's own `python`, started in the plain way"),
        flags: "\
            no-threads-wait py-call-osafterfork py-call-uwsgi-fork-hooks \
            py-master-check-signals skip-atexit skip-atexit-teardown skip-zero \
            start_response-nodelay wsgi-accept-buffer wsgi-accept-buffers \
            wsgi-disable-file-wrapper wsgi-strict",
        optional: "",
        valued: "\
            py-executable py-program-name py-programname py-sys-executable thread-stack-size \
            thread-stacksize threads-stack-size threads-stacksize wsgi-env-behavior \
            wsgi-env-behaviour",
    },
    Family {
        title: "Async loops",
        answer: Answer::Missing(
            "requests run in threads; set `threads` to the number of requests at a time",
        ),
        flags: "\
            disable-async-warn-on-queue-full fiber gevent-early-monkey-patch \
            gevent-monkey-patch gevent-wait-for-hub greenlet rb-thread rb-threads rbthread \
            rbthreads stackless ugreen",
        optional: "",
        valued: "\
            async asyncio coroae dumbloop-code dumbloop-function dumbloop-modifier1 gevent loop \
            tornado ugreen-stacksize",
    },
    Family {
        title: "Adaptive numbers of workers",
        answer: Answer::Missing("the number of workers is fixed: all of `processes` run"),
        flags: "cheap cheaper-busyness-verbose die-on-idle die-on-no-workers",
        optional: "",
        valued: "\
            cheaper cheaper-algo cheaper-busyness-backlog-alert \
            cheaper-busyness-backlog-multiplier cheaper-busyness-backlog-nonzero \
            cheaper-busyness-backlog-step cheaper-busyness-max cheaper-busyness-min \
            cheaper-busyness-multiplier cheaper-busyness-penalty cheaper-idle cheaper-initial \
            cheaper-overload cheaper-rss-limit-hard cheaper-rss-limit-soft cheaper-step idle",
    },
    Family {
        title: "Recycling by memory and descriptors",
        answer: Answer::Missing(
            "workers are recycled by number of requests, age, `reload-on-rss` and `reload-on-as`; set one of these, or \
             a memory limit in systemd",
        ),
        flags: "",
        optional: "",
        valued: "\
            brutal-reload-on-fd evil-reload-on-as evil-reload-on-rss limit-as limit-nproc \
            mem-collector-freq reload-on-fd reload-on-pss reload-on-uss",
    },
    Family {
        title: "Request lines although logging is off",
        answer: Answer::Missing(
            "with `disable-logging` no request line is written; without it all are",
        ),
        flags: "log-4xx log-5xx log-zero",
        optional: "",
        valued: "log-big log-ioerror log-sendfile log-slow",
    },
    Family {
        title: "Log engines",
        answer: Answer::Missing(
            "lines go where `logto` and `req-logger` say, in the form of `log-format`; let the front write access logs",
        ),
        flags: "\
            log-format-strftime log-micros log-x-forwarded-for logfile-chown logformat-strftime \
            notfound-log rsyslog-split-messages",
        optional: "log-date log-prefix log-syslog logdate",
        valued: "\
            log-backupname log-drain log-encoder log-filter log-maxsize log-req-encoder \
            log-req-route log-route log-socket logfile-chmod profiler rsyslog-packet-size \
            worker-log-encoder worker-log-req-encoder worker-logger worker-logger-req",
    },
    Family {
        title: "Log tuning without a meaning here",
        answer: Answer::NoOp("logs are written straight to the file and reopened on reload"),
        flags: "\
            log-master log-master-req-stream log-master-stream log-reopen log-truncate \
            threaded-logger",
        optional: "",
        valued: "log-master-bufsize",
    },
    Family {
        title: "Response headers and error pages",
        answer: Answer::Missing(
            "responses are not changed here; use `add_header` and `error_page` in the site's file of the front",
        ),
        flags: "",
        optional: "",
        valued: "\
            add-header collect-header del-header error-page-403 error-page-404 error-page-500 \
            pull-header rem-header response-header-collect response-headers-limit",
    },
    Family {
        title: "Static files that are held back",
        answer: Answer::Refused(
            "it keeps files from being served, and only `static-map` is here; keep such files out of the directory",
        ),
        flags: "",
        optional: "",
        valued: "static-skip-ext",
    },
    Family {
        title: "More static files",
        answer: Answer::Missing(
            "only `static-map` is here; these files are left to the app, or to a `location` of the front",
        ),
        flags: "check-static-docroot honour-range static-gzip-all",
        optional: "",
        valued: "\
            check-static file-serve-mode fileserve-mode mime-file mimefile static-cache-paths \
            static-cache-paths-name static-check static-expires static-expires-mtime \
            static-expires-path-info static-expires-path-info-mtime static-expires-type \
            static-expires-type-mtime static-expires-uri static-expires-uri-mtime static-gzip \
            static-gzip-dir static-gzip-ext static-gzip-prefix static-gzip-suffix static-index \
            static-map2 static-safe",
    },
    Family {
        title: "Errors of clients that went away",
        answer: Answer::NoOp("a client that goes away is never an error of the app here"),
        flags: "\
            disable-sendfile disable-write-exception ignore-sigpipe ignore-write-errors \
            write-errors-exception-only",
        optional: "",
        valued: "write-errors-tolerance",
    },
    Family {
        title: "Accept and socket tuning",
        answer: Answer::NoOp("sockets are tuned by the server itself"),
        flags: "\
            close-on-exec close-on-exec2 freebind no-defer-accept no-fd-passing reuse-port \
            so-keepalive so-send-timeout so-write-timeout socket-send-timeout \
            socket-write-timeout tcp-fast-open-client tcp-fastopen-client tcp-nodelay \
            thunder-lock thunder-lock-watchdog",
        optional: "",
        valued: "\
            body-read-warning max-apps offload-thread offload-threads post-buffering-bufsize \
            socket-rcvbuf socket-sndbuf tcp-fast-open tcp-fastopen",
    },
    Family {
        title: "Process tuning",
        answer: Answer::NoOp("processes are watched by other means here, so nothing is lost"),
        flags: "\
            harakiri-no-arh harakiri-verbose honour-stdin no-harakiri-after-req-hook \
            no-harakiri-arh no-orphans pcre-jit persistent-ipcsem use-abort",
        optional: "ksm",
        valued: "\
            auto-weight backtrace-depth check-interval clock cpu-affinity fd-safe \
            forkbomb-delay ftok harakiri-graceful-signal harakiri-graceful-timeout \
            harakiri-queue-threshold lock-engine locks max-requests-delta \
            max-worker-lifetime-delta min-worker-lifetime prio rpc-max safe-fd weight",
    },
    Family {
        title: "Plugins",
        answer: Answer::NoOp("everything is built in"),
        flags: "autoload",
        optional: "",
        valued: "\
            allowed-modifiers need-plugin need-plugins plugin plugin-dir plugins plugins-dir \
            remap-modifier",
    },
    Family {
        title: "Instance control",
        answer: Answer::Missing(
            "this control is not here; send signals to the master and let systemd do the rest",
        ),
        flags: "drop-after-apps drop-after-init exit-on-reload master-as-root",
        optional: "",
        valued: "\
            binsh fallback-config flock flock-wait flock-wait2 flock2 iprint master-fifo mode \
            print safe-pidfile2 shutdown-sockets",
    },
    Family {
        title: "Pieces of the configuration language that are refused",
        answer: Answer::Refused("this piece of the configuration language is not here"),
        flags: "no-server",
        optional: "",
        valued: "\
            declare-option declare-option2 get if-hostname-match if-not-hostname-match \
            inject-after inject-before resolve",
    },
];
