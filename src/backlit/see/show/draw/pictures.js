"use strict";
// Pictures of arrays: maps of all slices, images, tokens, points, bars, histograms. What is drawn
// is read from D.pictures (see pictures.py) when a node is looked at, and not before.
const picturing = (D) => {
const N = D.nodes, E = D.edges, MOST = 144, TOP = 252;
const product = (list) => list.reduce((a, b) => a * b, 1);
const text = inWords;

// -- arrays ---------------------------------------------------------------------------------

const opened = new WeakMap();
function open(packed) {
  if (opened.has(packed)) return opened.get(packed);
  const [code, shape, kept, cuts, low, high, data, counts] = packed;
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  let numbers;
  if (code === "u") {
    const l = real(low), h = real(high), top = Math.max(-l, h), [a, b] = l < 0 && h > 0 ? [-top, top] : [l, h];
    const table = Float64Array.from({length: 256}, (_, i) => i <= TOP ? a + (b - a) * i / TOP : [NaN, Infinity, -Infinity][i - TOP - 1]);
    numbers = Float64Array.from(bytes, (i) => table[i]);
  } else numbers = code === "f" ? new Float32Array(bytes.buffer) : new Int32Array(bytes.buffer);
  const steps = kept.map((_, i) => product(kept.slice(i + 1)));
  const found = {code, shape, kept, cuts, low: real(low), high: real(high), numbers, counts, steps};
  opened.set(packed, found);
  return found;
}
const of = (kind, i, from = D.pictures) => { const k = from[kind][i]; return k === undefined ? null : open(from.list[k]); };

// Where a cell comes from: an index, or a range of them.
function along(p, axis, i) {
  const n = p.shape[axis], k = p.kept[axis], a = Math.floor(i * n / k);
  if (p.cuts[axis] === "e") return String(a);
  if (p.cuts[axis] !== "c") return String(i);
  const b = Math.floor((i + 1) * n / k) - 1;
  return b > a ? `${a}…${b}` : String(a);
}

// -- colours: safe with any common colour blindness, 0 is neutral ------------------------------

const DARK = matchMedia("(prefers-color-scheme: dark)");
const SCALES = {        // below 0, 0, above 0; what is not finite
  value: [[[0, 79, 150], [255, 255, 255], [213, 94, 0]], [[96, 176, 255], [38, 44, 51], [255, 150, 64]]],
  gradient: [[[27, 120, 55], [255, 255, 255], [118, 42, 131]], [[104, 208, 140], [38, 44, 51], [222, 152, 240]]],
};
const BAD = [204, 0, 51];
const POINTS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a08b00", "#56b4e9", "#777777"];
const mix = (a, b, t) => a.map((x, i) => Math.round(x + (b[i] - x) * t));
const rgb = (c) => `rgb(${c.join()})`;
let strong = false;     // whether small numbers are drawn stronger: by the root of their share
const share = (t) => strong ? Math.sqrt(t) : t;
function scale(p, kind) {
  const colours = SCALES[kind][DARK.matches ? 1 : 0];
  const low = p.low, high = p.high, signed = kind === "gradient" || low < 0 && high > 0;
  const top = Math.max(Math.abs(low), Math.abs(high)) || 1;
  if (signed) return {low: -top, high: top, at: (v) => v < 0 ? mix(colours[1], colours[0], share(Math.min(-v / top, 1))) : mix(colours[1], colours[2], share(Math.min(v / top, 1))), stops: colours};
  const [a, b] = high <= 0 ? [Math.min(low, 0), 0] : low > 0.2 * high ? [low, high] : [0, high];
  const shared = (t) => high <= 0 ? 1 - share(Math.min(Math.max(1 - t, 0), 1)) : share(Math.min(Math.max(t, 0), 1));
  const ends = high <= 0 ? [colours[0], colours[1]] : [colours[1], kind === "value" && high > 0 ? colours[0] : colours[2]];
  return {low: a, high: b, at: (v) => mix(ends[0], ends[1], b > a ? shared((v - a) / (b - a)) : 0.5), stops: ends};
}
function key(p, kind, words) {
  const s = scale(p, kind), bar = `linear-gradient(90deg,${s.stops.map(rgb).join()})`;
  return `<div class="key"><span>${text(s.low)}</span><span class="ramp" style="background:${bar}"></span><span>${text(s.high)}</span><small>${words}</small></div>`;
}

// -- what a node can be shown as --------------------------------------------------------------

const incoming = N.kind.map(() => []), outgoing = N.kind.map(() => []);
E.source.forEach((s, e) => { incoming[E.target[e]].push(e); outgoing[s].push(e); });
const isOp = (n) => N.kind[n] === "op";
const given = (n) => N.kind[n] === "constant" || N.kind[n] === "leaf";
const isSquare = (n) => n >= 49 && n <= 1024 && Number.isInteger(Math.sqrt(n));
const whole = (p, axis) => p.cuts[axis] === "a";
const words = D.tokens && D.tokens.words;
const tokenNodes = new Set(D.tokens ? D.tokens.nodes : []);
const word = (i) => (words[i] === undefined ? String(i) : words[i].replace(/\n/g, "↵").replace(/^ +| +$/g, (s) => "␣".repeat(s.length)));

// The words along an axis of some length, of the example that is shown.
function labels(p, axis, example) {
  if (!whole(p, axis) || p.shape[axis] < 2) return null;
  for (const n of tokenNodes) {
    const q = of("value", n);
    if (!q || q.shape.length !== 2 || q.shape[1] !== p.shape[axis] || !whole(q, 1)) continue;
    const row = q.shape[0] === p.shape[0] ? example : 0;
    if (row < q.kept[0]) return Array.from(q.numbers.slice(row * q.kept[1], (row + 1) * q.kept[1]), word);
  }
  return null;
}

function views(n, p) {
  const r = p.shape.length, found = [];
  if (tokenNodes.has(n) && p.code === "i") found.push("tokens");
  if (r >= 3 && given(n) && [1, 3].includes(p.shape[r - 3]) && whole(p, r - 3) && Math.min(p.shape[r - 1], p.shape[r - 2]) >= 8) found.push("images");
  if (r === 2 && p.shape[1] === 2 && p.shape[0] > 3) found.push("points");
  const like = r === 2 && isSquare(p.shape[1]) && whole(p, 1);
  const beside = like && outgoing[n].some((e) => incoming[E.target[e]].some((i) => N.kind[E.source[i]] === "constant" && N.type[E.source[i]].endsWith(`,${p.shape[1]}]`)));
  if (like && (given(n) || beside)) found.push("rows");
  if (r === 1) found.push("bars"); else found.push("map");
  if (like && !found.includes("rows")) found.push("rows");
  if (!given(n) && found[0] === "points") found.push(found.shift());
  return found;
}
const NAMES = {tokens: "tokens", images: "images", points: "points", map: "map", bars: "bars", rows: "rows as squares"};

// A picture as sheets: `facet` runs along the small multiples, the other leading axes stand still.
function sheets(p, view) {
  const r = p.shape.length;
  if (view === "rows") { const side = Math.sqrt(p.shape[1]); return {rows: side, columns: side, down: side, right: 1, leading: [0]}; }
  if (r === 1) return {rows: 1, columns: p.kept[0], down: 0, right: 1, leading: []};
  const leading = Array.from({length: r - 2}, (_, i) => i).filter((i) => !(view === "images" && i === r - 3));
  return {rows: p.kept[r - 2], columns: p.kept[r - 1], down: p.steps[r - 2], right: p.steps[r - 1], leading};
}

const states = new Map();
function stateOf(n, p) {
  if (!states.has(n)) {
    const leading = p.shape.map((_, i) => i).slice(0, -2), wide = leading.filter((i) => p.kept[i] > 1);
    const filters = N.kind[n] === "parameter" && p.shape.length === 4;
    states.set(n, {view: views(n, p)[0], facet: (filters ? wide[0] : wide[wide.length - 1]) ?? -1, at: p.shape.map(() => 0), solo: false, cursor: null});
  }
  return states.get(n);
}
function axisName(n, p, axis) {
  const r = p.shape.length, attends = r === 4 && p.shape[2] === p.shape[3] && N.op[n] === "softmax";
  const names = r !== 4 ? [] : N.kind[n] === "parameter" ? ["filter", "channel"] : ["example", attends ? "head" : "channel"];
  return names[axis] || `axis ${axis}`;
}

// -- drawing ----------------------------------------------------------------------------------

// How large a cell is and how many sheets stand in a row, so that all fit if they can.
function grid(count, rows, columns, width, height, most = 22) {
  let best = null;
  for (let across = 1; across <= count; across++) {
    const s = Math.min((width - 3 * (across - 1)) / (across * columns), most), down = Math.ceil(count / across), tall = down * (rows * s + 3);
    if (s <= 0) break;
    const fit = tall <= height, score = fit ? s - 1e-6 * tall : -tall;
    if (!best || score > best.score) best = {across, s, tall, score};
  }
  return best || {across: 1, s: 1, tall: rows};
}

function layout(n, p, state, width, height, most) {
  const view = state.view, s = sheets(p, view), axis = view === "rows" ? 0 : s.leading.includes(state.facet) ? state.facet : s.leading.filter((i) => p.kept[i] > 1).pop() ?? -1;
  const count = axis < 0 ? 1 : state.solo ? 1 : Math.min(p.kept[axis], MOST);
  const first = axis >= 0 && state.solo ? state.at[axis] : 0;
  let base = 0;
  for (const i of s.leading) if (i !== axis) base += state.at[i] * p.steps[i];
  const stride = axis < 0 ? 0 : p.steps[axis];
  return {...s, axis, count, first, start: (k) => base + (first + k) * stride, ...grid(count, s.rows, s.columns, width, height, most)};
}

function pixels(p, kind, l, k, channels) {
  const image = new ImageData(l.columns, l.rows), data = image.data, start = l.start(k);
  const s = scale(p, kind), photo = channels && kind === "value";
  const [a, b] = !photo ? [0, 1] : p.low >= 0 && p.high <= 1 ? [0, 1] : p.low >= 0 && p.high <= 255 && p.high > 1 ? [0, 255] : [p.low, p.high];
  const step = channels ? p.steps[p.shape.length - 3] : 0, many = channels ? p.kept[p.shape.length - 3] : 1;
  for (let i = 0, o = 0; i < l.rows; i++) for (let j = 0; j < l.columns; j++, o += 4) {
    const at = start + i * l.down + j * l.right;
    let colour;
    if (photo) colour = [0, 1, 2].map((c) => 255 * (p.numbers[at + (many === 3 ? c * step : 0)] - a) / (b - a || 1));
    else {
      let v = p.numbers[at];
      for (let c = 1; c < many; c++) if (Math.abs(p.numbers[at + c * step]) > Math.abs(v)) v = p.numbers[at + c * step];
      colour = Number.isFinite(v) ? s.at(v) : BAD;
    }
    data[o] = colour[0]; data[o + 1] = colour[1]; data[o + 2] = colour[2]; data[o + 3] = 255;
  }
  return image;
}

const small = document.createElement("canvas");
function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.style.width = width + "px"; canvas.style.height = height + "px";
  canvas.width = Math.max(Math.round(width * ratio), 1); canvas.height = Math.max(Math.round(height * ratio), 1);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.imageSmoothingEnabled = false;
  return context;
}
const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function drawSheets(canvas, p, kind, l, channels, cursor, names, left) {
  const w = l.columns * l.s, h = l.rows * l.s, down = Math.ceil(l.count / l.across), below = names && names[1] ? left : 0;
  const context = sized(canvas, left + l.across * (w + 3) - 3, down * (h + 3) + below);
  context.strokeStyle = tone("--line"); context.lineWidth = 1;
  small.width = l.columns; small.height = l.rows;
  for (let k = 0; k < l.count; k++) {
    small.getContext("2d").putImageData(pixels(p, kind, l, k, channels), 0, 0);
    const x = left + (k % l.across) * (w + 3), y = Math.floor(k / l.across) * (h + 3);
    context.drawImage(small, x, y, w, h);
    context.strokeRect(x - 0.5, y - 0.5, w + 1, h + 1);
  }
  if (names) {
    context.fillStyle = tone("--ink"); context.font = `${Math.min(l.s, 11)}px ui-monospace, monospace`; context.textBaseline = "middle"; context.textAlign = "right";
    if (names[0]) for (let d = 0; d < down; d++) names[0].forEach((t, i) => context.fillText(t.slice(0, 10), left - 4, d * (h + 3) + (i + 0.5) * l.s));
    if (names[1]) for (let k = 0; k < Math.min(l.count, l.across); k++) names[1].forEach((t, j) => { context.save(); context.translate(left + k * (w + 3) + (j + 0.5) * l.s, down * (h + 3) + 3); context.rotate(-Math.PI / 2); context.fillText(t.slice(0, 10), 0, 0); context.restore(); });
  }
  if (cursor) {
    const x = left + (cursor[0] % l.across) * (w + 3) + cursor[2] * l.s, y = Math.floor(cursor[0] / l.across) * (h + 3) + cursor[1] * l.s;
    context.strokeStyle = tone("--mark"); context.lineWidth = 2; context.strokeRect(x, y, Math.max(l.s, 2), Math.max(l.s, 2));
  }
}

