// What all servers share: a server prints "PORT\n" once it listens on 127.0.0.1, and ends when its
// standard input is closed, so that none outlives its test, or by SIGTERM.
// What is said on standard input meanwhile comes line by line to `on_line`.
import { createServer } from "node:net";
import { createInterface } from "node:readline";

export function serve(port, stop, on_line = () => {}) {
    let ending = false;
    const end = async () => {
        if (ending) return;
        ending = true;
        setTimeout(() => process.exit(1), 5000).unref();
        await stop();
        process.exit(0);
    };
    process.on("SIGTERM", end);
    process.on("SIGINT", end);
    createInterface({ input: process.stdin }).on("line", on_line).on("close", end);
    process.stdout.on("error", end); // nobody listens any more
    process.stdout.write(`${port}\n`);
}

// A client that is killed or cut off is nothing that a server may die of.
export function survive_resets() {
    process.on("uncaughtException", (error) => {
        if (error.code !== "ECONNRESET" && error.code !== "EPIPE") {
            console.error(error);
            process.exit(1);
        }
    });
}

// For programs that cannot choose one themselves: free now, which another may take before them.
export function free_port() {
    return new Promise((resolve, reject) => {
        const probe = createServer().on("error", reject);
        probe.listen(0, "127.0.0.1", () => {
            const { port } = probe.address();
            probe.close(() => resolve(port));
        });
    });
}
