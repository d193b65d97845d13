/** Seconds between the ends of the two newest windows. */
function windowSeconds(points) {
  if (points.length < 2) {
    return NaN;
  }
  return (Date.parse(points.at(-1).end) - Date.parse(points.at(-2).end)) / 1000;
}

/** Tokens a second in the newest window. */
export function rateOf(model) {
  const seconds = windowSeconds(model.drift);
  return seconds > 0 ? model.drift.at(-1).tokens / seconds : NaN;
}

/** Tokens a second at each window but the first: [[seconds since 1970], [tokens a second]]. */
export function rates(points) {
  const times = [];
  const values = [];
  for (let at = 1; at < points.length; at += 1) {
    const end = Date.parse(points[at].end) / 1000;
    const seconds = end - Date.parse(points[at - 1].end) / 1000;
    times.push(end);
    values.push(seconds > 0 ? points[at].tokens / seconds : null);
  }
  return [times, values];
}

/** A threshold, or null while it is still learnt: until then nothing can be over it. */
export function learnt(threshold) {
  return threshold < 1 ? threshold : null;
}

/** How many experts a layer would have if all were used alike: two to the entropy of its frequencies. */
export function effectiveExperts(frequency) {
  const entropy = frequency.reduce((sum, share) => (share > 0 ? sum - share * Math.log2(share) : sum), 0);
  return 2 ** entropy;
}

/** The experts whose share of a layer has moved most since the baseline. */
export function movers(blocks, most) {
  return blocks
    .flatMap(({ block, frequency, baseline }) =>
      baseline.map((before, expert) => ({ block, expert, before, now: frequency[expert], change: frequency[expert] - before })),
    )
    .sort((left, right) => Math.abs(right.change) - Math.abs(left.change))
    .slice(0, most);
}

/** The groups of a layer of a plan: [{dominant, members}], the masked experts left out. */
export function groupsOf(layer) {
  return layer.dominant.map((dominant, group) => ({
    dominant,
    members: layer.labels.flatMap((label, expert) => (label === group ? [expert] : [])),
  }));
}

/** What is different between two manifests: tensors by digest and groups by their members. */
export function difference(from, to) {
  const held = new Set(Object.values(from.tensors).map((tensor) => tensor.digest));
  const tensors = Object.values(to.tensors);
  const changed = tensors.filter((tensor) => !held.has(tensor.digest));
  const layers = (to.plan.layers ?? []).map((layer) => {
    const earlier = (from.plan.layers ?? []).find((other) => other.block === layer.block);
    const known = new Set(earlier ? groupsOf(earlier).map((group) => group.members.join()) : []);
    const groups = groupsOf(layer);
    return {
      block: layer.block,
      before: earlier ? earlier.dominant.length : null,
      groups: groups.length,
      regrouped: groups.filter((group) => !known.has(group.members.join())).length,
    };
  });
  const sum = (list) => list.reduce((total, tensor) => total + tensor.bytes, 0);
  return { tensors: tensors.length, changedTensors: changed.length, changedBytes: sum(changed), sharedBytes: sum(tensors) - sum(changed), layers };
}
