// A worker in Node: serves the steps of service:mailer until SIGTERM.
//
//     npm install
//     node worker.mjs 127.0.0.1:7233 [TOKEN]
import { connect } from "./engine.mjs";

const [address, token] = process.argv.slice(2);
if (!address) {
    console.error("usage: node worker.mjs ADDRESS [TOKEN]");
    process.exit(2);
}
const ERROR = 5, REGISTER = 30, REGISTERED = 31, INVOKE = 32, DONE = 33, FAILED = 34;
const DRAIN = 37, DRAINED = 38;

// After a crash a step may come again, with the same key (saga, step, phase): what it does to the
// world has to be safe against that. What is thrown fails the step.
const handlers = {
    write: async (letter) => `Dear ${letter.name}`,
    send: async (letter) => {
        if (!letter.address) throw Object.assign(new Error("where to?"), { name: "Mailer.NoAddress" });
        return "sent";
    },
    tear_up: async () => null,
};

async function serve(engine, [invocation, , handler, , , , , , input]) {
    try {
        engine.send([DONE, invocation, await Object.values(handlers)[handler](input)]);
    } catch (error) {
        // Only what may pass is worth another try; for the rest Retry is not tried, but Catch is.
        engine.send([FAILED, invocation, error.name === "Mailer.Busy", error.name, error.message]);
    }
}

let engine;
function begin() {
    // Of this connection alone: what was taken from one that is lost is handed out again.
    const mine = connect(address, { name: "worker.mjs", token }, {
        // 16 at a time at most.
        onWelcome: () => mine.send([REGISTER, 1, "mailer", Object.keys(handlers), 16]),
        onMessage: ([kind, ...fields]) => {
            if (kind === INVOKE) serve(mine, fields);
            else if (kind === REGISTERED) console.log("serving");
            else if (kind === DRAINED) process.exit(0);
            else if (kind === ERROR) throw new Error(fields.slice(1).join(": "));
        },
        onClose: () => setTimeout(begin, 1000),
    });
    engine = mine;
}

begin();
// Takes no more; DRAINED comes when what it has was answered.
process.on("SIGTERM", () => engine.send([DRAIN, 2]));
