#!/usr/bin/env python3
"""A client in Python: makes a definition known, runs a saga that succeeds and one that compensates.

    apt install python3-msgpack
    ./client.py 127.0.0.1:7233 letter.asl.json [TOKEN]
"""
import socket
import struct
import sys
import time
import uuid

import msgpack

HELLO, WELCOME, PING, PONG, ERROR, GOODBYE, DEFINE, START, ENDED = 1, 2, 3, 4, 5, 6, 10, 12, 14


class Engine:
    """One connection: messages in frames. Lost: ConnectionError."""

    def __init__(self, address, token):
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address[5:])
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection((host.strip("[]"), int(port)))
        self.file = self.socket.makefile("rb")
        self.waiting = []
        options = {"name": "client.py"}
        if token:
            options["token"] = token
        self.send(HELLO, 1, options)
        if self.receive()[0] != WELCOME:
            sys.exit("what answers there is no Flyover")

    def send(self, *message):
        body = msgpack.packb(message)
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def receive(self):
        """The next message. A frame may hold many of them; PING is answered on the way."""
        while True:
            while not self.waiting:
                head = self.file.read(4)
                if len(head) < 4:
                    raise ConnectionError("the engine has closed the connection")
                body = self.file.read(struct.unpack(">I", head)[0])
                unpacker = msgpack.Unpacker(strict_map_key=False)
                unpacker.feed(body)
                self.waiting = list(unpacker)
            message = self.waiting.pop(0)
            if message[0] == PING:
                self.send(PONG, message[1])
            elif message[0] == ERROR:  # id, status, sentence
                sys.exit(f"{message[2]}: {message[3]}")
            elif message[0] != GOODBYE:
                return message


def ask(address, token, *message):
    """Asks until there is an answer. Only what may be asked twice: a DEFINE of the same text, and a
    START with a name, which begins one saga however often it is sent."""
    while True:
        try:
            engine = Engine(address, token)
            engine.send(*message)
            return engine.receive()
        except OSError as error:
            print(f"again, since {error}", file=sys.stderr)
            time.sleep(1)


def run(address, token, name, letter):
    options = {"name": f"letter-{uuid.uuid4()}", "reply": 1}  # told of the end
    ended = ask(address, token, START, 1, "letter", letter, options)
    assert ended[0] == ENDED  # id, saga, outcome, output, error, cause
    print(f"{name}: {ended[3]}{', ' + ended[5] if ended[5] else ''}")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    address, token = sys.argv[1], sys.argv[3] if len(sys.argv) > 3 else None
    with open(sys.argv[2], encoding="utf-8") as file:
        ask(address, token, DEFINE, 1, "letter", file.read())
    run(address, token, "Ada", {"name": "Ada", "address": "ada@example.org"})
    run(address, token, "Nobody", {"name": "Nobody"})


main()
