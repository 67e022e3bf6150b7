"""start_response, write and the response iterable."""

import gc
import sys
import threading
import weakref

from probe import Answer, ask, case, checked, coded, plain, probe, standard_error, USUAL


def answers(*items, headers=(), status="200 OK"):
    def app(environ, start_response):
        start_response(status, [("Content-Type", "text/plain"), *headers])
        return list(items)

    return app


class Closing:
    """An iterable that counts its close() calls."""

    def __init__(self, items, error=None, close_error=None):
        self.items, self.error, self.close_error = iter(items), error, close_error
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        for item in self.items:
            return item
        if self.error:
            raise self.error
        raise StopIteration

    def close(self):
        self.closed += 1
        if self.close_error:
            raise self.close_error


def closing(items, *headers, **more):
    made = Closing(items, **more)

    def app(environ, start_response):
        plain(start_response, *headers)
        return made

    return app, made


@case
def one_item_goes_out_in_one_step_with_its_length():
    answer = checked(answers(b"hello"))
    assert answer.calls == ["start+end"] or answer.whole
    answer = ask(answers(b"hello"))
    assert answer.calls == ["start+end"]
    assert (answer.content_length, answer.add_content_length) == (5, True)
    assert (answer.status, answer.reason, answer.body) == (200, b"OK", b"hello")


@case
def a_tuple_is_as_good_as_a_list():
    def app(environ, start_response):
        plain(start_response)
        return (b"hello",)

    assert ask(app).calls == ["start+end"]


@case
def the_apps_own_length_is_passed_and_not_added_twice():
    answer = ask(answers(b"hello", headers=[("Content-Length", "5")]))
    assert (answer.content_length, answer.add_content_length) == (5, False)
    assert [n for n, _ in answer.headers] == [b"Content-Type", b"Content-Length"]
    assert answer.calls == ["start+end"]


@case
def an_empty_answer_has_length_zero():
    for items in ([], [b""], [b"", b""]):
        answer = ask(answers(*items))
        assert (answer.status, answer.content_length, answer.add_content_length) == (200, 0, True)
        assert answer.calls == ["start+end"]


@case
def several_items_go_out_one_by_one():
    answer = checked(answers(b"a", b"", b"bc"))
    assert answer.pieces == [b"a", b"bc"]
    assert answer.content_length is None
    assert answer.calls == ["start", "body", "end"]


@case
def a_generator_is_sent_item_by_item_before_the_next_is_asked_for():
    log = []

    def app(environ, start_response):
        plain(start_response)
        for number in range(3):
            log.append(number)
            yield b"%d" % number

    answer = ask(app)
    assert answer.calls == ["start", "body", "body", "end"] and answer.body == b"012"

    log.clear()
    # The client goes after the first piece: the second was asked for, the third never.
    ask(app, gone_after=1)
    assert log == [0, 1]


@case
def a_generator_may_start_late():
    def app(environ, start_response):
        yield b""
        plain(start_response, status="201 Made")
        yield b"x"

    assert ask(app).status == 201


@case
def a_known_length_ends_the_response_with_its_last_byte():
    app, made = closing([b"ab", b"cd"], ("Content-Length", "4"))
    answer = ask(app)
    assert answer.calls == ["start", "body", "end"] and made.closed == 1
    app, made = closing([b"abcd"], ("Content-Length", "4"))
    assert ask(app).calls == ["start+end"] and made.closed == 1


@case
def an_iterable_with_one_item_by_len_gets_a_length():
    class One(Closing):
        def __len__(self):
            return 1

    made = One([b"abc"])

    def app(environ, start_response):
        plain(start_response)
        return made

    answer = ask(app)
    assert (answer.content_length, answer.calls, made.closed) == (3, ["start+end"], 1)


@case
def a_len_that_raises_does_no_harm():
    class Odd(Closing):
        def __len__(self):
            raise NotImplementedError

    def app(environ, start_response):
        plain(start_response)
        return Odd([b"abc"])

    assert ask(app).body == b"abc"


@case
def bytes_returned_bare_are_the_body():
    def app(environ, start_response):
        plain(start_response)
        return b"hello"

    assert ask(app).body == b"hello"


