"""What service 1 asks of service 2. Works without it, too: then answers None."""

import json
from urllib.request import urlopen

SERVICE2 = "http://service2:8000"


def call(path, data=None):
    try:
        with urlopen(SERVICE2 + path, data, timeout=2) as answer:
            return json.load(answer)
    except OSError:
        return None


def count():
    """Counts one more note; says whether that worked."""
    return call("/counters/notes", data=b"") is not None


def counted():
    counter = call("/counters/notes")
    return counter and counter["value"]


def health():
    return call("/health")
