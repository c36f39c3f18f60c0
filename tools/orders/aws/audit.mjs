// What the services and the engine say of the orders must be one story.
import { drain } from "../../../tests/edge/servers/client.mjs";
import { query } from "./shop.mjs";

async function scan(dynamodb, table) {
    const items = [];
    let ExclusiveStartKey;
    do {
        const page = await dynamodb("Scan", { TableName: table, ExclusiveStartKey });
        items.push(...page.Items);
        ExclusiveStartKey = page.LastEvaluatedKey;
    } while (ExclusiveStartKey !== undefined);
    return items;
}

const sum = (all, of = (one) => one) => all.reduce((total, one) => total + of(one), 0);

export async function count_messages(sqs, queue) {
    const { Attributes } = await sqs("GetQueueAttributes", {
        QueueUrl: queue,
        AttributeNames: ["All"],
    });
    const number = (name) => Number(Attributes[`ApproximateNumberOfMessages${name}`]);
    return { waiting: number("") + number("Delayed"), in_flight: number("NotVisible") };
}

// Confirmations that came, those with one key taken for one: Map from order to its keys.
async function hear(sqs, queue) {
    const { waiting } = await count_messages(sqs, queue);
    const { messages } = await drain(sqs, queue, waiting, 1);
    const keys_of = new Map();
    for (const { attributes } of messages) {
        const order = attributes.order.StringValue;
        if (!keys_of.has(order)) keys_of.set(order, new Set());
        keys_of.get(order).add(attributes.key.StringValue);
    }
    return { keys_of, messages: messages.length };
}

const same = (left, right) => left.size === right.size && [...left].every((one) => right.has(one));
const check = (what, left, right, holds = left === right) => ({ what, left, right, holds });

export async function audit({ sqs, dynamodb, database }, shop, orders, sagas) {
    const sent = new Map(orders.map((order) => [order.order, order]));
    const book = await scan(dynamodb, "orders");
    const stock = await scan(dynamodb, "stock");
    const paid = await query(database, "SELECT order_no, amount FROM payments");
    const [[balances]] = await query(database, "SELECT coalesce(sum(balance), 0) FROM accounts");
    const { keys_of, messages } = await hear(sqs, shop.queues.heard);
    const queue = await count_messages(sqs, shop.queues.orders);
    const dead = await count_messages(
        sqs,
        shop.queues.orders.replace("orders.fifo", "orders-dead.fifo"),
    );

    const numbers = new Set(book.map((item) => item.order.S));
    const standing = [...numbers].map((number) => sent.get(number));
    const units_sold = sum(standing, ({ quantity }) => quantity);
    const value = sum(standing, ({ amount }) => amount);
    const money = sum(paid, ([, amount]) => Number(amount));
    const one_key = [...keys_of.values()].filter((keys) => keys.size === 1);
    const checks = [
        check("sagas = orders sent", sagas.started, orders.length),
        check(
            "sagas ended = sagas",
            sagas.succeeded + sagas.compensated + sagas.failed,
            sagas.started,
        ),
        check("orders that stand = sagas that succeeded", numbers.size, sagas.succeeded),
        check(
            "units on hand + sold = at the start",
            sum(stock, ({ units }) => Number(units.N)) + units_sold,
            shop.units_start,
        ),
        check(
            "orders that stand are each of one saga",
            new Set(book.map((item) => item.saga.S)).size,
            numbers.size,
        ),
        check("money captured = value of the orders that stand", money, value),
        check(
            "money captured + balances = at the start",
            money + Number(balances),
            shop.money_start,
        ),
        check(
            "orders paid = orders that stand, the same ones",
            paid.length,
            numbers.size,
            same(new Set(paid.map(([number]) => number)), numbers),
        ),
        check(
            "orders confirmed = orders that stand, the same ones",
            keys_of.size,
            numbers.size,
            same(new Set(keys_of.keys()), numbers),
        ),
        check("orders confirmed under one key = confirmed", one_key.length, keys_of.size),
        check("messages left in the queue = none", queue.waiting + queue.in_flight, 0),
        check("messages given up by the queue = none", dead.waiting + dead.in_flight, 0),
    ];
    return { checks, confirmations: messages, balanced: checks.every(({ holds }) => holds) };
}
