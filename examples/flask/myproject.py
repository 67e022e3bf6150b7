"""The guides' app, with the view that streams."""

from datetime import datetime
from time import sleep

from flask import Flask, Response

app = Flask(__name__)


@app.route("/")
def hello():
    return "<h1 style='color:blue'>Hello There!</h1>"


@app.route("/time/")
def time():
    def streamer():
        while True:
            yield "<p>{}</p>".format(datetime.now())
            sleep(1)

    return Response(streamer())


if __name__ == "__main__":
    app.run(host="0.0.0.0")
