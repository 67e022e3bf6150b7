"""environ: what a request's variables become."""

import sys

from probe import ask, case, checked, coded, environ_of, extension, module, plain, plan, probe


@case
def variables_become_native_strings():
    environ = environ_of(("HTTP_X_A", "b"))
    assert type(environ) is dict
    assert environ["HTTP_X_A"] == "b"
    assert all(type(k) is str for k in environ)
    assert all(type(v) is str for k, v in environ.items() if k.isupper())


@case
def bytes_above_ascii_are_latin_1():
    assert environ_of(("PATH_INFO", "/\u00fc".encode("utf-8")))["PATH_INFO"] == "/\u00c3\u00bc"
    assert environ_of(("HTTP_X_L", b"\xff\x80"))["HTTP_X_L"] == "\u00ff\u0080"


@case
def the_keys_that_pep_3333_demands_are_there():
    environ = environ_of(drop=[name for name, _ in __import__("probe").USUAL])
    for name in ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL"):
        assert type(environ[name]) is str, name
    assert environ["SCRIPT_NAME"] == ""
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.run_once"] is False


@case
def threads_and_processes_are_told_truly():
    sys.modules["truth_app"] = type(sys)("truth_app")
    sys.modules["truth_app"].application = __import__("probe").application
    for threads, processes in ((1, 1), (4, 1), (1, 4), (2, 2)):
        server = extension().Probe(plan(module("truth_app"), threads=threads, processes=processes))
        environ = environ_of(server=server)
        assert environ["wsgi.multithread"] is (threads > 1)
        assert environ["wsgi.multiprocess"] is (processes > 1)


@case
def repeated_cookies_are_joined_with_a_semicolon():
    assert environ_of(("HTTP_COOKIE", "a=1"), ("HTTP_COOKIE", "b=2"))["HTTP_COOKIE"] == "a=1; b=2"


@case
def repeated_headers_are_joined_with_a_comma():
    environ = environ_of(("HTTP_X_L", "1"), ("HTTP_X_M", "m"), ("HTTP_X_L", "2"), ("HTTP_X_L", "3"))
    assert environ["HTTP_X_L"] == "1, 2, 3"
    assert environ["HTTP_X_M"] == "m"


@case
def of_a_repeated_plain_variable_the_last_one_counts():
    assert environ_of(("FOO", "1"), ("FOO", "2"))["FOO"] == "2"


@case
def the_proxy_header_is_dropped():
    assert "HTTP_PROXY" not in environ_of(("HTTP_PROXY", "http://evil/"))


@case
def a_packet_cannot_replace_our_own_keys():
    environ = environ_of(("wsgi.input", "x"), ("wsgi.errors", "y"), ("uwsgi.core", "z"))
    assert hasattr(environ["wsgi.input"], "read")
    assert hasattr(environ["wsgi.errors"], "write")
    assert type(environ["uwsgi.core"]) is int


@case
def a_packet_cannot_name_code_to_run():
    environ = environ_of(("UWSGI_FILE", "/tmp/evil.py"), ("UWSGI_SCRIPT", "evil"), ("UWSGI_MODULE", "evil"))
    assert environ["UWSGI_FILE"] == "/tmp/evil.py"


@case
def the_scheme_follows_what_the_front_says():
    def scheme(*changes):
        return environ_of(*changes)["wsgi.url_scheme"]

    assert scheme() == "http"
    assert scheme(("HTTPS", "on")) == "https"
    assert scheme(("HTTPS", "1")) == "https"
    assert scheme(("HTTPS", "off")) == "http"
    assert scheme(("HTTPS", "")) == "http"
    assert scheme(("UWSGI_SCHEME", "https")) == "https"
    assert scheme(("HTTP_X_FORWARDED_PROTO", "https")) == "https"
    assert scheme(("HTTP_X_FORWARDED_PROTO", "wais")) == "http"
    assert scheme(("REQUEST_SCHEME", "https")) == "https"
    assert scheme(("REQUEST_SCHEME", "http")) == "http"


@case
def every_request_gets_a_dict_of_its_own():
    first = []

    def app(environ, start_response):
        first.append("touched" in environ)
        environ["touched"] = 1
        environ["wsgi.version"] = "spoiled"
        plain(start_response)
        return [b""]

    ask(app)
    ask(app)
    assert first == [False, False]
    assert environ_of()["wsgi.version"] == (1, 0)


@case
def a_variable_of_one_request_is_not_in_the_next():
    assert environ_of(("HTTP_X_ONCE", "1"))["HTTP_X_ONCE"] == "1"
    assert "HTTP_X_ONCE" not in environ_of()


@case
def equal_and_changed_values_are_both_right():
    for value in ("a", "a", "b", "", "a", "x" * 1000, "x" * 1000, "y" * 300):
        assert environ_of(("HTTP_X_V", value))["HTTP_X_V"] == value


