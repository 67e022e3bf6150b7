"""The pairs of the guides: who stands in nginx's place and who in uWSGI's."""

import pytest

from .processes import wait_until

# The originals are in the list as the control: a test that the originals fail is a wrong test.
PAIRS = ["nginx+uwsgi", "ours+ours", "ours+uwsgi", "nginx+ours", "serve"]
OUR_PAIRS = PAIRS[1:]
every_pair = pytest.mark.parametrize("pair", PAIRS)
every_app_server = pytest.mark.parametrize("maker", ["original", "ours"])
every_front = pytest.mark.parametrize("maker", ["original", "ours"])


class Stack:
    """One pair at work on one machine: an ini for the app, the machine's sites for the front."""

    def __init__(self, machine, pair):
        self.machine = machine
        self.pair = pair
        front, _, app = pair.partition("+")
        self.front_maker = "original" if front == "nginx" else "ours"
        self.app_maker = "original" if app == "uwsgi" else "ours"
        self.together = pair == "serve"
        self.front = None
        self.app = None

    def start_app(self, ini, *sockets):
        """The app server, unless `serve` brings it with the front."""
        if not self.together:
            self.app = self.machine.app(self.app_maker, "--ini", ini).ready(*sockets)
        self.ini = ini
        self.sockets = sockets

    def start_front(self, *ports):
        """The web server; with `serve`, both halves."""
        if self.together:
            self.front = self.app = self.machine.serve(self.machine.project / self.ini)
            self.front.ready(*ports, *self.sockets)
        else:
            self.front = self.machine.front(self.front_maker).ready(*ports)

    def restart_front(self, *ports):
        """`service nginx restart`."""
        self.front.stop()
        self.start_front(*ports)

    def check_front(self):
        """`nginx -t`: exit code and what it says."""
        code, _, said = self.machine.front_says(self.front_maker, "-t")
        return code, said

    def error_log_says(self, text):
        """Waits for a text in the front's error log."""
        wait_until(lambda: text in self.machine.error_log(), 5, f"{text!r} in the error log")
