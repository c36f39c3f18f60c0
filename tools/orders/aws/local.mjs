// Processes: servers of tests/edge/servers (server.mjs says how they live), proxies before them,
// and the engine. All on loopback, on ports of their own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const servers = new URL("../../../tests/edge/servers/", import.meta.url);
const path_of = (script) => fileURLToPath(new URL(script, servers));
const servers_running = new Set();
let engine_running;

// A server: {words: of the first line it prints, tell(line): the line that it answers}.
export async function start_server(script, ...more) {
    const child = spawn(process.execPath, [path_of(script), ...more], {
        stdio: ["pipe", "pipe", "inherit"],
        env: { ...process.env, AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
    });
    const ended = once(child, "exit");
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const hear = async () => {
        const { value, done } = await lines.next();
        if (done) throw new Error(`${script} has ended`);
        return value;
    };
    const tell = (line) => {
        child.stdin.write(`${line}\n`);
        return hear();
    };
    const stop = () => {
        child.stdin.end();
        return ended;
    };
    servers_running.add(stop);
    return { words: (await hear()).split(" "), tell };
}

// With {url, tell(object): its counts}.
export async function start_proxy(protocol, port) {
    const proxy = await start_server("proxy.mjs", `${protocol}://127.0.0.1:${port}`);
    return {
        port: proxy.words[0],
        url: `${protocol}://127.0.0.1:${proxy.words[0]}`,
        tell: async (object) => JSON.parse(await proxy.tell(JSON.stringify(object))),
    };
}

// Until it listens. `log`: a stream that gets what it says.
export async function start_engine(program, flags, env, log) {
    // It ends with this process, even where that is killed.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", program, "serve", ...flags], {
        stdio: ["ignore", "inherit", "pipe"],
        env: { ...process.env, ...env },
    });
    engine_running = child;
    const ended = once(child, "close").then(([code, signal]) => signal ?? code);
    let said = "";
    await new Promise((resolve, reject) => {
        child.stderr.on("data", (text) => {
            log.write(text);
            if (said.length < 65536) said += text;
            if (said.includes("event=listening")) resolve();
        });
        ended.then((how) => reject(new Error(`the engine ends with ${how}:\n${said}`)));
    });
    const end = (signal) => {
        child.kill(signal);
        return ended;
    };
    return { end, ended };
}

export const kill_engine = () => engine_running?.kill("SIGKILL");
export const stop_servers = () => Promise.all([...servers_running].map((stop) => stop()));
