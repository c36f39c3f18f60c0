#!/usr/bin/env python3
"""A worker in Python: serves the steps of service:mailer until SIGTERM.

    apt install python3-msgpack
    ./worker.py 127.0.0.1:7233 [TOKEN]
"""
import signal
import socket
import struct
import sys
import time

import msgpack

HELLO, WELCOME, PING, PONG, ERROR = 1, 2, 3, 4, 5
REGISTER, REGISTERED, INVOKE, DONE, FAILED, DRAIN, DRAINED = 30, 31, 32, 33, 34, 37, 38
HANDLERS = ["write", "send", "tear_up"]


def connect(address):
    if address.startswith("unix:"):
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(address[5:])
        return engine
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)))


def send(engine, *message):
    body = msgpack.packb(message)
    engine.sendall(struct.pack(">I", len(body)) + body)


def messages(engine):
    file = engine.makefile("rb")
    while len(head := file.read(4)) == 4:
        unpacker = msgpack.Unpacker(strict_map_key=False)
        unpacker.feed(file.read(struct.unpack(">I", head)[0]))
        yield from unpacker


def answer(engine, invocation, handler, letter):
    """After a crash a step may come again, with the same key (saga, step, phase): what it does to
    the world has to be safe against that."""
    if HANDLERS[handler] == "write":
        send(engine, DONE, invocation, f"Dear {letter['name']}")
    elif HANDLERS[handler] == "tear_up":
        send(engine, DONE, invocation, None)
    elif "address" in letter:
        send(engine, DONE, invocation, "sent")
    else:  # False: asking again would not help, so Retry is not tried, and the saga compensates
        send(engine, FAILED, invocation, False, "Mailer.NoAddress", "where to?")


def serve(address, token):
    """One connection, until it is lost (False) or has drained (True)."""
    engine = connect(address)
    # Takes no more; DRAINED comes when what it has was answered.
    signal.signal(signal.SIGTERM, lambda *_: send(engine, DRAIN, 2))
    send(engine, HELLO, 1, {"name": "worker.py", **({"token": token} if token else {})})
    send(engine, REGISTER, 1, "mailer", HANDLERS, 16)  # 16 at a time at most
    for message in messages(engine):
        kind = message[0]
        if kind == INVOKE:
            # invocation, id, handler, saga, step, phase, attempt, deadline_ms, input, output, ...
            answer(engine, message[1], message[3], message[9])
        elif kind == PING:
            send(engine, PONG, message[1])
        elif kind == ERROR:  # id, status, sentence
            sys.exit(f"{message[2]}: {message[3]}")
        elif kind == REGISTERED:
            print("serving", flush=True)
        elif kind == DRAINED:
            return True
    return False


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    while True:
        try:  # what it had when the connection was lost is handed out again by the engine
            if serve(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None):
                return
        except OSError as error:
            print(f"again, since {error}", file=sys.stderr)
        time.sleep(1)


main()
