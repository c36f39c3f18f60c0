// DynamoDB, in memory. It has no transactions.
import load from "./packages.mjs";
import { serve, survive_resets } from "./server.mjs";

const { default: dynalite } = await load("dynalite");
survive_resets();
const server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
server.listen(0, "127.0.0.1", () =>
    serve(server.address().port, () => server.closeAllConnections()),
);
