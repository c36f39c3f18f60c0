// Functions for the tests of Lambda.
export const echo = async (event) => event;
export const nothing = async () => null;
export const fail = async () => {
    throw new Error("it is told to fail");
};
// Answers after `ms`.
export const slow = async ({ ms }) => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return { ms };
};
// Answers with that many bytes of text.
export const large = async ({ bytes }) => "x".repeat(bytes);
// How often it was called with this key, which tells whether a call was made twice.
const calls = new Map();
export const count = async ({ key }) => {
    calls.set(key, (calls.get(key) ?? 0) + 1);
    return { calls: calls.get(key) };
};
