// A model: its compiled step with its numbers, and the carry by name.
"use strict";

// Returns {carry, logits, step, reset}: `carry` has {name, shape, values} of each leaf, where values
// is an array that `step(id)` and `reset()` change; step returns `logits`, an array that it changes.
async function makeModel({ packed, carry }) {
  const arrays = await unpack(packed);
  const starts = arrays.splice(arrays.length - carry.length);
  const compiled = compiledStep(arrays);
  const leaves = carry.map((leaf, i) => ({ ...leaf, values: compiled.carry[i] }));
  const reset = () => leaves.forEach((leaf, i) => leaf.values.set(starts[i]));
  reset();
  return { carry: leaves, logits: compiled.logits, step: compiled.step, reset };
}
