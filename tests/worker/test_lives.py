"""How workers begin and end, and what that does to their requests."""

import os
import signal
import socket
import struct
import threading
import time

import pytest

from worker.driver import seconds


class Client:
    """A raw connection."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=10)

    def send(self, path, head="", method="GET"):
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: test\r\n{head}\r\n".encode())

    def answer(self):
        """Status, head and body of an answer with a Content-Length."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(65536)
            if not piece:
                return None, "", data
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        head = head.decode()
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
        length = int(fields["content-length"])
        while len(body) < length:
            piece = self.socket.recv(65536)
            if not piece:
                break
            body += piece
        return int(head.split()[1]), head, body

    def is_at_its_end(self):
        return self.socket.recv(1) == b""


def test_a_worker_is_a_child_of_the_master_and_dies_with_it(start):
    master = start()
    with open(f"/proc/{master.workers[0].pid}/stat") as stat:
        assert int(stat.read().rsplit(")", 1)[1].split()[1]) == os.getpid()
    master.workers[0].control.close()
    assert master.workers[0].exit_code() == 0


@pytest.mark.parametrize("threads", [1, 4])
def test_a_quiesced_worker_finishes_what_it_has_and_says_that_it_closes(start, threads):
    master = start(threads=threads)
    busy, idle = Client(master.address), Client(master.address)
    idle.send("/")
    assert idle.answer()[0] == 200
    busy.send("/sleep?0.4")
    wait_for_request(master)
    master.workers[0].quiesce()
    idle.send("/")
    status, head, _ = idle.answer()
    assert status == 200 and "Connection: close" in head
    assert idle.is_at_its_end()
    status, head, body = busy.answer()
    assert (status, body) == (200, b"slept") and "Connection: close" in head
    assert master.workers[0].exit_code() == 0


def wait_for_request(master):
    """Until a worker is inside the app."""
    end = time.monotonic() + 5
    pid = master.workers[0].pid
    while time.monotonic() < end:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/syscall") as syscall:
                # select(2) and clock_nanosleep(2) are what time.sleep() waits in.
                if syscall.read().split()[0] in ("23", "230", "270"):
                    return
    raise AssertionError("no worker is in the app")


def test_term_is_the_order_to_quiesce_and_the_terminal_is_ignored(start):
    master = start()
    worker = master.workers[0]
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        os.kill(worker.pid, number)
    client = Client(master.address)
    client.send("/")
    assert client.answer()[0] == 200
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.exit_code() == 0


def test_what_an_app_forks_dies_of_term_and_the_worker_does_not(start, tmp_path):
    app = tmp_path / "forks.py"
    app.write_text(
        "import os, signal, time\n"
        "def application(environ, start_response):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        time.sleep(60)\n"
        "        os._exit(0)\n"
        "    os.kill(child, signal.SIGTERM)\n"
        "    status = os.waitpid(child, 0)[1]\n"
        "    body = str(os.WTERMSIG(status)).encode()\n"
        "    start_response('200 OK', [('Content-Length', str(len(body)))])\n"
        "    return [body]\n"
    )
    source = {"File": {"path": str(app), "callable": None}}
    master = start(load=[{"mount": "", "source": source}])
    client = Client(master.address)
    for _ in range(3):
        client.send("/")
        status, head, body = client.answer()
        assert (status, body) == (200, b"15") and "Connection: close" not in head
    master.workers[0].quiesce()
    assert master.workers[0].exit_code() == 0


def test_a_worker_asks_to_be_recycled_after_its_requests_and_goes_on_until_told(start):
    master = start(limits={"max_requests": 3})
    client = Client(master.address)
    for _ in range(6):
        client.send("/")
        assert client.answer()[0] == 200
    assert master.workers[0].next_word() == {"Recycle": {"why": "max-requests"}}


def test_a_worker_asks_to_be_recycled_after_its_lifetime(start):
    master = start(limits={"max_worker_lifetime": seconds(0.05)})
    assert master.workers[0].next_word() == {"Recycle": {"why": "lifetime"}}


@pytest.mark.parametrize("threads", [1, 3])
def test_a_stuck_request_gets_504_the_stacks_are_logged_and_the_worker_goes_without_it(start, threads):
    master = start(threads=threads, limits={"harakiri": seconds(0.5)})
    stuck, neighbour = Client(master.address), Client(master.address)
    stuck.send("/stuck")
    if threads > 1:
        neighbour.send("/")
        assert neighbour.answer()[0] == 200
    assert stuck.answer()[0] == 504
    assert master.workers[0].next_word() == {"Recycle": {"why": "harakiri"}}
    master.log_says("*** HARAKIRI ON WORKER 1")
    master.log_says("GET /stuck since")
    master.log_says("in application")
    master.log_says("end of worker 1 status")
    if threads > 1:
        neighbour.send("/")
        assert neighbour.answer()[0] == 200
    replacement = master.fork()
    master.workers[0].quiesce()
    assert master.workers[0].exit_code() == 0
    late = Client(master.address)
    late.send("/pid")
    assert late.answer()[2] == str(replacement.pid).encode()


