"""The apps of the two guides, as written there."""

MYPROJECT = """\
from flask import Flask
app = Flask(__name__)

@app.route("/")
def hello():
    return "<h1 style='color:blue'>Hello There!</h1>"

if __name__ == "__main__":
    app.run(host='0.0.0.0')
"""

MYPROJECT_WSGI = """\
from myproject import app

if __name__ == "__main__":
    app.run()
"""

MYPROJECT_INI = """\
[uwsgi]
module = wsgi:app

master = true
processes = 5

socket = myproject.sock
chmod-socket = 660
vacuum = true

die-on-term = true
"""

HELLO = "<h1 style='color:blue'>Hello There!</h1>"

MYEXAMPLE = """\
from flask import Flask
application = Flask(__name__)

@application.route("/")
def hello():
    return "<h1>Hello World</h1>"

@application.route("/api")
def api():
    return "<h1>Hello World</h1>"

if __name__ == "__main__":
    application.run(host='0.0.0.0')
"""

MYEXAMPLE_WSGI = """\
from myexample import application

if __name__ == "__main__":
    application.run()
"""

MYEXAMPLE_INI = """\
# include header for using uwsgi
[uwsgi]
# point it to your python module wsgi.py
module = wsgi
# tell uWSGI to start a master node to serve requests
master = true
# spawn number of processes handling requests
processes = 5
# use a Unix socket to communicate with Nginx.
socket = myexample.sock
# ensure file permission on socket to be readable and writable
chmod-socket = 660
# clean the socket when processes stop
vacuum = true
# use die-on-term to communicate with Ubuntu versions using Upstart initialisations: see:
# http://uwsgi-docs.readthedocs.io/en/latest/Upstart.html?highlight=die%20on%20term
die-on-term = true
"""

APP = """\
from datetime import datetime
from sys import version
from time import sleep

from flask import Flask, Response

app = Flask(__name__)

@app.route("/")
def index():
    return "Hello uWSGI from python version: <br>" + version

@app.route("/time/")
def time():
    def streamer():
        while True:
            yield "<p>{}</p>".format(datetime.now())
            sleep(1)

    return Response(streamer())

application = app
"""

UWSGI_INI = """\
[uwsgi]
http = 127.0.0.1:{http}
wsgi-file = app.py
single-interpreter = true
enable-threads = true
master = true
"""
