"""The requests of the cross-check, by a name each; all go to both stacks as the same bytes."""

from harness.client import build

HOST = ("Host", "www.example.com")


def req(method="GET", target="/", *headers, body=None, version="HTTP/1.1"):
    return method, build(method, target, [HOST, *headers], body, version)


def chunked(target, *chunks):
    head = build("POST", target, [HOST, ("Transfer-Encoding", "chunked")])
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return "POST", head + body + b"0\r\n\r\n"


def raw(data, method="GET"):
    return method, data


TYPE = ("Content-Type", "application/x-www-form-urlencoded")
GZIP = ("Accept-Encoding", "gzip, deflate")

APP = {
    "index": req(),
    "index by HEAD": req("HEAD"),
    "index by HTTP/1.0": req(version="HTTP/1.0"),
    "index by HTTP/1.0 kept alive": req("GET", "/", ("Connection", "keep-alive"), version="HTTP/1.0"),
    "index asked to close": req("GET", "/", ("Connection", "close")),
    "bare line feeds": raw(b"GET / HTTP/1.1\nHost: www.example.com\n\n"),
    "absolute target": req("GET", "http://www.example.com/environ/?a=1"),
    "OPTIONS": req("OPTIONS", "/echo"),
    "OPTIONS, automatic": req("OPTIONS", "/"),
    "DELETE": req("DELETE", "/echo"),
    "PATCH with a body": req("PATCH", "/echo", TYPE, body=b"a=1"),
    "PUT with a body": req("PUT", "/echo", TYPE, body=b"put"),
    "method not allowed by the app": req("POST", "/", TYPE, body=b"x"),
    "POST of nothing": req("POST", "/echo", TYPE, body=b""),
    "POST without length": req("POST", "/echo"),
    **{
        f"POST of {size} bytes": req("POST", "/echo", TYPE, body=b"z" * size)
        for size in (1, 100, 4095, 8192, 16384, 65536, 262144, 1048576, 5 * 1048576)
    },
    "POST that the app does not read": req("POST", "/unread", TYPE, body=b"u" * 300000),
    "chunked POST": chunked("/echo", b"hello ", b"world", b"!" * 5000),
    "chunked POST of nothing": chunked("/echo"),
    "chunked POST, large": chunked("/echo", *[b"c" * 50000] * 10),
    "environ": req("GET", "/environ/?q=1&q=2&empty=", ("User-Agent", "cross-check"), ("Accept", "*/*")),
    "environ of a POST": req("POST", "/environ/form?x", TYPE, body=b"a=1&b=2"),
    "environ, escaped path": req("GET", "/environ/a%20b%2Fc%3Fd?x=%41"),
    "environ, escaped UTF-8": req("GET", "/environ/%C3%BC"),
    "environ, escaped latin-1": req("GET", "/environ/%FC"),
    "environ, double slash": req("GET", "/environ//a///b"),
    "environ, dot segments": req("GET", "/environ/a/./b/../c"),
    "environ, plus and semicolon": req("GET", "/environ/a+b;c=d?e+f"),
    "environ, empty query": req("GET", "/environ/?"),
    "environ, many headers": req(
        "GET", "/environ/", ("X-One", "1"), ("x-two", " padded "), ("X-Empty", ""), ("Accept-Language", "de, en;q=0.5")
    ),
    "environ, underscored header": req("GET", "/environ/", ("X_Under_Score", "spoof"), ("X-Real", "1")),
    "environ, authorisation": req("GET", "/environ/", ("Authorization", "Basic dTpw"), ("Referer", "http://r/")),
    "environ, long header": req("GET", "/environ/", ("X-Long", "l" * 6000)),
    "environ, long query": req("GET", "/environ/?" + "q" * 6000),
    "cookies": req("GET", "/cookies", ("Cookie", "a=1; b=2")),
    "application headers": req("GET", "/headers"),
    "redirect": req("GET", "/redirect"),
    **{f"status {code}": req("GET", f"/status/{code}") for code in (200, 201, 202, 204, 304, 400, 403, 404, 418, 500, 503)},
    **{f"abort {code}": req("GET", f"/abort/{code}") for code in (400, 401, 404, 405, 410, 429, 500, 502)},
    "the app raises": req("GET", "/raise"),
    "not found by the app": req("GET", "/no/such/page"),
    "stream": req("GET", "/stream/100"),
    "stream by HTTP/1.0": req("GET", "/stream/100", version="HTTP/1.0"),
    "stream by HEAD": req("HEAD", "/stream/100"),
    "stream with a length": req("GET", "/sized-stream"),
    **{f"{size} bytes": req("GET", f"/bytes/{size}") for size in (0, 1, 4096, 100000, 1048576, 5 * 1048576)},
    "conditional, fresh": req("GET", "/conditional", ("If-None-Match", '"abc"')),
    "conditional, changed": req("GET", "/conditional", ("If-None-Match", '"old"')),
    "file from memory": req("GET", "/file"),
    "file from disk": req("GET", "/real-file"),
    "range of a file from disk": req("GET", "/real-file", ("Range", "bytes=10-29")),
    "compressed": req("GET", "/", GZIP),
    "not compressed, wrong type": req("GET", "/stream/100", GZIP),
    "internal redirect by the app": req("GET", "/accel"),
    "unicode route": req("GET", "/gr%C3%BC%C3%9Fe/J%C3%B6rg"),
    "expect": req("POST", "/echo", TYPE, ("Expect", "100-continue"), body=b"expected"),
}

