// Lambda's Invoke API: serverless-offline's, without the Serverless Framework around it.
//     lambda.mjs [FILE]: the functions are the exports of FILE (default: functions.mjs), by their
// names and by ARNs of eu-central-1 and account 000000000000. A function has 3 s.
// What differs from AWS: an error's type is always "Error".
import http from "node:http";
import { dirname, basename, resolve } from "node:path";
import { pathToFileURL, fileURLToPath } from "node:url";
import load from "./packages.mjs";
import { serve, survive_resets } from "./server.mjs";

const file = resolve(process.argv[2] ?? fileURLToPath(new URL("functions.mjs", import.meta.url)));
const directory = dirname(file);
const { default: Lambda } = await load("serverless-offline/lambda");
survive_resets();

// It keeps its server to itself, and the port that it got with it.
const servers = [];
const { createServer } = http;
http.createServer = (...all) => {
    servers.push(createServer(...all));
    return servers.at(-1);
};

const provider = { name: "aws", region: "eu-central-1", runtime: "nodejs20.x", timeout: 3 };
const lambda = new Lambda(
    {
        config: { serverlessPath: directory, servicePath: directory },
        service: { provider, package: {}, service: "flyover" },
        serviceDir: directory,
    },
    {
        host: "127.0.0.1",
        lambdaPort: 0,
        useInProcess: true,
        terminateIdleLambdaTime: 600,
        corsConfig: false,
    },
);
const handler = basename(file).replace(/\.[^.]+$/, "");
const names = Object.keys(await import(pathToFileURL(file)));
for (const name of names)
    for (const known of [name, `arn:aws:lambda:eu-central-1:000000000000:function:${name}`])
        lambda.create([
            {
                functionKey: known,
                functionDefinition: { name: known, handler: `${handler}.${name}` },
            },
        ]);
await lambda.start();
serve(servers.at(-1).address().port, async () => {
    await lambda.stop(0);
    await lambda.cleanup();
});