function drawBars(canvas, p, kind, width, cursor) {
  const n = p.kept[0], high = Math.max(p.high, 0), low = Math.min(p.low, 0), span = high - low || 1, tall = 84;
  const context = sized(canvas, width, tall), s = scale(p, kind), zero = tall * high / span, w = width / n;
  for (let i = 0; i < n; i++) {
    const v = p.numbers[i], good = Number.isFinite(v), y = good ? tall * (high - v) / span : 0;
    context.fillStyle = rgb(good ? s.stops[v < 0 ? 0 : s.stops.length - 1] : BAD);
    context.fillRect(i * w, good ? Math.min(y, zero) : 0, Math.max(w - (w > 4 ? 1 : 0), 0.6), good ? Math.max(Math.abs(y - zero), 0.6) : tall);
  }
  context.fillStyle = tone("--soft"); context.fillRect(0, Math.min(Math.max(zero - 0.5, 0), tall - 1), width, 1);
  if (cursor) { context.strokeStyle = tone("--mark"); context.lineWidth = 2; context.strokeRect(cursor[2] * w, 1, Math.max(w, 2), tall - 2); }
}

// Rows of two numbers as points in the plane, coloured by their labels, with the gradient as arrows.
function drawPoints(canvas, p, g, width) {
  const rows = p.kept[0], tall = Math.min(width, 300), context = sized(canvas, width, tall), x = [0, 1].map((c) => Array.from({length: rows}, (_, i) => p.numbers[2 * i + c]));
  const ends = x.map((v) => { const f = v.filter(Number.isFinite); return [Math.min(...f), Math.max(...f)]; });
  const put = (c, v) => { const [a, b] = ends[c], t = 0.06 + 0.88 * (b > a ? (v - a) / (b - a) : 0.5); return c ? tall * (1 - t) : width * t; };
  let classes = null;
  for (let n = 0; n < N.kind.length && !classes; n++) { const q = given(n) ? of("value", n) : null; if (q && q.code === "i" && q.shape[0] === p.shape[0] && product(q.shape) === p.shape[0]) classes = q.numbers; }
  const top = g ? Math.max(...Array.from(g.numbers.filter(Number.isFinite), Math.abs), 1e-300) : 1;
  const colours = SCALES.gradient[DARK.matches ? 1 : 0];
  for (let i = 0; i < rows; i++) {
    const px = put(0, x[0][i]), py = put(1, x[1][i]);
    if (g) { context.strokeStyle = rgb(colours[2]); context.lineWidth = 1; context.beginPath(); context.moveTo(px, py); context.lineTo(px + 26 * g.numbers[2 * i] / top, py - 26 * g.numbers[2 * i + 1] / top); context.stroke(); }
    context.fillStyle = classes && i < classes.length ? POINTS[((classes[i] % POINTS.length) + POINTS.length) % POINTS.length] : POINTS[0];
    context.beginPath(); context.arc(px, py, 3, 0, 2 * Math.PI); context.fill();
  }
  return `across ${text(ends[0][0])} … ${text(ends[0][1])}, up ${text(ends[1][0])} … ${text(ends[1][1])}${classes ? "; colours: labels" : ""}${g ? `; lines: the gradient, the longest part is ${text(top)}` : ""}`;
}

