// AWS's own SDK, for what tests prepare and check. Prints one JSON value; of a refusal
// {error, message}.
//     client.mjs call URL SERVICE COMMAND [INPUT]
//         any command: call URL sqs CreateQueue '{"QueueName": "q"}'
//     client.mjs send URL QUEUE COUNT BODY
//         in batches; "%d" in BODY is the number, from 0; to a FIFO queue with group "g0".."g3" and
//         the number as deduplication id
//     client.mjs drain URL QUEUE COUNT [SECONDS]
//         receives and deletes until so many have come, or for so long (10 s) none:
//         {messages: [{id, body, attributes, system}]} in the order in which they came
import load from "./packages.mjs";

// It tells of its next versions on standard error, at every start.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";

const services = {
    sqs: ["@aws-sdk/client-sqs", "SQSClient"],
    sns: ["@aws-sdk/client-sns", "SNSClient"],
    dynamodb: ["@aws-sdk/client-dynamodb", "DynamoDBClient"],
    lambda: ["@aws-sdk/client-lambda", "LambdaClient"],
};

export async function connect(service, url, maxAttempts = 3) {
    const [name, client] = services[service];
    const library = await load(name);
    const connection = new library[client]({
        region: "eu-central-1",
        endpoint: url,
        useQueueUrlAsEndpoint: false,
        maxAttempts,
        credentials: { accessKeyId: "test", secretAccessKey: "test" },
    });
    return (command, input = {}) => connection.send(new library[`${command}Command`](input));
}

async function call(url, service, command, input = "{}") {
    const { $metadata, ...answer } = await (
        await connect(service, url)
    )(command, JSON.parse(input));
    if (answer.Payload instanceof Uint8Array)
        answer.Payload = Buffer.from(answer.Payload).toString();
    return answer;
}

export async function send(sqs, queue, bodies) {
    const of_fifo = (number) =>
        queue.endsWith(".fifo")
            ? { MessageGroupId: `g${number % 4}`, MessageDeduplicationId: `${number}` }
            : {};
    for (let first = 0; first < bodies.length; first += 10) {
        const Entries = bodies.slice(first, first + 10).map((MessageBody, i) => ({
            Id: `${i}`,
            MessageBody,
            ...of_fifo(first + i),
        }));
        const { Failed = [] } = await sqs("SendMessageBatch", { QueueUrl: queue, Entries });
        if (Failed.length > 0) throw new Error(JSON.stringify(Failed));
    }
    return { sent: bodies.length };
}

// In the order in which they come.
export async function drain(sqs, queue, count, seconds = 10) {
    const messages = [];
    while (messages.length < count) {
        const { Messages = [] } = await sqs("ReceiveMessage", {
            QueueUrl: queue,
            MaxNumberOfMessages: 10,
            WaitTimeSeconds: seconds,
            MessageAttributeNames: ["All"],
            MessageSystemAttributeNames: ["All"],
        });
        if (Messages.length === 0) break;
        for (const message of Messages)
            messages.push({
                id: message.MessageId,
                body: message.Body,
                attributes: message.MessageAttributes ?? {},
                system: message.Attributes,
            });
        const Entries = Messages.map(({ ReceiptHandle }, i) => ({ Id: `${i}`, ReceiptHandle }));
        await sqs("DeleteMessageBatch", { QueueUrl: queue, Entries });
    }
    return { messages };
}

const commands = {
    call,
    send: async (url, queue, count, body) =>
        send(
            await connect("sqs", url),
            queue,
            Array.from({ length: Number(count) }, (_, i) => body.replaceAll("%d", i)),
        ),
    drain: async (url, queue, count, seconds) =>
        drain(await connect("sqs", url), queue, Number(count), Number(seconds ?? 10)),
};

if (process.argv[1] === new URL(import.meta.url).pathname) {
    const [, , command, ...rest] = process.argv;
    const answer = await commands[command](...rest).catch((error) => ({
        error: error.name,
        message: error.message,
    }));
    console.log(JSON.stringify(answer));
}
