// A page that writes: what a person asks goes to the model, and what comes back is shown.
//
// What stands before this code declares `connect(onReply)`, a promise of `ask(request)`, which posts
// {id, kind: "write" or "read", ...} or {kind: "stop"}; replies {id, characters, done, ...} come to
// `onReply`. It also declares `unknownIn(text)`, the characters that the model does not know.
"use strict";

const element = (id) => document.getElementById(id);
const LEVELS = [1, 3, 6]; // bits
const NAMES = { "\n": "line feed", " ": "space", "\t": "tab" };
const START = { all: "", "top-k": 10, "top-p": 0.9, "min-p": 0.05 };

const bits = (nats) => nats / Math.LN2;
const level = (nats) => LEVELS.filter((bound) => bits(nats) >= bound).length;
const named = (symbol) => NAMES[symbol] ?? `\u201c${symbol}\u201d`;

// A text whose characters are coloured by surprise, and can be chosen with mouse and keyboard.
class Text {
  constructor(box) {
    this.box = box;
    this.clear();
    box.addEventListener("mouseover", ({ target }) => {
      if (target.dataset.place) this.choose(+target.dataset.place);
    });
    box.addEventListener("click", ({ target }) => {
      if (target.dataset.place) this.choose(+target.dataset.place);
    });
    box.addEventListener("keydown", (event) => {
      const to = { ArrowRight: this.at + 1, ArrowLeft: this.at - 1, Home: 0, End: this.all.length - 1 };
      if (!(event.key in to) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.choose(to[event.key]);
    });
  }

  clear() {
    this.all = [];
    this.at = -1;
    this.box.replaceChildren();
  }

  add(characters) {
    const near = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40;
    const spans = characters.map((character, i) => {
      const span = document.createElement("span");
      span.textContent = character.text;
      span.className = `s${level(character.nats)}`;
      span.dataset.place = this.all.length + i;
      return span;
    });
    this.all.push(...characters);
    this.box.append(...spans);
    if (near) this.box.scrollTop = this.box.scrollHeight;
  }

  choose(place) {
    if (!this.all[place]) return;
    this.box.children[this.at]?.classList.remove("chosen");
    this.at = place;
    const span = this.box.children[place], { text, nats, top } = this.all[place];
    span.classList.add("chosen");
    span.scrollIntoView({ block: "nearest" });
    const list = document.createElement("ol");
    for (const [symbol, p] of top ?? []) {
      const item = document.createElement("li");
      item.textContent = `${named(symbol)} ${(100 * p).toFixed(1)} %`;
      if (symbol === text) item.className = "taken";
      list.append(item);
    }
    const line = `${named(text)}, ${bits(nats).toFixed(2)} bits. Likeliest here:`;
    element("detail").replaceChildren(line, list);
  }
}

const written = new Text(element("written")), read = new Text(element("read"));
let requests = 0, ask, rate = 0;
const current = { kind: "", id: 0, count: 0, nats: 0 };

function request(kind, more) {
  Object.assign(current, { kind, id: ++requests, count: 0, nats: 0 });
  const writing = kind === "write";
  element("halt").disabled = !writing;
  if (writing) element("status").textContent = "Writing.";
  ask({ id: current.id, kind, ...more }); // without a worker, a short text is done at once
}

function write() {
  written.clear();
  const number = (id, otherwise) => (element(id).value === "" ? otherwise : +element(id).value);
  const sampler = element("sampler").value;
  request("write", {
    prompt: element("prompt").value,
    temperature: +element("temperature").value,
    sampler,
    amount: number("amount", START[sampler]),
    length: number("length", 1000),
    seed: number("seed", 0),
    stop: element("stop").value,
  });
}

function score() {
  const text = element("own").value;
  read.clear();
  element("score").textContent = "";
  if (text !== "") request("read", { text });
}

// Characters that the alphabet lacks are skipped; say so.
function lacking(text) {
  const symbols = unknownIn(text);
  return symbols.length ? ` Skipped, for the model has never seen them: ${symbols.join(" ")}` : "";
}

function onReply({ id, characters, done, stopped, seconds, error }) {
  if (id !== current.id) return;
  const writing = current.kind === "write", text = writing ? written : read;
  if (characters) {
    text.add(characters);
    current.count += characters.length;
    for (const { nats } of characters) current.nats += nats;
  }
  if (!done) return;
  const { count, nats } = current;
  if (writing) {
    element("halt").disabled = true;
    rate = count / seconds;
    const how = stopped ? "Stopped" : "Done";
    element("status").textContent = error
      ? `The model cannot go on: ${error}`
      : `${how}: ${count} characters, ${Math.round(rate)} a second.${lacking(element("prompt").value)}`;
  } else if (error) {
    element("score").textContent = `The model cannot read this: ${error}`;
  } else {
    const each = count ? `${(bits(nats) / count).toFixed(3)} bits per character` : "no character";
    element("score").textContent =
      `${each}, ${bits(nats).toFixed(1)} bits in all.${lacking(element("own").value)}`;
  }
}

let typed;
element("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  if (ask) write();
});
element("halt").addEventListener("click", () => {
  ask({ kind: "stop" });
});
element("temperature").addEventListener("input", ({ target }) => {
  element("shown-temperature").textContent = (+target.value).toFixed(2);
});
element("sampler").addEventListener("change", ({ target }) => {
  element("amount").disabled = target.value === "all";
  element("amount").value = START[target.value];
});
element("own").addEventListener("input", () => {
  clearTimeout(typed);
  if (ask) typed = setTimeout(score, 250);
});
connect(onReply).then(
  (connected) => {
    ask = connected;
    element("write").disabled = false;
    element("status").textContent = "Ready.";
  },
  (error) => {
    element("status").textContent = `The model cannot be loaded: ${error.message}`;
  },
);
