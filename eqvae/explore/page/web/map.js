// The map: pan and zoom, points or thumbnails, and which image is where.
"use strict";

explorer.map = (() => {
  const { table, thumbnails } = explorer;
  const canvas = element("points"), context = canvas.getContext("2d");
  const xy = new Float32Array(explorer.bytes(explorer.received.about.map.xy).buffer);
  const order = Uint32Array.from({ length: table.count }, (_, i) => i);
  const place = new Float32Array(2 * table.count); // device pixels
  const view = { scale: 1, x: 0, y: 0 }; // screen = scale * map + (x, y), y downwards, device pixels
  const state = { colours: null, palette: [], faint: null, marks: "points", kind: "upright" };
  let pixels = null, whole = 1, waiting = false, fitted = true;

  const bounds = (() => {
    const found = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < xy.length; i += 2) {
      found[0] = Math.min(found[0], xy[i]), found[1] = Math.min(found[1], xy[i + 1]);
      found[2] = Math.max(found[2], xy[i]), found[3] = Math.max(found[3], xy[i + 1]);
    }
    return found;
  })();
  const ratio = () => Math.min(window.devicePixelRatio || 1, 2);

  function fit() {
    fitted = true;
    const [left, low, right, high] = bounds, margin = 36 * ratio();
    const legend = canvas.width > 640 * ratio() ? element("legend").offsetWidth * ratio() : 0; // beside it, if there is room
    const across = (canvas.width - legend - 2 * margin) / (right - left || 1);
    const up = (canvas.height - 2 * margin) / (high - low || 1);
    whole = view.scale = Math.max(Math.min(across, up), 1e-9);
    view.x = (canvas.width + legend) / 2 - (view.scale * (left + right)) / 2;
    view.y = canvas.height / 2 + (view.scale * (low + high)) / 2;
    redraw();
  }

  // After another legend: make room for it, unless somebody has moved the map.
  const refit = () => fitted && fit();

  function resize() {
    const box = canvas.parentElement.getBoundingClientRect(), first = !pixels;
    const width = Math.max(1, Math.round(box.width * ratio())), height = Math.max(1, Math.round(box.height * ratio()));
    if (!first && width === canvas.width && height === canvas.height) return;
    canvas.width = width, canvas.height = height;
    pixels = new ImageData(width, height);
    fit();
  }

  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(draw);
  }

  function draw() {
    waiting = false;
    for (let i = 0; i < place.length; i += 2) {
      place[i] = view.scale * xy[i] + view.x;
      place[i + 1] = view.y - view.scale * xy[i + 1];
    }
    const near = Math.min(2.2, Math.sqrt(view.scale / whole));
    const size = Math.max(1.3, Math.min(3.2, 260 / Math.sqrt(table.count))) * ratio() * Math.max(1, near);
    explorer.painter.paint(pixels, order, place, state.colours.codes, state.palette, size, state.faint);
    context.putImageData(pixels, 0, 0);
    if (state.marks === "images") drawImages();
    explorer.frames = (explorer.frames ?? 0) + 1;
    explorer.tell("drawn", view);
  }

  // One thumbnail for each cell of the screen, the same ones as long as the map does not move.
  function drawImages() {
    const side = 40 * ratio(), taken = new Set();
    for (const row of order) {
      if (state.faint && state.faint[row]) continue;
      const x = place[2 * row], y = place[2 * row + 1];
      if (x < 0 || y < 0 || x > canvas.width || y > canvas.height) continue;
      const cell = Math.floor(x / side) * 10000 + Math.floor(y / side);
      if (taken.has(cell)) continue;
      taken.add(cell);
      const left = Math.floor(x / side) * side, top = Math.floor(y / side) * side, rim = 2 * ratio();
      context.fillStyle = state.colours.palette[state.colours.codes[row]];
      context.fillRect(left + 1, top + 1, side - 2, side - 2);
      thumbnails.draw(context, state.kind, row, left + 1 + rim, top + 1 + rim, side - 2 - 2 * rim);
    }
  }

  // The image nearest to a place on the screen, in CSS pixels, or -1.
  function at(x, y, reach = 14) {
    let best = (reach * ratio()) ** 2, found = -1;
    x *= ratio(), y *= ratio();
    for (let i = 0; i < table.count; i++) {
      const off = (place[2 * i] - x) ** 2 + (place[2 * i + 1] - y) ** 2;
      if (off < best && !(state.faint && state.faint[i] && off > 16)) (best = off), (found = i);
    }
    return found;
  }

  // The image nearest to the mean of all.
  function middle() {
    const mean = [0, 0];
    xy.forEach((value, i) => (mean[i % 2] += value / table.count));
    let best = Infinity, found = 0;
    for (const row of order) {
      const off = Math.hypot(xy[2 * row] - mean[0], xy[2 * row + 1] - mean[1]);
      if (off < best) (best = off), (found = row);
    }
    return found;
  }

  function move(dx, dy) {
    fitted = false;
    view.x += dx * ratio(), view.y += dy * ratio();
    redraw();
  }

  function zoom(factor, x = canvas.width / ratio() / 2, y = canvas.height / ratio() / 2) {
    const scale = Math.max(whole / 4, Math.min(whole * 400, view.scale * factor));
    const by = scale / view.scale;
    fitted = false;
    view.x = x * ratio() - by * (x * ratio() - view.x);
    view.y = y * ratio() - by * (y * ratio() - view.y);
    view.scale = scale;
    redraw();
  }

  explorer.on("colour", (colours) => {
    state.colours = colours;
    state.palette = colours.palette.map((c) => (c[0] === "#" ? explorer.colours.parsed(c) : c.match(/\d+/g).map(Number)));
    redraw();
  });
  explorer.on("selected", (rows) => {
    state.faint = rows.length ? new Uint8Array(table.count).fill(1) : null;
    for (const row of rows) state.faint[row] = 0;
    redraw();
  });
  explorer.on("marks", (marks) => ((state.marks = marks), redraw()));
  explorer.on("view", (kind) => ((state.kind = kind), redraw()));
  explorer.on("sheet", () => state.marks === "images" && redraw());

  return {
    resize, fit, refit, move, zoom, at, middle, redraw,
    // CSS pixels of an image, and of any place of the map
    where: (row) => [place[2 * row] / ratio(), place[2 * row + 1] / ratio()],
    screen: (x, y) => [(view.scale * x + view.x) / ratio(), (view.y - view.scale * y) / ratio()],
  };
})();
