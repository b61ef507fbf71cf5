// What a model does for a page: it writes, and it reads a text and says how likely each character is.
"use strict";

const SHOWN = 5;

// The likeliest symbols: [[symbol, probability], ...].
function likeliestShown(alphabet, logP) {
  return likeliestFew(logP, SHOWN).map((id) => [symbolName(alphabet, id), Math.exp(logP[id])]);
}

// Yields characters {text, nats, top} one by one: what the model writes after a prompt.
function* writing(model, { alphabet, separator }, { prompt, length, stop, seed, ...how }) {
  const random = randomNumbers(seed), characters = new Characters(alphabet);
  const ending = new Ending(stop);
  model.reset();
  let logits = model.logits;
  for (const id of encodePrompt(alphabet, separator, prompt).ids) {
    logits = model.step(id);
    yield []; // a long prompt must not keep a page from answering
  }
  for (let count = 0; count < length && !ending.ended; count++) {
    const logP = logProbabilities(logits);
    if (!logP.every((x) => x === x)) throw new Error("the model's output is not finite");
    const id = draw(logP, how, random);
    const complete = characters.add(id, -logP[id], likeliestShown(alphabet, logP));
    for (const character of complete) if (!ending.ended) yield ending.feed(character);
    logits = model.step(id);
  }
  if (ending.ended) return;
  for (const character of characters.end()) if (!ending.ended) yield ending.feed(character);
  if (!ending.ended) yield ending.end();
}

// Yields the characters of a text, each as likely as the model finds it after those before.
function* reading(model, { alphabet, separator }, { text }) {
  const characters = new Characters(alphabet);
  model.reset();
  let logits = model.logits;
  for (const id of encodePrompt(alphabet, separator, "").ids) logits = model.step(id);
  for (const id of encode(alphabet, text).ids) {
    const logP = logProbabilities(logits);
    yield characters.add(id, -logP[id], likeliestShown(alphabet, logP));
    logits = model.step(id);
  }
  yield characters.end();
}

// Returns what takes a request {id, kind: "write" or "read", ...} and posts {id, characters}
// every few milliseconds, then {id, done, seconds, error}. A new request ends the one before, and
// {kind: "stop"} does too.
function server(model, about, post, milliseconds) {
  let current = 0;
  const work = { write: writing, read: reading };

  return async function take(request) {
    const mine = ++current;
    if (!(request.kind in work)) return;
    const began = performance.now();
    const reply = (more) => post({ id: request.id, ...more });
    let pending = [], until = began + milliseconds, stopped = false;
    const flush = () => reply({ characters: pending.splice(0) });
    try {
      for (const some of work[request.kind](model, about, request)) {
        pending.push(...some);
        if (performance.now() < until) continue;
        flush();
        await new Promise((resume) => setTimeout(resume));
        if ((stopped = mine !== current)) break;
        until = performance.now() + milliseconds;
      }
      flush();
      reply({ done: true, stopped, seconds: (performance.now() - began) / 1000 });
    } catch (error) {
      reply({ done: true, stopped: true, error: String(error.message ?? error) });
    }
  };
}
