"use strict";
// What the page does: drawing what is on the screen, and answering to mouse, keys, search, paths,
// colours and the scrub bar. No library, nothing fetched.
(() => {
const D = JSON.parse(document.getElementById("data").textContent);
const N = D.nodes, E = D.edges, M = D.metrics, B = D.boxes;
const COUNT = N.kind.length;
const $ = (id) => document.getElementById(id);
const pictures = picturing(D);
const edits = editing(D);
const film = filming(D, pictures, () => { sentence(); if (picked !== null) details(picked); paint(); });
const stage = $("stage"), world = $("world"), far = $("far"), near = $("near"), panel = $("panel");

// -- the graph ------------------------------------------------------------------------------

const incoming = N.kind.map(() => []), outgoing = N.kind.map(() => []);
// What stands in an op's body belongs to the op; the edges into a body are no uses beside that of the op.
const OWNER = D.owner, bodyOf = new Map();
B.forEach((box, b) => { if (box.node >= 0) bodyOf.set(box.node, b); });
E.source.forEach((s, e) => { incoming[E.target[e]].push(e); if (OWNER[s] === OWNER[E.target[e]]) outgoing[s].push(e); });
const outermost = (n) => OWNER[n] < 0 ? n : OWNER[n];
const place = new Float64Array(E.source.length);
incoming.forEach((edges) => edges.forEach((e, i) => { place[e] = (i - (edges.length - 1) / 2) * M.pitch * Math.min(1, M.crowd / edges.length); }));
const crowded = (e) => incoming[E.target[e]].length > M.crowd, crowdedBox = (b) => B[b].outputs.length > M.crowd;
const length = (s) => Array.from(s).length;
const room = (a, b) => { const n = Math.max(length(a), length(b)); return n ? n * M.char + 10 : 0; };
const startRoom = N.kind.map((_, n) => room(N.value[n], N.upstream[n]));
const endRoom = E.source.map((_, e) => crowded(e) ? 0 : room(E.local[e], E.downstream[e]));
const isOp = N.kind.map((k) => k === "op");
const sizes = N.kind.map((_, n) => {
  const text = length(N.symbol[n]);
  if (!isOp[n]) return [Math.max(40, text * M.char + 22), 34];
  return [text <= 4 ? M.gate : text * 8 + 22, Math.max(M.gate, M.pitch * Math.min(incoming[n].length, M.crowd) - 12)];
});
const atFirst = () => B.map((box, b) => b > 0 && !box.wanted);
let folded = atFirst();
// The node that is drawn for an item: that of a folded body is its op. -1: it is a box.
const gateOf = (item) => item < COUNT ? item : folded[item - COUNT] ? B[item - COUNT].node : -1;
const rows = {width: Infinity, beside: 0};

const {frames, frameAll, seen} = framing({B, M, COUNT, place, startRoom, endRoom, sizes, isOp, length, crowdedBox, gateOf, isFolded: (b) => folded[b], rows});

// -- the scene: everything placed in the picture ----------------------------------------------

let scene;
B.forEach((box, b) => { box.b = b; });

function arrange() {
  const order = frameAll();
  scene = {trace: null, boxes: [], nodes: [], wires: [], starts: [], dots: [], at: new Map(), boxAt: new Map([[0, [0, 0]]])};
  for (const b of order) {
    const f = frames.get(b), box = B[b], [left, top] = scene.boxAt.get(b);
    if (folded[b] && box.node >= 0) continue;      // drawn as its op
    if (b) scene.boxes.push({b, x: left, y: top, w: f.w, h: f.h});
    if (!f.x) {
      if (!crowdedBox(b)) for (const net of box.outputs) scene.starts.push({net, x: left + f.w, y: top + f.outputs.get(net)});
      continue;
    }
    const slots = box.slots.length / 2;
    for (let s = 0; s < slots; s++) {
      if (box.slots[2 * s] !== ITEM) continue;
      const ref = box.slots[2 * s + 1], x = left + f.x[s], y = top + f.y[s];
      const n = gateOf(ref);
      if (n >= 0) {
        const [w, h] = sizes[n], item = {n, x, y, w, h};
        scene.nodes.push(item); scene.at.set(n, item);
        scene.starts.push({net: n, x: x + w, y});
      }
      if (ref >= COUNT) scene.boxAt.set(ref - COUNT, [x, y - frames.get(ref - COUNT).h / 2]);
    }
    lead(box, f, left, top);
  }
  scene.wires.forEach((w, i) => { w.number = i; });
}

function lead(box, f, left, top) {
  const leaving = new Map();
  box.hops.forEach(([start, stop, net, edges], number) => {
    const turn = f.turns.get(number);
    const via = turn && {right: left + turn.right, middle: top + turn.middle, left: left + turn.left};
    const kind = box.slots[2 * start], ref = box.slots[2 * start + 1];
    const node = kind === ITEM ? gateOf(ref) : -1;
    let x = left + f.x[start], y = top + f.y[start], bend = 0;
    if (node >= 0) { x += sizes[node][0]; bend = startRoom[node]; }
    else if (kind === ITEM) {
      const g = frames.get(ref - COUNT);
      x += g.w; y += g.outputs.get(net) - g.h / 2; bend = g.x || crowdedBox(ref - COUNT) ? 0 : startRoom[net];
    } else if (kind === BEND) x += f.span[start];
    const key = start + ":" + net;
    const begins = node >= 0 ? "n" + node : kind === ITEM ? `o${ref - COUNT}/${net}` : kind === IN ? `i${box.b}/${ref}` : `${box.b}:${start}`;
    const so = leaving.get(key) || {used: 0, x, y, bend, dot: kind === IN || kind === ITEM && (node >= 0 || folded[ref - COUNT] && !crowdedBox(ref - COUNT))};
    so.used += Math.max(edges.length, 1); so.net = net; leaving.set(key, so);
    const kind2 = box.slots[2 * stop], ref2 = box.slots[2 * stop + 1];
    const x2 = left + f.x[stop], y2 = top + f.y[stop];
    const target = kind2 === ITEM ? gateOf(ref2) : -1;
    if (target >= 0) {
      const [w, h] = sizes[target];
      for (const e of edges) {
        const reach = x2 + w / 2 - (w !== h ? w / 2 : Math.sqrt(Math.max(w * w / 4 - place[e] * place[e], 0)));
        scene.wires.push({x, y, bend: x + bend, back: x2 - endRoom[e], x2: reach, y2: y2 + place[e], net, edge: e, label: x2, via, from: begins, to: "n" + target});
      }
      return;
    }
    let y3 = y2;
    if (kind2 === ITEM) { const g = frames.get(ref2 - COUNT); y3 += g.inputs.get(net) - g.h / 2; }
    const ends = kind2 === ITEM ? `i${ref2 - COUNT}/${net}` : kind2 === OUT ? `o${box.b}/${ref2}` : `${box.b}:${stop}`;
    scene.wires.push({x, y, bend: x + bend, back: x2, x2: x2 + f.span[stop], y2: y3, net, edge: -1, label: x2, via, from: begins, to: ends});
  });
  for (const so of leaving.values()) if (so.used > 1 && so.dot) scene.dots.push({net: so.net, uses: so.used, x: so.x + so.bend + 6, y: so.y});
}

const r1 = (v) => Math.round(v * 10) / 10;
function pathOf(w) {
  if (w.via) {
    const {right, middle, left} = w.via, q = 6, [a, b, m, y, y2] = [right, left, middle, w.y, w.y2].map(r1);
    return `M${r1(w.x)} ${y}H${r1(right - q)}Q${a} ${y} ${a} ${r1(w.y + q)}V${r1(middle - q)}Q${a} ${m} ${r1(right - q)} ${m}` +
      `H${r1(left + q)}Q${b} ${m} ${b} ${r1(middle + q)}V${r1(w.y2 - q)}Q${b} ${y2} ${r1(left + q)} ${y2}H${r1(w.x2)}`;
  }
  if (w.back < w.bend) {
    const m = r1((w.x + w.x2) / 2);
    return `M${r1(w.x)} ${r1(w.y)}C${m} ${r1(w.y)} ${m} ${r1(w.y2)} ${r1(w.x2)} ${r1(w.y2)}`;
  }
  const m = r1((w.bend + w.back) / 2);
  return `M${r1(w.x)} ${r1(w.y)}H${r1(w.bend)}C${m} ${r1(w.y)} ${m} ${r1(w.y2)} ${r1(w.back)} ${r1(w.y2)}H${r1(w.x2)}`;
}

// -- stops: what is known when ----------------------------------------------------------------

const STOPS = D.stops.length;
const valueAt = new Int32Array(COUNT), gradAt = new Int32Array(COUNT).fill(-1), edgeAt = new Int32Array(E.source.length).fill(-1);
const stopOf = [new Map(), new Map()];      // a body is computed with its op
D.stops.forEach(([n, phase], i) => { stopOf[phase].set(n, i + 1); });
stopOf[0].forEach((i, n) => { valueAt[n] = i; });
OWNER.forEach((op, n) => { if (op >= 0) valueAt[n] = valueAt[op]; });
for (let e = 0; e < E.source.length; e++) {
  const i = stopOf[1].get(outermost(E.target[e]));
  if (i === undefined || !E.gradient[e]) continue;
  edgeAt[e] = i;
  gradAt[E.source[e]] = Math.max(gradAt[E.source[e]], i);
}
if (D.output !== null && N.upstream[D.output]) gradAt[D.output] = (stopOf[1].get(D.output) || STOPS + 1);
for (const op in D.results) gradAt[D.results[op]] = gradAt[op];
let stop = STOPS;
const all = () => stop === STOPS;
const knowsValue = (n) => all() || valueAt[n] <= stop;
const knowsGrad = (n) => all() || (gradAt[n] >= 0 && gradAt[n] <= stop);
const knowsEdge = (e) => all() || (edgeAt[e] >= 0 && edgeAt[e] <= stop);
const current = () => all() || stop === 0 ? -1 : D.stops[stop - 1][0];

// -- what is chosen ---------------------------------------------------------------------------

let picked = null;          // an item: node, or COUNT + box
let ways = null;            // nodes on the paths from `from` to `to`, or null
let from = -1, to = -1;
let statistic = null;       // {name, of, scale}

function statOf(n) {
  if (!statistic) return null;
  const row = (statistic.of ? D.gradient_statistics : D.value_statistics)[n];
  if (!row || !(statistic.of ? knowsGrad : knowsValue)(n)) return null;
  const v = real(row[statistic.name]);
  return v === null || !Number.isFinite(v) ? null : v;
}
const shade = (v) => statistic.scale.shade(v);
function boxStat(b) {
  let best = null;
  const stack = [b];
  while (stack.length) for (const m of B[stack.pop()].members) {
    const op = m >= COUNT ? B[m - COUNT].node : m;
    if (op < 0) { stack.push(m - COUNT); continue; }
    const v = statOf(op);
    if (v !== null && (best === null || Math.abs(v) > Math.abs(best))) best = v;
  }
  return best;
}
const inside = (n, b) => { for (let p = D.parent[n]; p >= 0; p = B[p].parent) if (p === b) return true; return false; };
function shown(n) {             // the item that stands for a node: itself, or the outermost folded box around it
  let item = n;
  for (let p = D.parent[n]; p > 0; p = B[p].parent) if (folded[p]) item = COUNT + p;
  return item;
}

// -- drawing ----------------------------------------------------------------------------------

const view = {x: 40, y: 40, k: 1};
const NEAR = 900;               // more nodes than this are drawn without their texts
let drawn = null, pending = 0;

function ask() { if (!pending) pending = requestAnimationFrame(() => { pending = 0; draw(); }); }
function redraw() { drawn = null; ask(); }
function extent() { return [stage.clientWidth, stage.clientHeight]; }
// How much of the window the panel covers from below, on a telephone.
function covered() { return panel.hidden || getComputedStyle(panel).position !== "absolute" ? 0 : Math.min(panel.offsetHeight, stage.clientHeight); }

function draw() {
  const [w, h] = extent();
  const left = -view.x / view.k, top = -view.y / view.k, width = w / view.k, height = h / view.k;
  world.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.k})`);
  drawMap();
  const fits = drawn && !drawn.far && left >= drawn.l && top >= drawn.t && left + width <= drawn.r && top + height <= drawn.b;
  if (fits) return;
  const l = left - width * 0.4, r = left + width * 1.4, t = top - height * 0.4, b = top + height * 1.4;
  let nodes = [];
  for (const n of scene.nodes) if (n.x < r && n.x + n.w > l && n.y - n.h < b && n.y + n.h > t) nodes.push(n);
  const context = far.getContext("2d");
  if (nodes.length > NEAR || (view.k < 0.16 && nodes.length > 60)) {
    drawn = {far: true};
    world.textContent = "";
    drawFar(context, w, h, left, top, left + width, top + height);
    return;
  }
  if (!drawn || drawn.far) { context.setTransform(1, 0, 0, 1, 0, 0); context.clearRect(0, 0, far.width, far.height); }
  drawn = {far: false, l, r, t, b};
  const now = current(), parts = [];
  for (const box of scene.boxes) if (box.x < r && box.x + box.w > l && box.y < b && box.y + box.h > t) parts.push(svgBox(box, now));
  const wires = scene.wires.filter((q) => (q.via ? q.via.left : q.x) < r && (q.via ? q.via.right : Math.max(q.x2, q.label)) > l && Math.min(q.y, q.y2) < b + 20 && Math.max(q.y, q.y2) > t - 20);
  for (const q of wires) {
    const on = ways && ways.has(outermost(q.net)) && (q.edge < 0 || ways.has(outermost(E.target[q.edge])));
    const flow = now >= 0 && q.edge >= 0 && outermost(E.target[q.edge]) === now ? D.stops[stop - 1][1] ? edgeAt[q.edge] >= 0 ? " back" : "" : " forth" : "";
    parts.push(`<path data-wire="${q.number}" class="wire${flow}${ways ? on ? " on" : " dim" : ""}" d="${pathOf(q)}"/>`);
  }
  for (const s of scene.starts) if (s.x < r && s.x > l - 300 && s.y < b && s.y > t) parts.push(svgStart(s));
  for (const d of scene.dots) if (d.x < r && d.x > l && d.y < b && d.y > t) {
    if (N.asked[d.net]) parts.push(`<g class="${dim(d.net)}" data-net="${d.net}"><title>copy: adder; the gradients of its ${d.uses} uses add up</title>` +
      `<circle class="adder" cx="${r1(d.x)}" cy="${r1(d.y)}" r="6"/><text class="plus" x="${r1(d.x)}" y="${r1(d.y)}">+</text>` +
      `<text class="adds halo" x="${r1(d.x + 10)}" y="${r1(d.y)}">adder</text></g>`);
    else parts.push(`<circle class="fork" data-net="${d.net}" cx="${r1(d.x)}" cy="${r1(d.y)}" r="3"/>`);
  }
  for (const q of wires) if (q.edge >= 0 && !crowded(q.edge)) parts.push(svgEnd(q));
  for (const n of nodes) parts.push(svgNode(n, now));
  for (const box of scene.boxes) if (box.x < r && box.x + box.w > l && box.y < b && box.y + box.h > t) parts.push(svgTitle(box.b));
  world.innerHTML = parts.join("");
  light();
}

// -- what belongs to the node under the mouse, or the chosen one ---------------------------------

let over = null;            // the item under the mouse
function traced(item) {
  if (!scene.trace) scene.trace = tracing(scene.wires);
  const b = item >= COUNT ? item - COUNT : bodyOf.has(item) && !folded[bodyOf.get(item)] ? bodyOf.get(item) : -1;
  if (b < 0) return scene.trace(["n" + item], ["n" + item]);
  return scene.trace(B[b].outputs.map((net) => `o${b}/${net}`), B[b].inputs.map((net) => `i${b}/${net}`));
}
const insideAny = (n, boxes) => { for (let p = D.parent[n]; p > 0; p = B[p].parent) if (boxes.has(p)) return true; return false; };
// The wires of one item stay as they are, with what is at their ends; all else steps back.
function light() {
  const item = ways || current() >= 0 ? null : over !== null ? over : picked;
  world.classList.toggle("focus", item !== null);
  if (item === null || drawn === null || drawn.far) return;
  const {wires, keys} = traced(item), nets = new Set(), boxes = new Set([...keys].filter((key) => /^[io]/.test(key)).map((key) => +key.slice(1).split("/")[0]));
  const whole = item >= COUNT ? item - COUNT : bodyOf.has(item) ? bodyOf.get(item) : -1;
  if (whole >= 0) boxes.add(whole);
  const ends = new Set();
  for (const i of wires) { nets.add(scene.wires[i].net); if (scene.wires[i].edge >= 0) ends.add(scene.wires[i].edge); }
  const opens = new Set([whole].filter((b) => b >= 0 && !folded[b]));
  for (const part of world.children) {
    const d = part.dataset;
    const lit = d.wire !== undefined ? wires.has(+d.wire) || opens.size && insideAny(scene.wires[+d.wire].net, opens) :
      d.node !== undefined ? keys.has("n" + d.node) || insideAny(+d.node, opens) :
      d.net !== undefined ? nets.has(+d.net) || +d.net === item || insideAny(+d.net, opens) :
      d.edge !== undefined ? ends.has(+d.edge) || insideAny(E.target[+d.edge], opens) :
      !folded[+d.of] || boxes.has(+d.of) || insideBox(+d.of, opens);
    part.classList.toggle("lit", lit);
    if (d.wire !== undefined) part.classList.toggle("traced", wires.has(+d.wire));
  }
}
const insideBox = (b, boxes) => { for (let p = B[b].parent; p > 0; p = B[p].parent) if (boxes.has(p)) return true; return false; };
stage.addEventListener("pointermove", (e) => {
  if (e.pointerType !== "mouse" || drag || drawn === null || drawn.far) return;
  const part = e.target.closest && e.target.closest("[data-node],[data-head],[data-box]"), d = part && part.dataset;
  const box = d ? d.node !== undefined ? -1 : +(d.head || d.box) : -1;
  const item = !d ? null : box < 0 ? +d.node : B[box].node >= 0 ? B[box].node : folded[box] ? COUNT + box : null;
  if (item !== over) { over = item; light(); }
});
stage.addEventListener("pointerleave", () => { if (over !== null) { over = null; light(); } });

const dim = (n) => ways && !ways.has(outermost(n)) ? "dim" : "";

function svgStart(s) {
  const n = s.net, x = r1(s.x + 5);
  let text = "";
  if (n === D.output) text += `<path class="wire" d="M${r1(s.x)} ${r1(s.y)}h${r1(startRoom[n])}"/>`;
  if (N.value[n] && knowsValue(n)) text += `<text class="value halo" x="${x}" y="${r1(s.y - 5)}">${escape(N.value[n])}</text>`;
  if (N.upstream[n] && knowsGrad(n)) text += `<text class="grad halo" x="${x}" y="${r1(s.y + 14)}">${escape(N.upstream[n])}</text>`;
  return text ? `<g class="${dim(n)}" data-net="${n}">${text}</g>` : "";
}

function svgEnd(q) {
  const e = q.edge, x = r1(q.label - 4);
  let text = "";
  if (E.local[e] && knowsValue(E.target[e])) text += `<text class="local halo" x="${x}" y="${r1(q.y2 - 5)}"><title>${escape(meaning(e))}</title>${escape(E.local[e])}</text>`;
  if (E.downstream[e] && knowsEdge(e)) text += `<text class="grad end halo" x="${x}" y="${r1(q.y2 + 14)}">${escape(E.downstream[e])}</text>`;
  return text ? `<g data-edge="${e}" class="${dim(q.net) || dim(E.target[e])}">${text}</g>` : "";
}

function meaning(e) {
  const sign = E.local[e], said = D.signs[sign] || (sign.startsWith("×") ? D.signs["×2"] : ""), words = E.words[e] < 0 ? "" : D.words[E.words[e]];
  return `local gradient for ${E.argument[e]}: ${words}${said ? `. ${sign}: ${said}` : ""}`;
}

function svgBox(box, now) {
  const b = box.b, info = B[b], shut = folded[b];
  const here = now >= 0 && (info.node === now || shut && inside(now, b));
  let style = "", tone = "";
  if (shut && statistic) { const v = boxStat(b); if (v !== null) { const [c, t] = shade(v); style = ` style="fill:${c}"`; tone = t; } }
  const kind = `box ${info.kind}${shut ? " folded" : ""}${here ? " now" : ""}${picked === COUNT + b || info.node >= 0 && picked === info.node ? " picked" : ""}`;
  const lost = ways && shut && ![...ways].some((n) => inside(n, b));
  let text = `<g data-of="${b}" class="${lost ? "dim" : ""}"><title>${escape(info.detail || info.title)}</title>`;
  const rect = (s) => `<rect class="${kind}"${style} x="${r1(box.x + s)}" y="${r1(box.y - s)}" width="${r1(box.w - 2 * s)}" height="${r1(box.h)}" rx="8"${s ? "" : ` data-box="${b}"`}/>`;
  if (shut && info.kind === "repeat") text += rect(10) + rect(5);
  text += rect(0);
  tones.set(b, `${tone}${lost ? " dim" : ""}`);
  return text + "</g>";
}

const tones = new Map();
const titles = titling(M.char, 12, 11);
function svgTitle(b) {
  if (drawn.titles === undefined) drawn.titles = titles(titled(), view.k);
  const info = B[b], shut = folded[b], [hx, hy] = headOf(b), {text, size} = drawn.titles.get(b);
  return `<text data-of="${b}" class="title head ${size > 12 ? "halo " : ""}${tones.get(b)}" data-head="${b}" role="button" aria-expanded="${!shut}" aria-label="${escape(info.title)}, ${shut ? "folded" : "unfolded"}" x="${r1(hx)}" y="${r1(hy + size / 3)}"${size > 12 ? ` style="font-size:${r1(size)}px"` : ""}><title>${escape(info.title)}</title>${shut ? "▸" : "▾"} ${escape(text)}</text>`;
}
// Where titles begin, and the room that they have.
function titled() {
  return scene.boxes.map(({b, x, y, w, h}) => {
    const [hx, hy] = headOf(b);
    return {b, text: B[b].title, x: hx, y: hy, room: x + w - hx - 4, height: h};
  });
}

// Without the number that tells it from others of this name.
const bare = (n) => N.name[n].endsWith("_" + n) ? N.name[n].slice(0, -("_" + n).length) : N.name[n];

function svgNode(item, now) {
  const n = item.n, {x, y, w, h} = item, middle = r1(x + w / 2), error = D.error_of[n];
  let style = "", tone = "";
  if (statistic) { const v = statOf(n); if (v === null) tone = "unknown"; else { const [c, t] = shade(v); style = ` style="fill:${c}"`; tone = t; } }
  const kind = ["node", "is-" + N.kind[n], n === D.output ? "output" : "", error ? "failed" : "", n === now ? "now" : "", picked === n ? "picked" : "", dim(n), tone].filter(Boolean).join(" ");
  let text = `<g class="${kind}" data-node="${n}" id="node${n}" role="img" aria-label="${escape(spoken(n))}"><title>${escape([N.name[n] || N.op[n], N.type[n], error || ""].filter(Boolean).join(" · "))}</title>`;
  if (isOp[n]) {
    const radius = w === h ? h / 2 : 12;
    text += `<rect class="gate"${style} x="${r1(x)}" y="${r1(y - h / 2)}" width="${r1(w)}" height="${r1(h)}" rx="${radius}"/><text class="symbol" x="${middle}" y="${r1(y)}">${escape(N.symbol[n])}</text>`;
    if (N.name[n]) text += `<text class="name halo" x="${middle}" y="${r1(y - h / 2 - 6)}">${escape(bare(n))}</text>`;
    const below = error ? "raised here" : N.role[n];
    if (below) text += `<text class="${error ? "error" : "role halo"}" x="${middle}" y="${r1(y + h / 2 + 16)}">${below}</text>`;
    if (bodyOf.has(n)) text += svgOpener(n);
  } else {
    text += `<rect class="leaf ${N.kind[n]}"${style} x="${r1(x)}" y="${r1(y - h / 2)}" width="${r1(w)}" height="${r1(h)}" rx="6"/><text class="leaf-name" x="${middle}" y="${r1(y)}">${escape(N.symbol[n])}</text>`;
    if (N.below[n]) text += `<text class="type halo" x="${middle}" y="${r1(y + h / 2 + 12)}">${N.below[n]}</text>`;
  }
  return text + "</g>";
}

// The small sign at a gate that opens its body.
function svgOpener(n) {
  const b = bodyOf.get(n), [x, y] = headOf(b).map(r1);
  return `<g class="head opener" data-head="${b}" role="button" aria-expanded="false" aria-label="open ${escape(N.label[n])}: what it is made of"><title>Open: the gates that ${escape(N.op[n])} is made of</title>` +
    `<circle cx="${x}" cy="${y}" r="8"/><path d="M${r1(x - 4)} ${y}h8M${x} ${r1(y - 4)}v8"/></g>`;
}

function drawFar(context, w, h, l, t, r, b) {
  const scale = window.devicePixelRatio || 1;
  if (far.width !== Math.round(w * scale) || far.height !== Math.round(h * scale)) { far.width = Math.round(w * scale); far.height = Math.round(h * scale); }
  const css = getComputedStyle(document.documentElement), tone = (name) => css.getPropertyValue(name).trim();
  const colors = Object.fromEntries(["--bad", "--box", "--box-edge", "--edge", "--line", "--local", "--mark", "--param-edge", "--wire"].map((name) => [name, tone(name)]));
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, far.width, far.height);
  context.setTransform(scale * view.k, 0, 0, scale * view.k, scale * view.x, scale * view.y);
  context.fillStyle = colors["--box"]; context.strokeStyle = colors["--box-edge"]; context.lineWidth = 1 / view.k;
  for (const box of scene.boxes) {
    if (box.x > r || box.x + box.w < l || box.y > b || box.y + box.h < t) continue;
    context.fillRect(box.x, box.y, box.w, box.h); context.strokeRect(box.x, box.y, box.w, box.h);
  }
  context.strokeStyle = colors["--wire"]; context.lineWidth = Math.max(1.2, 0.7 / view.k);
  context.globalAlpha = ways ? 0.15 : 0.7;
  context.beginPath();
  for (const q of scene.wires) {
    if ((q.via ? q.via.left : q.x) > r || (q.via ? q.via.right : q.x2) < l || Math.min(q.y, q.y2) > b || Math.max(q.y, q.y2) < t) continue;
    context.moveTo(q.x, q.y);
    if (q.via) { context.lineTo(q.via.right, q.y); context.lineTo(q.via.right, q.via.middle); context.lineTo(q.via.left, q.via.middle); context.lineTo(q.via.left, q.y2); }
    context.lineTo(q.x2, q.y2);
  }
  context.stroke();
  context.globalAlpha = 1;
  if (picked !== null && !ways) {             // its wires, and those to it
    context.strokeStyle = colors["--local"]; context.lineWidth = Math.max(2, 1.6 / view.k);
    context.beginPath();
    for (const i of traced(picked).wires) {
      const q = scene.wires[i];
      context.moveTo(q.x, q.y);
      if (q.via) { context.lineTo(q.via.right, q.y); context.lineTo(q.via.right, q.via.middle); context.lineTo(q.via.left, q.via.middle); context.lineTo(q.via.left, q.y2); }
      context.lineTo(q.x2, q.y2);
    }
    context.stroke();
  }
  const groups = new Map(), now = current();
  for (const n of scene.nodes) {
    if (n.x > r || n.x + n.w < l || n.y - n.h > b || n.y + n.h < t) continue;
    let fill = D.error_of[n.n] ? colors["--bad"] : isOp[n.n] ? colors["--edge"] : colors["--param-edge"];
    if (statistic) { const v = statOf(n.n); fill = v === null ? colors["--line"] : shade(v)[0]; }
    if (ways) fill = ways.has(n.n) ? colors["--local"] : colors["--line"];
    if (n.n === now || n.n === picked) fill = colors["--mark"];
    if (!groups.has(fill)) groups.set(fill, []);
    groups.get(fill).push(n);
  }
  groups.forEach((list, fill) => { context.fillStyle = fill; for (const n of list) context.fillRect(n.x, n.y - n.h / 2, n.w, n.h); });
  context.fillStyle = tone("--ink"); context.strokeStyle = tone("--paper"); context.textBaseline = "middle"; context.lineJoin = "round";
  titles(titled().filter((q) => q.room * view.k > 24), view.k).forEach(({text, size}, box) => {
    if (size * view.k < 10) return;
    const [x, y] = headOf(box);
    context.font = `600 ${size}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace`;
    context.lineWidth = 3 / view.k;
    context.strokeText(text, x, y); context.fillText(text, x, y);
  });
}

// -- the map ----------------------------------------------------------------------------------

const map = $("map"), picture = document.createElement("canvas");
let pictured = null;            // of which scene and colours the picture was made
function drawMap() {
  const [w, h] = extent(), f = frames.get(0);
  map.hidden = f.w * view.k <= w * 1.05 && f.h * view.k <= h * 1.05;
  if (map.hidden) return;
  const across = map.clientWidth, k = Math.min(across / f.w, 120 / f.h), scale = window.devicePixelRatio || 1;
  const down = Math.max(Math.round(f.h * k), 24), left = (across - f.w * k) / 2, now = current();
  map.style.height = down + "px";
  map.dataset.k = k; map.dataset.left = left;
  const css = getComputedStyle(document.documentElement), tone = (name) => css.getPropertyValue(name).trim();
  const wanted = [tone("--paper"), across, scale, now, picked].join();
  if (!pictured || pictured.scene !== scene || pictured.wanted !== wanted) {
    pictured = {scene, wanted};
    picture.width = across * scale; picture.height = down * scale;
    const context = picture.getContext("2d");
    context.setTransform(scale * k, 0, 0, scale * k, scale * left, 0);
    context.fillStyle = tone("--box"); context.strokeStyle = tone("--box-edge"); context.lineWidth = 0.5 / k;
    for (const box of scene.boxes) { context.fillRect(box.x, box.y, box.w, box.h); context.strokeRect(box.x, box.y, box.w, box.h); }
    const colors = {mark: tone("--mark"), bad: tone("--bad"), op: tone("--edge"), leaf: tone("--param-edge")};
    for (const n of scene.nodes) {
      context.fillStyle = colors[n.n === now || n.n === picked ? "mark" : D.error_of[n.n] ? "bad" : isOp[n.n] ? "op" : "leaf"];
      context.fillRect(n.x, n.y - n.h / 2, Math.max(n.w, 1 / k), Math.max(n.h, 1 / k));
    }
  }
  map.width = picture.width; map.height = picture.height;
  const context = map.getContext("2d");
  context.drawImage(picture, 0, 0);
  context.scale(scale, scale);
  context.strokeStyle = tone("--local"); context.lineWidth = 1.5;
  context.strokeRect(left - view.x / view.k * k, -view.y / view.k * k, w / view.k * k, h / view.k * k);
}
function goByMap(e) {
  const box = map.getBoundingClientRect(), [w, h] = extent(), k = +map.dataset.k;
  view.x = w / 2 - (e.clientX - box.left - map.dataset.left) / k * view.k;
  view.y = h / 2 - (e.clientY - box.top) / k * view.k;
  touched = true;
  ask();
}
map.addEventListener("pointerdown", (e) => { e.stopPropagation(); goByMap(e); if (e.isTrusted) map.setPointerCapture(e.pointerId); });
map.addEventListener("pointermove", (e) => { if (e.buttons) goByMap(e); e.stopPropagation(); });
map.addEventListener("pointerup", (e) => e.stopPropagation());
$("meanings").innerHTML = "<dt>4×3 ‖2‖</dt><dd>shape and Euclidean norm; a number stands as it is</dd>" + Object.entries(D.signs).map(([sign, said]) => `<dt>${escape(sign)}</dt><dd>${escape(said)}</dd>`).join("");

// -- moving about -----------------------------------------------------------------------------

// As in overview.py: as much unfolded as can be read at one glance, in rows that fill the window.
const {readable: READABLE, small: SMALL, tiny: TINY, largest: LARGEST, margin: MARGIN, tries: TRIES, beside: BESIDE, many: MANY} = D.overview;
const readable = () => extent()[0] < 700 ? 0.7 * READABLE : READABLE;     // a telephone is held closer
const rowAt = (k) => extent()[0] / k - 2 * MARGIN;
// A narrow window is scrolled down, as a page is on a telephone.
function page() { const [w, h] = extent(), free = h - covered(); return [w, w < 700 && free === h ? 2.5 * h : free]; }
function scaleIn([w, h]) { const f = frames.get(0); return Math.min(w / (f.w + 2 * MARGIN), h / (f.h + 2 * MARGIN), LARGEST); }
function tryRows(width, beside) {
  const other = width !== rows.width || beside !== rows.beside;
  Object.assign(rows, {width, beside});
  frameAll(other);
  return scaleIn(page());
}
const besides = () => seen().length > MANY || folded.every((f, b) => f || b === 0) ? BESIDE.slice(0, 1) : BESIDE;
function inRows() {
  let best = null, most = 0;
  for (const beside of besides()) {
    let low = 0.005, high = LARGEST, tried = high;
    for (let i = 0; i < 8; i++) {
      const scale = tryRows(rowAt(tried), beside);
      if (scale > most) { most = scale; best = {...rows}; }
      if ((frames.get(0).h + 2 * MARGIN) * tried > page()[1]) high = tried;
      else if (tried === LARGEST) break;
      else low = tried;
      tried = Math.sqrt(low * high);
    }
  }
  if (best) tryRows(best.width, best.beside);        // none: a window without a size, not shown yet
}
const isModule = (item) => item >= COUNT && B[item - COUNT].node < 0;
function overview() {
  frames.clear();
  unfold(readable());
  const nests = B.map((_, b) => b).filter((b) => b && B[b].parent === 0 && B[b].members.some(isModule));
  for (const least of [SMALL, TINY]) if (nests.length && nests.every((b) => folded[b])) unfold(Math.min(least, readable()), least === SMALL);
  fit();
}
function unfold(least, deeper = true) {
  folded = atFirst();
  frames.clear();
  const fits = () => besides().some((beside) => tryRows(rowAt(least), beside) >= least);
  const queue = fits() ? [0] : [];
  let failures = 0;
  for (const b of queue) {
    const kinds = new Map();
    for (const m of B[b].members) if (m >= COUNT && B[m - COUNT].kind === "module") {
      const inner = B[m - COUNT], type = inner.members.some(isModule) ? m : inner.title.split(": ").pop();
      kinds.set(type, (kinds.get(type) || []).concat(m - COUNT));
    }
    const home = (kind) => D.output !== null && kind.some((inner) => inside(D.output, inner));
    for (const kind of [...kinds.values()].sort((p, q) => home(q) - home(p))) {
      if (failures === TRIES) break;
      for (const inner of kind) { folded[inner] = false; forget(inner); }
      if (fits()) { if (deeper) queue.push(...kind); continue; }
      failures++;
      for (const inner of kind) { folded[inner] = true; forget(inner); }
    }
  }
}
function fit() {
  const [w, h] = extent();
  inRows(); arrange();
  const f = frames.get(0);
  view.k = Math.max(scaleIn(page()), 0.004);
  view.x = (w - f.w * view.k) / 2; view.y = Math.max((h - covered() - f.h * view.k) / 2, MARGIN / 2);
  touched = false;
  redraw();
}
let touched = false;            // by the user: then a window of another size leaves the view as it is
let chosen = false;             // which modules are unfolded was chosen by the user
function zoom(factor, cx, cy) {
  touched = true;
  const k = Math.min(Math.max(view.k * factor, 0.004), 4);
  view.x = cx - (cx - view.x) * k / view.k; view.y = cy - (cy - view.y) * k / view.k; view.k = k;
  redraw();
}
function headOf(b) {
  const [x, y] = scene.boxAt.get(b), f = frames.get(b);
  if (folded[b] && B[b].node >= 0) return f.w > f.h ? [x + f.w - 8, y] : [x + f.w * 0.88, y + f.h * 0.12];
  return folded[b] ? [x + 16, y + f.h / 2] : [x + 12, y + 16];
}
function forget(b) { for (let p = b; p >= 0; p = B[p].parent) frames.delete(p); }
function toggle(b, anchor = true) {
  const before = anchor ? headOf(b) : null;
  touched = chosen = true;
  folded[b] = !folded[b];
  forget(b);
  arrange();
  if (before) {
    const after = headOf(b);      // the clicked title stays under the cursor
    view.x += (before[0] - after[0]) * view.k; view.y += (before[1] - after[1]) * view.k;
  }
  say(`${B[b].title} ${folded[b] ? "folded" : "unfolded"}`);
  if (anchor && !folded[b]) sight(b);
  redraw();
}
// Move, and shrink if it must be, until a box that was unfolded is in the window.
function sight(b) {
  const [w, h] = extent(), f = frames.get(b), gap = 16;
  const least = Math.max(Math.min(view.k, (w - 2 * gap) / f.w, (h - 2 * gap) / f.h), Math.min(view.k, 0.6));
  const [x, y] = scene.boxAt.get(b), before = [x * view.k + view.x, y * view.k + view.y];
  view.k = least;
  view.x = before[0] - x * view.k; view.y = before[1] - y * view.k;
  const into = (at, size, room) => size > room - 2 * gap ? gap : Math.min(Math.max(at, gap), room - gap - size);
  view.x += into(before[0], f.w * view.k, w) - before[0];
  view.y += into(before[1], f.h * view.k, h) - before[1];
}
function reveal(n) {
  let changed = false;
  for (let p = D.parent[n]; p > 0; p = B[p].parent) if (folded[p]) { folded[p] = false; forget(p); changed = true; }
  if (changed) arrange();
}
function centre(item, keep = false) {
  touched = true;
  const [w, h] = extent(), free = h - covered(), whole = frames.get(0);
  let x, y, wide, high;
  if (item < COUNT && bodyOf.has(item) && !folded[bodyOf.get(item)]) item = COUNT + bodyOf.get(item);
  if (item < COUNT) { const at = scene.at.get(item); if (!at) return; x = at.x + at.w / 2; y = at.y; wide = at.w; high = at.h; }
  else { const f = frames.get(item - COUNT), [bx, by] = scene.boxAt.get(item - COUNT); wide = Math.min(f.w, 300); high = Math.min(f.h, 200); x = bx + wide / 2; y = by + high / 2; }
  const seen = (at, size, room) => at - Math.min(size * view.k, room / 2) / 2 >= 0 && at + Math.min(size * view.k, room / 2) / 2 <= room;
  if (keep && seen(x * view.k + view.x, wide, w) && seen(y * view.k + view.y, high, free)) { redraw(); return; }
  if (view.k < 0.5) view.k = 0.9;
  // in the middle, but with no room beyond the ends of the drawing where there is more of it
  const into = (at, size, room) => size > room - 2 * MARGIN ? Math.min(Math.max(room / 2 - at, room - MARGIN - size), MARGIN) : (room - size) / 2;
  view.x = into(x * view.k, whole.w * view.k, w); view.y = into(y * view.k, whole.h * view.k, free);
  redraw();
}
function setAll(open) {
  chosen = open;
  if (!open) { overview(); return; }
  folded = B.map((box) => box.node >= 0 && !box.wanted);      // all modules
  frames.clear(); fit();
}

// -- the panel --------------------------------------------------------------------------------

const none = '<span class="none">not computed</span>';
// Why a node has no gradient.
function noGradient(n) {
  const why = /^u?int/.test(N.type[n]) ? N.below[n] === "target" ? "no gradient: labels are whole numbers" : "no gradient: these are whole numbers" :
    N.type[n].startsWith("bool") ? "no gradient: true and false have no slope" :
    !N.asked[n] ? `no gradient: ${isOp[n] ? "nothing that it is computed from asks for one" : "it does not ask for one (requires_grad)"}` :
    N.gradients[n] ? "not computed yet at this stop" : D.output === null || !N.gradients[D.output] ? "not computed: there was no backward pass" : "no gradient arrives: the output does not depend on it";
  return `<span class="none">${why}</span>`;
}
const link = (n) => `<a data-go="${n}" tabindex="0" role="button">${escape(N.label[n])}</a>`;
function spoken(n) {
  const parts = [N.name[n] || N.label[n], isOp[n] ? N.op[n] + (N.role[n] ? ", " + N.role[n] : "") : N.kind[n]];
  if (N.value[n] && knowsValue(n)) parts.push("value " + N.value[n]);
  if (N.upstream[n] && knowsGrad(n)) parts.push("gradient " + N.upstream[n]);
  if (D.error_of[n]) parts.push("raised: " + D.error_of[n]);
  return parts.join(", ");
}
function table(n) {
  const v = knowsValue(n) ? D.value_statistics[n] : null, g = knowsGrad(n) ? D.gradient_statistics[n] : null;
  if (!v && !g) return "";
  const cell = (row, i, c) => `<td class="${c}">${row ? row[i] === null ? "—" : escape(row[i]) : "—"}</td>`;
  return `<table><tr><th></th><th>value</th><th>gradient</th></tr>${D.statistics.map((name, i) => `<tr><td>${name}</td>${cell(v, i, "v")}${cell(g, i, "g")}</tr>`).join("")}</table>`;
}
// A formula as a row of short ones, that can go on in the next line before each =, + and ·.
function inLines(formula) {
  const parts = [[]], root = new DOMParser().parseFromString(formula, "text/xml").documentElement;
  (function split(row) {
    for (const part of row.children) {
      if (part.localName === "mo" && "=+·".includes(part.textContent)) parts.push([]);
      if (part.localName === "mrow") split(part);
      else parts[parts.length - 1].push(part.outerHTML);
    }
  })(root);
  return parts.filter((part) => part.length).map((part) => `<math xmlns="http://www.w3.org/1998/Math/MathML" displaystyle="true"><mrow>${part.join("")}</mrow></math>`).join(" ");
}
const SHUT = '<button class="shut" data-shut title="Let go (Esc)" aria-label="Close">×</button>';
function details(item) {
  if (item === null) { panel.hidden = true; return; }
  panel.hidden = false;
  if (item >= COUNT && B[item - COUNT].node >= 0) item = B[item - COUNT].node;
  if (item >= COUNT) {
    const b = item - COUNT, info = B[b];
    panel.innerHTML = `${SHUT}<h2>${escape(info.title)}</h2><div class="row">${escape(info.detail || info.kind)}</div>` +
      `<div class="buttons"><button data-toggle="${b}">${folded[b] ? "Unfold" : "Fold"}</button></div>` +
      `<h3>Inside</h3>${info.members.slice(0, 60).map((m) => m >= COUNT && B[m - COUNT].node >= 0 ? B[m - COUNT].node : m).map((m) => `<div class="row">${m < COUNT ? link(m) : `<a data-box-go="${m - COUNT}" tabindex="0" role="button">${escape(B[m - COUNT].title)}</a>`}</div>`).join("")}`;
    return;
  }
  const n = item;
  let text = `${SHUT}<h2>${escape(N.name[n] || N.label[n])}</h2><div class="row mono">${escape(isOp[n] ? N.op[n] : N.kind[n])}${N.attributes[n] ? ` <span class="none">${escape(N.attributes[n])}</span>` : ""} ${escape(N.type[n])}</div>`;
  if (N.role[n]) text += `<div class="row"><b>${N.role[n]}</b>: ${escape(D.effects[N.effect[n]])}</div>`;
  if (outgoing[n].length > 1) text += `<div class="row"><b>copy: adder</b>: ${escape(D.copy)}</div>`;
  if (D.error_of[n]) text += `<div class="row bad"><b>Raised:</b> ${escape(D.error_of[n])}</div>`;
  if (D.note_of[n]) text += `<div class="row none">${escape(D.note_of[n])}</div>`;
  const body = bodyOf.get(n), owner = OWNER[n];
  if (owner >= 0) text += `<div class="row">Inside ${link(owner)}, which is made of this and other gates.</div>`;
  if (body !== undefined) text += `<div class="buttons"><button data-toggle="${body}">${folded[body] ? "Open: the gates inside" : "Close"}</button></div>`;
  else if (D.unopened.includes(n)) text += `<div class="row none">see.draw(…, unfold="${escape(N.op[n])}") shows the gates inside; here they are left out, to keep the page small.</div>`;
  text += `<div class="buttons"><button data-from="${n}">Paths from here (a)</button><button data-to="${n}">Paths to here (b)</button></div>`;
  const value = (m) => N.values[m] && knowsValue(m), gradient = (m) => N.gradients[m] && knowsGrad(m), passed = (e) => E.gradient[e] && knowsEdge(e);
  text += `<h3>Value</h3><div class="row mono v">${value(n) ? escape(N.values[n]) : none}</div>`;
  text += `<h3>Gradient (upstream)</h3><div class="row mono g">${gradient(n) ? escape(N.gradients[n]) : noGradient(n)}</div>`;
  text += edits.section(n);
  const images = pictures.section(n, value(n), gradient(n)), over = film.section(n, value(n), gradient(n));
  text += D.compared ? over + images : images + over;
  if (D.chains[n] && gradient(n)) text += `<h3>Chain rule</h3><div class="chain">${inLines(D.chains[n])}</div>`;
  if (incoming[n].length) text += `<h3>Inputs: local, downstream</h3>` + incoming[n].map((e) =>
    `<div class="row mono">${escape(E.argument[e])} = ${link(E.source[e])}<br>${!N.asked[E.source[e]] ? noGradient(E.source[e]) : `<span class="l">${E.words[e] < 0 || !knowsValue(n) ? none : "∂ " + escape(D.words[E.words[e]])}</span><br><span class="g">${passed(e) ? escape(E.gradient[e]) : none}</span>`}</div>`).join("");
  if (outgoing[n].length) text += `<h3>Uses</h3>` + outgoing[n].slice(0, 40).map((e) => `<div class="row mono">${link(E.target[e])} <span class="g">${passed(e) ? escape(E.gradient[e]) : ""}</span></div>`).join("");
  text += `<h3>Statistics</h3>${table(n) || none}`;
  if (N.file[n] >= 0) {
    const file = D.files[N.file[n]], line = N.line[n], source = D.source[`${N.file[n]}:${line}`];
    text += `<h3>Source</h3><div class="row mono"><a href="vscode://file${encodeURI(file)}:${line}" title="Open in an editor">${escape(file.split("/").pop())}:${line}</a>${N.where[n] ? `, in ${escape(N.where[n])}` : ""} · <a href="file://${encodeURI(file)}#L${line}">file</a></div>${source ? `<code>${escape(source)}</code>` : ""}`;
  }
  panel.innerHTML = text;
  pictures.mount(panel); film.mount(panel); edits.mount(panel, n);
}
edits.onchange(() => { if (picked !== null) details(picked); });
// A page in a frame of a notebook tells it what is chosen and where the bar stands.
let told = "";
function tell() {
  const state = {picked: picked !== null && picked < COUNT ? picked : null, stop: all() ? null : stop}, text = JSON.stringify(state);
  if (window.parent === window || text === told) return;
  told = text;
  window.parent.postMessage({backlit: state}, "*");
}
window.addEventListener("message", (e) => {
  if (window.parent === window || e.source !== window.parent || !e.data || !e.data.backlit) return;
  const wanted = e.data.backlit;
  told = JSON.stringify({picked: wanted.picked, stop: wanted.stop});
  if (wanted.stop !== (all() ? null : stop)) { play(false); seek(wanted.stop === null ? STOPS : wanted.stop, false); }
  if (wanted.picked === null) { if (picked !== null && picked < COUNT) pick(null); }
  else if (wanted.picked !== picked && wanted.picked < COUNT) go(wanted.picked);
});

function say(text) { $("live").textContent = text; }
function pick(item, move = false) {
  picked = item;
  tell();
  details(item);
  if (item !== null) {
    say(item < COUNT ? spoken(item) : `${B[item - COUNT].title}, ${folded[item - COUNT] ? "folded" : "unfolded"}`);
    if (item < COUNT) stage.setAttribute("aria-activedescendant", "node" + item);
    if (move) { centre(item, true); return; }
  } else stage.removeAttribute("aria-activedescendant");
  redraw();
}
function go(n) { reveal(n); pick(n); centre(n, view.k >= 0.45); }       // from afar it comes close

// -- paths between two nodes -----------------------------------------------------------------

function reach(start, edges, end) {
  const found = new Set([start]), stack = [start];
  while (stack.length) for (const e of edges[stack.pop()]) if (!found.has(end[e])) { found.add(end[e]); stack.push(end[e]); }
  return found;
}
function paths(a, b) {
  from = a; to = b;
  if (from < 0 && to < 0) { ways = null; say("All nodes"); sentence(); redraw(); return; }
  const after = from < 0 ? null : reach(from, outgoing, E.target), before = to < 0 ? null : reach(to, incoming, E.source);
  ways = new Set([...(after || before)].filter((n) => (!after || after.has(n)) && (!before || before.has(n))));
  const text = `Only paths${from < 0 ? "" : " from " + N.label[from]}${to < 0 ? "" : " to " + N.label[to]}: ${ways.size} node${ways.size === 1 ? "" : "s"}. Esc shows everything.`;
  $("sentence").textContent = text;
  say(text); redraw();
}

// -- search -----------------------------------------------------------------------------------

const search = $("search"), list = $("found");
let hits = [], hit = 0;
function look() {
  const q = search.value.trim().toLowerCase();
  hits = [];
  if (q) {
    for (let n = 0; n < COUNT && hits.length < 50; n++) if (`${N.name[n]} ${N.label[n]} ${N.op[n]} ${N.where[n]}`.toLowerCase().includes(q)) hits.push(n);
    for (let b = 1; b < B.length && hits.length < 60; b++) if (B[b].node < 0 && B[b].title.toLowerCase().includes(q)) hits.push(COUNT + b);
  }
  else hits = FINDS.map(([, n]) => n);
  hit = 0; showHits();
}
// What is looked for first: where data come in, the loss, and where the gradient is largest.
const FINDS = [];
if (D.input !== null) FINDS.push(["Input", D.input]);
if (D.output !== null) FINDS.push([/loss|cost/i.test(N.label[D.output]) || N.op[D.output].includes("loss") || N.op[D.output].includes("entropy") ? "Loss" : "Output", D.output]);
{
  const norm = D.statistics.indexOf("norm");
  let most = -1, largest = 0;
  const learned = N.kind.includes("parameter") ? "parameter" : "leaf";
  for (let n = 0; n < COUNT; n++) if (N.kind[n] === learned && D.gradient_statistics[n]) {
    const v = real(D.gradient_statistics[n][norm]);
    if (v > largest) { largest = v; most = n; }
  }
  if (most >= 0) FINDS.push(["Largest gradient", most]);
}
const asWhat = new Map(FINDS.map(([what, n]) => [n, what.toLowerCase()]));
$("finds").innerHTML = FINDS.map(([what, n]) => `<button data-go="${n}" title="${escape(what === "Largest gradient" ? `The ${N.kind[n]} whose gradient has the largest norm` : "Go to " + N.label[n])}">${what}</button>`).join("");
function showHits() {
  list.hidden = !hits.length;
  list.innerHTML = hits.map((i, k) => `<li role="option" data-hit="${k}" aria-selected="${k === hit}"><span>${escape(i < COUNT ? N.name[i] || N.label[i] : B[i - COUNT].title)}</span><small>${escape(i < COUNT ? (!search.value.trim() && asWhat.get(i)) || N.where[i] || N.op[i] : "module")}</small></li>`).join("");
}
function take(k) {
  const item = hits[k];
  if (item === undefined) return;
  hit = k; showHits();
  if (item < COUNT) go(item);
  else { for (let p = B[item - COUNT].parent; p > 0; p = B[p].parent) if (folded[p]) { folded[p] = false; forget(p); } arrange(); pick(item); centre(item); }
}
search.addEventListener("input", look);
search.addEventListener("focus", look);
search.addEventListener("keydown", (e) => {
  if (e.key === "Enter") { take(hit); list.hidden = true; hit = (hit + 1) % Math.max(hits.length, 1); e.preventDefault(); }
  else if (e.key === "ArrowDown" || e.key === "ArrowUp") { hit = (hit + (e.key === "ArrowDown" ? 1 : hits.length - 1)) % Math.max(hits.length, 1); showHits(); e.preventDefault(); }
  else if (e.key === "Escape") { search.value = ""; look(); stage.focus(); }
  e.stopPropagation();
});
list.addEventListener("mousedown", (e) => { const li = e.target.closest("li"); if (li) { take(+li.dataset.hit); list.hidden = true; e.preventDefault(); } });
search.addEventListener("blur", () => { list.hidden = true; });

// -- colours ----------------------------------------------------------------------------------

const color = $("color");
color.innerHTML = '<option value="">nothing</option>' + ["value", "gradient"].map((of, k) => `<optgroup label="${of}">${D.statistics.map((s, i) => `<option value="${k}:${i}">${of} ${s}</option>`).join("")}</optgroup>`).join("");
function paint() {
  if (!color.value) { statistic = null; $("legend").hidden = true; redraw(); return; }
  const [of, name] = color.value.split(":").map(Number), known = [];
  statistic = {of, name};
  let largest = -1;
  for (let n = 0; n < COUNT; n++) {
    const v = OWNER[n] < 0 && !(of && n === D.output) ? statOf(n) : null;      // that of the output is given
    if (v === null) continue;
    known.push(v);
    if (largest < 0 || Math.abs(v) > Math.abs(statOf(largest))) largest = n;
  }
  const scale = statistic.scale = scaling(known), [low, high] = scale.ends;
  const found = largest < 0 ? "" : `<span>largest${scale.signed ? " in size" : ""}: ${link(largest)}</span>`;
  $("legend").hidden = false;
  $("legend").innerHTML = `<b>${of ? "gradient" : "value"} ${D.statistics[name]}</b><span class="key">${low}<span class="ramp" style="background:linear-gradient(90deg,${scale.ramp.join(",")})"></span>${high}</span>` +
    `${scale.log ? "<span>logarithmic</span>" : scale.signed ? "<span>white: 0</span>" : ""}${found}<span class="none">without colour: not computed; a module has that of its largest</span>`;
  redraw();
}
color.addEventListener("change", paint);

// -- the scrub bar ----------------------------------------------------------------------------

const bar = $("stop");
bar.max = STOPS; bar.value = STOPS; bar.disabled = !STOPS;
let playing = 0;
function sentence() {
  const text = $("sentence"), where = $("where");
  pictures.strip($("flow"), current(), all() || !stop ? 0 : D.stops[stop - 1][1]);
  if (all()) { where.textContent = STOPS ? `all of ${STOPS} stops` : ""; text.textContent = D.compared ? D.compared.text : D.error ? `It raised: ${D.error}` : STOPS ? "Everything is shown. Drag the bar to go through it gate by gate: forward, then backward." : "No op was recorded."; }
  else if (stop === 0) { where.textContent = `before stop 1 of ${STOPS}`; text.textContent = "Only the leaves have values."; }
  else {
    const [n, phase, words] = D.stops[stop - 1];
    where.textContent = `${phase ? "backward" : "forward"} · ${stop} of ${STOPS}`;
    text.textContent = words || (phase ? `${N.label[n]}: gradient ${N.gradients[n]} arrives` : `${N.label[n]} = ${N.values[n]}`);
  }
}
function seek(to, follow = true) {
  stop = Math.min(Math.max(to, 0), STOPS);
  bar.value = stop;
  tell();
  sentence();
  const n = current();
  if (n >= 0 && follow) { const item = shown(n); centre(item, true); }
  if (picked !== null) details(picked);
  redraw();
}
function play(on) {
  clearInterval(playing); playing = 0;
  $("play").textContent = on ? "❚❚" : "▶"; $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  if (!on) return;
  if (all()) seek(0);
  playing = setInterval(() => { if (stop >= STOPS) { play(false); return; } seek(stop + 1); }, STOPS > 60 ? 400 : 1100);
}
bar.addEventListener("input", () => { play(false); seek(+bar.value); });
$("play").addEventListener("click", () => play(!playing));
$("back").addEventListener("click", () => { play(false); seek(stop - 1); });
$("next").addEventListener("click", () => { play(false); seek(stop + 1); });

// -- mouse and keys ---------------------------------------------------------------------------

let drag = null;
const pointers = new Map();
stage.addEventListener("pointerdown", (e) => {
  if (e.button) return;
  pointers.set(e.pointerId, [e.clientX, e.clientY]);
  drag = {x: e.clientX, y: e.clientY, moved: false, target: e.target};
  stage.setPointerCapture(e.pointerId);
});
stage.addEventListener("pointermove", (e) => {
  if (!drag || !pointers.has(e.pointerId)) return;
  const before = [...pointers.values()].map((p) => p.slice());
  pointers.set(e.pointerId, [e.clientX, e.clientY]);
  const after = [...pointers.values()];
  if (after.length === 2) {
    const gap = (p) => Math.hypot(p[0][0] - p[1][0], p[0][1] - p[1][1]) || 1, box = stage.getBoundingClientRect();
    zoom(gap(after) / gap(before), (after[0][0] + after[1][0]) / 2 - box.left, (after[0][1] + after[1][1]) / 2 - box.top);
    drag.moved = true;
    return;
  }
  const dx = e.clientX - drag.x, dy = e.clientY - drag.y;
  if (!drag.moved && Math.hypot(dx, dy) < 4) return;
  drag.moved = true; touched = true; stage.classList.add("dragging");
  view.x += dx; view.y += dy; drag.x = e.clientX; drag.y = e.clientY;
  ask();
});
function release(e) {
  pointers.delete(e.pointerId);
  stage.classList.remove("dragging");
  if (drag && !drag.moved && e.type === "pointerup") click(drag.target, e);
  if (!pointers.size) drag = null;
}
stage.addEventListener("pointerup", release);
stage.addEventListener("pointercancel", release);
function under(e) {
  const box = stage.getBoundingClientRect(), x = (e.clientX - box.left - view.x) / view.k, y = (e.clientY - box.top - view.y) / view.k;
  const node = scene.nodes.find((n) => x >= n.x && x <= n.x + n.w && Math.abs(y - n.y) <= n.h / 2);
  if (node) return node.n;
  for (let i = scene.boxes.length - 1; i >= 0; i--) { const b = scene.boxes[i]; if (x >= b.x && x <= b.x + b.w && y >= b.y && y <= b.y + b.h) return COUNT + b.b; }
  return null;
}
function click(target, e) {
  const head = target.closest && target.closest("[data-head]"), node = target.closest && target.closest("[data-node]"), box = target.closest && target.closest("[data-box]");
  if (head) { toggle(+head.dataset.head); return; }
  if (node) { pick(+node.dataset.node); return; }
  if (box && folded[+box.dataset.box]) { toggle(+box.dataset.box); return; }
  const b = box ? +box.dataset.box : -1;
  pick(drawn && drawn.far ? under(e) : b < 0 ? null : B[b].node >= 0 ? B[b].node : COUNT + b);
}
stage.addEventListener("wheel", (e) => {
  e.preventDefault();
  const box = stage.getBoundingClientRect();
  if (e.ctrlKey || e.metaKey || !e.shiftKey && Math.abs(e.deltaX) < Math.abs(e.deltaY)) zoom(Math.exp(-e.deltaY * (e.ctrlKey ? 0.01 : 0.0015)), e.clientX - box.left, e.clientY - box.top);
  else { view.x -= e.deltaX; view.y -= e.deltaY; ask(); }
}, {passive: false});
panel.addEventListener("click", act);
for (const part of [$("legend"), $("finds")]) { part.addEventListener("click", act); part.addEventListener("keydown", (e) => { if (e.key === "Enter") act(e); }); }
$("flow").addEventListener("click", act);
panel.addEventListener("keydown", (e) => { if (e.key === "Enter") act(e); });
function act(e) {
  const t = e.target.closest("[data-go],[data-box-go],[data-from],[data-to],[data-toggle],[data-shut]");
  if (!t) return;
  if (t.dataset.shut !== undefined) { pick(null); stage.focus(); return; }
  const d = t.dataset;
  if (d.go !== undefined) go(+d.go);
  else if (d.boxGo !== undefined) { pick(COUNT + +d.boxGo); centre(COUNT + +d.boxGo, true); }
  else if (d.from !== undefined) paths(+d.from, to);
  else if (d.to !== undefined) paths(from, +d.to);
  else { toggle(+d.toggle); details(picked); }
}
function neighbour(key) {
  if (picked === null) { const start = D.output === null ? COUNT - 1 : D.output; return shown(start); }
  const end = picked < COUNT && OWNER[picked] >= 0 && D.results[OWNER[picked]] === picked ? OWNER[picked] : picked;
  const along = picked < COUNT ? (key === "ArrowRight" ? outgoing[end].map((e) => E.target[e]) : incoming[picked].map((e) => E.source[e])) :
    key === "ArrowRight" ? B[picked - COUNT].outputs.flatMap((n) => outgoing[n].map((e) => E.target[e])).filter((n) => !inside(n, picked - COUNT)) : B[picked - COUNT].inputs;
  if (key === "ArrowLeft" || key === "ArrowRight") return along.length ? shown(along[0]) : picked;
  const spots = scene.nodes.map((n) => [n.n, n.x + n.w / 2, n.y]).concat(scene.boxes.filter((b) => folded[b.b] || B[b.b].node >= 0).map((b) => [B[b.b].node >= 0 ? B[b.b].node : COUNT + b.b, b.x + b.w / 2, b.y + b.h / 2]));
  const me = spots.find((s) => s[0] === picked);
  if (!me) return picked;
  let best = picked, least = Infinity;
  for (const s of spots) {
    const dy = (s[2] - me[2]) * (key === "ArrowDown" ? 1 : -1), dx = Math.abs(s[1] - me[1]);
    if (dy > 4 && dy + 3 * dx < least) { least = dy + 3 * dx; best = s[0]; }
  }
  return best;
}
document.addEventListener("keydown", (e) => {
  if (e.target.closest("input,select") && e.target !== bar) return;
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const [w, h] = extent(), key = e.key;
  if (key.startsWith("Arrow") && e.target !== bar) { pick(neighbour(key), true); }
  else if (key === "Enter" && e.target === stage && picked !== null && (picked >= COUNT || bodyOf.has(picked))) { toggle(picked < COUNT ? bodyOf.get(picked) : picked - COUNT); details(picked); }
  else if (key === "/") { search.focus(); search.select(); }
  else if (key === "f") fit();
  else if (key === "e") setAll(true);
  else if (key === "r") setAll(false);
  else if (key === "a" && picked !== null && picked < COUNT) paths(picked, to);
  else if (key === "b" && picked !== null && picked < COUNT) paths(from, picked);
  else if (key === ",") { play(false); seek(stop - 1); }
  else if (key === ".") { play(false); seek(stop === STOPS ? 0 : stop + 1); }
  else if (key === "[" || key === "]") film.seek(film.at() + (key === "]" ? 1 : -1));
  else if (key === " " && !e.target.closest("button,a")) play(!playing);
  else if (key === "+" || key === "=") zoom(1.25, w / 2, h / 2);
  else if (key === "-") zoom(0.8, w / 2, h / 2);
  else if (key === "?") $("help").click();
  else if (key === "Escape") { if (ways) paths(-1, -1); else pick(null); }
  else return;
  e.preventDefault();
});
$("unfold").addEventListener("click", () => setAll(true));
$("refold").addEventListener("click", () => setAll(false));
$("fit").addEventListener("click", fit);
$("help").addEventListener("click", () => { const k = $("keys"); k.hidden = !k.hidden; $("help").setAttribute("aria-expanded", String(!k.hidden)); });
new ResizeObserver(() => {
  if (picked !== null) centre(picked, true);      // the panel has opened: what is chosen stays in sight
  else if (touched) redraw();
  else if (chosen) fit();
  else overview();
}).observe(stage);

$("title").textContent = D.title + (D.step === null ? "" : `, step ${D.step}`);
sentence();
const failed = Object.keys(D.error_of)[0];
overview();
draw();
if (failed !== undefined) go(+failed);
else if (D.compared && D.compared.first !== null) go(D.compared.first);

if (window.parent !== window) window.parent.postMessage({backlit: {ready: true}}, "*");

// For tests and for scripts of the user's own.
window.backlit = {
  data: D, view, film, redraw, fit, toggle, seek, paths, go, setAll,
  position: (n) => { const at = scene.at.get(n); return at ? [at.x, at.y] : null; },
  head: (b) => headOf(b).map((v, i) => v * view.k + (i ? view.y : view.x)),
  layout: () => ({folded, width: rows.width, beside: rows.beside}),
  size: () => [frames.get(0).w, frames.get(0).h],
  state: () => ({picked, stop, visible: scene.nodes.length, far: !!(drawn && drawn.far), ways: ways ? ways.size : null}),
};
})();