@case
def write_sends_at_once_and_before_the_iterable():
    def app(environ, start_response):
        write = plain(start_response)
        write(b"a")
        write(b"b")
        return [b"c"]

    answer = checked(app)
    assert answer.pieces == [b"a", b"b", b"c"] and answer.whole


@case
def write_alone_is_a_whole_response():
    def app(environ, start_response):
        plain(start_response)(b"only")
        return []

    assert ask(app).body == b"only" and ask(app).whole


@case
def write_takes_bytes_only():
    def app(environ, start_response):
        write = plain(start_response)
        for wrong in ("text", None, 1):
            try:
                write(wrong)
            except TypeError:
                continue
            raise AssertionError(wrong)
        return [b"ok"]

    assert ask(app).body == b"ok"


@case
def an_exception_before_the_head_is_a_500_with_a_traceback():
    def app(environ, start_response):
        raise ValueError("told")

    answer = ask(app)
    assert (answer.status, answer.body, answer.calls) == (500, b"Internal Server Error", ["start+end"])
    assert answer.raised and "Traceback" in answer.errors and "ValueError: told" in answer.errors


@case
def an_exception_after_start_response_is_a_500_without_the_apps_fields():
    def app(environ, start_response):
        plain(start_response, ("X-Secret", "1"))
        raise ValueError

    answer = ask(app)
    assert answer.status == 500 and answer.header(b"X-Secret") is None


@case
def exceptions_that_end_programs_are_500s_too():
    for error in (SystemExit(3), SystemExit, KeyboardInterrupt(), GeneratorExit(), MemoryError(), StopIteration()):

        def app(environ, start_response):
            raise error

        answer = ask(app)
        assert answer.status == 500 and answer.raised, error


@case
def an_exception_from_the_first_item_is_a_500():
    app, made = closing([], error=ValueError("x"))
    answer = ask(app)
    assert answer.status == 500 and made.closed == 1


@case
def an_exception_after_the_head_is_a_visible_cut():
    app, made = closing([b"part"], error=ValueError("x"))
    answer = ask(app)
    assert answer.status == 200 and answer.cut and made.closed == 1 and answer.raised
    app, made = closing([b"part"], ("Content-Length", "9"), error=SystemExit())
    assert ask(app).cut and made.closed == 1


@case
def exc_info_replaces_a_head_that_is_not_out():
    def app(environ, start_response):
        plain(start_response, ("X-Old", "1"))
        try:
            raise ValueError
        except ValueError:
            start_response("503 Busy", [("Content-Type", "text/html")], sys.exc_info())
        return [b"sorry"]

    answer = checked(app)
    assert (answer.status, answer.reason, answer.header(b"X-Old")) == (503, b"Busy", None)


@case
def exc_info_after_the_head_raises_the_original():
    seen = []

    def app(environ, start_response):
        plain(start_response)
        yield b"out"
        try:
            raise ValueError("original")
        except ValueError:
            try:
                start_response("500 Late", [], sys.exc_info())
            except ValueError as error:
                seen.append((str(error), error.__traceback__ is not None))
                raise
        yield b"never"

    answer = ask(app)
    assert seen == [("original", True)] and answer.cut and b"never" not in answer.body


@case
def start_response_twice_is_an_error():
    def app(environ, start_response):
        plain(start_response)
        plain(start_response)
        return [b"never"]

    assert ask(app).status == 500


@case
def start_response_with_none_as_exc_info_is_a_first_call():
    def app(environ, start_response):
        start_response("200 OK", [], None)
        return [b"fine"]

    assert ask(app).status == 200


@case
def start_response_wants_two_or_three_arguments():
    for arguments in ((), ("200 OK",), ("200 OK", [], None, 1)):

        def app(environ, start_response):
            start_response(*arguments)
            return [b"never"]

        assert ask(app).status == 500


@case
def an_app_that_never_starts_is_a_500():
    for items in ([b"x"], [], [b""]):
        answer = ask(lambda environ, start_response: items)
        assert answer.status == 500 and "start_response" in answer.errors


@case
def what_cannot_be_iterated_is_a_500():
    for value in (None, 5, object()):

        def app(environ, start_response):
            plain(start_response)
            return value

        assert ask(app).status == 500


