// A proxy that makes faults: between an engine and a server, over HTTP or, for PostgreSQL, TCP.
//     proxy.mjs http://127.0.0.1:PORT | tcp://127.0.0.1:PORT
// It does what it is told by lines of JSON on standard input, and answers each with its counts:
//     {"next": [{"fault": "half", "match": "SendMessage", "times": 2}]}
//         of the next requests with that text in path, headers or body; no match: of any
//     {"rates": {"reset_after": 0.01, "error_after": 0.01}, "seed": 7}
//         of this share of the others; the same ones of the same requests
//     {"down": true}
//         connections are cut and refused, until {"down": false}
//     {"await": {"requests": 5}} or {"await": {"half": 2}}
//         answers when it has come to so many
//     {}
// Faults of a request; those marked also over TCP, where what a client sends at once counts as one:
//     delay         it arrives "ms" later (of rates: up to 100)               TCP
//     reset_before  the connection breaks, the server has seen nothing        TCP
//     reset_after   the connection breaks, the server has done it             TCP
//     half          half of the answer comes, then the connection breaks      TCP
//     twice         the server gets it twice; the client the first answer
//     partial       of a batch for SQS every other entry is done, the rest is said to have failed
//     error         answered with "status" (500) instead; "after": true: but done by the server
//     throttle      answered as AWS does who asks too often
//     never         the server has done it, no answer comes
import http from "node:http";
import net from "node:net";
import { serve } from "./server.mjs";

const target = new URL(process.argv[2]);
const agent = new http.Agent({ keepAlive: true });
const counts = { requests: 0 };
let told = [],
    rates = {},
    seed = 1,
    waiting = [];

function random() {
    // mulberry32
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}

const of_rate = (fault) =>
    fault === "error_after"
        ? { fault: "error", after: true }
        : { fault, ms: Math.ceil(random() * 100) };

function choose(text) {
    const at = told.findIndex(({ match }) => match === undefined || text.includes(match));
    if (at >= 0) {
        const fault = told[at];
        fault.times = (fault.times ?? 1) - 1;
        if (fault.times === 0) told.splice(at, 1);
        return fault;
    }
    let drawn = random();
    for (const [fault, rate] of Object.entries(rates)) {
        if (drawn < rate) return of_rate(fault);
        drawn -= rate;
    }
    return { fault: "none" };
}

function count(fault) {
    counts.requests++;
    if (fault !== "none") counts[fault] = (counts[fault] ?? 0) + 1;
    waiting = waiting.filter(({ wanted, resolve }) => {
        const [[what, least]] = Object.entries(wanted);
        if ((counts[what] ?? 0) < least) return true;
        resolve();
    });
}

const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- HTTP ---------------------------------------------------------------------------------------

function read(stream) {
    return new Promise((resolve, reject) => {
        const chunks = [];
        stream.on("data", (chunk) => chunks.push(chunk));
        stream.on("end", () => resolve(Buffer.concat(chunks)));
        stream.on("error", reject);
    });
}

function forward({ method, url, rawHeaders }, body) {
    return new Promise((resolve, reject) => {
        const headers = [];
        for (let i = 0; i < rawHeaders.length; i += 2)
            if (!/^(content-length|transfer-encoding|connection|expect)$/i.test(rawHeaders[i]))
                headers.push(rawHeaders[i], rawHeaders[i + 1]);
        headers.push("Content-Length", `${body.length}`);
        http.request({
            agent,
            host: target.hostname,
            port: target.port,
            method,
            path: url,
            headers,
        })
            .on("error", reject)
            .on("response", async (response) => {
                try {
                    resolve({
                        status: response.statusCode,
                        headers: response.rawHeaders,
                        body: await read(response),
                    });
                } catch (error) {
                    reject(error);
                }
            })
            .end(body);
    });
}

// As the three protocols of AWS say it: Query (SNS), REST (Lambda), JSON (the others).
function refusal(request, status, json, xml, rest) {
    if ((request.headers["content-type"] ?? "").includes("x-www-form-urlencoded"))
        return {
            status,
            headers: ["Content-Type", "text/xml"],
            body: Buffer.from(
                `<ErrorResponse><Error><Type>Sender</Type><Code>${xml}</Code>` +
                    "<Message>as told</Message></Error></ErrorResponse>",
            ),
        };
    const type = request.headers["x-amz-target"] === undefined ? rest : json;
    return {
        status,
        headers: ["Content-Type", "application/x-amz-json-1.0", "x-amzn-ErrorType", type],
        body: Buffer.from(JSON.stringify({ __type: `com.amazonaws#${type}`, message: "as told" })),
    };
}

function throttle(request) {
    const is_rest =
        request.headers["x-amz-target"] === undefined &&
        !(request.headers["content-type"] ?? "").includes("x-www-form-urlencoded");
    return refusal(
        request,
        is_rest ? 429 : 400,
        "ThrottlingException",
        "Throttling",
        "TooManyRequestsException",
    );
}

