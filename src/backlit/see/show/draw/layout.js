"use strict";
// Where everything lies: the same computation as in layout.py. The frames of boxes have their sizes
// and the places inside; only those that are seen are made, and kept until they are forgotten.
const ITEM = 0, IN = 1, OUT = 2, BEND = 3;
// `rows` says how long rows may be (`width`), and what is kept free beside the outermost boxes.
const framing = ({B, M, COUNT, place, startRoom, endRoom, sizes, isOp, length, crowdedBox, gateOf, isFolded, rows}) => {
const frames = new Map();

function seen() {
  const result = [0];
  for (const b of result) {
    if (isFolded(b)) continue;
    for (const m of B[b].members) if (m >= COUNT) result.push(m - COUNT);
  }
  return result;
}

// What does not depend on how long rows are; kept where no box inside is unfolded.
const kept = new Map();
function bonesOf(b, slots, kind, ref) {
  const open = B[b].members.some((m) => m >= COUNT && !isFolded(m - COUNT));
  if (!open && kept.has(b)) return kept.get(b);
  const box = B[b], gate = (s) => gateOf(ref(s));
  const ws = new Float64Array(slots), hs = new Float64Array(slots);
  for (let s = 0; s < slots; s++) {
    if (kind(s) === BEND) hs[s] = M.bend;
    else if (kind(s) !== ITEM) hs[s] = M.port;
    else if (gate(s) < 0) { const f = frames.get(ref(s) - COUNT); ws[s] = f.w; hs[s] = f.h + M.beneath; }
    else { const [w, h] = sizes[gate(s)]; ws[s] = w; hs[s] = h + (isOp[gate(s)] ? M.around : M.leaf - 34); }
  }
  // across
  const columns = box.columns, n = columns.length;
  const before = new Float64Array(n), across = new Float64Array(n), after = new Float64Array(n);
  const column = new Int32Array(slots);
  columns.forEach((list, c) => { for (const s of list) {
    column[s] = c;
    across[c] = Math.max(across[c], ws[s]);
    if (kind(s) === ITEM) after[c] = Math.max(after[c], labelAfter(ref(s)));
  } });
  for (const [, stop, , edges] of box.hops) if (gate(stop) >= 0) for (const e of edges) before[column[stop]] = Math.max(before[column[stop]], endRoom[e]);
  // down
  const pullLeft = Array.from({length: slots}, () => []), pullRight = Array.from({length: slots}, () => []);
  for (const [start, stop, net, edges] of box.hops) {
    let a = 0, b2 = 0;
    if (kind(start) === ITEM && gate(start) < 0) { const f = frames.get(ref(start) - COUNT); a = f.outputs.get(net) - f.h / 2; }
    if (kind(stop) === ITEM) {
      if (gate(stop) < 0) { const f = frames.get(ref(stop) - COUNT); b2 = f.inputs.get(net) - f.h / 2; }
      else { for (const e of edges) b2 += place[e]; b2 /= Math.max(edges.length, 1); }
    }
    pullLeft[stop].push(start, a - b2);
    pullRight[start].push(stop, b2 - a);
  }
  const y = new Float64Array(slots);
  for (const list of box.columns) {
    let total = 0;
    for (const s of list) total += hs[s] + M.space;
    let at = -total / 2;
    for (const s of list) { y[s] = at + (hs[s] + M.space) / 2; at += hs[s] + M.space; }
  }
  for (let sweep = 0; sweep < 4; sweep++) {
    const forward = sweep % 2 === 0;
    const pulls = forward ? pullLeft : pullRight;
    for (let i = 0; i < n; i++) settle(box.columns[forward ? i : n - 1 - i], hs, y, pulls);
  }
  const made = {ws, hs, column, before, across, after, y};
  if (!open) kept.set(b, made);
  return made;
}

function frameOf(b) {
  const box = B[b];
  const titleWidth = length(box.title) * (M.char + 0.4) + 44;
  if (isFolded(b) && box.node >= 0) {
    const [w, h] = sizes[box.node];
    return {w, h, inputs: new Map(), outputs: new Map(), x: null, y: null, turns: new Map()};
  }
  if (isFolded(b)) {
    const n = Math.min(box.outputs.length, M.crowd), h = Math.max(M.folded, n > 1 ? M.pitch * (n + 1) : 0);
    const spread = (nets) => new Map(nets.map((net, i) => [net, h * (i + 1) / (nets.length + 1)]));
    return {w: Math.max(120, titleWidth), h, inputs: spread(box.inputs), outputs: spread(box.outputs), x: null, y: null, turns: new Map()};
  }
  const slots = box.slots.length / 2;
  const kind = (s) => box.slots[2 * s], ref = (s) => box.slots[2 * s + 1];
  const {ws, column, before, across, after, hs, y: down} = bonesOf(b, slots, kind, ref);
  const columns = box.columns, n = columns.length, y = down.slice();
  const most = mostOf(b);
  const row = broken(box, column, before, across, after, most, kind);
  const lanes = new Map();
  for (const [start, stop, net] of box.hops) {
    const r = row[column[stop]];
    if (row[column[start]] === r) continue;
    if (!lanes.has(r)) lanes.set(r, new Set());
    lanes.get(r).add(net);
  }
  const lanesInto = (r) => lanes.has(r) ? lanes.get(r).size : 0;
  const x = new Float64Array(slots), span = new Float64Array(slots), sides = [];
  let left = M.pad, width = 0;
  columns.forEach((list, c) => {
    const turning = lanesInto(row[c]) * M.lane;
    if (c && row[c] === row[c - 1]) left += M.gap + after[c - 1] + before[c];
    else if (c) {
      width = Math.max(width, left + after[c - 1] + M.pad + turning);
      left = M.pad + turning + before[c];
    }
    for (const s of list) if (kind(s) === BEND) { x[s] = left; span[s] = across[c]; } else x[s] = left + (across[c] - ws[s]) / 2;
    const start = left - before[c];
    left += across[c];
    sides.push([start, left + after[c]]);
  });
  width = Math.max(width, left + (n ? after[n - 1] : 0) + M.pad);
  // rows below each other
  let count = 1;
  for (const r of row) count = Math.max(count, r + 1);
  const low = new Float64Array(count).fill(Infinity), high = new Float64Array(count).fill(-Infinity), tops = [];
  for (let s = 0; s < slots; s++) {
    const r = row[column[s]];
    low[r] = Math.min(low[r], y[s] - hs[s] / 2); high[r] = Math.max(high[r], y[s] + hs[s] / 2);
  }
  let at = M.pad / 2 + (b ? M.header : 0);
  for (let r = 0; r < count; r++) {
    if (r) at += M.between + M.lane * lanesInto(r);
    tops.push(at);
    at += Math.max(high[r] - low[r], 0);
  }
  const inputs = new Map(), outputs = new Map();
  if (b) width = Math.max(width, titleWidth);
  for (let s = 0; s < slots; s++) {
    const r = row[column[s]];
    y[s] += tops[r] - low[r];
    if (kind(s) === IN) { x[s] = 0; inputs.set(ref(s), y[s]); }
    else if (kind(s) === OUT) { x[s] = width; outputs.set(ref(s), y[s]); }
  }
  const turns = new Map(), into = new Map();
  box.hops.forEach(([start, stop, net], number) => {
    const r = row[column[stop]];
    if (row[column[start]] === r) return;
    let from = y[start];
    if (kind(start) === ITEM && gateOf(ref(start)) < 0) { const f = frames.get(ref(start) - COUNT); from += f.outputs.get(net) - f.h / 2; }
    if (!into.has(r)) into.set(r, []);
    into.get(r).push([-from, net, number]);
  });
  into.forEach((found, r) => {
    const place = new Map();
    found.sort((p, q) => p[0] - q[0] || p[1] - q[1] || p[2] - q[2]);
    for (const [, net, number] of found) {
      if (!place.has(net)) place.set(net, place.size);
      const i = place.get(net), back = lanesInto(r) - 1 - i, [start, stop] = box.hops[number];
      turns.set(number, {right: sides[column[start]][1] + 10 + M.lane * i, middle: tops[r] - M.between / 2 - M.lane * back, left: sides[column[stop]][0] - 10 - M.lane * back});
    }
  });
  return {w: width, h: at + M.pad / 2, inputs, outputs, x, y, span, turns, rows: count};
}

const depth = B.map((_, b) => { let d = 0; for (let p = B[b].parent; p >= 0; p = B[p].parent) d++; return d; });

const mostOf = (b) => Math.max(rows.width - (b ? M.indent * depth[b] + rows.beside : 0), M.narrowest);

// Make the frames that are missing, and anew those that other rows make different.
function frameAll(otherRows = false) {
  const order = seen(), fresh = new Set();
  for (let i = order.length - 1; i >= 0; i--) {
    const b = order[i], f = frames.get(b);
    if (f && !otherRows) continue;
    const same = f && (!f.x || f.rows === 1 && f.w <= mostOf(b) && !B[b].members.some((m) => m >= COUNT && fresh.has(m - COUNT)));
    if (same) continue;
    fresh.add(b);
    frames.set(b, frameOf(b));
  }
  return order;
}

function broken(box, column, before, across, after, most, kind) {
  const n = across.length, row = new Int32Array(n), crossing = new Int32Array(n + 1);
  for (const [start, stop] of box.hops) { crossing[column[start] + 1]++; crossing[column[stop] + 1]--; }
  for (let c = 1; c <= n; c++) crossing[c] += crossing[c - 1];
  const kept = box.columns.map((list, c) => c === 0 || list.every((s) => kind(s) === OUT));
  if (n > 1 && box.columns[0].length && box.columns[0].every((s) => kind(s) === IN)) kept[1] = true;
  let first = 0, number = 0;
  while (first < n) {
    const ends = [];
    let right = M.pad + (first ? before[first] : 0), start = n;
    for (let c = first; c < n && start === n; c++) {
      if (c > first) right += M.gap + after[c - 1] + before[c];
      right += across[c];
      ends.push(right);
      if (right + after[c] + M.pad <= most || c === first) continue;
      const full = M.filled * ends[c - 1 - first];
      let best = Infinity;
      for (let k = first + 1; k <= c; k++) if (!kept[k] && ends[k - 1 - first] >= full && crossing[k] <= best) { best = crossing[k]; start = k; }
    }
    row.fill(number++, first, start);
    first = start;
  }
  return row;
}

function labelAfter(item) {
  const node = gateOf(item);
  if (node >= 0) return startRoom[node];
  const b = item - COUNT;
  return isFolded(b) && !crowdedBox(b) ? B[b].outputs.reduce((most, net) => Math.max(most, startRoom[net]), 0) : 0;
}

function settle(column, hs, y, pulls) {
  let offset = 0, groups = 0;
  const n = column.length;
  const mean = new Float64Array(n), weight = new Float64Array(n), count = new Int32Array(n), offsets = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const s = column[i];
    if (i) offset += (hs[column[i - 1]] + hs[s]) / 2 + M.space;
    offsets[i] = offset;
    const near = pulls[s];
    let wanted = y[s];
    if (near.length) {
      wanted = 0;
      for (let j = 0; j < near.length; j += 2) wanted += y[near[j]] + near[j + 1];
      wanted /= near.length / 2;
    }
    mean[groups] = wanted - offset; weight[groups] = near.length ? 1 : 0.05; count[groups] = 1; groups++;
    while (groups > 1 && mean[groups - 2] >= mean[groups - 1]) {
      const w = weight[groups - 2] + weight[groups - 1];
      mean[groups - 2] = (mean[groups - 2] * weight[groups - 2] + mean[groups - 1] * weight[groups - 1]) / w;
      weight[groups - 2] = w; count[groups - 2] += count[groups - 1]; groups--;
    }
  }
  let i = 0;
  for (let g = 0; g < groups; g++) for (let k = 0; k < count[g]; k++, i++) y[column[i]] = mean[g] + offsets[i];
}

return {frames, frameAll, seen};
};