// -- histograms -------------------------------------------------------------------------------

const BARS = 32;
function counted(p) {
  if (p.counts) return p.counts;
  const {low, high} = p;        // the true ends: numbers in the page are rounded
  if (low === null || high === null || !(low < high)) return null;
  const counts = new Array(BARS).fill(0);
  for (const v of p.numbers) if (Number.isFinite(v)) counts[Math.min(Math.max(Math.floor((v - low) / (high - low) * BARS), 0), BARS - 1)]++;
  return [counts, low, high];
}
function histogram(p, kind) {
  const found = counted(p);
  if (!found || product(p.shape) < 8) return "";
  const [counts, low, high] = found, most = Math.max(...counts), zero = low < 0 && high > 0 ? 128 * -low / (high - low) : null;
  const bars = counts.map((c, i) => c ? `<rect x="${4 * i}" y="${(40 - Math.max(38 * c / most, 1)).toFixed(1)}" width="3.4" height="${Math.max(38 * c / most, 1).toFixed(1)}"/>` : "").join("");
  const line = zero === null ? "" : `<path d="M${zero.toFixed(1)} 0V40" class="zero"/>`;
  return `<figure class="hist ${kind}"><svg viewBox="0 0 128 40" preserveAspectRatio="none" role="img" aria-label="Histogram of the ${kind}, from ${text(low)} to ${text(high)}">${bars}${line}</svg><figcaption><span>${text(low)}</span><span>${kind}</span><span>${text(high)}</span></figcaption></figure>`;
}

