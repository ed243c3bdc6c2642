"""Service 1: a guestbook.

It keeps its notes in the database and has service 2 count them.
"""

import html
import json
import os
import signal
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import links
import notes

GREETING = "Hello from service 1"

# Production unless the environment says otherwise.
MODE = os.environ.get("ENV", "production")


def page(latest, count):
    """The guestbook as HTML."""
    items = "".join(f"<li>{html.escape(note)}</li>" for note in latest)
    return (
        f"<!doctype html><title>Guestbook</title><h1>{GREETING}</h1>"
        '<form method="post" action="/notes">'
        '<input name="text" autofocus> <button>Sign</button></form>'
        f"<p>Notes counted by service 2: {count}</p><ul>{items}</ul>\n"
    )


def get(path):
    if path == "/":
        count = links.counted()
        return 200, page(notes.latest(), "unknown" if count is None else count)
    if path == "/notes":
        return 200, {"notes": notes.latest()}
    if path == "/health":
        return 200, {"service": "service1", "mode": MODE, "db": notes.reachable()}
    if path == "/links":
        return 200, {"service2": links.health(), "db": notes.reachable()}
    return 404, {"error": "not found"}


def post(path, form):
    if path == "/notes":
        text = form.get("text", [""])[0]
        notes.add(text)
        return 303, {"note": text, "counted": links.count()}
    return 404, {"error": "not found"}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(get, self.path)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(post, self.path, parse_qs(body.decode()))

    def answer(self, route, *request):
        try:
            status, body = route(*request)
        except ValueError as error:
            status, body = 400, {"error": str(error)}
        except Exception:
            # In dev the answer says what went wrong, in production only the log.
            trace = traceback.format_exc()
            print(trace, flush=True)
            status, body = 500, {"error": "internal error"}
            if MODE == "dev":
                body["traceback"] = trace.splitlines()
        kind = "text/html" if isinstance(body, str) else "application/json"
        data = (body if isinstance(body, str) else json.dumps(body) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        if status == 303:
            self.send_header("Location", "/")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, template, *args):
        print(template % args, flush=True)


if __name__ == "__main__":
    # As process 1 of its container, Python ignores TERM unless it is told not to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = ThreadingHTTPServer(("", 8000), Handler)
    print(f"{GREETING}, in {MODE} mode, on port 8000", flush=True)
    server.serve_forever()
