// Reads events with the CloudEvents SDK for JavaScript, and their data by the schemas that they name.
// Arguments: the files. The schemas are beside nats/README.md.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.EVENTS_MODULES + "/");
const { CloudEvent, HTTP } = require("cloudevents");
const Ajv = require("ajv/dist/2020").default;
const formats = require("ajv-formats").default;

const ajv = new Ajv({ allErrors: true, strict: true });
formats(ajv);
for (const type of readdirSync("nats/schemas")) {
  for (const file of readdirSync(`nats/schemas/${type}`)) {
    ajv.addSchema(JSON.parse(readFileSync(`nats/schemas/${type}/${file}`, "utf8")));
  }
}

function read(body) {
  const event = HTTP.toEvent({
    headers: { "content-type": "application/cloudevents+json; charset=utf-8" },
    body,
  });
  return new CloudEvent(event); // strict
}

function refused(body) {
  try {
    read(body);
    return false;
  } catch {
    return true;
  }
}

for (const path of process.argv.slice(2)) {
  const body = readFileSync(path, "utf8");
  const event = read(body);
  if (!ajv.validate(event.dataschema, event.data)) {
    throw new Error(`${path}: ${ajv.errorsText()}`);
  }
  // What this check is for: neither a relative dataschema nor other data may pass it.
  if (!refused(body.replace('"urn:wharfinger:events:', '"/v1/schemas/'))) {
    throw new Error(`${path}: a relative dataschema was accepted`);
  }
  if (ajv.validate(event.dataschema, { ...event.data, user_id: 7 })) {
    throw new Error(`${path}: a number was accepted as a user_id`);
  }
}
console.log(`javascript: ${process.argv.length - 2} events`);