@case
def items_must_be_bytes():
    for item in ("text", 1, None, bytearray(b"x")):
        answer = ask(answers(item))
        assert answer.status == 500 and "bytes" in answer.errors, item
        answer = ask(answers(b"first", item))
        assert answer.cut and answer.body == b"first"


@case
def a_string_is_not_a_body():
    def app(environ, start_response):
        plain(start_response)
        return "text"

    assert ask(app).status == 500


@case
def a_split_in_a_header_is_a_500():
    for name, value in (
        ("X-Bad", "a\r\nX-Injected: 1"), ("X-Bad", "a\nb"), ("X-Bad", "a\rb"), ("X-Bad", "a\0b"), ("X-Bad", "a\x7fb"),
        ("X-Bad\r\nX-Injected", "1"), ("X Bad", "1"), ("X-Bad:", "1"), ("", "1"), ("X-B\u00e4d", "1"), ("X-Bad\0", "1"),
    ):  # fmt: skip
        answer = ask(answers(b"never", headers=[(name, value)]))
        assert answer.status == 500 and answer.headers == [(b"Content-Type", b"text/plain")], (name, value)
        assert "ValueError" in answer.errors


@case
def a_bad_status_is_a_500():
    for status in ("", "OK", "20 OK", "2000 OK", "200OK", "abc OK", "200 OK\r\nX: 1", "200 \0", "100 Continue", "099 x", "\u0662\u0660\u0660 OK"):
        answer = ask(answers(b"never", status=status))
        assert answer.status == 500 and b"never" not in answer.body, status


@case
def a_status_needs_no_reason():
    assert ask(answers(b"", status="299 ")).status == 299
    assert ask(answers(b"", status="299")).reason == b""


@case
def a_reason_may_be_latin_1():
    assert ask(answers(b"", status="200 Gr\u00fcn")).reason == b"Gr\xfcn"


@case
def wrong_types_in_the_head_are_500s():
    for arguments in (
        (b"200 OK", []), (200, []), (None, []), ("200 OK", None), ("200 OK", {}), ("200 OK", (("A", "b"),)),
        ("200 OK", [["A", "b"]]), ("200 OK", [("A",)]), ("200 OK", [("A", "b", "c")]), ("200 OK", ["Ab"]),
        ("200 OK", [(b"A", "b")]), ("200 OK", [("A", b"b")]), ("200 OK", [("A", 1)]), ("200 OK", [(None, "b")]),
    ):  # fmt: skip

        def app(environ, start_response):
            start_response(*arguments)
            return [b"never"]

        answer = ask(app)
        assert answer.status == 500 and "TypeError" in answer.errors, arguments


@case
def header_values_are_latin_1():
    assert ask(answers(b"", headers=[("X-L", "gr\u00fcn\t\u00ff")])).header(b"X-L") == b"gr\xfcn\t\xff"
    for beyond in ("\u20ac", "\U0001f600", "\ud800", "\u0100"):
        assert ask(answers(b"", headers=[("X-L", beyond)])).status == 500


@case
def hop_by_hop_headers_are_refused():
    for name in ("Connection", "Keep-Alive", "Proxy-Authenticate", "TE", "Trailer", "Transfer-Encoding", "upgrade", "PROXY-AUTHORIZATION"):
        answer = ask(answers(b"never", headers=[(name, "x")]))
        assert answer.status == 500 and name in answer.errors


@case
def a_bad_or_double_content_length_is_a_500():
    for values in (("ten",), ("-1",), ("+5",), ("5, 5",), ("",), ("5", "5"), ("5", "6"), ("1" * 30,), ("0x5",), ("5.0",)):
        answer = ask(answers(b"never", headers=[("Content-Length", value) for value in values]))
        assert answer.status == 500, values


@case
def repeated_fields_keep_order_and_case():
    fields = [("Set-Cookie", "a=1"), ("x-lower", "1"), ("Set-Cookie", "b=2")]
    got = ask(answers(b"", headers=fields)).headers
    assert got[1:] == [(b"Set-Cookie", b"a=1"), (b"x-lower", b"1"), (b"Set-Cookie", b"b=2")]


@case
def many_fields_pass_and_too_many_do_not():
    assert ask(answers(b"", headers=[("X-N", str(n)) for n in range(500)])).header_count == 501
    assert ask(answers(b"", headers=[("X-N", str(n)) for n in range(1001)])).status == 500
    assert ask(answers(b"", headers=[("X-N", "v" * 2000000)])).status == 500


