"""The parts of the benchmark that judge: reading wrk's words, voiding, tables, plots, publishing."""

import pathlib
import socket
import sys
import threading
import xml.etree.ElementTree

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benches"))

import measure  # noqa: E402
import publish  # noqa: E402
import report  # noqa: E402
from plots import Plot  # noqa: E402
from run import Run  # noqa: E402
from series import Column, Series  # noqa: E402

REPORT = """\
Running 4s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Latency Distribution
     50%  272.00us
     75%    1.20ms
     90%    2.20ms
     99%    1.50s
  598240 requests in 4.00s, 71.89MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec: 149560.20
"""

CELL = {"cpu_us": 6.0, "per_second": 1000.0, "p50": 0.2, "p99": 0.9, "pss_mb": 30.0, "failed": 0}


def test_every_kind_of_failure_that_wrk_tells_is_counted():
    assert measure.read_report(REPORT) == {"requests": 598240, "failed": 15, "p50": 0.272, "p99": 1500.0}


def test_a_row_with_a_failed_request_has_no_figures_and_is_nobodys_best_peer():
    rows = {
        "propylon": [CELL],
        "broken": [{**CELL, "cpu_us": 1.0, "failed": 1}],
        "peer": [{**CELL, "cpu_us": 12.0}, {**CELL, "cpu_us": 14.0}, {**CELL, "cpu_us": 99.0}],
    }
    text = report.markdown(report.summary({"direct": {"raw": rows}}))
    assert "| broken | void: 1 failed |" in text
    assert "| propylon | 6.0 | 6.0 to 6.0 | 0.43 |" in text
    assert "| peer | 14.0 | 12.0 to 99.0 | 1.00 |" in text


def test_the_floor_is_nobodys_best_peer_and_every_row_is_divided_by_it():
    rows = {"propylon front": [CELL], "nginx": [{**CELL, "cpu_us": 8.0}], report.FLOOR: [{**CELL, "cpu_us": 4.0}]}
    text = report.markdown(report.summary({"front": {"return 200": rows}}))
    assert "| propylon front | 6.0 | 6.0 to 6.0 | 0.75 |" in text
    assert "Divided by the floor: propylon front 1.50, nginx 2.00." in text


def test_a_void_floor_divides_nobody():
    rows = {"nginx": [CELL], report.FLOOR: [{**CELL, "failed": 1}]}
    assert "Divided" not in report.markdown(report.summary({"front": {"return 200": rows}}))


def test_who_does_not_take_part_is_said_and_not_compared():
    text = report.markdown(report.summary({"direct": {"deep": {"ours": [CELL], "bjoern": [{"note": "does not pipeline"}]}}}))
    assert "| bjoern | does not pipeline |" in text


def test_a_stack_that_cannot_be_run_is_stopped_said_and_has_no_figures(tmp_path):
    run = Run(tmp_path, rounds=1, seconds=1)
    pid = tmp_path / "pid"
    commands = [["sh", "-c", f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 60"], [str(tmp_path / "missing")]]
    run.measured(("front", "return 200", "broken"), commands, [], measure.Load("http://127.0.0.1:1/"))
    assert not pid.exists() or not pathlib.Path("/proc", pid.read_text().strip()).exists()
    assert "| broken | did not start |" in report.markdown(report.summary(run.results))


def test_a_part_that_ends_early_is_named_and_the_next_one_still_runs(tmp_path):
    run = Run(tmp_path, rounds=1, seconds=1)

    def breaks():
        raise RuntimeError("no answer")

    run.attempt("growth: servers", breaks)
    run.attempt("growth: objects", lambda: run.growth.append(series()))
    assert run.ended_early == ["growth: servers"]
    assert len(run.growth) == 1


@pytest.mark.parametrize("pieces", [[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], [b"HTTP/1.1 200 OK\r\ncontent-le", b"ngth: 2\r\n\r\no", b"k"]])
def test_an_answer_is_taken_whole_from_a_connection_that_stays_open(pieces):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                for piece in pieces:
                    client.sendall(piece)
                client.recv(4096)

        server = threading.Thread(target=serve)
        server.start()
        assert measure.answer(listener.getsockname(), "/") == b"".join(pieces)
        server.join()


def series():
    made = Series("things", "Things", "things", [Column("cpu_us", "CPU us/request", 1)], plots=["cpu_us"])
    for size, cpu in ((1, 6.0), (1000, 6.5)):
        made.add("ours & theirs", size, {"cpu_us": cpu, "failed": 0})
    made.add("ours & theirs", 10_000, {"cpu_us": 7.0, "failed": 1})
    return made


def test_a_size_at_which_a_request_failed_is_void_and_not_in_the_plot():
    assert series().table()[-1] == "| 10,000 | ours & theirs | void: 1 failed |"
    assert series().points("ours & theirs", "cpu_us") == [(1, 6.0), (1000, 6.5)]


@pytest.mark.parametrize("values", [(5.0, 6.0), (0.001, 900.0), (0.0, 0.0)])
def test_a_plot_is_well_formed_and_stays_inside_its_frame(values):
    picture = Plot("A & B", "things", "us", {"ours": list(zip((1, 1_000_000), values))}).svg()
    root = xml.etree.ElementTree.fromstring(picture)
    line = root.find("{http://www.w3.org/2000/svg}polyline")
    places = [tuple(map(float, place.split(","))) for place in line.get("points").split()]
    assert all(70 <= x <= 540 and 44 <= y <= 308 for x, y in places)


def test_publishing_replaces_what_stands_between_its_markers_and_nothing_else(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text("before\n<!-- bench:things -->\nold\n<!-- /bench:things -->\nafter\n")
    publish.publish(tmp_path, "things", publish.growth(tmp_path, series()))
    text = page.read_text()
    assert text.startswith("before\n<!-- bench:things -->\n### Things\n")
    assert text.endswith("<!-- /bench:things -->\nafter\n")
    assert "old" not in text
    assert (tmp_path / "plots" / "things-cpu-us.svg").exists()
    with pytest.raises(ValueError):
        publish.publish(tmp_path, "other", "text")
