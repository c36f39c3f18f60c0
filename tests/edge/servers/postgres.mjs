// PostgreSQL in a directory of its own, as user and database "flyover", without a password; on
// loopback and on a Unix socket in that directory. Prints "PORT DIRECTORY".
// A line "restart" on standard input ends it as a crash would (immediate shutdown) and starts it
// again on the same port and data; then it prints "restarted".
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve, free_port } from "./server.mjs";

function binaries() {
    const all = "/usr/lib/postgresql";
    const versions = readdirSync(all).sort((a, b) => Number(b) - Number(a));
    return join(all, versions[0], "bin");
}

// It refuses to run as root: then as the user that its package made.
function user() {
    if (process.getuid() !== 0) return {};
    const id = (what) => Number(execFileSync("id", [what, "postgres"]));
    return { uid: id("-u"), gid: id("-g") };
}

const bin = binaries();
const as = { ...user(), cwd: "/" };
const directory = mkdtempSync(join(tmpdir(), "flyover-postgres-"));
const data = join(directory, "data");
if (as.uid !== undefined) chownSync(directory, as.uid, as.gid);
chmodSync(directory, 0o755);
execFileSync(
    join(bin, "initdb"),
    ["-D", data, "-U", "flyover", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"],
    { ...as, stdio: ["ignore", "ignore", "inherit"] },
);

let child;
function start(port) {
    // It ends with its parent, even where that is killed.
    const command = ["--pdeathsig", "QUIT", join(bin, "postgres"), "-D", data, "-p", port];
    const settings = {
        unix_socket_directories: directory,
        listen_addresses: "127.0.0.1",
        fsync: "off",
        max_connections: 64,
        shared_buffers: "16MB",
    };
    for (const [name, value] of Object.entries(settings)) command.push("-c", `${name}=${value}`);
    child = spawn("setpriv", command, { ...as, stdio: ["ignore", "ignore", "pipe"] });
    return new Promise((resolve, reject) => {
        let said = "";
        child.stderr.on("data", (text) => {
            said += text;
            if (said.includes("ready to accept connections")) resolve();
        });
        child.on("exit", () => reject(new Error(said)));
    });
}

const ended = (signal) =>
    new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.on("exit", resolve);
        child.kill(signal);
    });

const port = await free_port();
await start(port);
execFileSync(join(bin, "createdb"), ["-h", directory, "-p", port, "-U", "flyover", "flyover"], as);
const stop = async () => {
    await ended("SIGQUIT");
    rmSync(directory, { recursive: true, force: true });
};
serve(`${port} ${directory}`, stop, async (line) => {
    if (line !== "restart") return;
    await ended("SIGQUIT");
    await start(port);
    console.log("restarted");
});
