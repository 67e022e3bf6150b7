"""Clients that ask too often: whom nginx refuses or lets wait, and for how long, and ours."""

import signal
import socketserver
import threading
import time

import pytest
from harness import client
from harness.pairs import every_front
from harness.processes import free_port, wait_until

# So slow that nothing leaks while a test runs.
SLOW = "rate=6r/m"
# A request that does not wait is answered within this time, in seconds.
AT_ONCE = 0.15
# A wait may be this much shorter or longer than the arithmetic says.
EARLY, LATE = 0.02, 0.15

SITE = """
limit_req_zone $arg_k zone=slow:1m {slow};
limit_req_zone $arg_k zone=other:1m {slow};
limit_req_zone $host zone=all:1m {slow};
limit_req_zone $binary_remote_addr zone=client:1m {slow};
limit_req_zone $arg_k zone=small:32k {slow};
limit_req_zone $arg_k zone=quick:1m rate=5r/s;
limit_req_zone $arg_k zone=minute:1m rate=240r/m;
limit_req_zone $arg_k zone=busy:1m rate=50r/s;
limit_conn_zone $arg_k zone=open:1m;
limit_conn_zone $host zone=opened:1m;
log_format limits '$request_uri $status $limit_req_status $limit_conn_status';
server {{
    listen 127.0.0.1:{port};
    root {root};
    keepalive_requests 1000000;
    access_log {log}/limits.log limits;
    error_log {log}/error.log info;
    location = /free {{ try_files /page.txt =404; }}
    location = /none {{ limit_req zone=slow; try_files /page.txt =404; }}
    location = /nodelay {{ limit_req zone=slow burst=2 nodelay; try_files /page.txt =404; }}
    location = /client {{ limit_req zone=client burst=1 nodelay; try_files /page.txt =404; }}
    location = /behind {{
        set_real_ip_from 127.0.0.1;
        limit_req zone=client;
        try_files /page.txt =404;
    }}
    location = /busy {{ limit_req zone=busy burst=20 nodelay; try_files /page.txt =404; }}
    location = /waits {{ limit_req zone=quick burst=3; try_files /page.txt =404; }}
    location = /waits-late {{ limit_req zone=minute burst=4 delay=2; try_files /page.txt =404; }}
    location = /two {{
        limit_req zone=slow burst=2 nodelay;
        limit_req zone=all burst=4 nodelay;
        try_files /page.txt =404;
    }}
    location = /two-waits {{
        limit_req zone=quick burst=5;
        limit_req zone=minute burst=5;
        try_files /page.txt =404;
    }}
    location = /doors {{ limit_req zone=slow; deny all; }}
    location = /returned {{ limit_req zone=slow; return 200 "always"; }}
    location = /missing {{ limit_req zone=slow; error_page 404 = @again; try_files /nothing =404; }}
    location = /first {{ error_page 404 = @again; try_files /nothing =404; }}
    location = /other {{ limit_req zone=other; try_files /page.txt =404; }}
    location @again {{ limit_req zone=slow; limit_req zone=other; try_files /page.txt =404; }}
    location = /page {{
        limit_req zone=slow; limit_req_status 429; error_page 429 @busy;
        limit_conn open 1;
        try_files /page.txt =404;
    }}
    location @busy {{ limit_req zone=slow; limit_conn open 9; try_files /busy.txt =404; }}
    location = /444 {{ limit_req zone=slow; limit_req_status 444; try_files /page.txt =404; }}
    location = /499 {{ limit_req zone=slow; limit_req_status 499; try_files /page.txt =404; }}
    location = /450 {{ limit_req zone=slow; limit_req_status 450; try_files /page.txt =404; }}
    location = /dry {{
        limit_req zone=slow burst=2 delay=1; limit_req_dry_run on; limit_req_log_level notice;
        try_files /page.txt =404;
    }}
    location = /small {{ limit_req zone=small; try_files /page.txt =404; }}
    location /open/ {{ limit_conn open 2; proxy_pass http://127.0.0.1:{upstream}; }}
    location /opened/ {{
        limit_conn open 3; limit_conn opened 1; limit_conn_status 429; limit_conn_log_level warn;
        proxy_pass http://127.0.0.1:{upstream};
    }}
    location /both/ {{
        limit_conn open 1; limit_req zone=quick burst=5;
        proxy_pass http://127.0.0.1:{upstream};
    }}
    location /open-dry/ {{
        limit_conn open 1; limit_conn_dry_run on; proxy_pass http://127.0.0.1:{upstream};
    }}
    location /kept/ {{
        limit_conn open 1; error_page 418 = @kept; proxy_intercept_errors on;
        proxy_pass http://127.0.0.1:{upstream};
    }}
    location @kept {{ limit_conn open 1; proxy_pass http://127.0.0.1:{upstream}; }}
}}
server {{
    listen 127.0.0.1:{port};
    server_name inherits.test;
    root {root};
    limit_req zone=slow;
    limit_req_status 420;
    location / {{ try_files /page.txt =404; }}
    location /own/ {{ limit_req zone=other burst=1 nodelay; try_files /page.txt =404; }}
    location /dry/ {{ limit_req_dry_run on; try_files /page.txt =404; }}
}}
"""


