"""The app of the cross-check: every kind of response, and an echo of what arrived."""

import hashlib
import io
import json

from flask import Flask, Response, abort, make_response, redirect, request, send_file

app = Flask(__name__)

# What differs between two stacks on one machine by nature.
PRIVATE = {"REMOTE_PORT", "SERVER_PORT", "DOCUMENT_ROOT", "uwsgi.version", "uwsgi.node", "uwsgi.core"}
# PEP 3333 knows them without HTTP_ only; the originals pass both, which wsgiref.validate refuses.
PRIVATE |= {"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"}


@app.route("/")
def index():
    return "<h1>index</h1>"


@app.route("/environ/", defaults={"rest": ""}, methods=["GET", "POST"])
@app.route("/environ/<path:rest>", methods=["GET", "POST"])
def environ(rest):
    shown = {
        name: value
        for name, value in request.environ.items()
        if name not in PRIVATE and isinstance(value, str) and not name.startswith(("werkzeug.", "flask."))
    }
    # PEP 3333 asks for it, empty at the root; uWSGI leaves it out.
    shown.setdefault("SCRIPT_NAME", "")
    for name in ("wsgi.version", "wsgi.run_once", "wsgi.url_scheme"):
        shown[name] = repr(request.environ[name])
    return Response(json.dumps(shown, indent=1, sort_keys=True), mimetype="application/json")


@app.route("/echo", methods=["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def echo():
    body = request.get_data()
    digest = hashlib.sha256(body).hexdigest()
    return f"{request.method} {len(body)} {digest} {request.content_type} {request.content_length}\n"


@app.route("/bytes/<int:count>")
def many(count):
    return Response(b"0123456789abcdef" * (count // 16) + b"x" * (count % 16), mimetype="application/octet-stream")


@app.route("/stream/<int:count>")
def stream(count):
    return Response((f"line {number}\n" for number in range(count)), mimetype="text/plain")


@app.route("/sized-stream")
def sized_stream():
    return Response((b"ab" for _ in range(5)), headers={"Content-Length": "10"}, mimetype="text/plain")


@app.route("/status/<int:code>")
def status(code):
    return make_response(b"" if code in (204, 304) else f"status {code}", code)


@app.route("/abort/<int:code>")
def fail(code):
    abort(code)


@app.route("/raise")
def raising():
    raise RuntimeError("on purpose")


@app.route("/redirect")
def moved():
    return redirect("/elsewhere?x=1")


@app.route("/cookies")
def cookies():
    response = make_response(json.dumps(request.cookies, sort_keys=True))
    response.set_cookie("one", "1", httponly=True)
    response.set_cookie("two", "zwei", path="/sub")
    return response


@app.route("/headers")
def headers():
    response = make_response("headers")
    response.headers["X-Plain"] = "a b  c"
    response.headers["Cache-Control"] = "no-cache, private"
    response.headers["X-Latin"] = "gr\xfc\xdfe"
    response.headers.add("X-Twice", "1")
    response.headers.add("X-Twice", "2")
    return response


@app.route("/conditional")
def conditional():
    response = make_response("conditional")
    response.set_etag("abc")
    return response.make_conditional(request)


@app.route("/file")
def file():
    return send_file(io.BytesIO(b"from memory" * 1000), mimetype="text/plain")


@app.route("/real-file")
def real_file():
    # The tag would hold the path, and the age a moment: both differ between two stacks.
    return send_file(__file__, mimetype="text/plain", conditional=True, etag=False)


@app.route("/accel")
def accel():
    response = make_response("never shown")
    response.headers["X-Accel-Redirect"] = "/protected/file.txt"
    response.headers["X-From-App"] = "1"
    return response


@app.route("/unread", methods=["POST"])
def unread():
    return "did not read"


@app.route("/grüße/<name>")
def greeting(name):
    return f"{name} from {request.path}"