@case
def more_body_than_promised_is_cut_and_logged():
    for items in ([b"abcdef"], [b"ab", b"cdef"], [b"abc", b"def"]):
        answer = ask(answers(*items, headers=[("Content-Length", "3")]))
        assert answer.body == b"abc" and answer.whole, items
        assert "more body than its Content-Length" in answer.errors and "GET /" in answer.errors
    answer = ask(answers(b"x", headers=[("Content-Length", "0")]))
    assert answer.body == b"" and answer.whole


@case
def less_body_than_promised_is_a_visible_cut():
    for items in ([b"abc"], [b"a", b"bc"], [], (b"",)):
        answer = ask(answers(*items, headers=[("Content-Length", "10")]))
        assert answer.cut and answer.raised and "10" in answer.errors, items


@case
def a_body_that_the_front_fetches_itself_is_not_short():
    for name in ("X-Accel-Redirect", "X-Sendfile"):
        answer = ask(answers(headers=[(name, "/file"), ("Content-Length", "1000")]))
        assert answer.whole and answer.header(b"Content-Length") is None and answer.header(name.encode()) == b"/file"


@case
def head_has_the_head_of_get_and_no_body():
    head = ("REQUEST_METHOD", "HEAD")
    answer = checked(answers(headers=[("Content-Length", "5")]), head)
    assert (answer.body, answer.content_length, answer.calls) == (b"", 5, ["start+end"])
    answer = ask(answers(b"hello", headers=[("Content-Length", "5")]), head)
    assert (answer.body, answer.content_length, answer.calls) == (b"", 5, ["start+end"])
    answer = ask(answers(b"hello"), head)
    assert (answer.body, answer.content_length, answer.calls) == (b"", 5, ["start+end"])
    answer = ask(answers(), head)
    assert (answer.body, answer.content_length, answer.whole) == (b"", None, True)


@case
def head_does_not_run_a_generator_to_its_end_but_closes_it():
    log = []

    def app(environ, start_response):
        plain(start_response)
        try:
            for number in range(1000):
                log.append(number)
                yield b"x"
        finally:
            log.append("closed")

    answer = ask(app, ("REQUEST_METHOD", "HEAD"))
    assert answer.whole and answer.body == b"" and log == [0, "closed"]


@case
def head_ignores_write():
    def app(environ, start_response):
        plain(start_response)(b"not sent")
        return [b"nor this"]

    answer = ask(app, ("REQUEST_METHOD", "HEAD"))
    assert answer.whole and answer.body == b""


@case
def some_statuses_have_no_body():
    for status in ("204 No Content", "304 Not Modified"):
        for items in ([], [b""], [b"surplus"], [b"a", b"b"]):

            def app(environ, start_response):
                start_response(status, [("X-Kept", "1")])
                return items

            answer = ask(app)
            assert answer.whole and answer.body == b"" and not answer.add_content_length, (status, items)
            assert answer.header(b"X-Kept") == b"1"


@case
def a_204_has_no_content_length_and_a_304_may():
    assert ask(answers(status="204 None", headers=[("Content-Length", "0")])).header(b"Content-Length") is None
    assert ask(answers(status="304 Same", headers=[("Content-Length", "9")])).header(b"Content-Length") == b"9"


@case
def close_is_called_once_on_every_path():
    app, made = closing([b"a", b"b"])
    ask(app)
    assert made.closed == 1
    for more in ({"gone_after": 0}, {"gone_after": 1}):
        app, made = closing([b"a", b"b"])
        ask(app, **more)
        assert made.closed == 1
    app, made = closing([b"a", b"b"])
    ask(app, ("REQUEST_METHOD", "HEAD"))
    assert made.closed == 1
    app, made = closing(["text"])
    ask(app)
    assert made.closed == 1
    app, made = closing([b"too much"], ("Content-Length", "1"))
    ask(app)
    assert made.closed == 1


@case
def close_is_called_when_iter_raises():
    class Odd:
        closed = 0

        def __iter__(self):
            raise ValueError

        def close(self):
            Odd.closed += 1

    def app(environ, start_response):
        plain(start_response)
        return Odd()

    assert ask(app).status == 500 and Odd.closed == 1