@case
def variables_that_come_and_go_leave_nothing_behind():
    plain_environ = environ_of()
    for turn in range(60):
        changes = [(f"HTTP_X_{number}", f"{turn // 2}") for number in range(turn % 7)]
        if turn % 3 == 0:
            changes += [("HTTP_COOKIE", f"c={turn}"), ("HTTP_AUTHORIZATION", f"a{turn}"), ("HTTP_X_LONG", "l" * turn * 20)]
        environ = environ_of(*changes)
        assert all(environ[name] == value for name, value in changes), turn
        assert environ.keys() == plain_environ.keys() | dict(changes).keys(), turn


@case
def a_variable_that_goes_has_its_default_again():
    assert environ_of(("SCRIPT_NAME", "/s"), ("SERVER_PORT", "81"))["SERVER_PORT"] == "81"
    environ = environ_of(drop=["SERVER_PORT"])
    assert (environ["SCRIPT_NAME"], environ["SERVER_PORT"]) == ("", "80")


@case
def a_repeated_variable_is_not_repeated_in_the_next_request():
    for _ in range(3):
        assert environ_of(("HTTP_X_L", "1"), ("HTTP_X_L", "2"))["HTTP_X_L"] == "1, 2"
        assert environ_of(("HTTP_X_L", "1"))["HTTP_X_L"] == "1"
        assert environ_of(("FOO", "1"), ("FOO", "2"))["FOO"] == "2"
        assert environ_of(("FOO", "1"))["FOO"] == "1"


@case
def more_names_than_are_remembered_still_arrive():
    many = [(f"HTTP_X_{number}", str(number)) for number in range(2000)]
    environ = environ_of(*many)
    assert all(environ[name] == value for name, value in many)
    again = environ_of(*many, ("HTTP_X_1999", "twice"))
    assert again["HTTP_X_1999"] == "1999, twice"


@case
def very_long_names_and_values_arrive():
    environ = environ_of(("HTTP_" + "N" * 3000, "v" * 65000))
    assert environ["HTTP_" + "N" * 3000] == "v" * 65000


@case
def broken_variables_are_a_400_and_never_reach_the_app():
    called = []
    whole = coded([("REQUEST_METHOD", "GET"), ("PATH_INFO", "/x")])
    for end in range(1, len(whole)):
        if end == len(coded([("REQUEST_METHOD", "GET")])):
            continue
        import probe as room

        room.current = lambda e, s: called.append(1)
        with room.standard_error():
            report = probe().request(whole[:end])
        assert report["status"] == 400, end
    assert called == []


@case
def empty_variables_are_a_request_with_defaults():
    import probe as room

    room.current = lambda e, s: (plain(s), [e["REQUEST_METHOD"].encode()])[1]
    assert room.Answer(probe().request(b""), "").body == b"GET"


@case
def nginx_style_empty_values_stay_empty():
    environ = environ_of(("CONTENT_TYPE", ""), ("CONTENT_LENGTH", ""))
    assert environ["CONTENT_TYPE"] == "" and environ["CONTENT_LENGTH"] == ""


@case
def uwsgi_s_own_keys_are_there():
    environ = environ_of()
    assert type(environ["uwsgi.version"]) is bytes
    assert type(environ["uwsgi.node"]) is bytes
    assert environ["uwsgi.core"] == 0


@case
def errors_go_to_standard_error():
    def app(environ, start_response):
        environ["wsgi.errors"].write("one line\n")
        environ["wsgi.errors"].writelines(["\u20ac ", "two\n"])
        environ["wsgi.errors"].flush()
        print("printed", file=environ["wsgi.errors"])
        plain(start_response)
        return [b""]

    assert checked(app).errors == "one line\n\u20ac two\nprinted\n"


@case
def mount_points_are_chosen_by_script_name_or_path():
    for name in ("m_root", "m_a", "m_ab"):
        made = type(sys)(name)
        exec(
            "def application(e, s):\n"
            "    s('200 OK', [])\n"
            f"    return [('{name} ' + e['SCRIPT_NAME'] + ' ' + e['PATH_INFO']).encode()]",
            made.__dict__,
        )
        sys.modules[name] = made
    load = [module("m_root"), module("m_a", "/a"), module("m_ab", "/a/b")]
    by_name = extension().Probe(plan(*load))
    by_path = extension().Probe(plan(*load, manage_script_name=True))
    no_root = extension().Probe(plan(*load[1:], manage_script_name=True))

    def got(server, script_name, path):
        answer = ask(None, ("SCRIPT_NAME", script_name), ("PATH_INFO", path), server=server)
        return answer.body.decode()

    assert got(by_name, "", "/a/x") == "m_root  /a/x"
    assert got(by_name, "/a", "/x") == "m_a /a /x"
    assert got(by_name, "/unknown", "/x") == "m_root /unknown /x"
    assert got(by_path, "", "/a/x") == "m_a /a /x"
    assert got(by_path, "", "/a/b/x") == "m_ab /a/b /x"
    assert got(by_path, "", "/a/b") == "m_ab /a/b "
    assert got(by_path, "", "/abc") == "m_root  /abc"
    assert got(by_path, "/a", "/x") == "m_a /a /x"
    assert got(no_root, "", "/else") == "m_a  /else"
