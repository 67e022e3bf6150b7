"""`import uwsgi`: what apps ask their server, answered truthfully.

The server sets the facts at start and after each fork. What is not here does not work here:
asking for it raises AttributeError with what to use instead.
"""

import os as _os
import signal as _signal
import sys as _sys
import time as _time
import types as _types

started_on = int(_time.time())
has_threads = 1
cores = 1
numproc = 1
buffer_size = 65536
hostname = b""
version = b""
version_info = ()
opt = {}
# Apps may set these: more apps by mount point, and functions without arguments that run in each
# new worker, before a worker exits, and after each request (`after_req_hook`).
applications = None
post_fork_hook = None
atexit = None

_facts = {"worker": 0, "master": 0}

_INSTEAD = {
    "cache": "a cache server or library (for example Redis, or cachelib's FileSystemCache)",
    "spool": "a task queue (for example Celery, RQ or Huey)",
    "mule": "a process of its own under the service manager",
    "farm": "a process of its own under the service manager",
    "timer": "a scheduler (for example APScheduler, or the system's timers)",
    "cron": "a scheduler (for example APScheduler, or the system's timers)",
    "signal": "a task queue or a scheduler",
    "websocket": "an ASGI server behind the same front",
    "sharedarea": "multiprocessing.shared_memory",
    "metric": "a metrics library (for example prometheus_client)",
    "queue": "a task queue (for example Celery, RQ or Huey)",
    "lock": "a lock file (fcntl.flock)",
    "rpc": "HTTP between the services",
    "sendfile": "wsgi.file_wrapper",
    "chunked_read": "wsgi.input, which reads chunked bodies too",
    "async": "threads",
    "green": "threads",
    "wait_fd": "threads",
    "offload": "wsgi.file_wrapper",
}


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    hints = [hint for part, hint in _INSTEAD.items() if part in name.lower()]
    use = f"; use {hints[0]} instead" if hints else ""
    raise AttributeError(f"`uwsgi.{name}` is not supported by this server{use}")


def worker_id():
    """Number of this worker from 1; 0 where the app is loaded before the workers are forked."""
    return _facts["worker"]


def mule_id():
    """Always 0: there are no mules."""
    return 0


def masterpid():
    """Pid of the master process."""
    return _facts["master"]


def workers():
    """One dict per worker; the pid is known of this process's own one only, else 0."""
    own = _facts["worker"]
    return [
        {"id": number, "pid": _os.getpid() if number == own else 0, "apps": []}
        for number in range(1, numproc + 1)
    ]


def reload():
    """Asks the master to load the app anew, without losing a request."""
    _os.kill(_facts["master"], _signal.SIGHUP)
    return True


def stop():
    """Asks the master to stop gracefully."""
    _os.kill(_facts["master"], _signal.SIGINT)
    return True


def log(message):
    """Writes a line to the server's log."""
    _sys.stderr.write(f"{message}\n")
    _sys.stderr.flush()
    return True


def micros():
    """Microseconds since the epoch."""
    return _time.time_ns() // 1000


def call_post_fork_hooks():
    if callable(post_fork_hook):
        post_fork_hook()


def call_atexit():
    if callable(atexit):
        atexit()


def call_after_request():
    hook = _facts.get("after_request")
    if callable(hook):
        hook()


class _Module(_types.ModuleType):
    """Notices the assignment of `after_req_hook`, which costs requests nothing until then."""

    @property
    def after_req_hook(self):
        return _facts.get("after_request")

    @after_req_hook.setter
    def after_req_hook(self, hook):
        _facts["after_request"] = hook
        _note_after_request(hook is not None)  # noqa: F821 (put here by the server)


_sys.modules[__name__].__class__ = _Module
