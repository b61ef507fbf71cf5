// The numbers of a model, unpacked: base64 of a deflated run of arrays, one after the other.
"use strict";

const KINDS = {
  uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array,
  uint32: Uint32Array, int32: Int32Array, float32: Float32Array, float64: Float64Array,
};

// Each array begins at a multiple of 8 bytes; `arrays` has the kind and the length of each.
async function unpack({ arrays, base64 }) {
  const deflated = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  let at = 0;
  return arrays.map(([kind, length]) => {
    const Kind = kind === "float16" ? Uint16Array : KINDS[kind];
    const values = new Kind(buffer, at, length);
    at += Math.ceil(values.byteLength / 8) * 8;
    return kind === "float16" ? Float32Array.from(values, fromFloat16) : values;
  });
}

function fromFloat16(bits) {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
