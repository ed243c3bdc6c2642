"""Named counters, in the database."""

import redis

# Connects when it is first used, so that the service starts without a database.
db = redis.Redis(host="db", decode_responses=True, socket_timeout=2, socket_connect_timeout=2)


def check(name):
    if not name.isalnum():
        raise ValueError("a counter's name consists of letters and digits")


def increment(name):
    check(name)
    return db.hincrby("counters", name, 1)


def value(name):
    check(name)
    return int(db.hget("counters", name) or 0)


def everything():
    return {name: int(count) for name, count in sorted(db.hgetall("counters").items())}


def clear():
    db.delete("counters")


def reachable():
    try:
        return db.ping()
    except redis.RedisError:
        return False
