// The Lambda functions of the order application.
import { createHash } from "node:crypto";

// The same answer to the same order, whenever it is asked.
export const checkFraud = async ({ order }) => ({
    risk: createHash("sha256").update(order).digest().readUInt32BE() % 94,
});
