"use strict";
// Colours of a statistic: from dark to light, or where it has both signs, white at zero and as
// strong on both sides. Sizes that differ by more than 50 times are told apart by their logarithm.
const scaling = (values) => {
const RISING = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const SIGNED = ["#1b7837", "#5aae61", "#a6dba0", "#d9f0d3", "#f7f7f7", "#e7d4e8", "#c2a5cf", "#9970ab", "#762a83"];
const DECADES = 1e6;          // smaller numbers than the largest by this factor are rounding, most often
let low = Infinity, high = -Infinity, least = Infinity;
for (const v of values) { low = Math.min(low, v); high = Math.max(high, v); if (v > 0) least = Math.min(least, v); }
const signed = low < 0 && high > 0, log = low >= 0 && high > 0 && high / least > 50;
const cut = log ? Math.max(least, high / DECADES) : low, ramp = signed ? SIGNED : RISING;
const from = signed ? -Math.max(-low, high) : cut, to = signed ? -from : high;
const text = (v) => Number.isFinite(v) ? inWords(v) : "—";
return {
  log, signed, ramp,
  ends: [(log && low < cut ? "≤ " : "") + text(from), text(to)],
  shade(v) {
    let t = log ? Math.log(Math.max(v, cut) / cut) / Math.log(high / cut) : (v - from) / (to - from);
    if (!Number.isFinite(t)) t = 0.5;
    const i = Math.round(Math.min(Math.max(t, 0), 1) * (ramp.length - 1));
    const dark = signed ? i < 2 || i > ramp.length - 3 : i < 6;
    return [ramp[i], dark ? "dark-fill" : "light-fill"];
  },
};
};