// -- what is told -----------------------------------------------------------------------------

function leftOut(p) {
  const said = [];
  p.cuts.split("").forEach((cut, i) => {
    const n = p.shape[i], k = p.kept[i];
    if (cut === "f") said.push(`axis ${i}: the first ${k} of ${n}`);
    if (cut === "e") said.push(`axis ${i}: ${k} of ${n}, evenly spaced`);
    if (cut === "c") said.push(`axis ${i}: ${n} as ${k} cells, each the element of largest size`);
  });
  const shades = p.code === "u" ? "numbers are rounded to 1 of 253 between the true ends" : "";
  return [said.length ? `Shown: ${said.join("; ")}.` : "", shades && `In this page ${shades}.`].filter(Boolean).join(" ");
}
function indexOf(p, l, view, cursor) {
  const [k, i, j] = cursor, r = p.shape.length;
  if (view === "rows") return [l.first + k, i * l.columns + j];
  const index = p.shape.map(() => 0);
  for (const axis of l.leading) index[axis] = l.at[axis];
  if (l.axis >= 0) index[l.axis] = l.first + k;
  if (r > 1) index[r - 2] = i;
  index[r - 1] = j;
  return index;
}
function told(n, v, g, l, state) {
  const p = v || g, index = indexOf(p, {...l, at: state.at}, state.view, state.cursor), r = p.shape.length;
  const at = index.reduce((sum, i, axis) => sum + i * p.steps[axis], 0), example = index[0];
  const where = index.map((i, axis) => state.view === "images" && axis === r - 3 ? ":" : along(p, axis, i) + (r > 1 && axis >= r - 2 && names(p, axis, example) ? ` “${names(p, axis, example)[i]}”` : ""));
  const value = (q) => state.view === "images" ? Array.from({length: q.kept[r - 3]}, (_, c) => text(q.numbers[at + c * q.steps[r - 3]])).join(" ") : q.code === "i" && tokenNodes.has(n) ? word(q.numbers[at]) : text(q.numbers[at]);
  return `[${where.join(", ")}]${v ? ` value ${value(v)}` : ""}${g ? ` gradient ${value(g)}` : ""}`;
}
const names = (p, axis, example) => words && p.shape.length >= 2 ? labels(p, axis, example) : null;

