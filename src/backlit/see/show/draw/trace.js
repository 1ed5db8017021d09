"use strict";
// Which wires lead to an item and away from it. A wire goes through the borders of boxes in pieces;
// a piece ends at the point, named by a key, at which the next of its net begins.
const tracing = (wires) => {
const after = new Map(), before = new Map(), into = new Map();
const add = (map, key, i) => { if (map.has(key)) map.get(key).push(i); else map.set(key, [i]); };
wires.forEach((w, i) => {
  add(after, w.from, i);
  if (w.edge < 0) add(before, w.to, i);
  else add(into, w.to, i);
});
// All pieces that can be reached from some, by `next` of a piece.
function reach(first, next) {
  const found = new Set(first), stack = [...first];
  while (stack.length) for (const i of next(wires[stack.pop()])) if (!found.has(i)) { found.add(i); stack.push(i); }
  return found;
}
const none = [];
const onward = (w) => w.edge < 0 ? after.get(w.to) || none : none;
const backward = (w) => before.get(w.from) || none;
// The wires from the points `starts` on, and those that end at the points or gates `ends`; keys of both ends.
return (starts, ends) => {
  const forth = reach(starts.flatMap((key) => after.get(key) || none), onward);
  const back = reach(ends.flatMap((key) => [...(into.get(key) || none), ...(before.get(key) || none)]), backward);
  const keys = new Set([...starts, ...ends]);
  for (const i of forth) keys.add(wires[i].to);
  for (const i of back) keys.add(wires[i].from);
  return {wires: new Set([...forth, ...back]), keys};
};
};
