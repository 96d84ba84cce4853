// The official SDKs for Node, as they are but for base URL and key. Prints what each call gave.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const base = process.env.BURSAR;
const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey: process.env.SECRET });
const anthropic = new Anthropic({ baseURL: base, apiKey: process.env.SECRET });
const messages = [{ role: "user", content: "Name three colours." }];

const calls = {
  async chat() {
    const answer = await openai.chat.completions.create({ model: "small-chat", messages, max_tokens: 16 });
    return { text: answer.choices[0].message.content, usage: answer.usage.completion_tokens };
  },
  async chat_streamed() {
    const stream = await openai.chat.completions.create({ model: "small-chat", messages, max_tokens: 16, stream: true });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0].delta.content ?? "";
    return { text };
  },
  async response_streamed() {
    const stream = await openai.responses.create({ model: "small-chat", input: "Name three colours.", max_output_tokens: 16, stream: true });
    let text = "", usage;
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") text += event.delta;
      if (event.type === "response.completed") usage = event.response.usage.output_tokens;
    }
    return { text, usage };
  },
  async message_streamed() {
    const final = await anthropic.messages.stream({ model: "letter-chat", messages, max_tokens: 16 }).finalMessage();
    return { text: final.content[0].text, usage: final.usage.output_tokens };
  },
  async count() {
    const answer = await anthropic.messages.countTokens({ model: "letter-chat", messages });
    return { usage: answer.input_tokens };
  },
  async refused() {
    try {
      await openai.chat.completions.create({ model: "unheard-of", messages });
    } catch (error) {
      return { status: error.status, code: error.code, name: error.constructor.name };
    }
  },
  async refused_message() {
    try {
      await anthropic.messages.create({ model: "unheard-of", messages, max_tokens: 16 });
    } catch (error) {
      return { status: error.status, type: error.error.error.type, name: error.constructor.name };
    }
  },
};

const results = {};
for (const [name, call] of Object.entries(calls)) results[name] = await call();
console.log(JSON.stringify(results));
