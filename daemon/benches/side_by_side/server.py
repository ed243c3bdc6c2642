"""A service that says when it begins to listen, and answers with the number that was saved last."""

import http.server
import signal
import sys



def saved(name):
    with open("/src/" + name) as file:
        return int(file.read())


NUMBER = str(max(saved("even.txt"), saved("odd.txt")))


def mark(text):
    with open("/marks/fifo", "w") as fifo:
        fifo.write(text + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(NUMBER.encode())

    def log_message(self, *_):
        pass


if "polite" in sys.argv:
    # As PID 1, Python ignores TERM unless it is told not to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server = http.server.ThreadingHTTPServer(("", 8000), Handler)
mark("listening " + NUMBER)
server.serve_forever()
