// Sends CloudEvents by the public JavaScript SDK's own transport, in each mode, and says what was
// answered, as JSON. Usage: node cloudevents_node.mjs URL
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.NODE_MODULES_OF, "package.json"));
const { CloudEvent, HTTP, Mode, emitterFor, httpTransport } = require("cloudevents");

const url = `${process.argv[2]}/v1/events`;
const subject = 'eni "eni-1" 100% 网卡 😀';
const data = { eniId: "eni-1", 说明: "网卡 😀", none: null };
const event = (number, more = {}) =>
  new CloudEvent({
    id: `node-${number}`,
    source: "https://example.com/node",
    type: "com.example.attached",
    time: "2026-01-02T03:04:05.678Z",
    aliyunaccountid: "1690700000000030",
    datacontenttype: "application/json",
    data,
    ...more,
  });

const send = async (mode, one) => {
  const emit = emitterFor(httpTransport(url), { mode });
  return JSON.parse((await emit(one)).body).results;
};
const post = async (headers, body) => {
  const answer = await fetch(url, { method: "POST", headers, body });
  return { status: answer.status, results: (await answer.json()).results };
};

// The SDK puts an attribute that is not ASCII into a header as it is, which no HTTP library sends:
// the text goes out in structured mode.
const said = {
  binary: await send(Mode.BINARY, event(1)),
  structured: await send(Mode.STRUCTURED, event(2, { subject })),
  again: [
    await send(Mode.STRUCTURED, event(1)),
    await send(Mode.BINARY, event(1)),
    await send(Mode.STRUCTURED, event(2, { subject })),
  ].flat(),
  text: await send(Mode.BINARY, event(5, { datacontenttype: "text/plain", data: "网卡" })),
  bytes: await send(
    Mode.STRUCTURED,
    event(6, { datacontenttype: "application/octet-stream", data: new Uint8Array([0, 255, 1]) }),
  ),
  batch: await post(
    { "content-type": "application/cloudevents-batch+json" },
    `[${[3, 1, 4].map((number) => HTTP.structured(event(number)).body).join(",")}]`,
  ),
  subject,
  data,
};
console.log(JSON.stringify(said));
