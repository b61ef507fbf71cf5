// What the page knows of its text.

// A text that has been read, as typed arrays: `levels` has a row for each unit, `depends` one for
// each character, and is null where it is not known.
async function givenText() {
  const arrays = await unpack(DATA.packed);
  return Object.fromEntries(DATA.names.map((name, i) => [name, arrays[i]]));
}

// Return a number in words, to so many digits.
function written(number, digits) {
  return String(Number(number.toPrecision(digits))).replace("-", "−");
}

// Return a correlation in words.
function correlation(r) {
  return (r < 0 ? "−" : "+") + Math.abs(r).toFixed(2);
}

// Return what stands for a symbol in a sentence.
function nameOf(id) {
  const symbol = DATA.symbols[id];
  return symbol === " " ? "␣" : symbol;
}
