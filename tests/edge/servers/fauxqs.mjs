// SQS and SNS. By its API, since its own start binds every address. URLs of queues have the host
// and port by which the queue was made, so that whoever makes it through a proxy goes on through
// it; for this, and only this, an inner file of the locked version is loaded.
import load from "./packages.mjs";
import { serve, survive_resets } from "./server.mjs";

const { buildApp } = await load("fauxqs");
const inner = "../../../build/edge-servers/node_modules/fauxqs/dist/sqs/sqsStore.js";
const { SqsStore } = await import(new URL(inner, import.meta.url));
const sqsStore = new SqsStore();
sqsStore.host = "";

survive_resets();
const app = buildApp({ logger: false, defaultRegion: "eu-central-1", stores: { sqsStore } });
await app.listen({ port: 0, host: "127.0.0.1" });
serve(app.server.address().port, () => app.close());
