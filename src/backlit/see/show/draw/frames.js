"use strict";
// One drawing at several steps of a training, or of two computations: what is shown of values and
// gradients is exchanged (see frames.py), and a node is seen at all of them beside each other.
const filming = (D, pictures, changed) => {
const frames = D.frames || [], pair = !!D.compared, text = inWords;
const STRIP = 8, BINS = 28;
const said = D.stops, silent = D.stops.map(([n, phase]) => [n, phase, ""]), chains = D.chains;
const $ = (id) => document.getElementById(id);
let at = frames.length - 1, playing = 0;

function show(k) {
  at = Math.min(Math.max(k, 0), frames.length - 1);
  const f = frames[at];
  Object.assign(D.nodes, f.nodes); Object.assign(D.edges, f.edges);
  D.value_statistics = f.value_statistics; D.gradient_statistics = f.gradient_statistics; D.pictures = f.pictures;
  const own = at === D.frame_of_the_words;       // sentences and chain rules have the numbers of one frame
  D.stops = own ? said : silent; D.chains = own ? chains : {};
  $("frame").value = at; $("frame-at").textContent = f.label;
  $("frame").setAttribute("aria-valuetext", f.label);
}
function seek(k) { if (!frames.length) return; show(k); changed(); }
function play(on) {
  clearInterval(playing); playing = 0;
  $("film-play").textContent = on ? "❚❚" : "▶"; $("film-play").setAttribute("aria-label", on ? "Pause" : "Play the training");
  if (!on) return;
  if (at === frames.length - 1) seek(0);
  playing = setInterval(() => { if (at >= frames.length - 1) play(false); else seek(at + 1); }, 500);
}
if (pair) document.body.classList.add("pair");
if (frames.length > 1) {
  $("film").hidden = false;
  D.step = null;        // of the record; the bar says it
  $("film-what").textContent = pair ? "shown" : "training";
  $("frame").max = frames.length - 1;
  $("frame").addEventListener("input", () => { play(false); seek(+$("frame").value); });
  $("film-play").hidden = pair;
  $("film-play").addEventListener("click", () => play(!playing));
  show(pair ? 0 : at);
}

// -- a node at all frames ---------------------------------------------------------------------

const arrays = (kind, n) => frames.map((f) => pictures.of(kind, n, f.pictures));
let here = null;
function section(n, knowsValue, knowsGradient) {
  here = null;
  if (frames.length < 2) return "";
  const rows = [["value", "value", knowsValue], ["gradient", "upstream", knowsGradient]].filter(([, , known]) => known)
    .map(([name, kind]) => ({name, all: arrays(kind, n)})).filter((r) => r.all.some(Boolean));
  const told = pair ? ["value", "gradient"].map((k) => D.compared[k][n]).filter(Boolean) : [];
  const lines = told.map(([kind, what, words]) => `<div class="row mono ${kind}"><b>${escape(what)}</b>: ${escape(words)}</div>`).join("");
  const curve = pair ? "" : curves(n, knowsValue, knowsGradient);
  if (!rows.length && !lines && !curve) return "";
  here = {n, rows};
  return `<h3>${pair ? "Side by side" : "Over the training"}</h3>${lines}${curve}<div id="strips" class="strips"></div>`;
}

// The norms over the steps, also of single numbers.
function curves(n, knowsValue, knowsGradient) {
  const norm = D.statistics.indexOf("norm"), one = D.statistics.indexOf("mean"), number = (row) => !row ? null : D.nodes.type[n].endsWith("[]") ? row[one] : row[norm];
  const lines = [["value", "value_statistics", knowsValue], ["gradient", "gradient_statistics", knowsGradient]].filter(([, , known]) => known).map(([name, key]) => [name, frames.map((f) => number(f[key][n]))])
    .filter(([, v]) => v.filter((x) => typeof x === "number").length > 1);
  return lines.map(([name, v]) => {
    const known = v.filter((x) => typeof x === "number"), low = Math.min(...known), high = Math.max(...known), y = (x) => 38 - 34 * (high > low ? (x - low) / (high - low) : 0.5), x = (k) => 300 * k / (v.length - 1);
    let path = "", pen = "M";
    v.forEach((s, k) => { if (typeof s !== "number") { pen = "M"; return; } path += `${pen}${x(k).toFixed(1)} ${y(s).toFixed(1)}`; pen = "L"; });
    const what = D.nodes.type[n].endsWith("[]") ? name : `norm of the ${name}`;
    return `<figure class="curve ${name}"><svg viewBox="0 0 300 40" preserveAspectRatio="none" role="img" aria-label="${what} from ${text(v[0])} to ${text(v[v.length - 1])}"><path class="zero" d="M${x(at).toFixed(1)} 0V40"/><path d="${path}"/></svg><figcaption><span>${what}</span><span>${text(low)} … ${text(high)}</span></figcaption></figure>`;
  }).join("");
}

function mount(panel) {
  const root = panel.querySelector("#strips");
  if (!root || !here) return;
  root.innerHTML = "";
  const {n, rows} = here, width = Math.max(root.clientWidth, 120);
  for (const {name, all} of rows) {
    const shown = pair || all.length <= STRIP ? all.map((_, k) => k) : Array.from({length: STRIP}, (_, i) => Math.round(i * (all.length - 1) / (STRIP - 1)));
    const known = shown.filter((k) => all[k]);
    if (!known.length) continue;
    const low = Math.min(...known.map((k) => all[k].low)), high = Math.max(...known.map((k) => all[k].high));
    const row = document.createElement("div");
    row.className = `film-row ${name}`;
    row.innerHTML = `<div class="name">${name}<small> ${text(low)} … ${text(high)}, one scale</small></div>`;
    const across = pair ? Math.floor((width - 16) / (all.every(Boolean) ? 3 : 2)) : Math.max(Math.floor((width - 6 * 4) / 4), 56);
    for (const k of known) row.appendChild(cell(frames[k].label, k, all[k], name, n, across, low, high));
    if (pair && all.every(Boolean) && all[0].numbers.length === all[1].numbers.length && all[0].code !== "i") {
      const gap = difference(all[0], all[1]);
      row.appendChild(cell(`${frames[1].label} − ${frames[0].label}: ${text(gap.low)} … ${text(gap.high)}`, -1, gap, "gradient", n, across, gap.low, gap.high));
    }
    root.appendChild(row);
    if (!pair) ridge(root, name, all, width);
  }
}
function cell(label, k, p, name, n, across, low, high) {
  const button = document.createElement(k < 0 ? "div" : "button");
  button.className = `frame${k === at ? " now" : ""}`;
  button.innerHTML = `<canvas aria-hidden="true"></canvas><span>${escape(label)}</span>`;
  if (k >= 0) { button.title = `Show ${label}`; button.addEventListener("click", () => { play(false); seek(k); }); }
  pictures.thumbnail(button.querySelector("canvas"), {...p, low, high}, name, n, across, Math.min(across, 110));
  return button;
}
function difference(a, b) {
  const numbers = Float64Array.from(a.numbers, (v, i) => b.numbers[i] - v), known = numbers.filter(Number.isFinite);
  let low = 0, high = 0;
  for (const v of known) { low = Math.min(low, v); high = Math.max(high, v); }
  return {...a, numbers, low, high, counts: null};
}

document.addEventListener("grown", (e) => mount(e.target.closest("#panel")));

// The histogram of each frame as a column: how the numbers spread over the training.
function ridge(root, name, all, width) {
  const found = all.map((p) => p && pictures.histogramOf(p)), known = found.filter(Boolean);
  if (known.length < 2) return;
  const low = Math.min(...known.map((h) => h[1])), high = Math.max(...known.map((h) => h[2])), tall = 84;
  const canvas = document.createElement("canvas"), figure = document.createElement("figure");
  figure.className = `ridge ${name}`;
  figure.append(canvas);
  figure.insertAdjacentHTML("beforeend", `<figcaption><span>${escape(frames[0].label)}</span><span>histogram of the ${name}, ${text(low)} … ${text(high)}</span><span>${escape(frames[frames.length - 1].label)}</span></figcaption>`);
  canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", `Histograms of the ${name} over ${frames.length} frames, from ${text(low)} to ${text(high)}`);
  root.appendChild(figure);
  const context = pictures.sized(canvas, width, tall), w = width / frames.length, h = tall / BINS, colours = pictures.SCALES[name][pictures.DARK.matches ? 1 : 0];
  const ink = name === "value" ? colours[0] : colours[2];
  found.forEach((hist, k) => {
    if (!hist) return;
    const [counts, a, b] = hist, bins = new Array(BINS).fill(0), step = (b - a) / counts.length, size = (high - low) / BINS;
    counts.forEach((c, i) => {           // a bar is spread over the bins that it meets
      const from = a + i * step, to = from + step;
      for (let j = Math.max(Math.floor((from - low) / size), 0); j < BINS && low + j * size < to; j++) bins[j] += c * Math.max(Math.min(to, low + (j + 1) * size) - Math.max(from, low + j * size), 0) / step;
    });
    const most = Math.max(...bins) || 1;
    bins.forEach((c, j) => { if (!c) return; context.globalAlpha = 0.12 + 0.88 * Math.sqrt(c / most); context.fillStyle = pictures.rgb(ink); context.fillRect(k * w, tall - (j + 1) * h, w + 0.5, h + 0.5); });
  });
  context.globalAlpha = 1; context.strokeStyle = pictures.tone("--mark"); context.lineWidth = 2; context.strokeRect(at * w + 1, 1, Math.max(w - 2, 1), tall - 2);
  canvas.addEventListener("click", (e) => { play(false); seek(Math.floor((e.clientX - canvas.getBoundingClientRect().left) / w)); });
}

return {section, mount, seek, at: () => at, count: frames.length};
};
