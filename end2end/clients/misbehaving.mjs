// What somebody sees who calls a misbehaving upstream with an SDK for Node: `ok` and a text, or an error.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { z } from "zod";

const base = process.env.BURSAR, apiKey = process.env.SECRET, moods = process.env.MOODS.split(" ");
const maxRetries = 1, prompt = "Name three colours.";
const messages = [{ role: "user", content: prompt }];

// Soon where nothing will come.
const patience = (mood) => (mood === "stall" ? 1000 : 30_000);

const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries });
const anthropic = new Anthropic({ baseURL: base, apiKey, maxRetries });
const vercelOpenai = createOpenAI({ baseURL: `${base}/v1`, apiKey });
const vercelAnthropic = createAnthropic({ baseURL: `${base}/v1`, apiKey });

async function vercel(model, mood, more = {}) {
  let text = "", failed;
  const result = streamText({
    model, prompt, maxRetries, maxOutputTokens: 64, abortSignal: AbortSignal.timeout(patience(mood)),
    onError: () => {}, ...more,
  });
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") text += part.text;
    if (part.type === "error") failed = part.error;
    if (part.type === "abort") failed = Object.assign(new Error("aborted"), { name: "AbortError" });
  }
  if (failed) throw failed;
  return text;
}

const clients = {
  async openai(mood) {
    const ask = { model: `chat-${mood}`, messages, max_tokens: 64, stream: true };
    const stream = await openai.chat.completions.create(ask, { timeout: patience(mood) });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0].delta.content ?? "";
    return text;
  },
  async anthropic(mood) {
    const ask = { model: `letter-${mood}`, messages, max_tokens: 64 };
    return await anthropic.messages.stream(ask, { timeout: patience(mood) }).finalText();
  },
  vercel_openai: (mood) => vercel(vercelOpenai.chat(`chat-${mood}`), mood),
  vercel_anthropic: (mood) => vercel(vercelAnthropic(`letter-${mood}`), mood),
};

const tools = {
  look_up: tool({ description: "Looks a word up", inputSchema: z.object({ word: z.string() }), execute: async ({ word }) => `${word}: a treasurer` }),
};

async function see(call) {
  try {
    return { saw: "ok", text: await call() };
  } catch (error) {
    return { saw: error?.name && error.name !== "Error" ? error.name : error?.constructor?.name ?? typeof error, text: String(error?.message ?? error) };
  }
}

const which = process.env.CLIENT, client = clients[which];
const seen = Object.fromEntries(await Promise.all(moods.map(async (mood) => [mood, await see(() => client(mood))])));
if (which.startsWith("vercel")) {
  const model = which === "vercel_openai" ? vercelOpenai.chat("chat-agent") : vercelAnthropic("letter-agent");
  seen.agent = await see(() => vercel(model, "agent", { tools, stopWhen: stepCountIs(3) }));
}
console.log(JSON.stringify(seen));
