// Signs as AWS's own SDK does: sign.mjs FILE, a JSON array of {method, host, path, query: [[name,
// value]], headers: [[name, value]], body, service, region, time, keys}. Prints the Authorization
// headers.
import { readFileSync } from "node:fs";
import { createHash, createHmac } from "node:crypto";
import load from "./packages.mjs";

const { SignatureV4 } = await load("@smithy/signature-v4");

class Sha256 {
    constructor(secret) {
        this.hash = secret ? createHmac("sha256", secret) : createHash("sha256");
    }
    update(data) {
        this.hash.update(data);
    }
    async digest() {
        return new Uint8Array(this.hash.digest());
    }
}

async function sign({ method, host, path, query, headers, body, service, region, time, keys }) {
    const signer = new SignatureV4({
        credentials: keys,
        region,
        service,
        sha256: Sha256,
        applyChecksum: false,
    });
    const names = {};
    for (const [name, value] of query) (names[name] ??= []).push(value);
    const request = {
        method,
        protocol: "https:",
        hostname: host,
        path,
        query: names,
        headers: { host, ...Object.fromEntries(headers) },
        body,
    };
    const signed = await signer.sign(request, { signingDate: new Date(time * 1000) });
    return signed.headers.authorization;
}

const requests = JSON.parse(readFileSync(process.argv[2], "utf8"));
console.log(JSON.stringify(await Promise.all(requests.map(sign))));
