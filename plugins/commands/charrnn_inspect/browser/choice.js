// What is chosen: a character, a unit, and what the text is coloured by.

const chosen = { at: 0, seen: 0, unit: 0, view: "unit" };
const byId = (id) => document.getElementById(id);
let text;

const VIEWS = {
  unit: {
    level: (i) => text.read.levels[chosen.unit * text.length + i],
    legend: () => {
      const { name, origin, scale } = DATA.units[chosen.unit];
      const at = (share) => written(origin + share * scale, 3);
      const middle = origin ? `its mean, ${at(0)}` : "0";
      return [`${name}: ${at(-1)}`, scaleOf(-DATA.most, DATA.most),
        `${at(1)}; no colour is ${middle}`];
    },
  },
  surprise: {
    level: (i) => Math.min(DATA.most, Math.round((text.read.bits[i] * DATA.most) / 8)),
    legend: () => ["0 bits", scaleOf(0, DATA.most), "8 bits or more"],
  },
  depends: {
    level: (i) => {
      const back = chosen.seen - i;
      const row = chosen.seen + 1; // the prediction that follows
      if (back < 0 || back >= DATA.back || row >= text.length || !text.read.depends) return 0;
      return Math.round((text.read.depends[row * DATA.back + back] * DATA.most) / 15);
    },
    legend: () => ["nothing", scaleOf(0, DATA.most),
      "as much as on any: gradient of the next character’s log-probability"],
  },
};

function scaleOf(low, high) {
  const scale = document.createElement("span");
  scale.className = "scale signs";
  for (let level = low; level <= high; level += 2) {
    const step = document.createElement("span");
    step.className = level > 0 ? "p" + level : level ? "m" + -level : "";
    scale.append(step);
  }
  return scale;
}

function paint() {
  text.paint(VIEWS[chosen.view].level);
  byId("legend").replaceChildren(...VIEWS[chosen.view].legend());
}

// Choose a unit, and colour the text by it.
function chooseUnit(unit) {
  chosen.unit = (unit + DATA.units.length) % DATA.units.length;
  chooseView("unit");
  byId("unit").value = chosen.unit;
  for (const button of document.querySelectorAll("button.unit")) {
    button.setAttribute("aria-pressed", button.dataset.unit === String(chosen.unit));
  }
  showAlike();
  look(chosen.seen);
}

function chooseView(view) {
  chosen.view = view;
  document.querySelector(`[name="view"][value="${view}"]`).checked = true;
  paint();
}

// Show a character, without choosing it.
function look(i) {
  chosen.seen = i;
  text.mark(i);
  if (chosen.view === "depends") paint();
  showCharacter(i);
}

// Choose a character, and bring it into view.
function choose(i) {
  chosen.at = Math.max(0, Math.min(text.length - 1, i));
  look(chosen.at);
  text.reveal(chosen.at);
}
