"""Loads WSGI apps and, when that fails, says what was found and what to write.

Runs once per interpreter, before any request. Python 3.9 and later.
"""

import importlib
import inspect
import os
import sys
import traceback
import types

DEFAULT_NAMES = ("application", "app")


class Failure(Exception):
    """An app that could not be loaded: a summary in one line, and the whole story."""

    def __init__(self, summary, story=(), hints=()):
        super().__init__(summary)
        self.summary = summary
        lines = [summary, *story, *("hint: " + hint for hint in hints)]
        self.text = "\n".join(lines) + "\n"


def prepare(chdir, environment, path, argv):
    """Working directory, environment, sys.path and sys.argv, as uWSGI leaves them for apps."""
    for name, value in environment:
        os.environ[name] = value
    if chdir is not None:
        try:
            os.chdir(chdir)
        except OSError as error:
            raise Failure(f"cannot change to directory `{chdir}`: {error.strerror}") from None
    here = os.getcwd()
    sys.path[:] = [entry for entry in sys.path if entry not in ("", ".", here)]
    sys.path.insert(0, here)
    for entry in path:
        sys.path.insert(0, os.fspath(entry))
    sys.argv = ["uwsgi", *argv]


def load(mount, kind, target, name, default):
    """A list of (mount, callable) for one thing to load.

    kind: "module" or "file". name: the callable named with it, or None. default: the value of
    the option `callable`, or None.
    """
    if kind == "module":
        target, colon, attribute = target.partition(":")
        if colon:
            name = attribute
        module = import_named(target)
    else:
        module = import_file(target)
    here = Place(kind, target, module, mount)
    wanted = name or default
    if wanted:
        return [(mount, here.take(wanted))]
    mounts = getattr(module, "applications", None) or getattr(
        sys.modules.get("uwsgi"), "applications", None
    )
    if isinstance(mounts, dict) and mounts:
        return [(prefix, here.value(prefix, value)) for prefix, value in mounts.items()]
    for candidate in DEFAULT_NAMES:
        if hasattr(module, candidate):
            return [(mount, here.take(candidate))]
    raise here.missing("neither `application` nor `app`")


def import_named(name):
    try:
        return importlib.import_module(name)
    except BaseException as error:
        hints = []
        if isinstance(error, ModuleNotFoundError):
            if name.endswith(".py") and os.path.exists(name):
                hints.append(f"`{name}` is a file: write `wsgi-file = {name}`")
            elif error.name and name.split(".")[0] == error.name.split(".")[0]:
                hints.append(
                    f"`{error.name}` was looked for in {', '.join(sys.path[:3])}, …; "
                    "`chdir` or `pythonpath` says where it is"
                )
            elif error.name:
                hints.append(
                    f"`{error.name}` is not installed for {sys.executable}; "
                    "`virtualenv` says where the app's packages are"
                )
        raise broken(f"module `{name}`", error, hints) from None


def import_file(path):
    full = os.path.abspath(path)
    stem = path[:-3] if path.endswith(".py") else path
    name = "uwsgi_file_" + stem.replace(".", "_").replace("/", "_")
    module = types.ModuleType(name)
    module.__file__ = full
    sys.modules[name] = module
    try:
        # Compiled here and now: a cached .pyc could be older than a file that was just replaced.
        with open(full, "rb") as file:
            code = compile(file.read(), full, "exec", dont_inherit=True)
        exec(code, module.__dict__)
    except BaseException as error:
        sys.modules.pop(name, None)
        if isinstance(error, OSError) and error.filename == full:
            raise Failure(f"cannot read `{path}`: {error.strerror}") from None
        raise broken(f"`{path}`", error, []) from None
    return module


def broken(what, error, hints):
    kind = type(error).__name__
    first = str(error).splitlines()[:1]
    summary = f"{what} could not be imported: {kind}" + (f": {first[0]}" if first else "")
    frames = error.__traceback__
    while frames is not None and is_ours(frames):
        frames = frames.tb_next
    told = traceback.format_exception(type(error), error, frames)
    return Failure(summary, ["".join(told).rstrip("\n")], hints)


