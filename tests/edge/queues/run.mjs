// Sagas that live by queues alone, over a real engine: a message starts one, it sends a message with
// its token, an answer comes by a reply queue, a signal by another one, and its end goes to a topic.
//     run.mjs FLYOVER DIRECTORY
import { createWriteStream, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { kill_engine, start_engine, start_server } from "../../../tools/orders/aws/local.mjs";
import { connect, drain } from "../servers/client.mjs";

const [, , flyover, directory] = process.argv;

async function make_queue(sqs, QueueName) {
    return (await sqs("CreateQueue", { QueueName })).QueueUrl;
}

async function make_topic(sns, queue) {
    const { TopicArn } = await sns("CreateTopic", { Name: "ends" });
    const Endpoint = `arn:aws:sqs:eu-central-1:000000000000:${queue.split("/").pop()}`;
    await sns("Subscribe", { TopicArn, Protocol: "sqs", Endpoint });
    return TopicArn;
}

function edges_of(queues, topic) {
    return JSON.stringify({
        aws: { region: "eu-central-1" },
        sqs: {},
        sns: { events: { topic, on: ["SUCCEEDED", "FAILED", "COMPENSATED"] } },
        sqs_in: {
            queues: [
                { url: queues.orders, definition: "approval", name: "$.order" },
                { url: queues.replies, reply: true },
                { url: queues.payments, signal: { name: "paid", saga: "$.saga" } },
            ],
        },
    });
}

function engine_of(url, edges) {
    const path = join(directory, "edges.yaml");
    writeFileSync(path, edges);
    const definition = fileURLToPath(new URL("approval.asl.json", import.meta.url));
    const flags = ["--data", join(directory, "data"), "--listen", `unix:${directory}/socket`];
    flags.push("--define", definition, "--edges", path);
    const env = {
        AWS_ACCESS_KEY_ID: "local",
        AWS_SECRET_ACCESS_KEY: "local",
        AWS_EC2_METADATA_DISABLED: "true",
        AWS_CONFIG_FILE: "/dev/null",
        AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
        AWS_ENDPOINT_URL: url,
    };
    return start_engine(flyover, flags, env, createWriteStream(join(directory, "engine.log")));
}

function expect(what, got, wanted) {
    if (JSON.stringify(got) !== JSON.stringify(wanted))
        throw new Error(`${what}: ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
}

const bodies = ({ messages }) => messages.map(({ body }) => JSON.parse(body));
const say = (sqs, QueueUrl, body) =>
    sqs("SendMessage", { QueueUrl, MessageBody: JSON.stringify(body) });

// What each of three orders hears: yes and paid, yes and not all paid, no.
async function answer(sqs, queues, asked) {
    for (const { order, token } of asked)
        await say(
            sqs,
            queues.replies,
            order === "c"
                ? { TaskToken: token, Error: "Approval.Refused", Cause: "too dear" }
                : { TaskToken: token, Output: { by: "Ada" } },
        );
}

async function main() {
    const server = await start_server("fauxqs.mjs");
    const url = `http://127.0.0.1:${server.words[0]}`;
    const [sqs, sns] = await Promise.all([connect("sqs", url), connect("sns", url)]);
    const queues = {};
    for (const name of ["orders", "questions", "replies", "payments", "ends"])
        queues[name] = await make_queue(sqs, name);
    const engine = await engine_of(url, edges_of(queues, await make_topic(sns, queues.ends)));

    for (const order of ["a", "b", "c"]) await say(sqs, queues.orders, { order, ask: queues.questions });
    await say(sqs, queues.orders, { order: "a", ask: queues.questions }); // once, by its name
    const asked = bodies(await drain(sqs, queues.questions, 3));
    expect("questions", asked.map(({ order }) => order).sort(), ["a", "b", "c"]);
    await answer(sqs, queues, asked);
    // Sagas are numbered in the order in which they were started.
    const ends_first = await drain(sqs, queues.ends, 1);
    const [refused] = bodies(ends_first).map(({ Message }) => JSON.parse(Message));
    expect("c", [refused.outcome, refused.error], ["FAILED", "Approval.Refused"]);
    const waiting = [1, 2, 3].filter((saga) => saga !== refused.saga_id);
    await say(sqs, queues.payments, { saga: waiting[0], all: true });
    await say(sqs, queues.payments, { saga: waiting[1], all: false });
    const ends = bodies(await drain(sqs, queues.ends, 2)).map(({ Message }) => JSON.parse(Message));
    const by_saga = (saga) => ends.find(({ saga_id }) => saga_id === saga);
    expect("paid", by_saga(waiting[0]).outcome, "SUCCEEDED");
    expect("answer", by_saga(waiting[0]).output.answer, { by: "Ada" });
    expect("short", [by_saga(waiting[1]).outcome, by_saga(waiting[1]).error], [
        "COMPENSATED",
        "Payment.Short",
    ]);
    const taken = bodies(await drain(sqs, queues.questions, 1));
    expect("compensation", Object.keys(taken[0]), ["taken_back"]);
    expect("no more", bodies(await drain(sqs, queues.ends, 1, 1)), []);
    expect("exit", await engine.end("SIGTERM"), 0);
}

process.on("exit", kill_engine);
main().then(
    () => process.exit(0),
    (error) => {
        console.error(`queues: ${error.message}`);
        process.exit(1);
    },
);
