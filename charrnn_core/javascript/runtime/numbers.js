// What the code of a compiled step calls: products, roundings, special functions.
"use strict";

// target = matrix source, for a matrix of so many rows. Four rows at a time read source once.
function matvec(matrix, source, target, rows, columns) {
  let row = 0;
  for (; row + 3 < rows; row += 4) {
    let a = row * columns, b = a + columns, c = b + columns, d = c + columns;
    let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (let k = 0; k < columns; k++) {
      const x = source[k];
      s0 += matrix[a++] * x;
      s1 += matrix[b++] * x;
      s2 += matrix[c++] * x;
      s3 += matrix[d++] * x;
    }
    target[row] = s0;
    target[row + 1] = s1;
    target[row + 2] = s2;
    target[row + 3] = s3;
  }
  for (; row < rows; row++) {
    let a = row * columns, sum = 0;
    for (let k = 0; k < columns; k++) sum += matrix[a++] * source[k];
    target[row] = sum;
  }
}

// target[g] = one[g] other[g]^T for each group: rows by inner, columns by inner.
function matmul(one, other, target, groups, rows, columns, inner) {
  let at = 0;
  for (let g = 0; g < groups; g++)
    for (let m = 0; m < rows; m++)
      for (let n = 0; n < columns; n++) {
        let a = (g * rows + m) * inner, b = (g * columns + n) * inner, sum = 0;
        for (let k = 0; k < inner; k++) sum += one[a++] * other[b++];
        target[at++] = sum;
      }
}

// target = matrix source, for a matrix of which the values that are not 0 are given row by row:
// their columns, and where the values of each row end.
function sparse(values, columns, ends, source, target, rows) {
  for (let row = 0, k = 0; row < rows; row++) {
    let sum = 0;
    for (; k < ends[row]; k++) sum += values[k] * source[columns[k]];
    target[row] = sum;
  }
}

const shared = new ArrayBuffer(4), asFloat = new Float32Array(shared), asBits = new Uint32Array(shared);

function bitsOf(x) {
  asFloat[0] = x;
  return asBits[0];
}

function ofBits(bits) {
  asBits[0] = bits;
  return asFloat[0];
}

function roundToEven(x) {
  const near = Math.round(x);
  return Math.abs(x % 1) === 0.5 && near % 2 ? near - 1 : near;
}

// The nearest number with 8 bits, and with 11 bits and the range of float16.
function bfloat16(x) {
  if (!Number.isFinite(x)) return x;
  const bits = bitsOf(x);
  return ofBits((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000);
}

function float16(x) {
  if (!Number.isFinite(x) || x === 0) return x;
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(x))));
  const step = Math.pow(2, exponent - 10), rounded = roundToEven(x / step) * step;
  return Math.abs(rounded) < 65520 ? rounded : Math.sign(x) * Infinity;
}

// The complementary error function, to 1.2e-7 of its value: Press et al., Numerical Recipes in C,
// 2nd edition, 6.2.
function erfc(x) {
  const z = Math.abs(x), t = 1 / (1 + 0.5 * z);
  const terms = [
    1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
    -0.82215223, 0.17087277,
  ];
  const sum = terms.reduceRight((total, term) => term + t * total, 0);
  const found = t * Math.exp(-z * z - 1.26551223 + t * sum);
  return x >= 0 ? found : 2 - found;
}

function logAddExp(a, b) {
  const high = Math.max(a, b);
  return high === -Infinity ? high : high + Math.log1p(Math.exp(Math.min(a, b) - high));
}

// The order in which sorting puts two numbers: NaN comes last.
function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : (a !== a) - (b !== b);
}

function indices(count) {
  return Array.from({ length: count }, (_, i) => i);
}
