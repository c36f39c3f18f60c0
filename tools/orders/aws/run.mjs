// The order application over AWS, on this machine: starts SQS and SNS, DynamoDB, Lambda and
// PostgreSQL as local servers, the engine between them, sends orders, waits for their end, and
// audits across all of them. tools/orders-aws says what can be asked for.
import { execFile } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { connect } from "../../../tests/edge/servers/client.mjs";
import { audit, count_messages } from "./audit.mjs";
import { kill_engine, start_engine, start_proxy, start_server, stop_servers } from "./local.mjs";
import { REGION, make_orders, open_shop, send_orders } from "./shop.mjs";

const run = promisify(execFile);
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const HTTP_RATES = {
    delay: 0.02,
    reset_before: 0.01,
    reset_after: 0.01,
    half: 0.005,
    twice: 0.01,
    error: 0.005,
    error_after: 0.005,
    throttle: 0.01,
    partial: 0.02,
};
const TCP_RATES = { delay: 0.02, reset_before: 0.003, reset_after: 0.003, half: 0.002 };

const { values: options } = parseArgs({
    options: {
        flyover: { type: "string" },
        data: { type: "string" },
        orders: { type: "string", default: "2000" },
        seed: { type: "string", default: "1" },
        faults: { type: "boolean", default: false },
        kills: { type: "string" },
        timeout: { type: "string", default: "1800" },
        json: { type: "boolean", default: false },
    },
});
const count = Number(options.orders);
const seed = Number(options.seed);
const kills = Number(options.kills ?? (options.faults ? 3 : 0));

// ---- starting -----------------------------------------------------------------------------------

async function start_services() {
    const [queues, tables, functions, database] = await Promise.all([
        start_server("fauxqs.mjs"),
        start_server("dynalite.mjs"),
        start_server("lambda.mjs", here("functions.mjs")),
        start_server("postgres.mjs"),
    ]);
    const [sqs, dynamodb, lambda, sql] = await Promise.all([
        start_proxy("http", queues.words[0]),
        start_proxy("http", tables.words[0]),
        start_proxy("http", functions.words[0]),
        start_proxy("tcp", database.words[0]),
    ]);
    return {
        proxies: { sqs, dynamodb, lambda, sql },
        queues_url: `http://127.0.0.1:${queues.words[0]}`,
        crash_database: () => database.tell("restart"),
        tables_url: `http://127.0.0.1:${tables.words[0]}`,
        database: `postgresql://flyover@127.0.0.1:${database.words[0]}/flyover`,
    };
}

// Not through the proxies: to prepare and to audit. Queues are made through theirs, by `sqs`.
async function clients_of({ proxies, queues_url, tables_url, database }) {
    return {
        sqs: await connect("sqs", proxies.sqs.url, 20),
        sns: await connect("sns", queues_url),
        dynamodb: await connect("dynamodb", tables_url),
        database,
    };
}

// The file of edges as it stands here, but for the queue's URL.
function write_edges(directory, queue) {
    const text = readFileSync(here("edges.yaml"), "utf8").replace(/url: http\S+/, `url: ${queue}`);
    const path = join(directory, "edges.yaml");
    writeFileSync(path, text);
    return path;
}

function engine_of({ proxies }, directory, queue) {
    const flags = [
        "--data",
        join(directory, "data"),
        "--listen",
        `unix:${join(directory, "socket")}`,
        "--define",
        here("order.asl.json"),
        "--edges",
        write_edges(directory, queue),
    ];
    const env = {
        AWS_REGION: REGION,
        AWS_ACCESS_KEY_ID: "local",
        AWS_SECRET_ACCESS_KEY: "local",
        AWS_EC2_METADATA_DISABLED: "true",
        AWS_CONFIG_FILE: "/dev/null",
        AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
        AWS_ENDPOINT_URL_SQS: proxies.sqs.url,
        AWS_ENDPOINT_URL_SNS: proxies.sqs.url,
        AWS_ENDPOINT_URL_DYNAMODB: proxies.dynamodb.url,
        AWS_ENDPOINT_URL_LAMBDA: proxies.lambda.url,
        SHOP_DATABASE: `postgresql://flyover@127.0.0.1:${proxies.sql.port}/flyover?sslmode=disable`,
    };
    const log = createWriteStream(join(directory, "engine.log"));
    return () => start_engine(options.flyover, flags, env, log);
}

async function make_faults({ sqs, dynamodb, lambda, sql }) {
    for (const proxy of [sqs, dynamodb, lambda]) await proxy.tell({ rates: HTTP_RATES, seed });
    await sql.tell({ rates: TCP_RATES, seed });
}

// ---- running ------------------------------------------------------------------------------------

