// The numbers of the page, unpacked: typed arrays over characters.

async function unpacked(packed, Kind) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Kind(await new Response(stream).arrayBuffer());
}

// A text that has been read: `levels` has a row for each unit, `depends` one for each character,
// and is null where it is not known.
async function givenText() {
  const kinds = {
    ids: Uint32Array,
    bits: Float32Array,
    top: Uint32Array,
    chances: Uint8Array,
    levels: Int8Array,
    depends: Uint8Array,
  };
  const names = Object.keys(kinds);
  const arrays = await Promise.all(names.map((name) => unpacked(DATA[name], kinds[name])));
  return Object.fromEntries(names.map((name, i) => [name, arrays[i]]));
}

// Return what stands for a symbol in a sentence.
function nameOf(id) {
  const symbol = DATA.symbols[id];
  return symbol === " " ? "␣" : symbol;
}
