"""Plays the master for one app: starts a nursery, asks for workers, hears what they say."""

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import time

BOOTSTRAP = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("_pyhost", {extension!r})
module = importlib.util.module_from_spec(spec)
sys.modules["_pyhost"] = module
spec.loader.exec_module(module)
module.nursery_main()
"""
PR_SET_CHILD_SUBREAPER = 36
SLOT_WORDS = 4


def plan(**changes):
    """An app plan as the configuration would make it, with changes at any depth."""
    whole = {
        "python": {"virtualenv": None, "path": [], "chdir": None, "env": [], "argv": []},
        "load": [],
        "callable": None,
        "manage_script_name": False,
        "need_app": False,
        "lazy_apps": False,
        "master": True,
        "sockets": [],
        "http": [],
        "processes": 1,
        "threads": 1,
        "limits": {
            "head_bytes_max": 65536,
            "body_bytes_max": None,
            "body_memory_bytes_max": 65536,
            "harakiri": None,
            "max_requests": None,
            "max_worker_lifetime": None,
            "resident_bytes_max": None,
            "address_space_bytes_max": None,
            "socket_timeout": seconds(4),
            "keepalive_timeout": seconds(75),
            "mercy": seconds(60),
            "http_timeout": seconds(60),
            "backlog": 100,
            "descriptors_max": None,
        },
        "process": {
            "uid": None, "gid": None, "umask": None, "socket_mode": None, "socket_owner": None,
            "vacuum": False, "die_on_term": False, "pidfile": None, "pidfile2": None,
            "daemonize": None,
            "titles": {"auto": False, "all": None, "master": None, "prefix": None, "append": None},
        },
        "log": {"requests": False, "file": None, "file_after_drop": False, "requests_file": None, "format": None},
        "static_maps": [],
        "watch": {"reload": [], "reopen_logs": [], "sources": None, "ignored_modules": []},
        "options": [],
    }
    merge(whole, changes)
    return whole


def merge(whole, changes):
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(whole.get(key), dict) and "secs" not in value:
            merge(whole[key], value)
        else:
            whole[key] = value


def seconds(number):
    """A Duration as it stands in a plan."""
    return {"secs": int(number), "nanos": int(number % 1 * 1e9)}


def listen_inet():
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    return listener


def seqpacket_pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Master:
    """One nursery and its workers."""

    def __init__(self, python, extension, app_plan, directory, http=1, uwsgi=0, front_threads=0):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.http = [listen_inet() for _ in range(http)]
        self.uwsgi = [listen_inet() for _ in range(uwsgi)]
        self.nursery_control, theirs = seqpacket_pair()
        self.queue = None
        inherited_queue = None
        if front_threads:
            self.queue, inherited_queue = seqpacket_pair()
        self.front_threads = front_threads
        threads = max(1, app_plan["threads"])
        self.scoreboard = os.memfd_create("scoreboard")
        os.ftruncate(self.scoreboard, 8 * SLOT_WORDS * threads * 8)
        start = {
            "plan": app_plan, "app": 0, "generation": 1,
            "listeners": [
                {"descriptor": s.fileno(), "protocol": kind, "written": "test"}
                for kind, sockets in (("Http", self.http), ("Uwsgi", self.uwsgi)) for s in sockets
            ],
            "control": theirs.fileno(),
            "queue": inherited_queue.fileno() if inherited_queue else None,
            "scoreboard": self.scoreboard,
            "front_threads": front_threads,
            "master_pid": os.getpid(),
        }
        start_fd = os.memfd_create("start")
        os.write(start_fd, json.dumps(start).encode())
        os.lseek(start_fd, 0, os.SEEK_SET)
        fds = [s.fileno() for s in self.http + self.uwsgi] + [theirs.fileno(), self.scoreboard, start_fd]
        if inherited_queue:
            fds.append(inherited_queue.fileno())
        self.log_path = os.path.join(str(directory), "log")
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [python, "-c", BOOTSTRAP.format(extension=extension)],
            pass_fds=fds, env={**os.environ, "PROPYLON_START": str(start_fd)},
            stderr=self.log, stdout=self.log, cwd=str(directory),
        )
        theirs.close()
        if inherited_queue:
            inherited_queue.close()
        os.close(start_fd)
        self.workers = []

    def loaded(self):
        """The nursery's first word."""
        return receive(self.nursery_control)

    def fork(self, seat=None):
        """A new worker, once it accepts."""
        seat = len(self.workers) if seat is None else seat
        ours, theirs = seqpacket_pair()
        replies = [seqpacket_pair() for _ in range(self.front_threads)]
        message = json.dumps({"Fork": {"seat": seat, "worker": seat + 1}}).encode()
        handed = [theirs.fileno()] + [pair[1].fileno() for pair in replies]
        socket.send_fds(self.nursery_control, [message], handed)
        theirs.close()
        for pair in replies:
            pair[1].close()
        forked = receive(self.nursery_control)["Forked"]
        worker = Worker(forked["pid"], ours, [pair[0] for pair in replies])
        self.workers.append(worker)
        assert worker.next_word() == {"Accepting": {"pid": worker.pid}}
        return worker

    @property
    def address(self):
        return self.http[0].getsockname()

    @property
    def uwsgi_address(self):
        return self.uwsgi[0].getsockname()

    def log_text(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def log_says(self, text, timeout=10):
        """Waits for a text in the log."""
        end = time.monotonic() + timeout
        while text not in self.log_text():
            assert time.monotonic() < end, f"{text!r} is not in the log:\n{self.log_text()}"
            select.select([], [], [], 0.02)
        return True

    def stop(self):
        self.nursery_control.close()
        for worker in self.workers:
            worker.control.close()
        self.process.wait(10)
        for worker in self.workers:
            if worker.status is None and worker.exit_code(5) is None:
                os.kill(worker.pid, signal.SIGKILL)
                os.waitpid(worker.pid, 0)
        for listener in self.http + self.uwsgi:
            listener.close()
        os.close(self.scoreboard)
        self.log.close()


class Worker:
    def __init__(self, pid, control, replies):
        self.pid, self.control, self.replies = pid, control, replies
        self.status = None

    def next_word(self, timeout=20):
        return receive(self.control, timeout)

    def quiesce(self):
        self.control.send(json.dumps("Quiesce").encode())

    def exit_code(self, timeout=10):
        """Its exit code, or minus the signal; None while it runs."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                return self.status
            select.select([], [], [], 0.01)
        return None


def receive(control, timeout=20):
    control.settimeout(timeout)
    message = control.recv(65536)
    assert message, "the other side is gone"
    return json.loads(message)
