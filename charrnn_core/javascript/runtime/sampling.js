// From logits to a symbol: samplers that keep some symbols, a temperature, a draw with a seed.
"use strict";

// Returns a function that yields numbers from 0 up to 1, the same ones for the same seed from 0 to
// 2^32 - 1: Tommy Ettinger's mulberry32.
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

// log softmax, into a new array.
function logProbabilities(logits) {
  let most = -Infinity, sum = 0;
  for (const x of logits) if (x > most) most = x;
  for (const x of logits) sum += Math.exp(x - most);
  const log = most + Math.log(sum);
  return Float64Array.from(logits, (x) => x - log);
}

// The ids of symbols, the likeliest first; among equals the first one counts as likelier.
function likeliest(logP) {
  return Array.from(logP, (_, id) => id).sort((a, b) => logP[b] - logP[a] || a - b);
}

// The ids of the few likeliest symbols, without putting all in order.
function likeliestFew(logP, count) {
  const best = [];
  for (let id = 0; id < logP.length; id++) {
    if (best.length === count && logP[id] <= logP[best[count - 1]]) continue;
    let at = best.length;
    while (at > 0 && logP[id] > logP[best[at - 1]]) at--;
    best.splice(at, 0, id);
    if (best.length > count) best.pop();
  }
  return best;
}

// The symbols that each sampler keeps, given log-probabilities and its one number.
const SAMPLERS = {
  all: (logP) => likeliest(logP),
  "top-k": (logP, k) => likeliest(logP).slice(0, Math.max(1, Math.round(k))),
  "top-p": (logP, p) => {
    let before = 0;
    return likeliest(logP).filter((id, place) => {
      const keep = place === 0 || p >= 1 || before < p;
      before += Math.exp(logP[id]);
      return keep;
    });
  },
  "min-p": (logP, p) => {
    const order = likeliest(logP);
    return order.filter((id) => p <= 0 || logP[id] >= logP[order[0]] + Math.log(p));
  },
};

// Draws a symbol: the sampler chooses among how likely symbols are, then the temperature makes the
// choice among those bolder (below 1) or wilder; 0 takes the likeliest.
function draw(logP, { sampler, amount, temperature }, random) {
  const number = random();
  if (!(temperature > 0)) return likeliestFew(logP, 1)[0];
  const kept = SAMPLERS[sampler](logP, amount);
  const weights = kept.map((id) => Math.exp((logP[id] - logP[kept[0]]) / temperature));
  let left = number * weights.reduce((sum, weight) => sum + weight, 0);
  for (let i = 0; i < kept.length; i++) {
    left -= weights[i];
    if (left < 0) return kept[i];
  }
  return kept[0];
}
