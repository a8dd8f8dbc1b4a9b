// Many points into the pixels of a canvas: a disc of one colour each, with a soft rim.
"use strict";

explorer.painter = (() => {
  // How much of each pixel around the middle a disc covers.
  function disc(radius) {
    const reach = Math.ceil(radius + 0.5), side = 2 * reach + 1, cover = new Float32Array(side * side);
    for (let y = -reach; y <= reach; y++)
      for (let x = -reach; x <= reach; x++)
        cover[(y + reach) * side + x + reach] = Math.max(0, Math.min(1, radius + 0.5 - Math.hypot(x, y)));
    return { reach, side, cover };
  }

  // Put points on transparent pixels. `order` says which, `place` where: x, y in turn; `faint` those that step back.
  function paint(image, order, place, codes, palette, radius, faint) {
    const { width, height, data } = image, { reach, side, cover } = disc(radius);
    const pixels = new Uint32Array(data.buffer);
    pixels.fill(0);
    for (const row of order) {
      const left = Math.round(place[2 * row]) - reach, top = Math.round(place[2 * row + 1]) - reach;
      if (left < 0 || top < 0 || left + side > width || top + side > height) continue;
      const [r, g, b] = palette[codes[row]], strength = faint && faint[row] ? 0.16 : 0.88;
      for (let y = 0, k = 0; y < side; y++) {
        let at = 4 * ((top + y) * width + left);
        for (let x = 0; x < side; x++, k++, at += 4) {
          const a = cover[k] * strength;
          if (a === 0) continue;
          const before = (data[at + 3] / 255) * (1 - a), whole = a + before;
          data[at] = (r * a + data[at] * before) / whole;
          data[at + 1] = (g * a + data[at + 1] * before) / whole;
          data[at + 2] = (b * a + data[at + 2] * before) / whole;
          data[at + 3] = 255 * whole;
        }
      }
    }
  }

  return { paint };
})();
