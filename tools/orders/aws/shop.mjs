// The shop: what it has in its services before, and the orders that come.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const ORDERS_A_SKU = 50;
const ORDERS_A_CUSTOMER = 20;
const QUANTITY_MAX = 5;
export const REGION = "eu-central-1";
const ACCOUNT = "000000000000";

function randomness(seed) {
    let state = seed | 0; // mulberry32
    return (below) => {
        state = (state + 0x6d2b79f5) | 0;
        let t = Math.imul(state ^ (state >>> 15), 1 | state);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) % below;
    };
}

const price = (sku) => 100 + 37 * (sku % 40);

// The same orders of the same seed.
export function make_orders(count, seed) {
    const draw = randomness(seed);
    const skus = Math.ceil(count / ORDERS_A_SKU);
    const customers = Math.ceil(count / ORDERS_A_CUSTOMER);
    return Array.from({ length: count }, (_, i) => {
        const sku = draw(skus);
        const quantity = 1 + draw(QUANTITY_MAX);
        return {
            order: `o-${i}`,
            customer: `c-${draw(customers)}`,
            sku: `s-${sku}`,
            quantity,
            amount: quantity * price(sku),
        };
    });
}

// Of each nine tenths of what is wanted, so that some orders come away empty-handed.
function supply(orders, what, amount) {
    const wanted = new Map();
    for (const order of orders)
        wanted.set(order[what], (wanted.get(order[what]) ?? 0) + order[amount]);
    return [...wanted].map(([name, sum]) => [name, Math.ceil(sum * 0.9)]);
}

export async function query(database, text) {
    const { stdout } = await run(
        "psql",
        [database, "-X", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-q", "-c", text],
        { maxBuffer: 1 << 28 },
    );
    return stdout
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => line.split("\t"));
}

async function make_table(dynamodb, name, key) {
    await dynamodb("CreateTable", {
        TableName: name,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: [{ AttributeName: key, AttributeType: "S" }],
        KeySchema: [{ AttributeName: key, KeyType: "HASH" }],
    });
    let status;
    do
        ({
            Table: { TableStatus: status },
        } = await dynamodb("DescribeTable", { TableName: name }));
    while (status !== "ACTIVE");
}

// Queues and their topic. `sqs` by the way that the engine takes, so that URLs lead there.
async function make_queues(sqs, sns, visibility_seconds) {
    const fifo = { FifoQueue: "true" };
    await sqs("CreateQueue", { QueueName: "orders-dead.fifo", Attributes: fifo });
    const { QueueUrl: orders } = await sqs("CreateQueue", {
        QueueName: "orders.fifo",
        Attributes: {
            ...fifo,
            VisibilityTimeout: `${visibility_seconds}`,
            RedrivePolicy: JSON.stringify({
                deadLetterTargetArn: `arn:aws:sqs:${REGION}:${ACCOUNT}:orders-dead.fifo`,
                maxReceiveCount: 20,
            }),
        },
    });
    const { QueueUrl: heard } = await sqs("CreateQueue", { QueueName: "heard" });
    const { TopicArn } = await sns("CreateTopic", { Name: "confirmations" });
    await sns("Subscribe", {
        TopicArn,
        Protocol: "sqs",
        Endpoint: `arn:aws:sqs:${REGION}:${ACCOUNT}:heard`,
        Attributes: { RawMessageDelivery: "true" },
    });
    return { orders, heard };
}

export async function open_shop({ sqs, sns, dynamodb, database }, orders, visibility_seconds) {
    const queues = await make_queues(sqs, sns, visibility_seconds);
    await make_table(dynamodb, "stock", "sku");
    await make_table(dynamodb, "orders", "order");
    const units = supply(orders, "sku", "quantity");
    for (const [sku, count] of units)
        await dynamodb("PutItem", {
            TableName: "stock",
            Item: { sku: { S: sku }, units: { N: `${count}` } },
        });
    const schema = fileURLToPath(new URL("schema.sql", import.meta.url));
    await run("psql", [database, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", schema]);
    const money = supply(orders, "customer", "amount");
    const rows = money.map(([customer, balance]) => `('${customer}', ${balance})`);
    if (rows.length > 0) await query(database, `INSERT INTO accounts VALUES ${rows.join(", ")}`);
    const sum = (pairs) => pairs.reduce((all, [, count]) => all + count, 0);
    return { queues, units_start: sum(units), money_start: sum(money) };
}

// Each order once, whatever becomes of an answer: by its number, which the queue knows it by.
export async function send_orders(sqs, queue, orders) {
    for (let first = 0; first < orders.length; first += 10) {
        let open = orders.slice(first, first + 10).map((order, i) => ({
            Id: `${i}`,
            MessageBody: JSON.stringify(order),
            MessageGroupId: order.customer,
            MessageDeduplicationId: order.order,
        }));
        while (open.length > 0) {
            const { Failed = [] } = await sqs("SendMessageBatch", {
                QueueUrl: queue,
                Entries: open,
            });
            open = open.filter(({ Id }) => Failed.some((failed) => failed.Id === Id));
        }
    }
}