class Upstream(socketserver.ThreadingTCPServer):
    """An HTTP server whose answers to `…/slow` wait until they may go."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.port = self.server_address[1]
        self.may_go = threading.Event()
        self.waiting = threading.Semaphore(0)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def has(self, count):
        """Waits until so many more requests have come and wait."""
        for _ in range(count):
            assert self.waiting.acquire(timeout=5), "no request came"


class Answering(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        status = b"418 I'm a teapot" if b"/teapot" in line else b"200 OK"
        if b"/slow" in line:
            self.server.waiting.release()
            self.server.may_go.wait(20)
        try:
            self.wfile.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        except OSError:
            pass


@pytest.fixture
def upstream():
    made = Upstream()
    yield made
    made.may_go.set()
    made.shutdown()
    made.server_close()


@pytest.fixture
def port(machine, upstream):
    chosen = free_port()
    machine.write("page.txt", "page")
    machine.write("busy.txt", "busy")
    site(machine, chosen, upstream)
    return chosen


def site(machine, port, upstream, *replaced):
    """The site; of each pair in `replaced` the second text stands where the first one stood."""
    text = SITE.format(port=port, upstream=upstream.port, root=machine.project, log=machine.log, slow=SLOW)
    for old, new in replaced:
        text = text.replace(old, new)
    machine.site("limits", text)


def reload(machine, front, port, upstream, *replaced):
    """Reloads, and waits until the new configuration serves."""
    site(machine, port, upstream, ("location = /free {", "location = /new {"), *replaced)
    front.send(signal.SIGHUP)
    wait_until(lambda: client.get(port, "/new").status == 200, what="the new configuration")


def statuses(port, target, count, host="localhost"):
    return [client.get(port, target, host).status for _ in range(count)]


def alone(port, target):
    """The status of a request that comes when the one before is over.

    Its answer may be here before the server has given its count back, with nginx as with ours.
    """
    found = []
    wait_until(lambda: found.append(client.get(port, target).status) or found[-1] != 503, 2, "room")
    return found[-1]


def begin(port, target):
    """A request whose answer nobody reads yet."""
    connection = client.Connection(port)
    connection.send(client.build(target=target))
    return connection


def logged(machine, target):
    """What the access log says of a target, line by line, without it."""
    lines = (machine.log / "limits.log").read_text().splitlines()
    return [line.partition(" ")[2] for line in lines if line.split()[0] == target]


def error_lines(machine, words):
    return [line for line in machine.error_log().splitlines() if words in line]


@every_front
def test_a_burst_comes_in_and_what_is_above_it_does_not(machine, port, maker):
    machine.front(maker).ready(port)
    assert statuses(port, "/none?k=1", 3) == [200, 503, 503]
    assert statuses(port, "/nodelay?k=2", 6) == [200, 200, 200, 503, 503, 503]
    # The bucket belongs to the zone, the burst to the location.
    assert statuses(port, "/nodelay?k=1", 3) == [200, 200, 503]
    assert statuses(port, "/client", 3) == [200, 200, 503]
    assert statuses(port, "/free", 3) == [200, 200, 200]


@every_front
def test_keys_are_apart_and_an_empty_one_does_not_count(machine, port, maker):
    machine.front(maker).ready(port)
    assert statuses(port, "/none?k=a", 2) == [200, 503]
    assert statuses(port, "/none?k=b", 2) == [200, 503]
    assert statuses(port, "/none?k=A", 1) == [200]
    assert statuses(port, "/none", 5) == [200] * 5
    assert statuses(port, "/none?k=", 5) == [200] * 5
    wait_until(lambda: len(logged(machine, "/none")) == 5, what="the access log")
    wait_until(lambda: len(logged(machine, "/none?k=a")) == 2, what="the access log")
    assert sorted(logged(machine, "/none?k=a")) == ["200 PASSED -", "503 REJECTED -"]
    assert set(logged(machine, "/none")) == {"200 - -"}


@every_front
def test_behind_a_balancer_the_client_is_the_key(machine, port, maker):
    machine.front(maker).ready(port)

    def ask(address):
        headers = [("Host", "localhost"), ("X-Real-IP", address)]
        return client.request(port, target="/behind", headers=headers).status

    assert [ask("192.0.2.1"), ask("192.0.2.1"), ask("192.0.2.2")] == [200, 503, 200]
    assert [ask("2001:db8::1"), ask("2001:DB8:0::1"), ask("2001:db8::2")] == [200, 503, 200]
    assert statuses(port, "/client", 1) == [200]


@every_front
def test_under_load_on_many_connections_no_more_come_in_than_the_rate(machine, port, maker):
    machine.front(maker).ready(port)
    seconds, came_in = 2, []

    def hammer():
        with client.Connection(port) as connection:
            while (now := time.monotonic()) < until:
                if connection.request(target="/busy?k=1").status == 200:
                    came_in.append(now)

    until = time.monotonic() + seconds
    threads = [threading.Thread(target=hammer) for _ in range(6)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    most = 21 + 50 * (time.monotonic() - started)
    assert 50 * seconds < len(came_in) <= most + 1


@every_front
def test_a_refusal_is_logged_in_nginx_s_words(machine, port, maker):
    machine.front(maker).ready(port)
    statuses(port, "/nodelay?k=1", 4)
    (line,) = error_lines(machine, "limiting requests")
    said, _, tail = line.partition(", client: ")
    assert "[error]" in said
    assert said.split("limiting requests, excess: ")[1].split(" ", 1)[1] == 'by zone "slow"'
    assert 2.9 < float(said.split("excess: ")[1].split()[0]) <= 3.0
    assert tail == '127.0.0.1, server: , request: "GET /nodelay?k=1 HTTP/1.1", host: "localhost"'


def under_way(port, target, upstream):
    """A request that the upstream has; again if it came before the one before was over."""
    while True:
        connection = begin(port, target)
        if upstream.waiting.acquire(timeout=1):
            return connection
        assert connection.answer().status in (429, 503)


def timed(port, target, count):
    """Sends requests one shortly after the other; status of each and when it was answered."""
    started = time.monotonic()
    answers = {}

    def read(number, connection):
        answers[number] = connection.answer().status, time.monotonic() - started

    threads = []
    for number in range(count):
        connection = begin(port, target)
        threads.append(threading.Thread(target=read, args=(number, connection)))
        threads[-1].start()
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    return [answers[number] for number in range(count)]


def assert_timed(found, expected):
    """`expected` has a status and a time for each request."""
    assert [status for status, _ in found] == [status for status, _ in expected]
    for (_, found_at), (_, expected_at) in zip(found, expected):
        least = expected_at - EARLY if expected_at else 0
        assert least <= found_at <= expected_at + LATE, (found, expected)


@every_front
def test_who_is_above_the_rate_waits_for_it_and_nobody_else_does(machine, port, maker):
    machine.front(maker).ready(port)
    found = []
    waiting = threading.Thread(target=lambda: found.extend(timed(port, "/waits?k=1", 5)))
    waiting.start()
    while waiting.is_alive():
        started = time.monotonic()
        assert client.get(port, "/waits?k=").status == 200
        assert time.monotonic() - started < AT_ONCE
        time.sleep(0.02)
    assert_timed(found, [(200, 0), (200, 0.2), (200, 0.4), (200, 0.6), (503, 0)])
    wait_until(lambda: len(logged(machine, "/waits?k=1")) == 5, what="the access log")
    assert logged(machine, "/waits?k=1").count("200 DELAYED -") == 3
    lines = error_lines(machine, "delaying request, excess: ")
    assert len(lines) == 3 and all("[warn]" in line for line in lines)
    assert all(', by zone "quick", client: 127.0.0.1, server: , request: "GET' in line for line in lines)


@every_front
def test_a_part_of_the_burst_may_come_in_without_a_wait(machine, port, maker):
    machine.front(maker).ready(port)
    found = timed(port, "/waits-late?k=1", 7)
    # Four a second, two of the burst at once: what is above leaks out in quarters.
    at_once = [(200, 0)] * 3
    assert_timed(found, [*at_once, (200, 0.25), (200, 0.5), (503, 0), (503, 0)])


@every_front
def test_who_waits_on_a_kept_connection_is_served_in_order(machine, port, maker):
    machine.front(maker).ready(port)
    with client.Connection(port) as connection:
        started = time.monotonic()
        connection.send(client.build(target="/waits?k=p") * 2 + client.build(target="/free"))
        assert [connection.answer().status for _ in range(3)] == [200] * 3
        assert 0.2 - EARLY < time.monotonic() - started < 0.2 + LATE


@every_front
def test_who_leaves_while_waiting_is_forgotten_at_once(machine, port, maker):
    machine.front(maker).ready(port)
    assert client.get(port, "/waits?k=1").status == 200
    begin(port, "/waits?k=1").close()
    wait_until(lambda: "499 DELAYED -" in logged(machine, "/waits?k=1"), 0.15, "the 499")
    assert error_lines(machine, "client prematurely closed connection")


@every_front
def test_of_several_limits_each_may_refuse_and_then_none_counts(machine, port, maker):
    machine.front(maker).ready(port)
    assert statuses(port, "/two?k=1", 4) == [200, 200, 200, 503]
    assert statuses(port, "/two?k=2", 3) == [200, 200, 503]
    assert [line.split('by zone "')[1].split('"')[0] for line in error_lines(machine, "limiting")] == [
        "slow",
        "all",
    ]
    # The request that `all` refused has not fallen into `slow`.
    assert statuses(port, "/nodelay?k=2", 2) == [200, 503]
    # An empty key passes over its limit only.
    assert statuses(port, "/two", 1) == [503]


@every_front
def test_of_several_waits_the_longest_counts(machine, port, maker):
    machine.front(maker).ready(port)
    found = timed(port, "/two-waits?k=1", 3)
    assert_timed(found, [(200, 0), (200, 0.25), (200, 0.5)])
    assert len(error_lines(machine, ', by zone "minute"')) == 2


@every_front
def test_limits_come_after_rewriting_and_before_the_doors(machine, port, maker):
    machine.front(maker).ready(port)
    assert statuses(port, "/returned?k=1", 4) == [200] * 4
    assert statuses(port, "/doors?k=1", 2) == [403, 503]


@every_front
def test_a_request_is_counted_once_whatever_redirects_follow(machine, port, maker):
    machine.front(maker).ready(port)
    # `@again` has the same limit and another one: neither counts what `/missing` has counted.
    assert statuses(port, "/missing?k=1", 2) == [200, 503]
    assert statuses(port, "/other?k=1", 2) == [200, 503]
    # What nothing has counted before it counts.
    assert statuses(port, "/first?k=2", 2) == [200, 503]
    assert statuses(port, "/other?k=2", 1) == [503]
    # An error page for those who were refused is not refused again.
    first, second = (client.get(port, "/page?k=9") for _ in range(2))
    assert (first.status, first.text()) == (200, "page")
    assert (second.status, second.text()) == (429, "busy")
    wait_until(lambda: len(logged(machine, "/page?k=9")) == 2, what="the access log")
    assert sorted(logged(machine, "/page?k=9")) == ["200 PASSED PASSED", "429 REJECTED PASSED"]


@every_front
def test_a_location_without_limits_inherits_and_one_with_limits_has_its_own(machine, port, maker):
    machine.front(maker).ready(port)
    host = "inherits.test"
    assert statuses(port, "/?k=1", 2, host) == [200, 420]
    assert statuses(port, "/own/?k=1", 3, host) == [200, 200, 420]
    assert statuses(port, "/dry/?k=1", 2, host) == [200, 200]


@every_front
def test_some_statuses_are_for_the_log_only_and_any_other_is_sent(machine, port, maker):
    machine.front(maker).ready(port)
    for status in (444, 499):
        target = f"/{status}?k={status}"
        assert client.get(port, target).status == 200
        with pytest.raises(ConnectionError):
            client.get(port, target)
        expected = f"{status} REJECTED -"
        wait_until(lambda target=target, said=expected: said in logged(machine, target), 2, expected)
    assert statuses(port, "/450?k=450", 2) == [200, 450]


@every_front
def test_a_dry_run_counts_and_tells_and_lets_everybody_in(machine, port, maker):
    machine.front(maker).ready(port)
    started = time.monotonic()
    assert statuses(port, "/dry?k=1", 4) == [200] * 4
    assert time.monotonic() - started < AT_ONCE
    wait_until(lambda: len(logged(machine, "/dry?k=1")) == 4, what="the access log")
    passed, dry = "200 PASSED -", "200 {}_DRY_RUN -"
    expected = [passed, passed, dry.format("DELAYED"), dry.format("REJECTED")]
    assert sorted(logged(machine, "/dry?k=1")) == sorted(expected)
    (delayed,) = error_lines(machine, "delaying request, dry run, excess: ")
    (limited,) = error_lines(machine, "limiting requests, dry run, excess: ")
    assert "[info]" in delayed and "[notice]" in limited


@every_front
def test_a_full_zone_refuses_nobody_and_forgets_who_was_not_seen_for_longest(machine, port, maker):
    machine.front(maker).ready(port)
    with client.Connection(port) as connection:
        def ask(key):
            return connection.request(target=f"/small?k={key}").status

        assert [ask("first"), ask("first")] == [200, 503]
        assert {ask(number) for number in range(900)} == {200}
        assert [ask(899), ask("first")] == [503, 200]


@every_front
def test_a_reload_forgets_nothing(machine, port, upstream, maker):
    front = machine.front(maker).ready(port)
    assert statuses(port, "/none?k=1", 2) == [200, 503]
    reload(machine, front, port, upstream)
    assert statuses(port, "/none?k=1", 1) == [503]
    assert statuses(port, "/none?k=2", 2) == [200, 503]


def test_a_reload_with_another_key_starts_anew(machine, port, upstream):
    front = machine.front("ours").ready(port)
    assert statuses(port, "/none?k=1&l=1", 2) == [200, 503]
    assert statuses(port, "/small?k=1", 2) == [200, 503]
    reload(machine, front, port, upstream, ("$arg_k zone=slow", "$arg_l zone=slow"))
    assert statuses(port, "/none?k=1&l=1", 2) == [200, 503]
    assert statuses(port, "/small?k=1", 1) == [503]


@every_front
def test_so_many_requests_are_under_way_and_no_more(machine, port, upstream, maker):
    machine.front(maker).ready(port)
    held = [begin(port, "/open/slow?k=1") for _ in range(2)]
    upstream.has(2)
    assert statuses(port, "/open/quick?k=1", 2) == [503, 503]
    assert [alone(port, "/open/quick?k=2") for _ in range(3)] == [200] * 3
    assert statuses(port, "/open/quick", 3) == [200] * 3
    line = error_lines(machine, "limiting connections")[0]
    said = 'limiting connections by zone "open", client: 127.0.0.1, server: , request: "GET /open/'
    assert "[error]" in line and said in line
    upstream.may_go.set()
    assert [connection.answer().status for connection in held] == [200, 200]
    assert alone(port, "/open/quick?k=1") == 200
    wait_until(lambda: len(logged(machine, "/open/slow?k=1")) == 2, what="the access log")
    assert logged(machine, "/open/quick?k=1").count("503 - REJECTED") >= 2
    assert logged(machine, "/open/slow?k=1") == ["200 - PASSED"] * 2
    assert logged(machine, "/open/quick")[0] == "200 - -"


@every_front
def test_a_count_is_given_back_whatever_way_the_request_ends(machine, port, upstream, maker):
    machine.front(maker).ready(port)
    for _ in range(3):
        held = [under_way(port, "/open/slow?k=1", upstream) for _ in range(2)]
        assert statuses(port, "/open/quick?k=1", 1) == [503]
        for connection in held:
            connection.close()
        assert alone(port, "/open/quick?k=1") == 200
    # On a connection that is kept, between two requests nothing is counted.
    with client.Connection(port) as connection:
        for _ in range(4):
            assert connection.request(target="/kept/quick?k=1").status == 200
        assert alone(port, "/kept/quick?k=1") == 200


@every_front
def test_of_several_connection_limits_one_refuses_and_none_counts(machine, port, upstream, maker):
    machine.front(maker).ready(port)
    held = begin(port, "/opened/slow?k=1")
    upstream.has(1)
    # Were what `opened` refuses counted by `open`, that would be full.
    assert statuses(port, "/opened/quick?k=1", 5) == [429] * 5
    more = begin(port, "/open/slow?k=1")
    upstream.has(1)
    assert statuses(port, "/open/quick?k=1", 1) == [503]
    assert all("[warn]" in line for line in error_lines(machine, 'connections by zone "opened"'))
    upstream.may_go.set()
    assert [held.answer().status, more.answer().status] == [200, 200]


@every_front
def test_a_connection_is_counted_once_whatever_redirects_follow(machine, port, upstream, maker):
    machine.front(maker).ready(port)
    assert [alone(port, "/kept/teapot?k=1") for _ in range(2)] == [418, 418]
    held = under_way(port, "/kept/teapot/slow?k=1", upstream)
    assert statuses(port, "/kept/quick?k=1", 1) == [503]
    upstream.may_go.set()
    assert held.answer().status == 418


@every_front
def test_who_waits_for_a_rate_is_no_connection_yet(machine, port, upstream, maker):
    machine.front(maker).ready(port)
    assert statuses(port, "/both/quick?k=1", 1) == [200]
    waiting = begin(port, "/both/slow?k=1")
    other = under_way(port, "/open/slow?k=1", upstream)
    assert waiting.answer().status == 503
    wait_until(lambda: logged(machine, "/both/slow?k=1"), what="the access log")
    assert logged(machine, "/both/slow?k=1") == ["503 DELAYED REJECTED"]
    upstream.may_go.set()
    assert other.answer().status == 200


@every_front
def test_a_dry_run_of_connections_tells_and_lets_everybody_in(machine, port, upstream, maker):
    machine.front(maker).ready(port)
    held = begin(port, "/open-dry/slow?k=1")
    upstream.has(1)
    assert statuses(port, "/open-dry/quick?k=1", 1) == [200]
    upstream.may_go.set()
    assert held.answer().status == 200
    wait_until(lambda: logged(machine, "/open-dry/quick?k=1"), what="the access log")
    assert logged(machine, "/open-dry/quick?k=1") == ["200 - REJECTED_DRY_RUN"]
    assert len(error_lines(machine, 'limiting connections, dry run, by zone "open", client')) == 1


@every_front
def test_connections_stay_counted_over_a_reload_and_are_given_back(machine, port, upstream, maker):
    front = machine.front(maker).ready(port)
    held = [begin(port, "/open/slow?k=1") for _ in range(2)]
    upstream.has(2)
    reload(machine, front, port, upstream)
    assert statuses(port, "/open/quick?k=1", 1) == [503]
    held.pop().close()
    assert alone(port, "/open/quick?k=1") == 200
    upstream.may_go.set()
    assert held.pop().answer().status == 200
    # Both are back: two may be under way again.
    upstream.may_go.clear()
    held = [under_way(port, "/open/slow?k=1", upstream) for _ in range(2)]
    assert statuses(port, "/open/quick?k=1", 1) == [503]


ZONE = "limit_req_zone $binary_remote_addr zone=a:1m rate=1r/s; "
OPEN = "limit_conn_zone $binary_remote_addr zone=c:1m; "


def check(machine, maker, http, location):
    text = f"{http}\nserver {{ listen 127.0.0.1:1; location / {{ {location} }} }}\n"
    machine.site("tried", text)
    code, _, error = machine.front_says(maker, "-t")
    return code, error


@every_front
def test_what_nginx_refuses_is_refused_in_its_words(machine, maker):
    def zone(rest, key="$uri"):
        return f"limit_req_zone {key} {rest};"

    for http, location, said in (
        (zone("zone=a:1m rate=0r/s"), "", 'invalid rate "rate=0r/s"'),
        (zone("zone=a:1m rate=1r/h"), "", 'invalid rate "rate=1r/h"'),
        (zone("zone=a:1m rate=0.5r/s"), "", 'invalid rate "rate=0.5r/s"'),
        (zone("zone=a:1m rate=r/s"), "", 'invalid rate "rate=r/s"'),
        (zone("zone=a:1m"), "", 'invalid number of arguments in "limit_req_zone" directive'),
        (zone("zone=a:1m rate=1r/s sync"), "", "invalid number of arguments"),
        (zone("zone=a:31k rate=1r/s"), "", 'zone "zone=a:31k" is too small'),
        (zone("zone=a rate=1r/s"), "", 'invalid zone size "zone=a"'),
        (zone("zone=a:x rate=1r/s"), "", 'invalid zone size "zone=a:x"'),
        (zone("zone=:1m rate=1r/s"), "", '"limit_req_zone" must have "zone" parameter'),
        (zone("zone=a:1m what=1r/s"), "", 'invalid parameter "what=1r/s"'),
        (zone("zone=a:1m rate=1r/s", "$nothing"), "", 'unknown "nothing" variable'),
        (ZONE + ZONE, "", 'limit_req_zone "a" is already bound to key "$binary_remote_addr"'),
        (ZONE + zone("zone=a:1m rate=1r/s"), "", "is already bound to key"),
        (ZONE + zone("zone=a:2m rate=1r/s"), "", 'the size 2097152 of shared memory zone "a" conflicts'),
        (ZONE + "limit_conn_zone $uri zone=a:1m;", "", 'zone "a" is already declared for a different use'),
        (ZONE, "limit_req zone=b;", 'zero size shared memory zone "b"'),
        (ZONE, "limit_req burst=3;", '"limit_req" must have "zone" parameter'),
        (ZONE, "limit_req zone=a burst=0;", 'invalid burst value "burst=0"'),
        (ZONE, "limit_req zone=a burst=-1;", 'invalid burst value "burst=-1"'),
        (ZONE, "limit_req zone=a delay=0;", 'invalid delay value "delay=0"'),
        (ZONE, "limit_req zone=a now;", 'invalid parameter "now"'),
        (ZONE, "limit_req zone=a; limit_req zone=a burst=2;", '"limit_req" directive is duplicate'),
        (ZONE, "limit_req zone=a burst=2 delay=1 nodelay;", "invalid number of arguments"),
        (ZONE, "if ($uri) { limit_req zone=a; }", '"limit_req" directive is not allowed here'),
        ("", ZONE, '"limit_req_zone" directive is not allowed here'),
        ("", "limit_req_status 399;", "value must be between 400 and 599"),
        ("", "limit_req_status 600;", "value must be between 400 and 599"),
        ("", "limit_req_status x;", '"limit_req_status" directive invalid number'),
        ("", "limit_req_status 503; limit_req_status 503;", '"limit_req_status" directive is duplicate'),
        ("", "limit_req_log_level crit;", 'invalid value "crit"'),
        ("", "limit_req_dry_run maybe;", 'invalid value "maybe" in "limit_req_dry_run" directive'),
        ("limit_conn_zone $uri zone=c:1k;", "", 'zone "zone=c:1k" is too small'),
        ("limit_conn_zone $uri zone=c;", "", 'invalid zone size "zone=c"'),
        ("limit_conn_zone $uri x;", "", 'invalid parameter "x"'),
        ("limit_conn_zone $uri;", "", "invalid number of arguments"),
        (OPEN + OPEN, "", 'limit_conn_zone "c" is already bound to key "$binary_remote_addr"'),
        (OPEN, "limit_conn d 1;", 'zero size shared memory zone "d"'),
        (OPEN, "limit_conn c 0;", 'invalid number of connections "0"'),
        (OPEN, "limit_conn c x;", 'invalid number of connections "x"'),
        (OPEN, "limit_conn c 65536;", "connection limit must be less 65536"),
        (OPEN, "limit_conn c;", 'invalid number of arguments in "limit_conn" directive'),
        (OPEN, "limit_conn c 1; limit_conn c 2;", '"limit_conn" directive is duplicate'),
        (OPEN, "limit_req zone=c;", 'zone "c" is already declared for a different use'),
        (ZONE, "limit_conn a 1;", 'zone "a" is already declared for a different use'),
        ("", "limit_conn_status 302;", "value must be between 400 and 599"),
        ("", "limit_conn_log_level emerg;", 'invalid value "emerg"'),
    ):
        code, error = check(machine, maker, http, location)
        assert code == 1 and said in error, (http, location, error)


@every_front
def test_what_nginx_takes_is_taken(machine, maker):
    for http, location in (
        ("limit_req zone=a; " + ZONE, ""),
        ("limit_req_zone $uri zone=a:1m rate=10;", "limit_req zone=a;"),
        ("limit_req_zone $uri zone=a:32k rate=1r/m;", "limit_req zone=a;"),
        ("limit_req_zone fixed zone=a:1m rate=1r/m;", "limit_req zone=a;"),
        ("limit_req_zone '' zone=a:1m rate=1r/m;", "limit_req zone=a;"),
        ("limit_req_zone $uri rate=1r/m zone=a:1m;", "limit_req zone=a;"),
        ("limit_req_zone $uri zone=a:1m rate=999999999999999999r/s;", "limit_req zone=a;"),
        (ZONE, "limit_req zone=a nodelay;"),
        (ZONE, "limit_req zone=a burst=3 delay=5;"),
        (ZONE, "limit_req burst=999999999999999999 zone=a;"),
        (ZONE, "limit_req zone=a burst=3 burst=4;"),
        (ZONE, "limit_req_status 400; limit_req_log_level Warn; limit_req_dry_run on;"),
        (OPEN, "limit_conn c 65535; limit_conn_status 599; limit_conn_dry_run off;"),
        (OPEN, "limit_conn_log_level notice;"),
        (ZONE + OPEN, "limit_conn c 5; limit_req zone=a; return 200 $limit_conn_status$limit_req_status;"),
    ):
        code, error = check(machine, maker, http, location)
        assert code == 0, (http, location, error)
