// Runs compiled steps and functions of the runtime; cases come on standard input, as JSON lines, and
// what they return goes to standard output, one line each.
"use strict";

const lines = require("node:fs").readFileSync(0, "utf8").split("\n").filter(Boolean);

function made(code, names) {
  return new Function(`${code}; return {${names}};`)();
}

const kinds = {
  // The logits of a model after each of some symbols, and the carry at the end.
  async step({ code, data, ids }) {
    const model = await made(code, "engine").engine().makeModel(data);
    const logits = ids.map((id) => [...model.step(id)]);
    return { logits, carry: model.carry.map(({ values }) => [...values].map(Number)) };
  },
  // The symbols that are likeliest, each after those before.
  async greedy({ code, data, first, count }) {
    const model = await made(code, "engine").engine().makeModel(data), ids = [first];
    while (ids.length <= count) {
      const logits = model.step(ids[ids.length - 1]);
      ids.push(logits.indexOf(Math.max(...logits)));
    }
    return ids;
  },
  async unpack({ code, data }) {
    return (await made(code, "unpack").unpack(data)).map((array) => [...array].map(String));
  },
  async call({ code, expression }) {
    return new Function(`${code}; return (${expression});`)();
  },
};

(async () => {
  for (const line of lines) {
    const request = JSON.parse(line);
    console.log(JSON.stringify(await kinds[request.kind](request)));
  }
})();
