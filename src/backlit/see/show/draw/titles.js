"use strict";
// Titles of boxes that can be read at any zoom: where a picture is small they are larger in it. Those
// of outer boxes come first; one for which there is no room is shortened, or else stays as it is.
const titling = (letter, size, least) => (boxes, k) => {
const wanted = Math.max(size, least / k), taken = [], found = new Map();
const overlaps = (p) => taken.some((q) => p.l < q.r && q.l < p.r && p.t < q.b && q.t < p.b);
for (const box of boxes) {
  const short = box.text.split(": ")[0];
  let chosen = {text: box.text, size};
  for (const text of wanted > size ? [box.text, short] : []) {
    const across = (Array.from(text).length + 2) * letter * wanted / size;
    const place = {l: box.x, t: box.y - wanted * 0.6, r: box.x + across, b: box.y + wanted * 0.6};
    if (across > box.room || wanted * 1.2 > box.height || overlaps(place)) continue;
    taken.push(place);
    chosen = {text, size: wanted};
    break;
  }
  found.set(box.b, chosen);
}
return found;
};