@case
def an_exception_in_close_is_reported_and_the_response_stands():
    app, made = closing([b"ok"], close_error=ValueError("in close"))
    answer = ask(app)
    assert answer.whole and answer.body == b"ok" and "in close" in answer.errors


@case
def a_client_that_goes_is_not_an_error_of_the_app():
    app, made = closing([b"a", b"b", b"c"])
    answer = ask(app, gone_after=1)
    assert not answer.raised and answer.errors == "" and made.closed == 1

    def writer(environ, start_response):
        write = plain(start_response)
        while True:
            write(b"x")

    answer = ask(writer, gone_after=3)
    assert not answer.raised and answer.errors == ""


@case
def an_error_after_the_client_went_is_still_reported():
    app, made = closing([b"a", b"b"], error=ValueError("real"))
    answer = ask(app, gone_after=0)
    assert made.closed == 1

    def writer(environ, start_response):
        write = plain(start_response)
        try:
            write(b"x")
        except BrokenPipeError:
            raise ValueError("a bug in the clean-up")

    answer = ask(writer, gone_after=0)
    assert answer.raised and "a bug in the clean-up" in answer.errors


@case
def the_request_log_is_told_what_uwsgi_counts():
    answer = ask(answers(b"12345", headers=[("X-A", "b")]))
    assert answer.header_count == 2 and answer.body_bytes == 5 and answer.served_status == 200
    assert answer.header_bytes == len(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-A: b\r\n\r\n")


@case
def a_kept_start_response_is_dead_after_its_request():
    kept = []

    def app(environ, start_response):
        kept.append((start_response, plain(start_response)))
        return [b""]

    ask(app)
    ask(app)
    for start_response, write in kept:
        for call in (lambda: start_response("200 OK", []), lambda: write(b"late")):
            try:
                call()
            except RuntimeError:
                continue
            raise AssertionError("it was still alive")
    assert ask(answers(b"after")).body == b"after"


@case
def nothing_of_a_request_stays_alive():
    class Big:
        pass

    seen = []

    def app(environ, start_response):
        big = Big()
        environ["big"] = big
        seen.append(weakref.ref(big))
        write = plain(start_response)
        environ["circle"] = (start_response, write, environ)
        return [b""]

    for _ in range(3):
        ask(app)
    gc.collect()
    assert [ref() for ref in seen] == [None] * 3


@case
def requests_in_several_threads_do_not_mix():
    import probe as room

    def app(environ, start_response):
        name = environ["HTTP_X_NAME"]
        start_response("200 " + name, [("X-Name", name)])
        for _ in range(3):
            yield name.encode()

    room.current = app
    wrong = []

    def client(name):
        variables = coded([*USUAL, ("HTTP_X_NAME", name)])
        for _ in range(300):
            answer = Answer(probe().request(variables), "")
            if (answer.reason, answer.header(b"x-name"), answer.body) != (name.encode(), name.encode(), name.encode() * 3):
                wrong.append(answer.__dict__)

    threads = [threading.Thread(target=client, args=(f"name{n}",)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert wrong == []


@case
def an_app_may_answer_from_another_thread():
    def app(environ, start_response):
        done = []

        def work():
            write = plain(start_response)
            write(b"from a thread")
            done.append(1)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert done
        return []

    assert ask(app).body == b"from a thread"


@case
def a_request_inside_a_request_is_served_too():
    def inner(environ, start_response):
        plain(start_response)
        return [b"inner"]

    def outer(environ, start_response):
        with standard_error():
            import probe as room

            room.current = inner
            got = Answer(probe().request(coded(USUAL)), "").body
        plain(start_response)
        return [b"outer " + got]

    assert ask(outer).body == b"outer inner"


@case
def a_fault_of_ours_harms_its_own_request_only():
    fault = b"the probe's fault"

    def reads(environ, start_response):
        environ["wsgi.input"].read()

    def writes(environ, start_response):
        plain(start_response)(fault)
        return []

    for app, body in ((answers(fault), None), (answers(b"first", fault), None), (reads, [fault]), (writes, None)):
        answer = ask(app, body=body, way="live")
        assert answer.raised
        assert answer.cut or answer.status in (200, 500)
        assert ask(answers(b"after")).body == b"after"