// -- the section in the panel -----------------------------------------------------------------

let here = null;        // {n, v, g}: what the section shows

function section(n, knowsValue, knowsGradient) {
  const v = knowsValue ? of("value", n) : null, g = knowsGradient ? of("upstream", n) : null;
  here = v || g ? {n, v, g} : null;
  if (!here) return D.pictures.some && (N.values[n] || "").includes("…") ? '<div class="row none">This page has pictures of other nodes only.</div>' : "";
  return '<div id="pictures" class="pictures"></div>';
}

function mount(panel) {
  const root = panel.querySelector("#pictures");
  if (root && here) paint(root);
}

function controls(p, state, n) {
  const choices = views(n, p), l = sheets(p, state.view), wide = l.leading.filter((i) => p.kept[i] > 1 && state.view !== "rows");
  let html = "";
  if (choices.length > 1) html += `<label>as <select data-view>${choices.map((c) => `<option value="${c}"${c === state.view ? " selected" : ""}>${NAMES[c]}</option>`).join("")}</select></label>`;
  if (!["tokens", "points", "bars"].includes(state.view)) {
    if (wide.length > 1) html += `<label>small pictures: <select data-facet>${wide.map((i) => `<option value="${i}"${i === state.facet ? " selected" : ""}>${axisName(n, p, i)}</option>`).join("")}</select></label>`;
    const sliding = (state.view === "rows" ? [0] : wide).filter((i) => state.solo || i !== state.facet && state.view !== "rows");
    for (const i of sliding) html += `<label class="slide">${axisName(n, p, i)} <input type="range" data-axis="${i}" min="0" max="${p.kept[i] - 1}" value="${state.at[i]}"><output>${along(p, i, state.at[i])}</output></label>`;
    if (state.solo) html += '<button data-all>All slices</button>';
  }
  if (!["tokens", "points", "bars"].includes(state.view)) html += `<label title="The colour goes with the root of a number's share of the largest"><input type="checkbox" data-strong${strong ? " checked" : ""}>small ones stronger</label>`;
  return html + '<button data-grow title="Larger or smaller">⤢<span class="hidden"> Larger or smaller</span></button>';
}

