// Functions for test_lambda_live.c.
export const echo = async (event) => event;
export const nothing = async () => null;
// What the engine tells of itself.
export const context = async (event, { clientContext }) => clientContext ?? null;
export const refuse = async () => {
    throw new Error("no money");
};
export const large = async ({ bytes }) => "x".repeat(bytes);
// Answers when it is let go, by `release`, which answers how many it let go.
const held = [];
export const hold = (event) => new Promise((resolve) => held.push(() => resolve(event)));
export const release = async ({ count }) => {
    while (held.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    return held.splice(0).map((resolve) => resolve()).length;
};
// How often this key has come.
const keys = new Map();
export const count = async (event, { clientContext }) => {
    const key = clientContext?.custom?.flyover_key;
    keys.set(key, (keys.get(key) ?? 0) + 1);
    return { key, times: keys.get(key) };
};
