// What a visitor does with the pointer and the keyboard, and the beginning.

const MOVES = {
  ArrowRight: (i) => i + 1,
  ArrowLeft: (i) => i - 1,
  ArrowDown: (i) => text.below(i, 1),
  ArrowUp: (i) => text.below(i, -1),
  PageDown: (i) => text.below(i, 10),
  PageUp: (i) => text.below(i, -10),
  Home: (i, event) => (event.ctrlKey ? 0 : text.edge(i, -1)),
  End: (i, event) => (event.ctrlKey ? text.length - 1 : text.edge(i, 1)),
};

function onKey(event) {
  if (event.altKey || event.metaKey) return;
  if (event.key in MOVES) choose(MOVES[event.key](chosen.at, event));
  else if (event.key === "+") chooseUnit(chosen.unit + 1);
  else if (event.key === "-") chooseUnit(chosen.unit - 1);
  else return;
  event.preventDefault();
}

function onPointer(event, then) {
  const i = text.places.get(event.target);
  if (i !== undefined) then(i);
}

async function start() {
  text = new Text(byId("text"));
  text.show(await givenText());
  const box = text.element;
  box.addEventListener("keydown", onKey);
  box.addEventListener("mouseover", (event) => onPointer(event, look));
  box.addEventListener("click", (event) => onPointer(event, choose));
  box.addEventListener("mouseleave", () => look(chosen.at));
  byId("unit").addEventListener("change", (event) => chooseUnit(+event.target.value));
  byId("before").addEventListener("click", () => chooseUnit(chosen.unit - 1));
  byId("after").addEventListener("click", () => chooseUnit(chosen.unit + 1));
  byId("signs").addEventListener("change", (event) =>
    box.classList.toggle("signs", event.target.checked));
  for (const radio of document.querySelectorAll('[name="view"]')) {
    radio.addEventListener("change", () => chooseView(radio.value));
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.unit");
    if (button) chooseUnit(+button.dataset.unit);
  });
  const first = document.querySelector("button.unit");
  chooseUnit(first ? +first.dataset.unit : 0);
  await prepareTyping();
  document.body.dataset.ready = "yes";
}

start();
