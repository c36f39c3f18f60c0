// One connection to an engine: messages in frames, HELLO said, PING answered.
import { createConnection } from "node:net";
import { decodeMulti, encode } from "@msgpack/msgpack";

const HELLO = 1, WELCOME = 2, PING = 3, PONG = 4, GOODBYE = 6;

// options: {name, token}. handlers: onWelcome(), onMessage(message), onClose().
// send() before WELCOME does nothing: say in onWelcome what is to be said on each connection.
export function connect(address, options, handlers) {
    const colon = address.lastIndexOf(":");
    const socket = address.startsWith("unix:")
        ? createConnection(address.slice(5))
        : createConnection(Number(address.slice(colon + 1)), address.slice(0, colon).replace(/[[\]]/g, ""));
    let bytes = Buffer.alloc(0), isGreeted = false;

    function write(message) {
        const body = encode(message, { ignoreUndefined: true });
        const head = Buffer.alloc(4);
        head.writeUInt32BE(body.length);
        socket.write(Buffer.concat([head, body]));
    }

    function take(message) {
        if (message[0] === PING) return write([PONG, message[1]]);
        if (message[0] === GOODBYE) return;
        if (message[0] !== WELCOME) return handlers.onMessage(message);
        isGreeted = true;
        handlers.onWelcome();
    }

    socket.on("connect", () => write([HELLO, 1, options]));
    socket.on("data", (more) => {
        bytes = Buffer.concat([bytes, more]);
        while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE()) {
            const end = 4 + bytes.readUInt32BE();
            for (const message of decodeMulti(bytes.subarray(4, end))) take(message);
            bytes = bytes.subarray(end);
        }
    });
    socket.on("error", (error) => console.error(`again, since ${error.message}`));
    socket.on("close", () => handlers.onClose());
    return { send: (message) => isGreeted && write(message), close: () => socket.end() };
}