def test_an_app_that_does_not_load_is_reported_and_every_request_gets_500(start, tmp_path):
    (tmp_path / "bad.py").write_text("import nothing_of_that_name\n")
    bad = {"File": {"path": str(tmp_path / "bad.py"), "callable": None}}
    master = start(load=[{"mount": "", "source": bad}])
    assert "LoadFailed" in master.first_word
    client = Client(master.address)
    client.send("/")
    assert client.answer()[0] == 500


def test_lazy_apps_are_loaded_in_the_worker_and_need_app_ends_it_with_22(start, tmp_path):
    (tmp_path / "bad.py").write_text("import nothing_of_that_name\n")
    bad = {"File": {"path": str(tmp_path / "bad.py"), "callable": None}}
    master = start(workers=0, lazy_apps=True, need_app=True, load=[{"mount": "", "source": bad}])
    with pytest.raises(AssertionError):
        master.fork()
    assert master.workers[0].exit_code() == 22


def test_exit_functions_run_in_the_worker(start, tmp_path):
    mark = tmp_path / "mark"
    text = f"import atexit\natexit.register(lambda: open({str(mark)!r}, 'w').write('done'))\n"
    app = tmp_path / "exits.py"
    app.write_text(text + "def application(environ, start_response):\n    raise SystemExit\n")
    source = {"File": {"path": str(app), "callable": None}}
    master = start(load=[{"mount": "", "source": source}])
    master.workers[0].quiesce()
    assert master.workers[0].exit_code() == 0
    assert mark.read_text() == "done"


def test_a_slow_view_in_one_thread_freezes_nobody_else(start):
    master = start(threads=2)
    slow = Client(master.address)
    slow.send("/sleep?1")
    wait_for_request(master)
    began = time.monotonic()
    fast = Client(master.address)
    for _ in range(20):
        fast.send("/")
        assert fast.answer()[0] == 200
    assert time.monotonic() - began < 0.8
    assert slow.answer()[2] == b"slept"


