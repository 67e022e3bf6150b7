"""wsgi.file_wrapper: files by the transport, everything else by reading."""

import io
import os
import tempfile

from probe import ask, case, plain


@case
def a_file_goes_out_as_a_file():
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"0123456789" * 10000)
        file.flush()
        for headers in ((), (("Content-Length", "100000"),)):

            def app(environ, start_response):
                plain(start_response, *headers)
                return environ["wsgi.file_wrapper"](open(file.name, "rb"), 4096)

            answer = ask(app)
            assert answer.calls == ["start", "file", "end"] and answer.via_sendfile
            assert len(answer.body) == 100000 == answer.content_length
            answer = ask(app, ("REQUEST_METHOD", "HEAD"))
            assert answer.body == b"" and answer.whole


@case
def a_file_starts_where_it_was_left_and_ends_with_the_length():
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()

        def app(environ, start_response):
            opened = open(file.name, "rb")
            opened.read(2)
            plain(start_response, ("Content-Length", "3"))
            return environ["wsgi.file_wrapper"](opened)

        assert ask(app).body == b"234"

        def short(environ, start_response):
            plain(start_response, ("Content-Length", "30"))
            return environ["wsgi.file_wrapper"](open(file.name, "rb"))

        answer = ask(short)
        assert answer.cut and answer.body == b"0123456789"


@case
def a_file_is_closed_on_every_path():
    for more in ({}, {"gone_after": 0}):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x")
            file.flush()
            opened = open(file.name, "rb")

            def app(environ, start_response):
                plain(start_response)
                return environ["wsgi.file_wrapper"](opened)

            ask(app, **more)
            assert opened.closed


@case
def what_is_no_plain_file_is_read_instead():
    import gzip

    with tempfile.NamedTemporaryFile(suffix=".gz") as file:
        with gzip.open(file.name, "wb") as out:
            out.write(b"unpacked")
        reading, writing = os.pipe()
        os.write(writing, b"piped")
        os.close(writing)
        for filelike, expected in (
            (io.BytesIO(b"memory" * 1000), b"memory" * 1000),
            (gzip.open(file.name, "rb"), b"unpacked"),
            (os.fdopen(reading, "rb"), b"piped"),
            (io.BytesIO(b""), b""),
        ):

            def app(environ, start_response):
                plain(start_response)
                return environ["wsgi.file_wrapper"](filelike, 100)

            answer = ask(app)
            assert answer.whole and answer.body == expected and "file" not in answer.calls


@case
def temporary_files_go_out_as_files_with_what_was_just_written():
    def app(environ, start_response):
        file = tempfile.NamedTemporaryFile()
        file.write(b"fresh bytes")
        file.seek(6)
        plain(start_response)
        return environ["wsgi.file_wrapper"](file)

    answer = ask(app)
    assert "file" in answer.calls and answer.body == b"bytes"


@case
def an_empty_file_is_an_empty_body():
    def app(environ, start_response):
        plain(start_response)
        return environ["wsgi.file_wrapper"](tempfile.TemporaryFile())

    answer = ask(app)
    assert answer.whole and answer.body == b""


@case
def the_file_wrapper_can_be_iterated_by_middleware():
    def app(environ, start_response):
        plain(start_response)
        return [b"".join(environ["wsgi.file_wrapper"](io.BytesIO(b"abcdef"), 2))]

    assert ask(app).body == b"abcdef"