// kill -9 whenever the tables have been asked that often more, and a new start; with --faults the
// database then crashes too, or the functions cannot be reached for a second.
async function run_with_kills(start, { proxies, crash_database }) {
    let engine = await start();
    for (let i = 1; i <= kills; i++) {
        const requests = Math.ceil((count * 2 * i) / (kills + 1));
        await proxies.dynamodb.tell({ await: { requests } });
        await engine.end("SIGKILL");
        engine = await start();
        if (options.faults && i % 2 === 1) await crash_database();
        if (options.faults && i % 2 === 0) {
            await proxies.lambda.tell({ down: true });
            await pause(1000);
            await proxies.lambda.tell({ down: false });
        }
    }
    return engine;
}

async function sagas_of(directory) {
    const flags = ["saga", "counts", "--json", "--data", join(directory, "data")];
    const { live, totals } = JSON.parse((await run(options.flyover, flags)).stdout);
    return { live, ...totals };
}

// Nothing waits in the queue, nothing runs. An engine that ends by itself is an error.
async function wait_for_end(engine, directory, sqs, queue) {
    const failed = engine.ended.then((how) => {
        throw new Error(`the engine ended with ${how}, see ${join(directory, "engine.log")}`);
    });
    failed.catch(() => {});
    const until = Date.now() + 1000 * Number(options.timeout);
    for (;;) {
        const { waiting, in_flight } = await count_messages(sqs, queue);
        const sagas = await Promise.race([sagas_of(directory), failed]);
        if (waiting + in_flight === 0 && sagas.live === sagas.stuck && sagas.started >= count)
            return sagas;
        if (Date.now() > until)
            throw new Error(
                `not at the end after ${options.timeout} s: ${waiting} messages wait, ` +
                    `${in_flight} are in flight, sagas: ${JSON.stringify(sagas)}`,
            );
        await Promise.race([pause(250), failed]);
    }
}

// ---- telling ------------------------------------------------------------------------------------

const grouped = (number) => number.toLocaleString("en-US");

function print({ sagas, result, seconds, faults }) {
    console.log(`${grouped(count)} orders sent to SQS`);
    console.log(
        `  sagas     ${grouped(sagas.started)} started: ${grouped(sagas.succeeded)} succeeded, ` +
            `${grouped(sagas.compensated)} compensated, ${grouped(sagas.failed)} failed, ` +
            `${grouped(sagas.stuck)} stuck`,
    );
    console.log(`  audit     ${result.balanced ? "balanced" : "NOT BALANCED"}`);
    for (const { what, left, right, holds } of result.checks)
        console.log(
            `            ${holds ? "ok " : "NO "} ${what}: ${grouped(left)} = ${grouped(right)}`,
        );
    for (const [name, { requests, ...made }] of Object.entries(faults))
        console.log(
            `  ${name.padEnd(9)} ${grouped(requests)} requests` +
                Object.entries(made)
                    .map(([fault, times]) => `, ${grouped(times)} ${fault}`)
                    .join(""),
        );
    console.log(
        `  speed     ${seconds.toFixed(1)} s, ${grouped(Math.round(count / seconds))} orders/s, ` +
            `killed ${kills} times, ${grouped(result.confirmations)} confirmations heard`,
    );
}

async function main() {
    const directory = options.data;
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    const services = await start_services();
    const clients = await clients_of(services);
    const orders = make_orders(count, seed);
    const shop = await open_shop(clients, orders, options.faults ? 5 : 30);
    if (options.faults) await make_faults(services.proxies);

    const begun = Date.now();
    const start = engine_of(services, directory, shop.queues.orders);
    const [engine] = await Promise.all([
        run_with_kills(start, services),
        send_orders(clients.sqs, shop.queues.orders, orders),
    ]);
    const sagas = await wait_for_end(engine, directory, clients.sqs, shop.queues.orders);
    const seconds = (Date.now() - begun) / 1000;
    const faults = {};
    for (const [name, proxy] of Object.entries(services.proxies))
        faults[name] = await proxy.tell({ rates: {} });
    const ended = await engine.end("SIGTERM");
    if (ended !== 0) throw new Error(`the engine ends with ${ended} when it is told to`);

    const result = await audit(clients, shop, orders, sagas);
    const report = { orders: count, seed, kills, sagas, result, seconds, faults };
    if (options.json) console.log(JSON.stringify(report));
    else print(report);
    return result.balanced ? 0 : 5;
}

process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));
process.on("exit", kill_engine);
main()
    .catch((error) => {
        console.error(`orders-aws: ${error.message}`);
        return 1;
    })
    .then(async (code) => {
        kill_engine();
        await stop_servers();
        process.exit(code);
    });
