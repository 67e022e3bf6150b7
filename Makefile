# Entry points of the project; their names never change. The work is done in scripts/.

.PHONY: build run test bench clean

# Release build, usable in place: build/bin/propylon, with `uwsgi` and `nginx` as links to it.
build:
	scripts/build.sh

# Builds, makes a virtualenv with Flask, serves the guides' app behind the front, prints the URL.
run: build
	scripts/run.sh

# Everything CI checks. PYTEST="-k guides" narrows the interop tests.
test:
	scripts/test.sh

# The speed tables, ours beside the peers: about half an hour. ONLY=direct, stack, front, tail, growth
# or instructions narrows them; FULL=1 lets growth go on to 10,000 connections, a million objects and
# bodies of 100 MB; PUBLISH=1 writes what was found into docs/performance.md.
bench: build
	scripts/bench.sh

clean:
	rm -rf build target
