"""Loading apps, telling what went wrong, and the uwsgi module."""

import contextlib
import os
import sys
import tempfile

from probe import ask, case, environ_of, extension, file, module, plan

APP = "def {name}(environ, start_response):\n    start_response('200 OK', [])\n    return [{body}]\n"


def app(name="application", body="b'%s'", text=None):
    return APP.format(name=name, body=body if text is None else repr(text.encode()))


@contextlib.contextmanager
def project(**files):
    """A folder with the files, as working directory; modules and paths are forgotten after."""
    before, path, modules, argv = os.getcwd(), list(sys.path), set(sys.modules), sys.argv
    with tempfile.TemporaryDirectory() as folder:
        folder = os.path.realpath(folder)
        for name, text in files.items():
            target = os.path.join(folder, name.replace("__", "/") + ".py")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "w") as out:
                out.write(text)
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)
            sys.path[:] = path
            sys.argv = argv
            for name in set(sys.modules) - modules - {"uwsgi", "uwsgidecorators"}:
                if not name.startswith("encodings"):
                    del sys.modules[name]


def loaded(*load, **more):
    return extension().Probe(plan(*load, **more))


def body(server, *changes):
    answer = ask(None, *changes, server=server)
    assert answer.status == 200, answer.errors
    return answer.body


def refusal(*load, **more):
    try:
        loaded(*load, **more)
    except RuntimeError as error:
        return str(error)
    raise AssertionError("it loaded")


@case
def a_module_s_application_is_the_default():
    with project(wsgi=app(text="it") + app("app", text="not it")):
        assert body(loaded(module("wsgi"))) == b"it"


@case
def app_is_taken_where_there_is_no_application():
    with project(wsgi=app("app", text="it")):
        assert body(loaded(module("wsgi"))) == b"it"
        assert body(loaded(file("wsgi.py"))) == b"it"


@case
def a_callable_can_be_named_after_a_colon():
    with project(pkg__sub=app("other", text="it"), pkg____init__=""):
        assert body(loaded(module("pkg.sub:other"), callable="ignored")) == b"it"


@case
def a_factory_is_called():
    with project(wsgi=f"def create():\n    {app('made', text='it').replace(chr(10), chr(10) + '    ')}\n    return made\n"):
        assert body(loaded(module("wsgi:create()"))) == b"it"
        assert body(loaded(module("wsgi"), callable="create()")) == b"it"


@case
def the_option_callable_names_it_for_modules_and_files():
    with project(wsgi=app("third", text="it")):
        assert body(loaded(module("wsgi"), callable="third")) == b"it"
        assert body(loaded(file("wsgi.py"), callable="third")) == b"it"
        assert body(loaded(file("wsgi.py", name="third"))) == b"it"


@case
def a_file_is_a_module_named_as_uwsgi_names_it():
    with project(wsgi=app(body="(__name__ + ' ' + __file__).encode()")) as folder:
        assert body(loaded(file("wsgi.py"))) == f"uwsgi_file_wsgi {folder}/wsgi.py".encode()
        assert "uwsgi_file_wsgi" in sys.modules
        assert body(loaded(file("./wsgi.py"))).startswith(b"uwsgi_file___wsgi ")


@case
def a_file_that_was_just_replaced_is_loaded_fresh():
    with project(wsgi=app(text="one")):
        assert body(loaded(file("wsgi.py"))) == b"one"
        with open("wsgi.py", "w") as out:
            out.write(app(text="two"))
        assert body(loaded(file("wsgi.py"))) == b"two"


@case
def a_dict_of_applications_mounts_them_all():
    text = app("a", text="a") + app("b", text="b") + "applications = {'': a, '/b': 'b'}\n"
    with project(wsgi=text):
        server = loaded(module("wsgi"), manage_script_name=True)
        assert body(server, ("PATH_INFO", "/x")) == b"a"
        assert body(server, ("PATH_INFO", "/b/x")) == b"b"


@case
def directory_environment_path_and_arguments_are_prepared():
    text = "import os, sys\n" + app(body="repr((os.getcwd(), os.environ['BRIDGE_X'], sys.argv, sys.path[:3])).encode()")
    with project(inner__wsgi=text) as folder:
        python = {
            "virtualenv": None, "path": ["/first", "/second"], "chdir": f"{folder}/inner",
            "env": [["BRIDGE_X", "1"]], "argv": ["a", "b"],
        }  # fmt: skip
        got = eval(body(loaded(module("wsgi"), python=python)))
        assert got == (f"{folder}/inner", "1", ["uwsgi", "a", "b"], ["/second", "/first", f"{folder}/inner"])


