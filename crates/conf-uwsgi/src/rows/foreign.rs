//! Options of plugins for other languages than Python.

use crate::row::{Answer, Family};

/// The families.
pub const FAMILIES: &[Family] = &[Family {
    title: "Other languages",
    answer: Answer::Refused("this serves Python apps only"),
    flags: "\
            cgi-async-max-attempts cgi-close-stdin-on-eof cgi-do-not-kill-on-error \
            cgi-dontresolve cgi-from-docroot cgi-optimize cgi-optimized cgi-path-info early-php \
            geoip-use-disk ldap-schema ldap-schema-ldif lua-gc-full lua-shell lua-shell-oneshot \
            luashell luashell-oneshot perl-no-plack perl-version php-dump-config \
            plshell-oneshot psgi-enable-psgix-io rbshell-oneshot",
    optional: "plshell rbshell",
    valued: "\
            cgi cgi-allowed-ext cgi-buffer-size cgi-helper cgi-index cgi-loadlib cgi-map-helper \
            cgi-safe cgi-timeout cgi-unset clojure-load early-perl early-perl-exec \
            early-php-sapi-name early-psgi gccgo-args gccgo-load gemset geoip-city \
            geoip-country glusterfs-mount glusterfs-timeout go-args go-load goroutines \
            jvm-class jvm-classpath jvm-main-class jvm-opt jwsgi ldap log-zeromq lua \
            lua-gc-freq lua-load lua-postfork-mule lua-postfork-spooler lua-postfork-worker \
            lua-postload mongrel2 mono-app mono-assembly mono-config mono-exec mono-gc-freq \
            mono-index mono-key mono-version pam pam-user perl-arg perl-args perl-auto-reload \
            perl-auto-reload-ignore perl-exec perl-exec-post-fork perl-local-lib \
            php-allowed-docroot php-allowed-ext php-allowed-script php-app php-app-bypass \
            php-app-qs php-config php-config-append php-constant php-docroot php-exec-after \
            php-exec-before php-exec-begin php-exec-end php-fallback php-fallback-qs \
            php-fallback2 php-index php-ini php-ini-append php-mount php-sapi-name \
            php-server-software php-set php-var psgi pypy-eval pypy-eval-post-fork pypy-exec \
            pypy-exec-post-fork pypy-home pypy-ini-paste pypy-lib pypy-paste pypy-pp \
            pypy-python-path pypy-pythonpath pypy-setup pypy-wsgi pypy-wsgi-file rack \
            rados-mount rados-timeout rails rb-gc-freq rb-lib rb-require rbrequire require \
            ring-app ring-load ruby-gc-freq ruby-lib ruby-require rubyrequire rvm rvm-path \
            shared-rb-require shared-rbrequire shared-require shared-ruby-require \
            shared-rubyrequire sqlite sqlite3 webdav-add-collection-prop \
            webdav-add-collection-prop-comp webdav-add-collection-prop-href \
            webdav-add-object-prop webdav-add-object-prop-comp webdav-add-object-prop-href \
            webdav-add-option webdav-add-prop webdav-add-prop-comp webdav-add-prop-href \
            webdav-add-rtype-collection-prop webdav-add-rtype-object-prop webdav-add-rtype-prop \
            webdav-class-directory webdav-css webdav-div webdav-javascript webdav-js \
            webdav-lock-cache webdav-mount webdav-principal-base webdav-skip-prop \
            xslt-content-type xslt-docroot xslt-ext xslt-stylesheet xslt-var zeromq \
            zeromq-socket zmq zmq-socket",
}];
