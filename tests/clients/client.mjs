// The npm client against a running server (ALCAZAR_API).
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.ALCAZAR_API + "/v1", apiKey: "none", maxRetries: 0 });
const model = "smollm2";
const messages = [{ role: "user", content: "Name a city in Italy." }];
const ask = (more) => client.chat.completions.create({ model, messages, max_tokens: 12, temperature: 0, ...more });
const weather = {
  type: "function",
  function: {
    name: "weather",
    parameters: { type: "object", properties: { city: { enum: ["Rome", "Oslo"] } }, required: ["city"], additionalProperties: false },
  },
};

const whole = (await ask()).choices[0].message.content;
assert.ok(whole.length > 0);
let text = "", usage;
for await (const chunk of await ask({ stream: true, stream_options: { include_usage: true } })) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, whole);
assert.ok(usage.completion_tokens > 0);

const called = (await ask({ tools: [weather], tool_choice: "required", max_tokens: 100 })).choices[0];
assert.equal(called.finish_reason, "tool_calls");
assert.ok(["Rome", "Oslo"].includes(JSON.parse(called.message.tool_calls[0].function.arguments).city));

const schema = { type: "object", properties: { n: { type: "integer", minimum: 0, maximum: 9 } }, required: ["n"], additionalProperties: false };
const format = { type: "json_schema", json_schema: { name: "n", strict: true, schema } };
const parsed = JSON.parse((await ask({ response_format: format, max_tokens: 30 })).choices[0].message.content);
assert.ok(parsed.n >= 0 && parsed.n <= 9);

const response = await client.responses.create({ model, input: "Say hello.", max_output_tokens: 8 });
assert.ok(response.output_text.length > 0);
let events = 0;
for await (const event of await client.responses.create({ model, input: "Hi", max_output_tokens: 4, stream: true })) {
  assert.equal(event.sequence_number, events++);
}
assert.ok(events > 5);
await assert.rejects(ask({ temperature: 9 }), (error) => error.status === 400 && error.param === "temperature");
console.log("ok   npm openai");