function described(n, p, kind, l, state) {
  const what = state.view === "images" ? "images" : state.view === "bars" ? "bars" : `${l.count} map${l.count === 1 ? "" : "s"} of ${l.rows} by ${l.columns} cells`;
  return `${kind} of ${N.label[n]}, ${what}, from ${text(p.low)} to ${text(p.high)}. Arrow keys read out elements${l.count > 1 ? ", Enter shows one slice" : ""}.`;
}

function paint(root) {
  const {n, v, g} = here, p = v || g, state = stateOf(n, p);
  if (!views(n, p).includes(state.view)) state.view = views(n, p)[0];
  root.innerHTML = `<div class="controls">${controls(p, state, n)}</div><div class="sheets"></div><output class="told mono" aria-live="polite"></output><div class="hists">${v ? histogram(v, "value") : ""}${g ? histogram(g, "gradient") : ""}</div><div class="row none">${escape(leftOut(p))}</div>`;
  root.querySelectorAll("select,input,button").forEach((c) => c.addEventListener(c.tagName === "BUTTON" ? "click" : "input", () => {
    if (c.dataset.view !== undefined) { state.view = c.value; state.solo = false; }
    else if (c.dataset.facet !== undefined) { state.facet = +c.value; state.solo = false; }
    else if (c.dataset.strong !== undefined) strong = c.checked;
    else if (c.dataset.all !== undefined) state.solo = false;
    else if (c.dataset.grow !== undefined) { root.parentElement.classList.toggle("large"); root.dispatchEvent(new CustomEvent("grown", {bubbles: true})); }
    else { state.at[c.dataset.axis] = +c.value; c.nextElementSibling.textContent = along(p, +c.dataset.axis, +c.value); state.cursor = null; fillSheets(root); return; }
    state.cursor = null;
    paint(root);
  }));
  fillSheets(root);
}