@case
def an_import_error_shows_its_traceback_and_nothing_of_ours():
    with project(wsgi="def deep():\n    import not_there_at_all\n\ndeep()\n"):
        for source in (module("wsgi"), file("wsgi.py")):
            text = refusal(source)
            assert "Traceback (most recent call last)" in text
            assert "ModuleNotFoundError: No module named 'not_there_at_all'" in text
            assert "in deep" in text and "loader.py" not in text and "importlib" not in text


@case
def a_missing_package_points_to_the_virtualenv():
    with project(wsgi="import not_there_at_all\n"):
        assert "hint: `not_there_at_all` is not installed" in refusal(module("wsgi"))


@case
def a_missing_module_says_where_it_was_looked_for():
    with project() as folder:
        text = refusal(module("nowhere_wsgi"))
        assert "nowhere_wsgi" in text and folder in text and "chdir" in text
        assert "cannot read `nowhere.py`: No such file" in refusal(file("nowhere.py"))


@case
def a_file_given_as_module_is_recognised():
    with project(wsgi=app()):
        assert "hint: `wsgi.py` is a file: write `wsgi-file = wsgi.py`" in refusal(module("wsgi.py"))


@case
def a_syntax_error_shows_the_line():
    with project(wsgi="x = (\n"):
        assert "SyntaxError" in refusal(module("wsgi"))
        assert "wsgi.py" in refusal(file("wsgi.py"))


@case
def an_exit_while_importing_ends_nothing():
    with project(wsgi="import sys\nsys.exit(5)\n"):
        assert "SystemExit: 5" in refusal(module("wsgi"))


@case
def the_right_line_to_write_is_told():
    text = "class Web:\n    def __call__(self, environ, start_response): ...\nmyapp = Web()\ndef create_app(): ...\n"
    with project(wsgi=text + "def helper(a, b, c): ...\n"):
        told = refusal(module("wsgi"))
        assert "no app found: module `wsgi` has neither `application` nor `app`" in told
        assert "`myapp` (Web)" in told and "helper" not in told
        assert "hint: write `module = wsgi:myapp`" in told
        assert "hint: write `module = wsgi:create_app()`" in told
        told = refusal(file("wsgi.py"), callable="wrong")
        assert "no `wrong`" in told and "hint: write `callable = myapp`" in told


@case
def a_factory_without_parentheses_is_told():
    with project(wsgi="def create_app(): ...\n"):
        told = refusal(module("wsgi:create_app"))
        assert "write `module = wsgi:create_app()`" in told


@case
def a_factory_that_raises_shows_its_traceback():
    with project(wsgi="def create_app():\n    raise ValueError('in the factory')\n"):
        told = refusal(module("wsgi:create_app()"))
        assert "ValueError: in the factory" in told and "Traceback" in told


@case
def what_is_not_callable_is_told():
    with project(wsgi="application = None\n"):
        assert "application" in refusal(module("wsgi"))
    with project(wsgi="application = 5\n"):
        assert "not callable" in refusal(module("wsgi"))


@case
def an_asgi_app_is_recognised():
    for text in ("async def application(scope, receive, send): ...\n", "class A:\n    async def __call__(self, s, r, d): ...\napplication = A()\n"):
        with project(wsgi=text):
            assert "is an ASGI app" in refusal(module("wsgi"))


@case
def nothing_named_is_told():
    assert "no app was named" in refusal()


@case
def one_broken_mount_leaves_the_others():
    with project(good=app(text="good"), bad="1/0\n"):
        server = loaded(module("good"), module("bad", "/bad"), manage_script_name=True)
        assert body(server, ("PATH_INFO", "/x")) == b"good"
        assert len(server.failures()) == 1 and "ZeroDivisionError" in server.failures()[0]


@case
def without_an_app_every_request_is_a_500_with_uwsgi_s_line():
    answer = ask(None, server=extension().Probe.absent(plan()))
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert "--- no python application found, check your startup logs for errors ---" in answer.errors


