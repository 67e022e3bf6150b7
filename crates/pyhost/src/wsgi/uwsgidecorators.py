"""The decorators that work here: postfork and thread.

The others raise ImportError when they are imported, with what to use instead.
"""

import functools
import threading

import uwsgi

postfork_chain = []


def run_postfork_chain():
    for function in postfork_chain:
        function()


uwsgi.post_fork_hook = run_postfork_chain


class postfork:
    """Runs the function in each worker after it was forked; `@postfork` or `@postfork(wid=1)`."""

    def __init__(self, function=None, wid=0):
        self.wid = wid
        self.function = None
        if callable(function):
            self.add(function)
        elif function:
            self.wid = function

    def add(self, function):
        self.function = function
        functools.update_wrapper(self, function)
        postfork_chain.append(self.run)

    def run(self):
        if self.wid in (0, uwsgi.worker_id()):
            self.function()

    def __call__(self, *arguments, **named):
        if self.function is None:
            self.add(arguments[0])
            return self.function
        return self.function(*arguments, **named)


def thread(function):
    """Calls of the function run in a daemon thread each and return at once."""

    @functools.wraps(function)
    def start(*arguments, **named):
        runner = threading.Thread(target=function, args=arguments, kwargs=named, daemon=True)
        runner.start()
        return function

    return start


def __getattr__(name):
    # For names it knows, uwsgi says what to use instead.
    try:
        getattr(uwsgi, name)
    except AttributeError as error:
        text = str(error).replace("`uwsgi.", "`uwsgidecorators.")
        raise AttributeError(text) from None
    raise AttributeError(f"`uwsgidecorators.{name}` is not supported by this server")
