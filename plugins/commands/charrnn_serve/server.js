// The model on the server that the page came from, asked as any client asks for completions.
"use strict";

const LEFT_OUT = { all: () => ({}), "top-k": (k) => ({ top_k: k }), "top-p": (p) => ({ top_p: p }),
  "min-p": (p) => ({ min_p: p }) };
const unknownIn = () => []; // the server refuses what the model does not know, and names it

function completion({ kind, prompt, text, temperature, sampler, amount, length, seed, stop }) {
  const model = document.getElementById("model").value;
  const always = { model, stream: true, logprobs: 5 };
  if (kind === "read") return { ...always, prompt: text, echo: true, max_tokens: 0 };
  const more = stop === "" ? {} : { stop };
  return { ...always, ...LEFT_OUT[sampler](amount), ...more, prompt, temperature, seed, max_tokens: length };
}

// Characters {text, nats, top} of an event.
function charactersOf({ choices: [choice] }) {
  const told = choice?.logprobs;
  return (told?.tokens ?? []).map((text, i) => ({
    text,
    nats: -told.token_logprobs[i],
    top: Object.entries(told.top_logprobs?.[i] ?? {})
      .map(([symbol, logP]) => [symbol, Math.exp(logP)])
      .sort((one, other) => other[1] - one[1]),
  }));
}

// Yields what the server sends, event by event.
async function* events(request, signal) {
  const token = document.getElementById("token").value;
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const body = JSON.stringify(completion(request));
  const response = await fetch("v1/completions", { method: "POST", headers, body, signal });
  if (!response.ok) throw new Error((await response.json()).error.message);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const event = JSON.parse(data);
      if (event.error) throw new Error(event.error.message);
      yield event;
    }
  }
}

async function connect(onReply) {
  let leaving = new AbortController();
  return async (request) => {
    leaving.abort();
    if (request.kind === "stop") return;
    const mine = (leaving = new AbortController()), began = performance.now();
    const reply = (more) => onReply({ id: request.id, ...more });
    const spent = () => (performance.now() - began) / 1000;
    try {
      for await (const event of events(request, mine.signal)) reply({ characters: charactersOf(event) });
      reply({ done: true, seconds: spent() });
    } catch (error) {
      if (mine.signal.aborted) reply({ done: true, stopped: true, seconds: spent() });
      else reply({ done: true, stopped: true, error: error.message });
    }
  };
}