function failure(request, status = 500) {
    const name = status === 503 ? "ServiceUnavailable" : "InternalFailure";
    return refusal(request, status, name, name, "ServiceException");
}

async function partial(request, body) {
    const { Entries = [], ...rest } = JSON.parse(body);
    const done = Entries.filter((_, i) => i % 2 === 0);
    const answer = await forward(request, Buffer.from(JSON.stringify({ ...rest, Entries: done })));
    const said = JSON.parse(answer.body);
    said.Failed = [
        ...(said.Failed ?? []),
        ...Entries.filter((_, i) => i % 2 === 1).map(({ Id }) => ({
            Id,
            Code: "InternalError",
            Message: "as told",
            SenderFault: false,
        })),
    ];
    return {
        status: answer.status,
        headers: ["Content-Type", "application/x-amz-json-1.0"],
        body: Buffer.from(JSON.stringify(said)),
    };
}

function answer_with(response, { status, headers, body }) {
    const kept = [];
    for (let i = 0; i < headers.length; i += 2)
        if (!/^(content-length|transfer-encoding|connection|keep-alive)$/i.test(headers[i]))
            kept.push(headers[i], headers[i + 1]);
    response.writeHead(status, [...kept, "Content-Length", `${body.length}`]);
    return response;
}

async function handle(request, response) {
    const body = await read(request);
    const text = `${request.url}\n${request.rawHeaders.join("\n")}\n${body}`;
    const told_now = choose(text);
    const { ms, status } = told_now;
    const is_batch = /^AmazonSQS[.].*Batch$/.test(request.headers["x-amz-target"] ?? "");
    const fault = told_now.fault === "partial" && !is_batch ? "none" : told_now.fault;
    const reset = () => request.socket.resetAndDestroy();
    try {
        if (fault === "reset_before") return reset();
        if (fault === "throttle")
            return answer_with(response, throttle(request)).end(throttle(request).body);
        if (fault === "error" && !told_now.after) {
            const said = failure(request, status);
            return answer_with(response, said).end(said.body);
        }
        if (fault === "delay") await after(ms ?? 100);
        let answer =
            fault === "partial" ? await partial(request, body) : await forward(request, body);
        if (fault === "twice") await forward(request, body);
        if (fault === "error") answer = failure(request, status);
        if (fault === "reset_after") return reset();
        if (fault === "never") return;
        answer_with(response, answer);
        if (fault !== "half") return response.end(answer.body);
        response.write(answer.body.subarray(0, answer.body.length >> 1), reset);
    } catch {
        reset(); // the server is down, or has cut it
    } finally {
        count(fault);
    }
}

// ---- TCP ----------------------------------------------------------------------------------------

function pass(client) {
    const server = net.connect(Number(target.port), target.hostname);
    let last = "none";
    const cut = () => {
        client.resetAndDestroy();
        server.resetAndDestroy();
    };
    client.on("data", async (chunk) => {
        const { fault, ms } = choose(chunk.toString("latin1"));
        count(fault);
        last = fault;
        if (fault === "reset_before") return cut();
        if (fault === "delay") {
            client.pause();
            await after(ms ?? 100);
            client.resume();
        }
        server.write(chunk);
    });
    server.on("data", (chunk) => {
        if (last === "reset_after") return cut();
        if (last === "half") return client.write(chunk.subarray(0, chunk.length >> 1), cut);
        client.write(chunk);
    });
    for (const [socket, other] of [
        [client, server],
        [server, client],
    ])
        socket.on("error", cut).on("end", () => other.end());
}

// ---- both ---------------------------------------------------------------------------------------

const sockets = new Set();
const server =
    target.protocol === "tcp:"
        ? net.createServer(pass)
        : http.createServer({ keepAliveTimeout: 0 }, (request, response) =>
              handle(request, response).catch(() => {}),
          );
server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
});

function close() {
    return new Promise((resolve) => {
        server.close(resolve);
        for (const socket of sockets) socket.resetAndDestroy();
    });
}

let port,
    is_down = false,
    turn = Promise.resolve();
const listen = (wanted) => new Promise((resolve) => server.listen(wanted, "127.0.0.1", resolve));

async function obey(line) {
    const { next, rates: more, seed: number, down, await: wanted } = JSON.parse(line);
    if (next) told.push(...next);
    if (more) rates = more;
    if (number !== undefined) seed = number;
    if (down !== undefined && down !== is_down) await (down ? close() : listen(port));
    is_down = down ?? is_down;
    if (wanted)
        await new Promise((resolve) => {
            const [[what, least]] = Object.entries(wanted);
            if ((counts[what] ?? 0) >= least) resolve();
            else waiting.push({ wanted, resolve });
        });
    console.log(JSON.stringify(counts));
}

await listen(0);
port = server.address().port;
serve(
    port,
    async () => {
        if (!is_down) await close();
    },
    (line) => {
        turn = turn.then(() => obey(line));
    },
);
