// A text that the visitor types: read by the model itself, where the page has it.

async function prepareTyping() {
  if (!DATA.model) return;
  const tools = engine();
  const model = await tools.makeModel(DATA.model);
  const given = text.read;
  let latest = 0;

  byId("read").addEventListener("click", async () => {
    const mine = ++latest;
    const { ids, lacking } = tools.encode(DATA.model.alphabet, byId("typed").value);
    if (ids.length === 0) return say("There is nothing to read yet.");
    byId("read").disabled = true;
    const read = await readByModel(tools, model, ids, (done) => say(`${done} of ${ids.length}`));
    byId("read").disabled = false;
    if (mine !== latest) return;
    showText(read);
    const mean = read.bits.reduce((sum, bits) => sum + bits, 0) / ids.length;
    const without = lacking.length ? `, without what the alphabet lacks: ${[...lacking].join(" ")}` : "";
    say(`${mean.toFixed(3)} bits on average${without}.`);
  });

  byId("given").addEventListener("click", () => {
    latest++;
    showText(given);
    say("");
  });
}

function say(words) {
  byId("said").textContent = words;
}

// Show another text; what predictions depend on is known of the first alone.
function showText(read) {
  text.show(read);
  byId("depends").disabled = !read.depends;
  chosen.at = chosen.seen = 0;
  chooseView(chosen.view === "depends" && !read.depends ? "unit" : chosen.view);
  choose(0);
}

// Read ids one by one, from the beginning of a line or a document.
async function readByModel(tools, model, ids, tell) {
  const length = ids.length;
  const read = {
    ids,
    bits: new Float32Array(length),
    top: [],
    chances: [],
    levels: new Int8Array(DATA.units.length * length),
    depends: null,
  };
  model.reset();
  let logits = model.logits;
  const { alphabet, separator } = DATA.model;
  for (const id of tools.encodePrompt(alphabet, separator, "").ids) logits = model.step(id);
  let until = performance.now() + 30;
  for (let i = 0; i < length; i++) {
    read.bits[i] = -tools.logProbabilities(logits)[ids[i]] / Math.LN2;
    logits = model.step(ids[i]);
    const logP = tools.logProbabilities(logits);
    const top = tools.likeliestFew(logP, DATA.topCount);
    read.top.push(...top);
    read.chances.push(...top.map((id) => 255 * Math.exp(logP[id])));
    keepLevels(model, read.levels, i, length);
    if (performance.now() < until) continue;
    tell(i);
    await new Promise((resume) => setTimeout(resume)); // the page goes on answering
    until = performance.now() + 30;
  }
  return read;
}

function keepLevels(model, levels, i, length) {
  DATA.units.forEach(({ leaf, number, origin, scale }, unit) => {
    const away = (model.carry[leaf].values[number] - origin) / (scale || 1);
    levels[unit * length + i] = Math.round(Math.max(-1, Math.min(1, away || 0)) * DATA.most);
  });
}