function fillSheets(root) {
  const {n, v, g} = here, p = v || g, state = stateOf(n, p), box = root.querySelector(".sheets");
  box.innerHTML = "";
  if (state.view === "tokens") { box.innerHTML = tokenRows(p); return; }
  const large = root.parentElement.classList.contains("large"), full = Math.max(root.clientWidth - 2, 60), both = v && g && large && full > 500;
  const width = both ? (full - 14) / 2 : full, height = large ? 460 : 230, most = large ? 40 : 22;
  if (state.view === "points") {
    const canvas = place(box, "", n, p, "value", {count: 1, rows: 1, columns: 1}, state);
    const said = drawPoints(canvas, p, g, Math.min(full, 460));
    canvas.parentElement.insertAdjacentHTML("beforeend", `<div class="row none">${escape(said)}</div>`);
    return;
  }
  let l = layout(n, p, state, width, height, most), left = 0, marks = null;
  const r = p.shape.length;
  if (r >= 2 && isOp(n) && state.view === "map" && words) {
    marks = [labels(p, r - 2, state.at[0]), labels(p, r - 1, state.at[0])].map((m) => m && m.length <= 48 ? m : null);
    if (marks[0] || marks[1]) { left = 56; l = layout(n, p, state, width - left, height, most); if (l.s < 6) { left = 0; marks = null; l = layout(n, p, state, width, height, most); } } else marks = null;
  }
  const drawing = [["value", v], ["gradient", g]].filter(([, q]) => q).map(([kind, q]) => {
    const said = state.view === "images" && kind === "value" ? range(q) : state.view === "images" && q.kept[r - 3] === 3 ? "of 3 channels the largest" : "";
    const canvas = place(box, state.view === "images" && kind === "value" ? `<div class="key"><small>${said}</small></div>` : key(q, kind, said), n, q, kind, l, state);
    return () => state.view === "bars" ? drawBars(canvas, q, kind, width, state.cursor) : drawSheets(canvas, q, kind, l, state.view === "images", state.cursor, marks, left);
  });
  const again = () => drawing.forEach((draw) => draw());
  again();
  const say = () => { root.querySelector(".told").textContent = state.cursor ? told(n, v, g, l, state) : ""; };
  box.querySelectorAll("canvas").forEach((canvas) => listen(canvas, p, l, state, left, () => { again(); say(); }, () => paint(root), width));
  say();
}
function range(p) {
  if (p.low >= 0 && p.high <= 1) return "0 is black, 1 is white";
  if (p.low >= 0 && p.high <= 255 && p.high > 1) return "0 is black, 255 is white";
  return `stretched: ${text(p.low)} is black, ${text(p.high)} is white`;
}
function place(box, head, n, p, kind, l, state) {
  const figure = document.createElement("div");
  figure.className = `sheet ${kind}`;
  figure.innerHTML = `<div class="name">${kind}</div>${head}<canvas tabindex="0" role="img"></canvas>`;
  const canvas = figure.querySelector("canvas");
  canvas.setAttribute("aria-label", described(n, p, kind, l, state));
  box.appendChild(figure);
  return canvas;
}

function listen(canvas, p, l, state, left, moved, solo, width) {
  const bars = state.view === "bars";
  const find = (e) => {
    const b = canvas.getBoundingClientRect(), x = e.clientX - b.left - left, y = e.clientY - b.top, w = l.columns * l.s, h = l.rows * l.s;
    if (bars) return [0, 0, Math.min(Math.max(Math.floor((x + left) / (width / l.columns)), 0), l.columns - 1)];
    const cx = Math.floor(x / (w + 3)), cy = Math.floor(y / (h + 3)), k = cy * l.across + cx, j = Math.floor((x - cx * (w + 3)) / l.s), i = Math.floor((y - cy * (h + 3)) / l.s);
    return cx >= 0 && cx < l.across && k < l.count && i >= 0 && i < l.rows && j >= 0 && j < l.columns ? [k, i, j] : null;
  };
  const alone = (k) => { if (l.axis < 0 || state.solo || p.kept[l.axis] < 2) return; state.at[l.axis] = k; state.solo = true; state.cursor = null; solo(); };
  canvas.addEventListener("pointermove", (e) => { state.cursor = find(e) || state.cursor; moved(); });
  canvas.addEventListener("click", (e) => { const at = find(e); if (at) alone(at[0]); });
  canvas.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const [k, i, j] = state.cursor || [0, 0, -1];
    if (e.key === "Enter") { alone(k); e.stopPropagation(); e.preventDefault(); return; }
    const step = {ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0]}[e.key];
    if (!step) return;
    let place = [k, i + step[0], j + step[1]];
    if (place[2] >= l.columns) place = [Math.min(k + 1, l.count - 1), i, k + 1 < l.count ? 0 : l.columns - 1];
    if (place[2] < 0) place = [Math.max(k - 1, 0), i, k > 0 ? l.columns - 1 : 0];
    if (place[1] >= l.rows) place = k + l.across < l.count ? [k + l.across, 0, j] : [k, l.rows - 1, j];
    if (place[1] < 0) place = k >= l.across ? [k - l.across, l.rows - 1, j] : [k, 0, j];
    state.cursor = place.map((v) => Math.max(v, 0));
    moved();
    e.stopPropagation(); e.preventDefault();
  });
}