def is_ours(frame):
    file = frame.tb_frame.f_code.co_filename
    return file == __file__ or "importlib" in file


class Place:
    """A module that was loaded, and the words for it."""

    def __init__(self, kind, target, module, mount):
        self.kind, self.target, self.module, self.mount = kind, target, module, mount

    def line(self, name):
        """The line to write so that `name` is used."""
        if self.mount:
            return f"mount = {self.mount}={self.target}:{name}"
        if self.kind == "module":
            return f"module = {self.target}:{name}"
        return f"callable = {name}"

    def take(self, wanted):
        """The callable called `wanted`; with parentheses at the end it is called to make it."""
        name = wanted.strip()
        is_factory = name.endswith("()")
        path = name[:-2] if is_factory else name
        value = self.module
        for step in path.split("."):
            value = getattr(value, step, None)
            if value is None:
                raise self.missing(f"no `{path}`")
        if is_factory:
            try:
                value = value()
            except BaseException as error:
                raise broken(f"the app made by `{self.target}:{name}`", error, []) from None
        return self.value(name, value)

    def value(self, name, value):
        """A callable, checked as far as one can without calling it."""
        if isinstance(value, str):
            return self.take(value)
        if not callable(value):
            raise self.missing(f"`{name}`, which is {describe(value)} and not callable")
        if inspect.iscoroutinefunction(value) or (
            not isinstance(value, types.FunctionType)
            and inspect.iscoroutinefunction(getattr(type(value), "__call__", None))
        ):
            raise Failure(
                f"`{self.target}:{name}` is an ASGI app, and this server calls WSGI apps",
                hints=["a2wsgi's `ASGIMiddleware` makes a WSGI app of it"],
            )
        if isinstance(value, types.FunctionType) and not accepts(value, 2):
            problem = f"`{self.target}:{name}` cannot be called with environ and start_response"
            hints = []
            if accepts(value, 0):
                hints.append(f"it looks like a factory: write `{self.line(name + '()')}`")
            raise Failure(problem, hints=hints)
        return value

    def missing(self, what):
        apps, factories = self.found()
        story, hints = [], []
        if apps or factories:
            names = [f"`{name}` ({kind})" for name, kind in apps]
            names += [f"`{name}()` (factory)" for name in factories]
            story.append("found there: " + ", ".join(names))
        hints += [f"write `{self.line(name)}`" for name, _ in apps]
        hints += [f"write `{self.line(name + '()')}`" for name in factories]
        if not hints:
            story.append("nothing there looks like a WSGI app")
        what_is = "module" if self.kind == "module" else "file"
        return Failure(f"no app found: {what_is} `{self.target}` has {what}", story, hints)

    def found(self):
        """Names of what looks like an app, and of factories that need no arguments."""
        apps, factories = [], []
        for name, value in sorted(vars(self.module).items()):
            if name.startswith("_") or isinstance(value, (type, types.ModuleType)):
                continue
            if isinstance(value, types.FunctionType):
                if value.__module__ != self.module.__name__:
                    continue
                if required(value) == 2:
                    apps.append((name, "function"))
                elif accepts(value, 0):
                    factories.append(name)
            elif hasattr(value, "wsgi_app") or (
                "__call__" in vars(type(value)) and accepts(value, 2)
            ):
                apps.append((name, type(value).__name__))
        return apps, sorted(factories, key=lambda name: "app" not in name)[:5]


def describe(value):
    return "`None`" if value is None else f"of type `{type(value).__name__}`"


def accepts(function, count):
    try:
        inspect.signature(function, follow_wrapped=False).bind(*([None] * count))
    except (TypeError, ValueError):
        return False
    return True


def required(function):
    parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    return sum(
        1
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    )