@case
def the_uwsgi_module_tells_the_truth():
    options = [["module", "bridge_app"], ["threads", "1"], ["threads", "4"], ["master", None], ["my-key", "x"]]
    loaded(module("bridge_app"), options=options, processes=3, threads=4)
    import uwsgi

    assert uwsgi.opt["threads"] == b"4" and uwsgi.opt["master"] is True and uwsgi.opt["my-key"] == b"x"
    assert uwsgi.opt["enable-threads"]
    assert uwsgi.has_threads and uwsgi.numproc == 3 and uwsgi.worker_id() == 0 and uwsgi.mule_id() == 0
    assert uwsgi.masterpid() == os.getpid() and type(uwsgi.version) is bytes and uwsgi.version_info >= (2, 0, 31)
    assert len(uwsgi.workers()) == 3
    assert uwsgi.applications is None


@case
def what_the_uwsgi_module_lacks_names_its_alternative():
    loaded(module("bridge_app"))
    import uwsgi
    import uwsgidecorators

    for holder, name, words in ((uwsgi, "cache_get", "Redis"), (uwsgi, "spool", "Celery"), (uwsgidecorators, "timer", "scheduler")):
        assert not hasattr(holder, name)
        try:
            getattr(holder, name)
        except AttributeError as error:
            assert words in str(error) and name in str(error)
    try:
        exec("from uwsgidecorators import cron", {})
    except ImportError:
        pass
    else:
        raise AssertionError("imported")


@case
def log_variables_belong_to_their_request():
    loaded(module("bridge_app"))
    import uwsgi

    def one(environ, start_response):
        uwsgi.set_logvar("user", "me")
        uwsgi.set_logvar("user", b"you")
        start_response("200 OK", [])
        return [uwsgi.get_logvar("user")]

    answer = ask(one)
    assert answer.body == b"you"

    def two(environ, start_response):
        start_response("200 OK", [])
        return [repr(uwsgi.get_logvar("user")).encode()]

    answer = ask(two)
    assert answer.body == b"None"


@case
def flags_that_libraries_look_for_are_true_even_when_written_bare():
    for options in ([["enable-threads", ""]], [["enable-threads", None]], []):
        loaded(module("bridge_app"), options=options)
        import uwsgi

        assert uwsgi.opt["enable-threads"] and uwsgi.opt["py-call-uwsgi-fork-hooks"]
        del sys.modules["uwsgi"]
    loaded(module("bridge_app"), options=[["vacuum", ""]])
    assert sys.modules["uwsgi"].opt["vacuum"] == b""


@case
def apps_can_be_mounted_through_the_uwsgi_module():
    text = "import uwsgi\n" + app("a", text="a") + app("b", text="b") + "uwsgi.applications = {'': a, '/b': 'b'}\n"
    with project(wsgi=text):
        server = loaded(module("wsgi"), manage_script_name=True)
        assert body(server, ("PATH_INFO", "/x")) == b"a"
        assert body(server, ("PATH_INFO", "/b/x")) == b"b"


@case
def the_hook_after_a_request_runs_after_each():
    loaded(module("bridge_app"))
    import uwsgi

    assert uwsgi.after_req_hook is None
    ran = []
    uwsgi.after_req_hook = lambda: ran.append(1)

    def one(environ, start_response):
        ran.append("request")
        start_response("200 OK", [])
        return [b""]

    ask(one)
    ask(one)
    assert ran == ["request", 1, "request", 1]

    def broken():
        raise ValueError("in the hook")

    uwsgi.after_req_hook = broken
    answer = ask(one)
    assert answer.status == 200 and "in the hook" in answer.errors
    uwsgi.after_req_hook = None
    assert ask(one).errors == ""


@case
def the_thread_decorator_runs_in_a_thread():
    import threading

    loaded(module("bridge_app"))
    from uwsgidecorators import postfork, thread

    done = threading.Event()
    names = []

    @thread
    def work(name):
        names.append((name, threading.current_thread() is threading.main_thread()))
        done.set()

    work("job")
    assert done.wait(5) and names == [("job", False)]

    ran = []

    @postfork
    def first():
        ran.append("first")

    @postfork(wid=7)
    def seventh():
        ran.append("seventh")

    import uwsgi

    uwsgi.post_fork_hook()
    assert ran == ["first"]
    first()
    assert ran == ["first", "first"]