function tokenRows(p) {
  const across = p.kept[p.kept.length - 1] || 1, rows = [];
  for (let at = 0; at < Math.min(p.numbers.length, 1024); at += across) rows.push(Array.from(p.numbers.slice(at, at + across), (i) => `<span class="token" title="${i}">${escape(word(i))}</span>`).join("<wbr>"));
  return `<div class="tokens">${rows.map((r, i) => `<div><small>${i}</small> ${r}</div>`).join("")}</div>`;
}

// -- the strip: what flows at a stop ----------------------------------------------------------

function thumb(p, kind, n, label, sign) {
  return {html: `<button class="thumb ${sign}" data-go="${n}" title="${escape(label)}"><canvas aria-hidden="true"></canvas><span>${escape(label)}</span></button>`, p, kind, n};
}
function drawThumb(canvas, {p, kind, n}) {
  const before = strong;
  strong = true;        // there is no key: what is not 0 is to be seen
  thumbnail(canvas, p, kind, n, WIDE, TALL, true);
  strong = before;
}
// The slice with the largest element, small; with the ends of the array, or of what is shown.
function thumbnail(canvas, p, kind, n, wide, tall, own = false) {
  if (p.shape.length === 1) { drawBars(canvas, p, kind, Math.min(wide, 90), null); canvas.style.height = "44px"; return; }
  const photo = given(n) && kind === "value" && views(n, p)[0] === "images", r = p.shape.length;
  const facet = r === (of("value", n) || p).shape.length ? stateOf(n, p).facet : r - 3;
  let best = 0;
  p.numbers.forEach((v, i) => { if (Math.abs(v) > Math.abs(p.numbers[best])) best = i; });
  const at = own ? p.steps.map((step, i) => Math.floor(best / step) % p.kept[i]) : stateOf(n, p).at;
  const l = layout(n, p, {view: photo ? "images" : "map", facet, at, solo: false}, wide, tall);
  l.count = Math.min(l.count, 24);
  Object.assign(l, grid(l.count, l.rows, l.columns, wide, tall));
  drawSheets(canvas, own ? most(p, l, photo) : p, kind, l, photo, null, null, 0);
}
const WIDE = 130, TALL = 50;
// The same array with the ends of what is shown.
function most(p, l, photo) {
  if (photo) return p;
  let low = 0, high = 0;
  for (let k = 0; k < l.count; k++) for (let i = 0; i < l.rows; i++) for (let j = 0; j < l.columns; j++) {
    const v = p.numbers[l.start(k) + i * l.down + j * l.right];
    if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
  }
  return {...p, low, high};
}
// The pictures of one stop: inputs and result; or upstream, local gradients and what is sent down.
function strip(box, n, backward) {
  const parts = [], thumbs = [];
  const add = (p, kind, node, label, sign) => { if (p && thumbs.length < 12) { const t = thumb(p, kind, node, label, sign); thumbs.push(t); parts.push(t.html); } };
  const mark = (s) => parts.push(`<span class="sign">${s}</span>`);
  if (n >= 0 && !backward) {
    for (const e of incoming[n]) add(of("value", E.source[e]), "value", E.source[e], N.label[E.source[e]], "v");
    if (of("value", n)) { mark("→"); add(of("value", n), "value", n, N.label[n], "v"); }
  } else if (n >= 0) {
    add(of("upstream", n), "gradient", n, `∂ ${N.label[n]}`, "g");
    let sent = 0;
    for (const e of incoming[n]) {
      const down = of("downstream", e), local = of("local", e);
      if (!down && !local) continue;
      mark(sent++ ? "," : "→");        // what goes to several inputs goes there side by side
      if (local) { add(local, "value", n, `local, ${E.argument[e]}`, "l"); mark("="); }
      add(down, "gradient", E.source[e], `∂ ${N.label[E.source[e]]}`, "g");
    }
  }
  box.hidden = n < 0 || !D.pictures.list.length;
  box.innerHTML = parts.join("");
  box.querySelectorAll("canvas").forEach((c, i) => drawThumb(c, thumbs[i]));
}

return {section, mount, strip, thumbnail, histogramOf: counted, of, rgb, SCALES, DARK, tone, sized};
};
