// What is said of the chosen character and the chosen unit.

function showCharacter(i) {
  const { ids, bits, levels, top, chances } = text.read;
  const { name, origin, scale } = DATA.units[chosen.unit];
  const value = origin + (levels[chosen.unit * text.length + i] * scale) / DATA.most;
  const letter = document.createElement("b");
  letter.textContent = nameOf(ids[i]);
  byId("character").replaceChildren(
    letter,
    ` (${i + 1} of ${text.length}) cost ${bits[i].toFixed(3)} bits. `,
    `${name} is ${written(value, 2)}.`,
  );
  const rows = [];
  for (let k = i * DATA.topCount; k < (i + 1) * DATA.topCount; k++) {
    const row = document.createElement("tr");
    const share = (chances[k] / 255) * 100;
    const bar = document.createElement("i");
    bar.style.width = `${share}%`;
    for (const content of [nameOf(top[k]), share.toFixed(0), bar]) {
      row.insertCell().append(content);
    }
    row.cells[1].className = "number";
    rows.push(row);
  }
  byId("next").tBodies[0].replaceChildren(...rows);
}

function showAlike() {
  const like = DATA.units[chosen.unit].like.map(([unit, r]) => {
    const button = document.createElement("button");
    const number = document.createElement("b");
    button.type = "button";
    button.className = "unit";
    button.dataset.unit = unit;
    number.textContent = correlation(r);
    button.append(`${DATA.units[unit].name} `, number);
    return button;
  });
  byId("like").replaceChildren(like.length ? "Units like this one: " : "", ...like);
}