def test_clients_that_send_or_read_nothing_hold_no_thread(start):
    master = start()
    held = []
    for _ in range(50):
        half = Client(master.address)
        half.socket.sendall(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf")
        dribble = Client(master.address)
        dribble.socket.sendall(b"GET / HT")
        reader = Client(master.address)
        reader.send("/big?900000")
        held += [half, dribble, reader]
    probe = Client(master.address)
    probe.send("/")
    assert probe.answer()[0] == 200


def test_a_request_that_does_not_arrive_gets_408(start):
    master = start(limits={"socket_timeout": seconds(0.2)})
    client = Client(master.address)
    client.socket.sendall(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf")
    assert client.answer()[0] == 408
    assert client.is_at_its_end()


def test_idle_connections_are_closed_after_the_keepalive_time(start):
    master = start(limits={"keepalive_timeout": seconds(0.2)})
    client = Client(master.address)
    client.send("/")
    assert client.answer()[0] == 200
    assert client.is_at_its_end()


def test_the_private_channel_answers_inline_by_stream_and_marks_the_end(start):
    master = start(http=0, front_threads=2)
    front = Front(master)
    assert front.ask(1, b"/") == (200, b"hello", True)
    assert front.ask(2, b"/big?100000") == (200, b"x" * 100000, True)
    assert front.ask(3, b"/big?3000000") == (200, b"x" * 3000000, True)
    assert front.ask(4, b"/items") == (200, b"item 0\nitem 1\nitem 2\n", True)
    assert front.ask(5, b"/broken") == (200, b"begun", False)
    assert front.ask(6, b"/echo", b"body") == (200, b"body", True)
    # The slot is cleared behind the last frame.
    end = time.monotonic() + 5
    while struct.unpack_from("<4Q", os.pread(master.scoreboard, 32, 0))[0] != 0:
        assert time.monotonic() < end


def test_a_long_answer_of_known_length_goes_on_by_stream_behind_its_first_piece(start):
    front = Front(start(http=0, front_threads=2))
    few, many = 4 * 65536, 8 * 65536
    assert front.ask(1, b"/pieces?%d" % few) == (200, b"x" * few, True)
    assert front.kinds == [0, 1, 1, 1, 1]
    assert front.ask(2, b"/pieces?%d" % many) == (200, b"x" * many, True)
    assert front.kinds == [0, 3]
    # Longer than it said: what it said.
    assert front.ask(3, b"/pieces?%d,%d" % (many, many - 1)) == (200, b"x" * (many - 1), True)
    assert front.kinds == [0, 3]
    assert front.ask(4, b"/pieces?%d" % many, method=b"HEAD") == (200, b"", True)
    assert 3 not in front.kinds


def test_a_stuck_request_of_the_front_is_aborted_with_504(start):
    master = start(http=0, front_threads=2, limits={"harakiri": seconds(0.3)})
    front = Front(master)
    assert front.ask(1, b"/") == (200, b"hello", True)
    assert front.ask(2, b"/stuck") == (None, b"\xf8\x01the request took too long", False)


@pytest.mark.parametrize("threads", [1, 3])
def test_an_answer_is_not_gone_on_with_when_the_front_says_that_its_client_left(start, threads):
    master = start(http=0, front_threads=2, threads=threads)
    front = Front(master)
    reply = master.workers[0].replies[1]
    cancel = struct.Struct("<QB7x")
    reply.send(cancel.pack(77, 5))
    front.send(1, b"/endless")
    begun = struct.unpack_from("<QB", reply.recv(1 << 17))
    assert begun == (1, 0)
    reply.send(cancel.pack(1, 5))
    reply.setblocking(False)
    end = time.monotonic() + 10
    while "nobody listens" not in master.log_text():
        assert time.monotonic() < end
        drain(reply)
    drain(reply)
    assert front.ask(3, b"/") == (200, b"hello", True)


def test_pipelined_requests_are_answered_in_order_while_other_threads_serve(start):
    master = start(threads=3)
    client, other = Client(master.address), Client(master.address)
    client.socket.sendall(b"".join(
        b"GET /sleep?0.01 HTTP/1.1\r\nHost: test\r\n\r\nPOST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n%02d" % n
        for n in range(40)
    ))
    # Asked for while the other connection keeps a thread: bytes that come meanwhile wait for it.
    client.socket.sendall(b"GET /end HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
    for _ in range(20):
        other.send("/")
        assert other.answer()[2] == b"hello"
    received = b"".join(iter(lambda: client.socket.recv(65536), b""))
    bodies = [answer.rpartition(b"\r\n\r\n")[2] for answer in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [body for n in range(40) for body in (b"slept", b"%02d" % n)] + [b"hello"]


def test_a_worker_whose_front_is_gone_exits(start):
    master = start(http=0, front_threads=1)
    master.workers[0].replies[0].close()
    assert master.workers[0].exit_code() == 0


def drain(reply):
    """Reads what is there."""
    try:
        while reply.recv(1 << 17):
            pass
    except BlockingIOError:
        pass


class Front:
    """The other side of the private channel."""

    def __init__(self, master):
        self.master = master

    def send(self, number, uri, body=b"", method=b"GET"):
        """Queues a request; the socket its answer comes on."""
        path, _, query = uri.partition(b"?")
        pairs = {
            b"REQUEST_METHOD": method, b"REQUEST_URI": uri, b"PATH_INFO": path,
            b"QUERY_STRING": query, b"SERVER_PROTOCOL": b"HTTP/1.1", b"SERVER_NAME": b"test",
            b"SERVER_PORT": b"80", b"CONTENT_LENGTH": str(len(body)).encode() if body else b"",
        }
        coded = b"".join(
            struct.pack("<H", len(k)) + k + struct.pack("<H", len(v)) + v for k, v in pairs.items()
        )
        thread = number % 2
        head = struct.pack("<QHHIQ8x", number, thread, 0, len(coded), len(body))
        self.master.queue.send(head + coded + body)
        return self.master.workers[0].replies[thread]

    def ask(self, number, uri, body=b"", method=b"GET"):
        """Status, body and whether it is whole; `kinds` has the kinds of the frames."""
        reply = self.send(number, uri, body, method)
        reply.settimeout(10)
        status, data, stream = None, b"", None
        self.kinds = []
        while True:
            frame, fds, _, _ = socket.recv_fds(reply, 1 << 17, 1)
            answered, kind, flags, head_bytes = struct.unpack_from("<QBBxxI", frame)
            assert answered == number
            self.kinds.append(kind)
            payload = frame[16:]
            if kind == 0:
                status = struct.unpack_from("<H", payload)[0]
                data += payload[head_bytes:]
            elif kind == 1:
                data += payload
            elif kind == 3:
                stream = socket.socket(fileno=fds[0])
                return status, data + self.streamed(stream), True
            elif kind == 4:
                return status, data if status else payload, False
            if flags & 1:
                return status, data, True

    @staticmethod
    def streamed(stream):
        with stream, stream.makefile("rb") as pieces:
            data = b""
            while length := struct.unpack("<I", pieces.read(4))[0]:
                data += pieces.read(length)
            return data


def test_many_clients_on_many_workers_are_all_answered(start):
    master = start(workers=3, threads=2)
    failures = []

    def hammer():
        try:
            client = Client(master.address)
            for _ in range(50):
                client.send("/pid")
                status, _, body = client.answer()
                assert status == 200 and int(body) in {worker.pid for worker in master.workers}
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
