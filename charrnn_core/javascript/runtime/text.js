// From text to ids and back, and the end of a text. An alphabet is {kind, points}: its characters'
// code points, or for kind "bytes" the 256 bytes of UTF-8.
"use strict";

// Returns {ids, lacking}: the ids of a text, and the characters that the alphabet lacks, each once.
function encode(alphabet, text) {
  if (alphabet.kind === "bytes") return { ids: [...new TextEncoder().encode(text)], lacking: [] };
  alphabet.places ??= new Map(alphabet.points.map((point, id) => [point, id]));
  const ids = [], lacking = new Set();
  for (const character of text) {
    const id = alphabet.places.get(character.codePointAt(0));
    if (id === undefined) lacking.add(character);
    else ids.push(id);
  }
  return { ids, lacking: [...lacking] };
}

// Returns {ids, lacking} of a prompt. An empty one stands for the beginning of a line; in a model of
// documents, the last symbol of what separates them goes before it.
function encodePrompt(alphabet, separator, prompt) {
  const { ids, lacking } = encode(alphabet, prompt);
  ids.unshift(...separator.slice(-1));
  if (ids.length === 0) ids.push(encode(alphabet, "\n").ids[0] ?? 0);
  return { ids, lacking };
}

// Returns a function from an id to the text that it completes, "" within a character of many bytes.
// Called with no id, it returns what is left.
function decoder(alphabet) {
  if (alphabet.kind !== "bytes")
    return (id) => (id === undefined ? "" : String.fromCodePoint(alphabet.points[id]));
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  return (id) => (id === undefined ? utf8.decode() : utf8.decode(Uint8Array.of(id), { stream: true }));
}

// How one symbol is shown by itself.
function symbolName(alphabet, id) {
  if (alphabet.kind !== "bytes") return String.fromCodePoint(alphabet.points[id]);
  return id < 128 ? String.fromCharCode(id) : `byte ${id.toString(16)}`;
}

// Puts symbols together into characters {text, nats, top}: with the sum over the symbols of one, and
// the likeliest symbols in the place of its first.
class Characters {
  constructor(alphabet) {
    this.decode = decoder(alphabet);
    this.unfinished = { nats: 0, top: null };
  }

  add(id, nats, top) {
    const { unfinished } = this;
    unfinished.nats += nats;
    unfinished.top ??= top;
    return this.complete(this.decode(id));
  }

  end() {
    return this.complete(this.decode());
  }

  complete(text) {
    if (text === "") return [];
    const points = [...text];
    // Bytes before the last character were no UTF-8 and became U+FFFD.
    const found = points.map((point) => ({ text: point, nats: 0, top: this.unfinished.top }));
    found[found.length - 1].nats = this.unfinished.nats;
    this.unfinished = { nats: 0, top: null };
    return found;
  }
}

// Ends a text before the first occurrence of a stop string; holds back what may begin one.
class Ending {
  constructor(stop) {
    this.stop = stop;
    this.held = [];
    this.ended = false;
  }

  // Takes a character, and returns those that are safe to show.
  feed(character) {
    this.held.push(character);
    if (this.stop === "") return this.held.splice(0);
    const text = this.held.map((each) => each.text).join("");
    const at = text.indexOf(this.stop);
    if (at >= 0) {
      this.ended = true;
      return this.first(at);
    }
    let kept = Math.min(this.stop.length - 1, text.length);
    while (kept > 0 && !this.stop.startsWith(text.slice(-kept))) kept--;
    return this.first(text.length - kept);
  }

  end() {
    return this.held.splice(0);
  }

  first(length) {
    let count = 0;
    for (let size = 0; size < length; count++) size += this.held[count].text.length;
    return this.held.splice(0, count);
  }
}
