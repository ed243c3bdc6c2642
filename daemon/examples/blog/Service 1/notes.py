"""The notes of the guestbook, in the database."""

import redis

KEEP = 20

# Connects when it is first used, so that the service starts without a database.
db = redis.Redis(host="db", decode_responses=True, socket_timeout=2, socket_connect_timeout=2)


def add(text):
    text = text.strip()
    if not text:
        raise ValueError("a note needs some text")
    db.lpush("notes", text)
    db.ltrim("notes", 0, KEEP - 1)


def latest():
    """The notes, newest first."""
    return db.lrange("notes", 0, -1)


def clear():
    db.delete("notes")


def reachable():
    try:
        return db.ping()
    except redis.RedisError:
        return False