FRONT = {
    "static file": req("GET", "/static/page.html"),
    "static file by HEAD": req("HEAD", "/static/page.html"),
    "static file by POST": req("POST", "/static/page.html", TYPE, body=b"x"),
    "static text": req("GET", "/static/text.txt"),
    "static, no type": req("GET", "/static/data.unknown"),
    "static, empty": req("GET", "/static/empty.txt"),
    "static, compressed": req("GET", "/static/page.html", GZIP),
    "static, not modified": req("GET", "/static/text.txt", ("If-Modified-Since", "Sat, 01 Jan 2022 00:00:00 GMT")),
    "static, modified": req("GET", "/static/text.txt", ("If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT")),
    "static, matching tag": req("GET", "/static/text.txt", ("If-None-Match", '"61cf9980-64"')),
    "static, other tag": req("GET", "/static/text.txt", ("If-None-Match", '"nope"')),
    "static, failed precondition": req("GET", "/static/text.txt", ("If-Match", '"nope"')),
    "static, unmodified since": req("GET", "/static/text.txt", ("If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT")),
    "range": req("GET", "/static/text.txt", ("Range", "bytes=0-9")),
    "range, open end": req("GET", "/static/text.txt", ("Range", "bytes=90-")),
    "range, suffix": req("GET", "/static/text.txt", ("Range", "bytes=-5")),
    "range, unsatisfiable": req("GET", "/static/text.txt", ("Range", "bytes=1000-")),
    "range, nonsense": req("GET", "/static/text.txt", ("Range", "bytes=x-y")),
    "range, old validator": req("GET", "/static/text.txt", ("Range", "bytes=0-9"), ("If-Range", '"old"')),
    "static, not there": req("GET", "/static/none.html"),
    "static, directory without slash": req("GET", "/static/sub"),
    "static, directory with index": req("GET", "/static/sub/"),
    "static, directory without index": req("GET", "/static/bare/"),
    "static, escaped name": req("GET", "/static/with%20blank.txt"),
    "static, climbing out": req("GET", "/static/../../etc/passwd"),
    "above the root": raw(b"GET /../x HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n"),
    "internal only": req("GET", "/protected/file.txt"),
    "return text": req("GET", "/returned"),
    "return redirect": req("GET", "/gone-there"),
    "return redirect, relative": req("GET", "/gone-here"),
    "return status": req("GET", "/teapot"),
    "custom error page": req("GET", "/custom/none"),
    "custom error page with another status": req("GET", "/masked/none"),
    "error page by a named location": req("GET", "/named/none"),
    "headers added": req("GET", "/added/text.txt"),
    "headers added, not on an error": req("GET", "/added/none"),
    "proxied": req("GET", "/proxied/headers"),
    "proxied with the URI replaced": req("GET", "/replaced/a%20b?x=1"),
    "proxied POST": req("POST", "/proxied/echo", TYPE, body=b"p" * 70000),
    "proxied environ": req("GET", "/proxied/environ/?a=1", ("X-Sent", "1")),
    "forwarded": req("GET", "/forwarded/environ/", ("X-Forwarded-For", "10.0.0.1")),
    "proxied redirect": req("GET", "/proxied/redirect"),
    "proxied HEAD": req("HEAD", "/proxied/bytes/4096"),
    "proxied 404": req("GET", "/proxied/abort/404"),
    "intercepted error": req("GET", "/intercepted/abort/503"),
    "too large": req("POST", "/small/echo", TYPE, body=b"b" * 2000),
    "too large by announcement": raw(
        b"POST /small/echo HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 99999999\r\n\r\n", "POST"
    ),
    "bad gateway": req("GET", "/dead/"),
    "no such host name": raw(b"GET / HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n"),
    "no Host": raw(b"GET / HTTP/1.1\r\n\r\n"),
    "bad Host": raw(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "long URI": req("GET", "/" + "u" * 9000),
    "long header": req("GET", "/", ("X-Too-Long", "h" * 9000)),
    "too many headers": req("GET", "/", *[(f"X-{number}", "h" * 1000) for number in range(40)]),
    "not HTTP": raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "unknown version": raw(b"GET / HTTP/3.7\r\nHost: www.example.com\r\n\r\n"),
    "bad percent escape": raw(b"GET /%zz HTTP/1.1\r\nHost: www.example.com\r\n\r\n"),
    "NUL in the path": raw(b"GET /%00 HTTP/1.1\r\nHost: www.example.com\r\n\r\n"),
    "TRACE": req("TRACE", "/"),
    "CONNECT": raw(b"CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com\r\n\r\n", "CONNECT"),
    "lower-case method": raw(b"get / HTTP/1.1\r\nHost: www.example.com\r\n\r\n"),
    "unknown method": req("BREW", "/echo"),
    "length twice, different": raw(
        b"POST /echo HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "POST"
    ),
    "length that is no number": raw(
        b"POST /echo HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: x\r\n\r\n", "POST"
    ),
    "unknown transfer coding": raw(
        b"POST /echo HTTP/1.1\r\nHost: www.example.com\r\nTransfer-Encoding: gzip\r\n\r\n", "POST"
    ),
    "bad chunk": raw(
        b"POST /echo HTTP/1.1\r\nHost: www.example.com\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "POST"
    ),
}

EVERY = {**APP, **FRONT}
