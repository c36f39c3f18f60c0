// Packages as install.sh has installed them: `const { SQSClient } = await load("@aws-sdk/client-
// sqs")`.
const { default: load } = await import(
    new URL("../../../build/edge-servers/load.mjs", import.meta.url)
);
export default load;
