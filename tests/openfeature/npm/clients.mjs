// Asks our server with the official clients, by what the standard input says, and prints what they were told as JSON.
//
// {"base": "http://...", "headers": {...}, "questions": [{"type", "key", "default", "context"}]}
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// Packages are found from the folder that PAYAID_NODE_MODULES names, and not from here.
const load = createRequire(`${process.env.PAYAID_NODE_MODULES}/`);
const server = load("@openfeature/server-sdk");
const web = load("@openfeature/web-sdk");
const { OFREPProvider } = load("@openfeature/ofrep-provider");
const { OFREPWebProvider } = load("@openfeature/ofrep-web-provider");

const asked = JSON.parse(readFileSync(0, "utf8"));
const headers = Object.entries(asked.headers);
const methods = { boolean: "Boolean", string: "String", number: "Number", object: "Object" };
const seen = { statuses: [], etags: [] };
const told = {};

function plain({ value, reason, variant, errorCode, flagMetadata }) {
  return { value, reason, variant, errorCode, flagMetadata };
}

async function askServer() {
  await server.OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: asked.base, headers }));
  const client = server.OpenFeature.getClient();
  const found = [];
  for (const { type, key, default: fallback, context } of asked.questions) {
    found.push(plain(await client[`get${methods[type]}Details`](key, fallback, context)));
  }
  return found;
}

async function askWeb() {
  const counting = async (...call) => {
    const response = await fetch(...call);
    seen.statuses.push(response.status);
    seen.etags.push(response.headers.get("etag"));
    return response;
  };
  const provider = new OFREPWebProvider({
    baseUrl: asked.base,
    headers,
    pollInterval: 50,
    fetchImplementation: counting,
  });
  await web.OpenFeature.setContext(asked.questions[0].context);
  await web.OpenFeature.setProviderAndWait(provider);
  const client = web.OpenFeature.getClient();
  const found = asked.questions.map(({ type, key, default: fallback }) =>
    plain(client[`get${methods[type]}Details`](key, fallback)),
  );
  // The second reading by its poll says what it has, and is told that nothing has changed.
  const end = Date.now() + 5000;
  while (seen.statuses.length < 2 && Date.now() < end) await new Promise((next) => setTimeout(next, 10));
  await web.OpenFeature.close();
  return found;
}

told.server = await askServer();
await server.OpenFeature.close();
told.web = await askWeb();
told.seen = seen;
console.log(JSON.stringify(told));
process.exit(0);
