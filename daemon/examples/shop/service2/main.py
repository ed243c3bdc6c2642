"""Service 2: counts things, for whoever asks."""

import json
import os
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

import counters

GREETING = "Hello from service 2"

# Production unless the environment says otherwise.
MODE = os.environ.get("ENV", "production")

SERVICE1 = "http://service1:8000"


def service1_health():
    """What service 1 says about itself, or None when it does not answer."""
    try:
        with urlopen(SERVICE1 + "/health", timeout=2) as answer:
            return json.load(answer)
    except OSError:
        return None


def get(path):
    if path == "/":
        return 200, {"greeting": GREETING, "counters": counters.everything()}
    if path == "/health":
        return 200, {"service": "service2", "mode": MODE, "db": counters.reachable()}
    if path == "/links":
        return 200, {"service1": service1_health(), "db": counters.reachable()}
    if path.startswith("/counters/"):
        name = path.removeprefix("/counters/")
        return 200, {"name": name, "value": counters.value(name)}
    return 404, {"error": "not found"}


def post(path):
    if path.startswith("/counters/"):
        name = path.removeprefix("/counters/")
        return 200, {"name": name, "value": counters.increment(name)}
    return 404, {"error": "not found"}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(get)

    def do_POST(self):
        self.answer(post)

    def answer(self, route):
        try:
            status, body = route(self.path)
        except ValueError as error:
            status, body = 400, {"error": str(error)}
        except Exception:
            # In dev the answer says what went wrong, in production only the log.
            trace = traceback.format_exc()
            print(trace, flush=True)
            status, body = 500, {"error": "internal error"}
            if MODE == "dev":
                body["traceback"] = trace.splitlines()
        data = (json.dumps(body) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, template, *args):
        print(template % args, flush=True)


if __name__ == "__main__":
    # No handler for TERM, on purpose: most code has none. As process 1 of its
    # container, Python then ignores TERM, and only KILL ends it.
    server = ThreadingHTTPServer(("", 8000), Handler)
    print(f"{GREETING}, in {MODE} mode, on port 8000", flush=True)
    server.serve_forever()
