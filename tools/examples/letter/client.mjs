// A client in Node: makes a definition known, runs a saga that succeeds and one that compensates.
//
//     npm install
//     node client.mjs 127.0.0.1:7233 letter.asl.json [TOKEN]
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "./engine.mjs";

const [address, definition, token] = process.argv.slice(2);
if (!definition) {
    console.error("usage: node client.mjs ADDRESS DEFINITION [TOKEN]");
    process.exit(2);
}
const DEFINE = 10, START = 12, STARTED = 13, ERROR = 5;

// Open requests by their id. After a cut they are asked again: a DEFINE of the same text and a START
// with a name may be, since they are done once however often they are sent.
const open = new Map();
let nextId = 1, isClosing = false, engine;

function ask(kind, ...fields) {
    const id = nextId++;
    return new Promise((resolve, reject) => {
        open.set(id, { message: [kind, id, ...fields], resolve, reject });
        engine?.send([kind, id, ...fields]);
    });
}

function begin() {
    engine = connect(address, { name: "client.mjs", token }, {
        onWelcome: () => open.forEach((request) => engine.send(request.message)),
        onMessage: ([kind, id, ...fields]) => {
            const request = open.get(id);
            if (kind === ERROR && id === 0) throw new Error(fields.join(": "));
            if (!request || kind === STARTED) return;
            open.delete(id);
            if (kind === ERROR) request.reject(new Error(fields.join(": ")));
            else request.resolve(fields);
        },
        onClose: () => {
            engine = undefined;
            if (!isClosing) setTimeout(begin, 1000);
        },
    });
}

async function run(name, input) {
    const options = { name: `letter-${randomUUID()}`, reply: 1 }; // told of the end
    const [, outcome, , error] = await ask(START, "letter", input, options);
    console.log(error ? `${name}: ${outcome}, ${error}` : `${name}: ${outcome}`);
}

begin();
await ask(DEFINE, "letter", readFileSync(definition, "utf8"));
await run("Ada", { name: "Ada", address: "ada@example.org" });
await run("Nobody", { name: "Nobody" });
isClosing = true;
engine?.close();
